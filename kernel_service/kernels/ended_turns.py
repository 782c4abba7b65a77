"""The ended turns of a history, as every later request shows them to the model.

Content that was sent once never changes, so that the prefix of each request hits the vendors' caches. So the
reasoning between the calls of a turn stays, since the turn's own requests have shown it. The reasoning before its last
answer was in no request, and is left out with the ids that refer to it.

Sources: the guides "Reasoning models" (`reasoning.context`: newer models are shown the reasoning of all turns) and
"Conversation state" of OpenAI.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from kernel_service.kernels import compaction, packing
from kernel_service.kernels.outline import (
    HIDDEN,
    SEALED_ITEMS,
    THOUGHT,
    begins,
    hidden,
    holds_any,
    kind_of,
    letter_of,
    turns_in,
)
from kernel_service.ports.kernels import PackedTurns
from kernel_service.ports.turns import COMPACTION, REASONING, SUMMARY, HistoryItem
from kernel_service.token_counts import utf8_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ENDS_REQUEST = ("input", "result")
_LED_TO = b"os"
"""The letters of what reasoning leads to: an answer, a call, more reasoning."""


@dataclass(frozen=True, slots=True)
class EndedTurns:
    """`outline` has a letter for each item of the journal. `tokens` is the estimated most tokens of the shown items.

    `segments` are the shown items, packed. They begin with the newest item that stands for all before it, if any.
    `origin` is the model's, which alone reads its sealed items.
    """

    origin: str = ""
    outline: bytes = b""
    tokens: int = 0
    segments: tuple[bytes, ...] = ()

    def followed_by(self, items: Sequence[HistoryItem]) -> EndedTurns:
        """These turns, and the items of turns that have ended since."""
        start = compaction.newest(items, self.origin)
        before = self if start is None else self.emptied()
        return _joined(before, *_as_sent(items[start:] if start else items, self.origin))

    @property
    def packed(self) -> PackedTurns:
        """The form in which the store keeps them."""
        return PackedTurns(self.outline, self.tokens, self.segments)

    def emptied(self) -> EndedTurns:
        """No turns, for the same model."""
        return EndedTurns(self.origin)

    def since(self, place: int) -> EndedTurns:
        """The items from this place in the outline on."""
        outline = self.outline[place:]
        lines = self.lines()
        return _joined(self.emptied(), outline, lines[len(lines) - len(_shown(outline)) :])

    def recent(self, least: int) -> EndedTurns:
        """The last turns, at least this many bytes of JSON, if all have more than twice as many."""
        sizes = list(map(len, self.lines()))
        if sum(sizes) <= 2 * least:
            return self
        for place in range(len(self.outline) - 1, 0, -1):
            if self.outline[place] not in HIDDEN:
                least -= sizes.pop()
            if least <= 0 and begins(self.outline, place):
                return self.since(place)
        return self

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
    def has_sealed(self) -> bool:
        """Whether some items are opaque to every other model."""
        return holds_any(self.outline, SEALED_ITEMS)

    @property
    def turns(self) -> int:
        """The number of turns."""
        return turns_in(self.outline)

    @property
    def size(self) -> int:
        """The size in memory, in bytes."""
        return len(self.outline) + sum(map(len, self.segments))


def _joined(turns: EndedTurns, outline: bytes, lines: list[bytes]) -> EndedTurns:
    tokens = turns.tokens + sum(map(utf8_tokens, lines))
    return EndedTurns(turns.origin, turns.outline + outline, tokens, packing.appended(turns.segments, lines))


def _as_sent(items: Sequence[HistoryItem], model: str) -> tuple[bytes, list[bytes]]:
    """The letter of each item, and the JSON of those that the model is shown. They are read from the newest on."""
    called = _finished_calls(items)
    letters, lines = bytearray(), []
    following, was_sent = 0, False
    for item in reversed(items):
        kind, data, origin = item
        is_whole = was_sent and origin == model
        if kind in _ENDS_REQUEST:
            was_sent = kind == "result"  # the next request of the turn has shown what is before it
        letter = THOUGHT if data.get("type") == REASONING else letter_of(kind, origin)
        if letter in HIDDEN or not _is_shown(item, letter, called, model, leads=is_whole and following in _LED_TO):
            letters.append(hidden(letter))
            continue
        following = letter
        letters.append(letter)
        lines.append(orjson.dumps(data) if is_whole or kind == COMPACTION else _without_id(data))
    letters.reverse()
    lines.reverse()
    return bytes(letters), lines


def _finished_calls(items: Sequence[HistoryItem]) -> set[str | None]:
    """The ids of the calls that have a result."""
    results = {data.get("call_id") for kind, data, _ in items if kind == "result"}
    return results and results & {data.get("call_id") for kind, data, _ in items if _is_call(kind, data)}


def _is_shown(item: HistoryItem, letter: int, called: set[str | None], model: str, *, leads: bool) -> bool:
    """A call and its result are shown together or not at all: vendors refuse one without the other.

    `leads`: reasoning is followed by what it led to, which vendors require.
    """
    if letter == THOUGHT:
        return leads
    if item.kind == "input":
        return True
    if item.kind in {COMPACTION, SUMMARY}:
        return compaction.replaces_earlier(item.kind, item.origin, model)
    if item.kind == "result" or _is_call(item.kind, item.data):
        return item.data.get("call_id") in called
    return True


def _is_call(kind: str, data: dict[str, Any]) -> bool:
    return kind == "output" and data.get("type") == "function_call"


def _without_id(data: dict[str, Any]) -> bytes:
    """The vendor looks up the reasoning that belongs to an id."""
    if "id" in data:
        data = data.copy()
        del data["id"]
    return orjson.dumps(data)


def _shown(outline: bytes) -> bytes:
    return outline.translate(None, HIDDEN)
