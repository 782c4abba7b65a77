"""Converts the progress of a message to the events of StreamMessage."""

from __future__ import annotations

from typing import assert_never

from kernel.v1 import messages_pb2

from kernel_service.api import converters
from kernel_service.inbox.inbox import Durable
from kernel_service.ports.progress import (
    ApprovalNeeded,
    ConnectNeeded,
    Event,
    Merged,
    TextDelta,
    TextEvent,
    TextReset,
    ToolFinished,
    ToolStarted,
)


def event(  # noqa: PLR0911 - one for each kind
    given: Durable | Event | TextEvent,
) -> messages_pb2.StreamMessageResponse:
    respond = messages_pb2.StreamMessageResponse
    match given:
        case Durable(duplicate):
            return respond(accepted=messages_pb2.MessageAccepted(duplicate=duplicate))
        case Merged(turn_id):
            return respond(merged=messages_pb2.MessageMerged(turn_id=turn_id))
        case ToolStarted(call_id, tool):
            return respond(tool_started=messages_pb2.ToolStarted(call_id=call_id, tool=tool))
        case ToolFinished(call_id, succeeded):
            return respond(tool_finished=messages_pb2.ToolFinished(call_id=call_id, succeeded=succeeded))
        case TextDelta(text):
            return respond(text_delta=messages_pb2.TextDelta(text=text))
        case TextReset():
            return respond(text_reset=messages_pb2.TextReset())
        case ConnectNeeded(toolkit, link):
            return respond(connect_needed=messages_pb2.ConnectNeeded(toolkit=toolkit, link=converters.link(link)))
        case ApprovalNeeded(calls, choices, expires_at):
            call_id, tool = calls[0]
            return respond(
                approval_needed=messages_pb2.ApprovalNeeded(
                    call_id=call_id,
                    tool=tool,
                    calls=[messages_pb2.PendingCall(call_id=call_id, tool=tool) for call_id, tool in calls],
                    choices=map(converters.choice, choices),
                    expires_at=converters.timestamp(expires_at),
                )
            )
        case _:
            assert_never(given)
