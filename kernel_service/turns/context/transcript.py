"""A turn's view of the history: what is stored, what is not stored yet, open calls, what goes to the person."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from kernel_service.approvals.prompt import shown
from kernel_service.ports.approvals import ASKED, Approval, Question
from kernel_service.ports.messages import Link, ReplyFile
from kernel_service.ports.resuming import ParkedRequest
from kernel_service.ports.turns import SEALED, HistoryItem
from kernel_service.storable import storable
from kernel_service.token_counts import item_tokens
from kernel_service.turns.context.taint import OUTSIDE, OWN, is_tainted, mark, mark_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kernel_service.ports.model import Model, ModelAnswer
    from kernel_service.ports.tools import ToolResult

FOR_THE_PERSON: Final = frozenset({"link", "file", "approval"})
"""Kinds of items that the model is never shown."""


LEAST_TOKENS: Final = 500
"""A context that is smaller says nothing any more."""
LEAST_LIMIT: Final = 4000
"""A conversation is not bound to less because it was refused once: only what is too long by itself is."""
OF_A_RESULT: Final = 8
"""The part of the context that one tool's result may take."""
OF_A_MESSAGE: Final = 2
"""The part of the context that one message may take."""
LEFT_OUT: Final = "\n[… {count} characters are left out here: it was too long. Say so if it matters. …]\n"


