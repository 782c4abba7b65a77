"""A turn, from its first attempt to its end."""

from __future__ import annotations

from typing import Final

from kernel_service.ports.states.state_machine import StateMachine, Transition
from kernel_service.ports.turns import TurnStatus as S

OPEN: Final = (S.RUNNING, S.HELD)

TURN: Final = StateMachine(
    S,
    (
        Transition("a person's messages are due", (), S.RUNNING),
        Transition("a vendor is away or busy", (S.RUNNING,), S.HELD),
        Transition("the next attempt begins", (S.HELD,), S.RUNNING),
        Transition("answered", OPEN, S.COMPLETED),
        Transition("given up, split, or its people are merged", OPEN, S.FAILED),
        Transition("the person says stop", OPEN, S.STOPPED),
    ),
)
