"""A reply, from the turn that makes it to the receipt that it is sent."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from kernel_service.ports.states.state_machine import StateMachine, Transition


class ReplyState(StrEnum):
    INLINE = "inline"
    """Returned to the caller that waited for it, and not a part of the outbox."""
    PENDING = "pending"
    LEASED = "leased"
    IN_DOUBT = "in_doubt"
    """Its lease ended without a receipt, or the channel does not know: it may have been sent."""
    HELD = "held"
    """It cannot be sent now: the window is closed, it has no recipient, or it cannot be read."""
    SENT = "sent"
    FAILED = "failed"


S = ReplyState
UNSETTLED: Final = (S.PENDING, S.LEASED, S.IN_DOUBT, S.HELD)
ON_ITS_WAY: Final = (S.LEASED, S.IN_DOUBT)
REOPENABLE: Final = (*ON_ITS_WAY, S.SENT)
"""Sent again if a part fails. A pending or held reply is sent again anyway; a failed one stays failed."""

LAPSED: Final = Transition("its lease ends without a receipt, or the channel does not know", (S.LEASED,), S.IN_DOUBT)
RELEASED: Final = Transition("the lease is released", (S.LEASED,), S.PENDING)
DOUBT_OVER: Final = Transition("no receipt came within the grace", (S.IN_DOUBT,), S.PENDING)
DOUBT_GIVEN_UP: Final = Transition("in doubt too often", (S.IN_DOUBT,), S.FAILED)
WRITTEN_AGAIN: Final = Transition("the person writes, or can be reached again", (S.HELD,), S.PENDING)
REPLACED: Final = Transition("a newer reply about its subject comes, or its schedule ends", (S.HELD,), S.FAILED)

REPLY: Final = StateMachine(
    S,
    (
        Transition("a turn ends, its caller waits", (), S.INLINE),
        Transition("a turn ends, or a notice is made", (), S.PENDING),
        Transition("a turn ends, and a stream has credit", (), S.LEASED),
        Transition("a schedule is paused", (), S.HELD),
        Transition("a channel pulls", (S.PENDING,), S.LEASED),
        Transition("it has no recipient", (S.PENDING,), S.HELD),
        LAPSED,
        RELEASED,
        DOUBT_OVER,
        DOUBT_GIVEN_UP,
        WRITTEN_AGAIN,
        REPLACED,
        Transition("a part fails for now", REOPENABLE, S.PENDING),
        Transition("the window is closed", REOPENABLE, S.HELD),
        Transition("the receipt omits a part", REOPENABLE, S.IN_DOUBT),
        Transition("all parts are sent", (*UNSETTLED, S.FAILED), S.SENT),
        Transition("a part fails permanently", (*UNSETTLED, S.SENT), S.FAILED),
    ),
)