class Transcript:
    """`stored` is the journal; `unstored` goes with the next write. Together they are what the model is shown.

    `limit` bounds what it is shown, in tokens: results and messages are cut to their part of it; halve() makes room.
    """

    def __init__(self, stored: list[HistoryItem], model: Model, limit: int) -> None:
        self.stored = stored
        self.unstored: list[HistoryItem] = []
        self.limit = limit
        self._model = model
        self._hidden = 0
        self._forgotten: list[HistoryItem] = []
        self._limit_before = limit

    def hear(self, contents: Iterable[dict[str, Any]]) -> None:
        """Add what the person sent."""
        self.unstored += [_item("input", self._model.user_item(content), mark_of(content)) for content in contents]

    def note(self, answer: ModelAnswer) -> None:
        """Add what the model said."""
        self.unstored += [_item("output", item, self._model.origin) for item in answer.items]

    def result(self, call_id: str, result: ToolResult, files: Iterable[ReplyFile] = ()) -> None:
        """Add a tool's result, and the link and files that go to the person (the model never sees them)."""
        item = self._model.result_item(call_id, result.output)
        self.unstored.append(_item("result", item, mark(own=result.own)))
        if result.link is not None:
            data = asdict(result.link) | _parked(result.parked)
            self.unstored.append(_item("link", data))
        self.unstored += [_item("file", asdict(file)) for file in files]

    def ask(self, question: Question) -> None:
        """Have the person asked; the model is told so instead of results."""
        results = (self._model.result_item(each.call_id, ASKED) for each in question.approvals)
        self.unstored += [*(_item("result", result, OWN) for result in results), _item("approval", asdict(question))]

    def call(self, approval: Approval) -> None:
        """Add the call that the person has approved."""
        item = self._model.call_item(approval.approved_call_id, approval.tool, approval.arguments)
        self.unstored.append(_item("output", item, self._model.origin))

    def say(self, text: str) -> None:
        """Add words of the assistant that no model said."""
        self.unstored.append(_item("output", self._model.said_item(text), self._model.origin))

    def confess(self, sentence: str) -> None:
        """Say that the turn failed, if calls were made in it: the model must not believe that nothing was done."""
        made = self.calls_made()
        if made:
            self.say(f"{sentence} (Before that I had called: {', '.join(made)}.)")

    def mark_stored(self) -> None:
        self.stored += self.unstored
        self.unstored = []

    def drop_stored(self, count: int) -> None:
        """The last stored items were superseded."""
        self.stored = self.stored[: max(0, len(self.stored) - count)]

    @property
    def seen(self) -> list[HistoryItem]:
        """What the model is shown, oldest first."""
        return [item for item in self._all()[self._hidden :] if item.kind not in FOR_THE_PERSON]

    @property
    def tainted(self) -> bool:
        """Whether content from outside is among what the model sees of this turn or the three before it."""
        return is_tainted(self._all())

    # --- what the model is shown --------------------------------------------------------------------------------

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
        return item.data.get("type") == "reasoning" and item.origin != self._model.origin

    def _shown(self, item: HistoryItem) -> dict[str, Any]:
        if item.kind == "result":
            return self._model.shortened(item.data, self.limit // OF_A_RESULT, LEFT_OUT)
        if item.kind == "input":
            return self._model.shortened(item.data, self.limit // OF_A_MESSAGE, LEFT_OUT)
        # The vendor looks for the reasoning that an id belongs to.
        return item.data if item.origin == self._model.origin else _without_id(item.data)

    def tokens(self) -> int:
        """What the model is shown costs at most, about."""
        return sum(map(item_tokens, self.for_model()))

    # --- what it is shown no more -------------------------------------------------------------------------------

    def disown(self) -> str:
        """Take all reasoning so far for foreign. Whose it was; empty: there is none."""
        own = self._model.origin
        if not any(item.origin == own and "id" in item.data for item in self._all()):
            return ""
        for items in (self.stored, self.unstored):
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
        self.limit = min(self.limit, max(half + half // 3, LEAST_LIMIT))
        while self.tokens() > half and self.limit > LEAST_TOKENS:
            self.limit = max(LEAST_TOKENS, self.limit * 2 // 3)
        return True

    def forget_older(self, most: int) -> bool:
        """Keep so many tokens, from a message of the person's on; never less than what this turn is about.

        False: there was nothing to forget.
        """
        turn = self._turn_start()
        costs = [item_tokens(self._shown(item)) for item in self._all()]
        size, start = sum(costs[turn:]), turn
        for place in range(turn - 1, -1, -1):
            size += costs[place]
            if size > most:
                break
            if self._begins(place):
                start = place
        tainted = self.tainted
        self._forgotten += self.stored[:start]
        self.stored = self.stored[start:]
        self._keep_taint(was=tainted)
        return start > 0

    def keep_smaller(self) -> None:
        """What was forgotten is forgotten, and the limit stays."""
        self._forgotten = []
        self._limit_before = self.limit

    def undo_smaller(self) -> None:
        """Show again what was forgotten since the last time that it was kept so: it was not to blame."""
        self.stored = self._forgotten + self.stored
        self.limit = self._limit_before
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
        tainted = self.tainted
        self.stored = self.stored[hidden:]
        self._keep_taint(was=tainted)
        return hidden > 0

    def _keep_taint(self, *, was: bool) -> None:
        """What the model has said since may repeat what it is shown no more: then this turn's inputs bear the taint."""
        if not was or self.tainted:
            return
        for items in (self.unstored, self.stored):
            if inputs := [place for place, item in enumerate(items) if item.kind == "input"]:
                items[inputs[-1]] = replace(items[inputs[-1]], origin=OUTSIDE)
                return

    def _turn_start(self) -> int:
        """The place where what this turn is about begins, among the stored items, or behind them."""
        last = max((place for place, item in enumerate(self._all()) if item.kind == "input"), default=len(self.stored))
        while last and not self._begins(last):
            last -= 1
        return min(last, len(self.stored))

    def _begins(self, place: int) -> bool:
        """Whether the first of the person's messages to a turn stands there."""
        items = self._all()
        return items[place].kind == "input" and (place == 0 or items[place - 1].kind != "input")

    # --- calls --------------------------------------------------------------------------------------------------

    def open_calls(self) -> list[dict[str, Any]]:
        """Calls that the model asked for and that have no result, in order."""
        answered = {item.data.get("call_id") for item in self._all() if item.kind == "result"}
        return [
            item.data
            for item in self._all()
            if item.kind == "output"
            and item.data.get("type") == "function_call"
            and item.data.get("call_id") not in answered
        ]

    def results_so_far(self) -> list[str]:
        """What the calls of the model's last words have given back."""
        results: list[str] = []
        for item in reversed(self._all()):
            if item.kind in ("output", "input"):
                break
            if item.kind == "result":
                results.append(str(item.data.get("output")))
        return results

    def results(self) -> Iterator[tuple[str, str]]:
        """All results with the names of their tools, the newest first."""
        names = {item.data.get("call_id"): item.data.get("name") for item in self._all() if item.kind == "output"}
        for item in reversed(self._all()):
            if item.kind == "result" and (name := names.get(item.data.get("call_id"))):
                yield str(name), str(item.data.get("output"))

    def calls_made(self) -> list[str]:
        """The tools called since the person wrote last, each once."""
        since = _since_input(self.stored)
        answered = {item.data["call_id"] for item in since if item.kind == "result"}
        asked = {each.call_id for each in self.approvals()}
        made = [item.data for item in since if item.data.get("call_id") in answered - asked]
        return list(dict.fromkeys(data["name"] for data in made if "name" in data))

    # --- what goes to the person --------------------------------------------------------------------------------

    def has_something_for_the_person(self) -> bool:
        """Whether the answer brings a button or a file, whatever the model says."""
        return any(item.kind in FOR_THE_PERSON for item in _since_input(self._all()))

    def links(self) -> list[Link]:
        """The links made since the person wrote last, one per title, the newest."""
        links = {
            data["title"]: Link(data["url"], data["title"], data["expires_at"]) for data in self._since_input("link")
        }
        return list(links.values())

    def files(self) -> list[ReplyFile]:
        """The files that tools have made since the person wrote last, in order."""
        return [ReplyFile(**data) for data in self._since_input("file")]

    def parked(self) -> list[ParkedRequest]:
        """What waits for these links, each once."""
        parked = [data["parked"] for data in self._since_input("link") if "parked" in data]
        return list(dict.fromkeys(ParkedRequest(each["toolkit"], each["remaining"]) for each in parked))

    def questions(self) -> list[Question]:
        """What the person is to be asked since they wrote last."""
        return [question for data in self._since_input("approval") if (question := _question(data))]

    def approvals(self) -> list[Approval]:
        """The calls of these questions."""
        return [each for question in self.questions() for each in question.approvals]

    def _since_input(self, kind: str) -> list[dict[str, Any]]:
        return [item.data for item in _since_input(self._all()) if item.kind == kind]

    def _all(self) -> list[HistoryItem]:
        return self.stored + self.unstored


def _item(kind: str, data: dict[str, Any], origin: str = "") -> HistoryItem:
    """Whatever a vendor, a tool or a person put into it can be kept, and shown to the model again."""
    return HistoryItem(kind, storable(data), origin)


def _question(data: dict[str, Any]) -> Question | None:
    """None: an earlier release put it, which asked for one call at a time, and no message shows that."""
    if "approvals" not in data:
        earlier = Approval(**data)
        whole = shown([earlier])
        return Question((earlier,), whole.text) if whole and whole.document is None else None
    approvals = tuple(Approval(**each) for each in data["approvals"])
    document = ReplyFile(**data["document"]) if data["document"] else None
    return Question(approvals, data["text"], document, data["may_stand"])


def _parked(parked: ParkedRequest | None) -> dict[str, Any]:
    return {"parked": {"toolkit": parked.toolkit, "remaining": parked.remaining}} if parked else {}


def _without_id(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "id"}


def _since_input(items: list[HistoryItem]) -> list[HistoryItem]:
    last = max((place for place, item in enumerate(items) if item.kind == "input"), default=-1)
    return items[last + 1 :]
