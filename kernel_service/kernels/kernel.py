"""One person's kernel: their id, the epoch and the history. All kernels share the clients of the process."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING

from kernel_service.kernels.history import CONTEXT_TOKENS, History

if TYPE_CHECKING:
    import asyncio

    from kernel_service.kernels.foresight import Foresight
    from kernel_service.ports.kernels import Activation


class EvictionReason(StrEnum):
    IDLE = "idle"
    MEMORY = "memory"
    OPERATOR = "operator"
    SHUTDOWN = "shutdown"
    LEASE_LOST = "lease_lost"
    MOVED = "moved"


class Kernel:
    """Resident state of one person. `activated_at` and `last_used_at` are epoch seconds.

    `wakeup` is set while a turn runs, and done when a new message may concern the turn. `leaving`: the process ends, so
    the turn stops at its next durable step. `outdated`: the store has changed, so the turn stops and is resumed from
    the store. `context_tokens` limits the context of the model. A summary is not tried before
    the history has `summary_from` tokens. `foresight` is None if the store decides what is next.
    """

    __slots__ = (
        "activated_at",
        "context_tokens",
        "epoch",
        "foresight",
        "history",
        "last_used_at",
        "leaving",
        "outdated",
        "person_id",
        "summary_from",
        "wakeup"
    )  # fmt: skip

    def __init__(self, activation: Activation, now: float) -> None:
        self.person_id = activation.person_id
        self.epoch = activation.epoch
        self.history = History(
            activation.history, open_items=activation.open_items, model=activation.model, packed=activation.packed
        )
        self.context_tokens = activation.context_tokens or CONTEXT_TOKENS
        self.activated_at = self.last_used_at = now
        self.wakeup: asyncio.Future[None] | None = None
        self.foresight: Foresight | None = None
        self.summary_from = 0
        self.leaving = False
        self.outdated = False

    def wake_turn(self) -> None:
        """Let the running turn, if any, check for new messages."""
        if self.wakeup is not None and not self.wakeup.done():
            self.wakeup.set_result(None)

    @property
    def bytes(self) -> int:
        """The resident memory of this kernel in bytes, including its entry in the map."""
        return int(self.history.bytes * _WITH_GAPS) + sys.getsizeof(self.person_id) + _FIXED_BYTES


_WITH_GAPS = 1.2
"""Measured (`benchmarks.memory`): segments of changing sizes leave gaps between them."""
# The sum of sys.getsizeof for the object, its History, the floats, the int and the map's entry.
_FIXED_BYTES = 600
