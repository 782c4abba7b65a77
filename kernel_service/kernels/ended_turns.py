"""The ended turns of a history, as every later request shows them to the model.

Their items are encoded once, so that all requests begin with the same bytes and the vendor finds them in its cache.
Reasoning is left out, together with the ids that refer to it: the vendor requires it only until its turn ends.

Sources: the guides "Reasoning models" and "Conversation state" of OpenAI (`reasoning.context`: `current_turn`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from kernel_service.kernels import packing
from kernel_service.kernels.outline import HIDDEN, hidden, kind_of, letter_of
from kernel_service.ports.turns import REASONING, HistoryItem
from kernel_service.token_counts import utf8_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class EndedTurns:
    """`outline` has a letter for each item of the journal. `tokens` is the estimated most tokens of the shown items.

    `segments` are the shown items, packed.
    """

    outline: bytes = b""
    tokens: int = 0
    segments: tuple[bytes, ...] = ()

    def followed_by(self, items: Sequence[HistoryItem]) -> EndedTurns:
        """These turns, and the items of turns that have ended since."""
        called = _finished_calls(items)
        outline, lines = bytearray(), []
        for kind, data, origin in items:
            letter = letter_of(kind, origin)
            if letter not in HIDDEN and _is_shown(kind, data, called):
                lines.append(_encoded(data))
            else:
                letter = hidden(letter)
            outline.append(letter)
        return _joined(self, bytes(outline), lines)

    def since(self, place: int) -> EndedTurns:
        """The items from this place in the outline on."""
        outline = self.outline[place:]
        lines = self.lines()
        return _joined(EndedTurns(), outline, lines[len(lines) - len(_shown(outline)) :])

    def lines(self) -> list[bytes]:
        """The shown items, each as JSON, oldest first."""
        return packing.lines_of(self.segments)

    def letters(self) -> bytes:
        """The letters of the shown items."""
        return _shown(self.outline)

    def items(self) -> Iterator[HistoryItem]:
        """The shown items, oldest first."""
        for letter, line in zip(self.letters(), self.lines(), strict=True):
            kind, origin = kind_of(letter)
            yield HistoryItem(kind, orjson.loads(line), origin)

    @property
    def size(self) -> int:
        """The size in memory, in bytes."""
        return len(self.outline) + sum(map(len, self.segments))


def _joined(turns: EndedTurns, outline: bytes, lines: list[bytes]) -> EndedTurns:
    tokens = turns.tokens + sum(map(utf8_tokens, lines))
    return EndedTurns(turns.outline + outline, tokens, packing.appended(turns.segments, lines))


def _finished_calls(items: Sequence[HistoryItem]) -> set[str | None]:
    """The ids of the calls that have a result."""
    results = {data.get("call_id") for kind, data, _ in items if kind == "result"}
    return results and results & {data.get("call_id") for kind, data, _ in items if _is_call(kind, data)}


def _is_shown(kind: str, data: dict[str, Any], called: set[str | None]) -> bool:
    """A call and its result are shown together or not at all: vendors refuse one without the other."""
    if kind == "result" or _is_call(kind, data):
        return data.get("call_id") in called
    return data.get("type") != REASONING  # which earlier releases stored as an output


def _is_call(kind: str, data: dict[str, Any]) -> bool:
    return kind == "output" and data.get("type") == "function_call"


def _encoded(data: dict[str, Any]) -> bytes:
    """The vendor looks up the reasoning that belongs to an id."""
    if "id" in data:
        data = data.copy()
        del data["id"]
    return orjson.dumps(data)


def _shown(outline: bytes) -> bytes:
    return outline.translate(None, HIDDEN)
