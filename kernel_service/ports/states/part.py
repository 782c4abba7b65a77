"""A part of a reply, as its channel's receipts report it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from kernel_service.ports.states.state_machine import StateMachine, Transition


class PartState(StrEnum):
    """In the order of receipts: a delivered part was not refused, and a refused part had been accepted."""

    UNREPORTED = ""
    """No receipt yet."""
    SENT = "sent"
    FAILED = "failed"
    DELIVERED = "delivered"
    READ = "read"
    PLAYED = "played"


S = PartState

PART: Final = StateMachine(
    S,
    (
        Transition("named for the first time", (), S.UNREPORTED),
        Transition("the network accepts it", (S.UNREPORTED,), S.SENT),
        Transition("the network refuses it", (S.UNREPORTED, S.SENT), S.FAILED),
        Transition("sent again", (S.FAILED,), S.UNREPORTED),
        Transition("on the device", (S.UNREPORTED, S.SENT, S.FAILED), S.DELIVERED),
        Transition("read", (S.UNREPORTED, S.SENT, S.FAILED, S.DELIVERED), S.READ),
        Transition("played", (S.UNREPORTED, S.SENT, S.FAILED, S.DELIVERED, S.READ), S.PLAYED),
    ),
)
