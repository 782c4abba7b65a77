"""The part of a transcript that the model is shown, within a limit of tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from kernel_service.kernels import compaction
from kernel_service.kernels.outline import HIDDEN, begins, kind_of
from kernel_service.ports.turns import COMPACTION, OUTSIDE, REASONING, SEALED, TAINTED
from kernel_service.token_counts import utf8_tokens
from kernel_service.turns.context.for_the_person import KINDS as FOR_THE_PERSON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel_service.kernels.ended_turns import EndedTurns
    from kernel_service.ports.model import Model
    from kernel_service.ports.turns import HistoryItem
    from kernel_service.turns.context.transcript import Transcript

LEAST_TOKENS: Final = 500
"""A smaller context is of no use."""
LEAST_LIMIT: Final = 4000
"""The least limit that a refusal sets for a conversation. Only content that is too long by itself is cut below it."""
OF_A_RESULT: Final = 8
"""The divisor of the context for one tool's result."""
OF_A_MESSAGE: Final = 2
"""The divisor of the context for one message."""
LEFT_OUT: Final = "\n[… {count} characters are left out here: it was too long. Say so if it matters. …]\n"


class Shown(NamedTuple):
    """The items that the model is shown, as JSON in the form that the vendor accepts, each cut to its part.

    `most_tokens` are the estimated most tokens of the items before ended turns are cut. `turns` counts ended turns.
    """

    lines: list[bytes]
    most_tokens: int
    turns: int


