"""A message of a person, from its acceptance to its answer."""

from __future__ import annotations

from typing import Final

from kernel_service.ports.messages import MessageStatus as S
from kernel_service.ports.states.state_machine import StateMachine, Transition

OPEN: Final = (S.ACCEPTED, S.HELD)
"""States of a message that waits for its answer."""
ENDED: Final = tuple(state for state in S if state not in OPEN)

REQUEUED: Final = Transition("an operator requeues it", (S.DEAD_LETTERED,), S.ACCEPTED)

MESSAGE: Final = StateMachine(
    S,
    (
        Transition("accepted", (), S.ACCEPTED),
        Transition("accepted after a later stop", (), S.STOPPED),
        Transition("its turn is held", (S.ACCEPTED,), S.HELD),
        Transition("its turn resumes, or another takes it", (S.HELD,), S.ACCEPTED),
        Transition("its turn ends", OPEN, S.COMPLETED),
        Transition("answered together with a later one", OPEN, S.MERGED),
        Transition("the person says stop", OPEN, S.STOPPED),
        Transition("its turn is given up", OPEN, S.DEAD_LETTERED),
        REQUEUED,
    ),
)
