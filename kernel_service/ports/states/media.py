"""A file that is kept, from its announcement to the end of its use."""

from __future__ import annotations

from typing import Final

from kernel_service.ports.media import MediaState as S
from kernel_service.ports.states.state_machine import StateMachine, Transition

MEDIA: Final = StateMachine(
    S,
    (
        Transition("announced without its bytes", (), S.WANTED),
        Transition("announced with its bytes", (), S.STORED),
        Transition("it cannot be used", (), S.FAILED),
        Transition("the channel uploads it", (S.WANTED,), S.STORED),
        Transition("it cannot be fetched, opened or kept", (S.WANTED, S.STORED), S.FAILED),
    ),
)
