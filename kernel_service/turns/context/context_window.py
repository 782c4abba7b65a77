"""The part of a transcript that the model is shown, within a limit of tokens."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from kernel_service.ports.turns import SEALED, HistoryItem
from kernel_service.token_counts import item_tokens
from kernel_service.turns.context.taint import OUTSIDE
from kernel_service.turns.context.transcript import FOR_THE_PERSON

if TYPE_CHECKING:
    from kernel_service.ports.model import Model
    from kernel_service.turns.context.transcript import Transcript

LEAST_TOKENS: Final = 500
"""A smaller context is of no use."""
LEAST_LIMIT: Final = 4000
"""A conversation is not bound to less because it was refused once: only what is too long by itself is."""
OF_A_RESULT: Final = 8
"""The part of the context that one tool's result may take."""
OF_A_MESSAGE: Final = 2
"""The part of the context that one message may take."""
LEFT_OUT: Final = "\n[… {count} characters are left out here: it was too long. Say so if it matters. …]\n"


@dataclass(slots=True)
class ContextWindow:
    """Of one turn. `limit` bounds what the model is shown, in tokens: results and messages are cut to their part of it.

    What is hidden is hidden on trial, and can be shown again. What is forgotten is forgotten once it is kept so.
    """

    transcript: Transcript
    model: Model
    limit: int
    _hidden: int = field(init=False, default=0)
    _forgotten: list[HistoryItem] = field(init=False, default_factory=list)
    _limit_before: int = field(init=False, default=0)
    """Before the first halving that is not kept yet; 0: there is none."""

    @property
    def seen(self) -> list[HistoryItem]:
        """What the model is shown, oldest first."""
        return [item for item in self.transcript.items[self._hidden :] if item.kind not in FOR_THE_PERSON]

    def for_model(self) -> list[dict[str, Any]]:
        """What the model is shown: what the vendor takes, in its part of the context."""
        items = self.seen
        called = {item.data.get("call_id") for item in items if item.kind == "output"}
        return [
            self._shown(item)
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
        # The vendor looks for the reasoning that an id belongs to.
        return item.data if item.origin == self.model.origin else _without_id(item.data)

    def tokens(self) -> int:
        """What the model is shown costs at most, about."""
        return sum(map(item_tokens, self.for_model()))

    # --- what it is no longer shown -------------------------------------------------------------------------------

    def disown(self) -> str:
        """Take all reasoning so far for foreign. Whose it was; empty: there is none."""
        own = self.model.origin
        if not any(item.origin == own and "id" in item.data for item in self.transcript.items):
            return ""
        for items in (self.transcript.stored, self.transcript.unstored):
            items[:] = [replace(item, origin=SEALED + own) if item.origin == own else item for item in items]
        return own

    def halve(self) -> bool:
        """Show half as much as now, or less: first without what was said long ago, then with shorter results and
        messages. False: there is nothing more to leave out.

        The limit becomes two thirds of what was shown: what is kept may grow by a third before it is halved again.
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
        """Keep so many tokens, from a message of the person's on; never less than what this turn is about.

        False: there was nothing to forget.
        """
        turn = self._turn_start()
        costs = [item_tokens(self._shown(item)) for item in self.transcript.items]
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
        """What was forgotten is forgotten, and the limit stays."""
        self._forgotten = []
        self._limit_before = 0

    def undo_smaller(self) -> None:
        """Show again what was forgotten since the last time that it was kept so: it was not to blame."""
        self.transcript.stored = self._forgotten + self.transcript.stored
        self.limit = self._limit_before or self.limit
        self._limit_before = 0
        self._forgotten = []

    def hide_older(self) -> bool:
        """Show nothing of what was said before this turn, on trial. False: there is nothing."""
        self._hidden = self._turn_start()
        return self._hidden > 0

    def show_older(self) -> None:
        self._hidden = 0

    def drop_hidden(self) -> bool:
        """What is hidden stays hidden. False: nothing is."""
        hidden, self._hidden = self._hidden, 0
        if not hidden:
            return False
        tainted = self.transcript.tainted
        self.transcript.stored = self.transcript.stored[hidden:]
        self._keep_taint(was=tainted)
        return True

    def _keep_taint(self, *, was: bool) -> None:
        """What the model has said since may repeat what it is shown no more: then this turn's inputs bear the taint."""
        if not was or self.transcript.tainted:
            return
        for items in (self.transcript.unstored, self.transcript.stored):
            if inputs := [place for place, item in enumerate(items) if item.kind == "input"]:
                items[inputs[-1]] = replace(items[inputs[-1]], origin=OUTSIDE)
                return

    def _turn_start(self) -> int:
        """The place where what this turn is about begins, among the stored items, or behind them."""
        last = max(
            (place for place, item in enumerate(self.transcript.items) if item.kind == "input"),
            default=len(self.transcript.stored),
        )
        while last and not self._begins(last):
            last -= 1
        return min(last, len(self.transcript.stored))

    def _begins(self, place: int) -> bool:
        """Whether the first of the person's messages to a turn stands there."""
        items = self.transcript.items
        return items[place].kind == "input" and (place == 0 or items[place - 1].kind != "input")


def _without_id(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "id"}
