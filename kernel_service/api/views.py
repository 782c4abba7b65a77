"""Turns, replies and dead letters as operators see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.v1 import admin_pb2

from kernel_service.api import converters

if TYPE_CHECKING:
    from kernel_service.ports.admin import DeadLetter, PartView, ReplyView, TurnSummary


def turn(given: TurnSummary) -> admin_pb2.Turn:
    return admin_pb2.Turn(
        id=given.id,
        status=admin_pb2.TurnStatus.Value(f"TURN_STATUS_{given.status.name}"),
        message_ids=map(str, given.messages),
        started_at=converters.timestamp(given.started_at),
        ended_at=converters.timestamp(given.ended_at),
        not_before=converters.timestamp(given.not_before),
        attempts=given.attempts,
        usage=converters.usage(given.usage),
        problem=given.problem,
    )


def dead_letter(letter: DeadLetter) -> admin_pb2.DeadLetter:
    return admin_pb2.DeadLetter(
        id=letter.id,
        person_id=letter.person_id,
        message_id=str(letter.seq),
        problem=letter.problem,
        dead_at=converters.timestamp(letter.dead_at),
    )


def reply(given: ReplyView) -> admin_pb2.ReplyRecord:
    return admin_pb2.ReplyRecord(
        id=given.id,
        turn_id=given.turn_id,
        answers_message_id="" if given.answers is None else str(given.answers),
        channel=given.channel,
        state=admin_pb2.ReplyState.Value(f"REPLY_STATE_{given.state.name}"),
        parts=[_part(each) for each in given.parts],
        created_at=converters.timestamp(given.created_at),
        settled_at=converters.timestamp(given.settled_at),
        attempts=given.attempts,
        error_code=given.error_code,
    )


def _part(part: PartView) -> admin_pb2.PartState:
    receipt = admin_pb2.ReceiptState.Value(f"RECEIPT_STATE_{part.receipt.upper() or 'UNSPECIFIED'}")
    return admin_pb2.PartState(part=part.part, sent=part.sent, receipt=receipt, error_code=part.error_code)
