"""One person's kernel: who they are, our epoch, and their history. All clients are the process's."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING

from kernel_service.kernels.history import CONTEXT_TOKENS, History

if TYPE_CHECKING:
    import asyncio

    from kernel_service.ports.kernels import Activation


class EvictionReason(StrEnum):
    IDLE = "idle"
    MEMORY = "memory"
    OPERATOR = "operator"
    SHUTDOWN = "shutdown"
    LEASE_LOST = "lease_lost"


class Kernel:
    """Resident state of one person. `activated_at` and `last_used_at` are epoch seconds.

    `wakeup` is there while a turn runs, and done when something has come that may concern it. `leaving`: this process
    ends, the turn goes no further than its next durable step. `outdated`: what it holds is not what is stored any more,
    the turn goes no further and is taken up again from the store. `context_tokens` bounds what the model is shown.
    """

    __slots__ = (
        "activated_at",
        "context_tokens",
        "epoch",
        "history",
        "last_used_at",
        "leaving",
        "outdated",
        "person_id",
        "wakeup"
    )  # fmt: skip

    def __init__(self, activation: Activation, now: float) -> None:
        self.person_id = activation.person_id
        self.epoch = activation.epoch
        self.history = History(activation.history)
        self.context_tokens = activation.context_tokens or CONTEXT_TOKENS
        self.activated_at = self.last_used_at = now
        self.wakeup: asyncio.Future[None] | None = None
        self.leaving = False
        self.outdated = False

    def wake_turn(self) -> None:
        """Let the turn that runs, if one does, look at what has come."""
        if self.wakeup is not None and not self.wakeup.done():
            self.wakeup.set_result(None)

    @property
    def bytes(self) -> int:
        """What this kernel takes in memory, its place in the map included."""
        return self.history.bytes + sys.getsizeof(self.person_id) + _FIXED_BYTES


# The object, its History, the floats, the int and the map's entry, as sys.getsizeof adds them up.
_FIXED_BYTES = 600
