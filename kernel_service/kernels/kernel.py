"""One person's kernel: their id, the epoch and the history. All kernels share the clients of the process.

A resting kernel has only its lease: the history is in the store.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from kernel_service.kernels.history import CONTEXT_TOKENS, History

if TYPE_CHECKING:
    import asyncio

    from kernel_service.kernels.foresight import Foresight
    from kernel_service.ports.kernels import Activation


MOST_FAILED_COMPACTIONS: Final = 2
"""The first may come from a key that was changed."""


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
    the history has `summary_from` tokens. `failed_compactions` counts those of the vendor that were of no use.
    `foresight` is None if the store decides which turn is next.
    """

    __slots__ = (
        "_history",
        "_rested_items",
        "activated_at",
        "context_tokens",
        "epoch",
        "failed_compactions",
        "foresight",
        "last_used_at",
        "leaving",
        "outdated",
        "person_id",
        "summary_from",
        "wakeup",
    )

    def __init__(self, activation: Activation, now: float) -> None:
        self.person_id = activation.person_id
        self._take(activation)
        self.activated_at = self.last_used_at = now
        self.wakeup: asyncio.Future[None] | None = None
        self.foresight: Foresight | None = None
        self.summary_from = 0
        self.failed_compactions = 0
        self.leaving = False
        self.outdated = False

    @property
    def summarises(self) -> bool:
        """Whether the vendor's compactions are of no use for this person, so that this process summarises."""
        return self.failed_compactions >= MOST_FAILED_COMPACTIONS

    def wake_turn(self) -> None:
        """Let the running turn, if any, check for new messages."""
        if self.wakeup is not None and not self.wakeup.done():
            self.wakeup.set_result(None)

    def _take(self, activation: Activation) -> None:
        self.epoch = activation.epoch
        self._history: History | None = History(
            activation.history, open_items=activation.open_items, model=activation.model, packed=activation.packed
        )
        self._rested_items = 0
        self.context_tokens = activation.context_tokens or CONTEXT_TOKENS

    @property
    def history(self) -> History:
        """Raises `RuntimeError` while the kernel rests."""
        if self._history is None:
            raise RuntimeError("the history rests in the store")
        return self._history

    @property
    def rests(self) -> bool:
        """The history is not in memory."""
        return self._history is None

    def rest(self) -> int:
        """Leave the history to the store, which has all of it; `KernelMap.rest` calls it. Returns the freed bytes."""
        before, self._rested_items = self.bytes, self.history_items
        self._history = None
        return before - self.bytes

    def recall(self, activation: Activation) -> None:
        """Set the history again, under the next epoch."""
        if activation.epoch != self.epoch + 1:  # another owner, or an operator, has changed something meanwhile
            self.foresight = None
        self._take(activation)

    @property
    def history_items(self) -> int:
        """The number of items in the history, in memory or not."""
        return self._history.count if self._history is not None else self._rested_items

    @property
    def history_bytes(self) -> int:
        """The size of the history in memory, in bytes."""
        return self._history.bytes if self._history is not None else 0

    @property
    def bytes(self) -> int:
        """The resident memory of this kernel in bytes, including its entry in the map."""
        return int(self.history_bytes * _WITH_GAPS) + sys.getsizeof(self.person_id) + _FIXED_BYTES


_WITH_GAPS = 1.2
"""Measured (`benchmarks.memory`): segments of changing sizes leave gaps between them."""
# The sum of sys.getsizeof for the object, its History, its Foresight, the floats, the int and the map's entry.
_FIXED_BYTES = 700