@dataclass(slots=True)
class ContextWindow:
    """Of one turn. `limit` bounds the items that the model is shown, in tokens: results and messages are cut to fit.

    Ended turns are hidden on trial and can be shown again. Older ones are forgotten once the smaller window is kept.
    """

    transcript: Transcript
    model: Model
    limit: int
    _hides_ended: bool = field(init=False, default=False)
    _larger: tuple[EndedTurns, int] | None = field(init=False, default=None)
    """The ended turns and the limit before the first change that is not kept yet."""

    @property
    def seen(self) -> Iterator[HistoryItem]:
        """The items that the model is shown, oldest first. Ended turns are decoded as they are read."""
        if not self._hides_ended:
            yield from self.transcript.ended.items()
        yield from (item for item in self.transcript.items if item.kind not in FOR_THE_PERSON)

    @property
    def is_compacted(self) -> bool:
        """Whether an item of this turn stands for all items before it."""
        return self._start is not None

    @property
    def _start(self) -> int | None:
        """The place of that item in this turn."""
        return compaction.newest(self.transcript.items, self.model.origin)

    def shown(self) -> Shown:
        """The items for the next request."""
        start = self._start
        lines = self._this_turn(start)
        most = sum(map(utf8_tokens, lines))
        if start is not None:
            return Shown(lines, most, 0)
        ended = self.transcript.ended
        return Shown(lines if self._hides_ended else [*self._ended_turns(), *lines], ended.tokens + most, ended.turns)

    def _ended_turns(self) -> list[bytes]:
        """Only an item that may be too long is decoded."""
        ended = self.transcript.ended
        lines = ended.lines()
        if max(map(len, lines), default=0) > self.limit // OF_A_RESULT:
            letters = zip(ended.letters(), lines, strict=True)
            return [self._fitting(kind_of(letter)[0], line) for letter, line in letters]
        return lines

    def _this_turn(self, start: int | None) -> list[bytes]:
        """The items from this place on, with the reasoning and the ids that the model's vendor knows."""
        items = self.transcript.items[start or 0 :]
        called = {item.data.get("call_id") for item in items if item.kind == "output"}
        return [self._line(item) for item in items if self._is_shown(item, called)]

    def _is_shown(self, item: HistoryItem, called: set[Any]) -> bool:
        """Sealed items of another model are opaque to this one, and vendors refuse them.

        A result is shown with its call.
        """
        kind = item.kind
        if kind == "input":
            return True
        if kind == "result":
            return item.data.get("call_id") in called
        if kind == COMPACTION:
            return compaction.replaces_earlier(kind, item.origin, self.model.origin)
        if item.data.get("type") == REASONING:
            return item.origin == self.model.origin
        return kind not in FOR_THE_PERSON

    def _line(self, item: HistoryItem) -> bytes:
        # The vendor looks up the reasoning that belongs to an id.
        foreign = item.kind == "output" and item.origin != self.model.origin
        return self._fitting(item.kind, orjson.dumps(_without_id(item.data) if foreign else item.data))

    def _fitting(self, kind: str, line: bytes) -> bytes:
        """The item, cut if it is too long. No text has more tokens than bytes."""
        if len(line) <= self.limit // OF_A_RESULT or kind not in {"result", "input"}:
            return line
        most = self.limit // (OF_A_RESULT if kind == "result" else OF_A_MESSAGE)
        return orjson.dumps(self.model.shortened(orjson.loads(line), most, LEFT_OUT))

    def tokens(self) -> int:
        """The estimated most tokens of the items that the model is shown."""
        return sum(map(utf8_tokens, self.shown().lines))

    def is_full(self) -> bool:
        """Whether the items exceed the limit. The ended turns are only read if they may."""
        start = self._start
        most = sum(map(utf8_tokens, self._this_turn(start)))
        if start is None:
            most += self.transcript.ended.tokens
        return most > self.limit and self.tokens() > self.limit

    # --- items that are left out ---------------------------------------------------------------------------------

    def disown(self) -> str:
        """Treat all that the model has sealed so far as foreign. Returns its origin; empty: there is nothing.

        The caller must replace the ended turns.
        """
        own = self.model.origin
        sealed = (own, TAINTED + own)
        in_turn = any(item.origin in sealed and _is_sealed(item) for item in self.transcript.items)
        if not in_turn and not self.transcript.ended.has_sealed:
            return ""
        items = self.transcript.items
        items[:] = [item._replace(origin=SEALED + item.origin) if item.origin in sealed else item for item in items]
        return own

    def halve(self) -> bool:
        """Show at most half of the current items: first without the oldest, then with shorter results and messages.

        Returns False if nothing is left to leave out. The limit becomes two thirds of the size before, so that the
        kept half may grow by a third before it is halved again.
        """
        before = self._larger or (self.transcript.ended, self.limit)
        half = min(self.limit, self.tokens()) // 2
        if not self.forget_older(half) and half < LEAST_TOKENS:
            return False
        self._larger = before
        self.limit = min(self.limit, max(half + half // 3, LEAST_LIMIT))
        while self.tokens() > half and self.limit > LEAST_TOKENS:
            self.limit = max(LEAST_TOKENS, self.limit * 2 // 3)
        return True

    def forget_older(self, most: int) -> bool:
        """Keep at most `most` tokens, from a message of the person onwards, and always this turn.

        Returns False if there was nothing to forget.
        """
        ended = self.transcript.ended
        if self._hides_ended or self.is_compacted:
            return False
        start = self._first_kept(most - sum(map(utf8_tokens, self._this_turn(None))))
        if start == 0:
            return False
        self._larger = self._larger or (ended, self.limit)
        self._replace_ended(ended.since(start))
        return True

    def _first_kept(self, most: int) -> int:
        """The place in the outline of the ended turns from which on they have at most `most` tokens."""
        outline = self.transcript.ended.outline
        costs = list(map(utf8_tokens, self._ended_turns()))
        start = len(outline)
        for place in range(len(outline) - 1, -1, -1):
            if outline[place] not in HIDDEN:
                most -= costs.pop()
            if most < 0:
                break
            if begins(outline, place):
                start = place
        return start

    def keep_smaller(self) -> None:
        """Make the forgotten items and the smaller limit permanent."""
        self._larger = None

    def undo_smaller(self) -> None:
        """Show the items again that were forgotten since `keep_smaller`: they did not cause the refusal."""
        if self._larger is not None:
            self.transcript.ended, self.limit = self._larger
        self._larger = None

    def hide_older(self) -> bool:
        """Hide all ended turns, on trial. Returns False if there are none."""
        self._hides_ended = bool(self.transcript.ended.outline)
        return self._hides_ended

    def show_older(self) -> None:
        self._hides_ended = False

    def drop_hidden(self) -> bool:
        """Make hidden items permanently hidden. Returns False if there are none."""
        hidden, self._hides_ended = self._hides_ended, False
        if hidden:
            self._replace_ended(self.transcript.ended.emptied())
        return hidden

    def _replace_ended(self, ended: EndedTurns) -> None:
        """Moves the taint to the inputs of this turn: words of the model may repeat an item that is left out now."""
        transcript = self.transcript
        was_tainted, transcript.ended = transcript.tainted, ended
        if not was_tainted or transcript.tainted:
            return
        items = transcript.items
        if inputs := [place for place, item in enumerate(items) if item.kind == "input"]:
            items[inputs[-1]] = items[inputs[-1]]._replace(origin=OUTSIDE)


def _is_sealed(item: HistoryItem) -> bool:
    """Whether only the model that made the item reads it, or what it refers to."""
    return "id" in item.data or item.kind == COMPACTION


def _without_id(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "id"}
