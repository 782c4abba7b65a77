"""A kernel's history in memory: compressed between turns, because a full process holds mostly resting kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from kernel_service.kernels import packing
from kernel_service.kernels.ended_turns import EndedTurns
from kernel_service.ports.kernels import NO_TURNS
from kernel_service.ports.turns import HistoryItem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.kernels import PackedTurns

CONTEXT_TOKENS: Final = 120_000
"""The most tokens of a conversation that the model is shown. A refusal of the vendor lowers it for a person."""
WINDOW_BYTES: Final = 4 * CONTEXT_TOKENS
"""How far back a kernel reads, in bytes of JSON: never less than CONTEXT_TOKENS (see token_counts)."""


class History:
    """The end of the journal, from the start of the model's context. The last items belong to a turn that is open.

    Of an open turn the items are kept whole: its next attempt continues with its reasoning, links and files.
    """

    __slots__ = ("_open", "ended", "open_count")

    def __init__(
        self,
        items: Sequence[HistoryItem],
        *,
        open_items: int = 0,
        model: str = "",
        packed: PackedTurns = NO_TURNS,
    ) -> None:
        """The items follow the packed turns, and `open_items` of them, the last ones, belong to the open turn.

        `model` is the origin of the model.
        """
        ended = len(items) - open_items
        self.keep(EndedTurns(model, *packed).followed_by(items[:ended]), items[ended:])

    def keep(self, ended: EndedTurns, open_items: Sequence[HistoryItem]) -> None:
        self.ended = ended
        self.open_count = len(open_items)
        self._open = _packed(open_items) if open_items else b""

    def open_items(self) -> list[HistoryItem]:
        """The items of the open turn."""
        return _unpacked(self._open) if self._open else []

    def drop(self, count: int) -> None:
        """Drop the last items of the open turn, which were superseded in the store."""
        if count:
            self.keep(self.ended, self.open_items()[: max(0, self.open_count - count)])

    @property
    def count(self) -> int:
        """The number of items in the journal."""
        return len(self.ended.outline) + self.open_count

    @property
    def bytes(self) -> int:
        return self.ended.size + len(self._open)


def _packed(items: Sequence[HistoryItem]) -> bytes:
    return packing.packed(orjson.dumps([(item.kind, item.data, item.origin) for item in items]))


def _unpacked(packed: bytes) -> list[HistoryItem]:
    return [HistoryItem(*item) for item in orjson.loads(packing.unpacked(packed))]
