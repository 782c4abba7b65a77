"""The part of a transcript that the model is shown, within a limit of tokens."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from kernel_service.ports.turns import SEALED, HistoryItem
from kernel_service.token_counts import utf8_tokens
from kernel_service.turns.context.taint import OUTSIDE
from kernel_service.turns.context.transcript import FOR_THE_PERSON

if TYPE_CHECKING:
    from kernel_service.ports.model import Model
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


@dataclass(slots=True)
class ContextWindow:
    """Of one turn. `limit` bounds the items that the model is shown, in tokens: results and messages are cut to fit.

    Items are hidden on trial and can be shown again. Older items are forgotten once the smaller window is kept.
    """

    transcript: Transcript
    model: Model
    limit: int
    _hidden: int = field(init=False, default=0)
    _forgotten: list[HistoryItem] = field(init=False, default_factory=list)
    _limit_before: int = field(init=False, default=0)
    """The limit before the first halving that is not kept yet; 0: there is none."""

    @property
    def seen(self) -> list[HistoryItem]:
        """The items that the model is shown, oldest first."""
        return [item for item in self.transcript.items[self._hidden :] if item.kind not in FOR_THE_PERSON]

    def for_model(self) -> list[bytes]:
        """The items as JSON in the form that the vendor accepts, each cut to its part of the context."""
        items = self.seen
        called = {item.data.get("call_id") for item in items if item.kind == "output"}
        return [
            orjson.dumps(self._shown(item))
            for item in items
            if not self._foreign_reasoning(item) and (item.kind != "result" or item.data.get("call_id") in called)
        ]

    def _foreign_reasoning(self, item: HistoryItem) -> bool:
        """Another model's reasoning is opaque to this one, and vendors refuse it."""
        return item.data.get("type") == "reasoning" and item.origin != self.model.origin

    def _shown(self, item: HistoryItem) -> dict[str, Any]:
        if item.kind == "result":
            return self.model.shortened(item.data, self.limit // OF_A_RESULT, LEFT_OUT)
        if item.kind == "input":
            return self.model.shortened(item.data, self.limit // OF_A_MESSAGE, LEFT_OUT)
        # The vendor looks up the reasoning that belongs to an id.
        return item.data if item.origin == self.model.origin else _without_id(item.data)

    def tokens(self) -> int:
        """The estimated most tokens of the items that the model is shown."""
        return sum(map(utf8_tokens, self.for_model()))

    # --- items that are left out ---------------------------------------------------------------------------------

    def disown(self) -> str:
        """Treat all reasoning so far as foreign. Returns its origin; empty: there is none."""
        own = self.model.origin
        if not any(item.origin == own and "id" in item.data for item in self.transcript.items):
            return ""
        for items in (self.transcript.stored, self.transcript.unstored):
            items[:] = [replace(item, origin=SEALED + own) if item.origin == own else item for item in items]
        return own

    def halve(self) -> bool:
        """Show at most half of the current items: first without the oldest, then with shorter results and messages.

        Returns False if nothing is left to leave out. The limit becomes two thirds of the size before, so that the
        kept half may grow by a third before it is halved again.
        """
        half = min(self.limit, self.tokens()) // 2
        if not self.forget_older(half) and half < LEAST_TOKENS:
            return False
        self._limit_before = self._limit_before or self.limit
        self.limit = min(self.limit, max(half + half // 3, LEAST_LIMIT))
        while self.tokens() > half and self.limit > LEAST_TOKENS:
            self.limit = max(LEAST_TOKENS, self.limit * 2 // 3)
        return True

    def forget_older(self, most: int) -> bool:
        """Keep at most `most` tokens, from a message of the person onwards, and always the inputs of this turn.

        Returns False if there was nothing to forget.
        """
        turn = self._turn_start()
        costs = [utf8_tokens(orjson.dumps(self._shown(item))) for item in self.transcript.items]
        size, start = sum(costs[turn:]), turn
        for place in range(turn - 1, -1, -1):
            size += costs[place]
            if size > most:
                break
            if self._begins(place):
                start = place
        tainted = self.transcript.tainted
        self._forgotten += self.transcript.stored[:start]
        self.transcript.stored = self.transcript.stored[start:]
        self._keep_taint(was=tainted)
        return start > 0

    def keep_smaller(self) -> None:
        """Make the forgotten items and the smaller limit permanent."""
        self._forgotten = []
        self._limit_before = 0

    def undo_smaller(self) -> None:
        """Show the items again that were forgotten since `keep_smaller`: they did not cause the refusal."""
        self.transcript.stored = self._forgotten + self.transcript.stored
        self.limit = self._limit_before or self.limit
        self._limit_before = 0
        self._forgotten = []

    def hide_older(self) -> bool:
        """Hide all items before this turn, on trial. Returns False if there are none."""
        self._hidden = self._turn_start()
        return self._hidden > 0

    def show_older(self) -> None:
        self._hidden = 0

    def drop_hidden(self) -> bool:
        """Make hidden items permanently hidden. Returns False if there are none."""
        hidden, self._hidden = self._hidden, 0
        if not hidden:
            return False
        tainted = self.transcript.tainted
        self.transcript.stored = self.transcript.stored[hidden:]
        self._keep_taint(was=tainted)
        return True

    def _keep_taint(self, *, was: bool) -> None:
        """Move the taint to the inputs of this turn: words of the model may repeat an item that is left out now."""
        if not was or self.transcript.tainted:
            return
        for items in (self.transcript.unstored, self.transcript.stored):
            if inputs := [place for place, item in enumerate(items) if item.kind == "input"]:
                items[inputs[-1]] = replace(items[inputs[-1]], origin=OUTSIDE)
                return

    def _turn_start(self) -> int:
        """The index of the first input of this turn, among the stored items or after them."""
        last = max(
            (place for place, item in enumerate(self.transcript.items) if item.kind == "input"),
            default=len(self.transcript.stored),
        )
        while last and not self._begins(last):
            last -= 1
        return min(last, len(self.transcript.stored))

    def _begins(self, place: int) -> bool:
        """Whether this item is the first message of the person in a turn."""
        items = self.transcript.items
        return items[place].kind == "input" and (place == 0 or items[place - 1].kind != "input")


def _without_id(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "id"}
