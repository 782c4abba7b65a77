"""A turn's view of the history: ended turns, its own stored and unstored items, open calls, items for the person."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from kernel_service.kernels.ended_turns import EndedTurns
from kernel_service.kernels.outline import FROM_OUTSIDE, SHOWS_FACTS, holds_any, outline_of
from kernel_service.ports.approvals import ASKED
from kernel_service.ports.memory import Recalled
from kernel_service.ports.model import UserInput
from kernel_service.ports.turns import COMPACTION, FACTS, OWN, REASONING, TAINTED, HistoryItem
from kernel_service.storable import storable
from kernel_service.turns.context.for_the_person import KINDS, for_the_person
from kernel_service.turns.context.taint import is_tainted, mark, mark_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kernel_service.ports.approvals import Approval, ApprovalPrompt
    from kernel_service.ports.memory import Fact
    from kernel_service.ports.messages import ReplyFile
    from kernel_service.ports.model import Model, ModelAnswer
    from kernel_service.ports.resuming import ParkedRequest
    from kernel_service.ports.tools import ToolResult
    from kernel_service.turns.context.for_the_person import ForThePerson


@dataclass(slots=True)
class Transcript:
    """`items` are this turn's, at first those in the journal. `ended` precedes them.

    ContextWindow selects items for the model.
    """

    items: list[HistoryItem]
    model: Model
    ended: EndedTurns = field(default_factory=EndedTurns)
    stored_count: int = field(init=False)
    """The number of items that are in the journal. The others go with the next write."""
    has_ended: bool = field(init=False, default=False)
    """Whether the turn has ended in the store."""

    def __post_init__(self) -> None:
        self.stored_count = len(self.items)

    @property
    def stored(self) -> list[HistoryItem]:
        """The items in the journal."""
        return self.items[: self.stored_count]

    @property
    def unstored(self) -> list[HistoryItem]:
        """The items that go with the next write."""
        return self.items[self.stored_count :]

    def add_inputs(self, inputs: Iterable[UserInput]) -> None:
        """Add the person's messages."""
        self.items += [_item("input", self.model.user_item(given), mark_of(given)) for given in inputs]

    def recall(self, facts: Sequence[Fact]) -> None:
        """Show the model what is remembered about the person, before their newest messages."""
        item = _item("input", self.model.user_item(UserInput(Recalled(tuple(facts)))), FACTS)
        self.items.insert(self._start_of_newest(), item)

    @property
    def may_recall(self) -> bool:
        """Whether the newest items are messages of the person that are not stored yet, and no item shows the facts."""
        shown = SHOWS_FACTS in self.ended.outline or SHOWS_FACTS in outline_of(self.items)
        return not shown and self._start_of_newest() < len(self.items)

    def _start_of_newest(self) -> int:
        """The place of the first of the messages that are the newest items and are not stored yet."""
        start = len(self.items)
        while start > self.stored_count and self.items[start - 1].kind == "input":
            start -= 1
        return start

    def note(self, answer: ModelAnswer) -> None:
        """Add an answer of the model. A compaction may hold any words that the model has seen."""
        for item in answer.items:
            kind = _kind_of(item)
            seen = TAINTED if kind == COMPACTION and self._sees_outside else ""
            self.items.append(_item(kind, item, seen + self.model.origin))

    def result(self, call_id: str, result: ToolResult, files: Iterable[ReplyFile] = ()) -> None:
        """Add a tool's result, and the link, files and words that go to the person (the model never sees them)."""
        item = self.model.result_item(call_id, result.output)
        self.items.append(_item("result", item, mark(own=result.own)))
        if result.link is not None:
            data = asdict(result.link) | _parked(result.parked)
            self.items.append(_item("link", data))
        self.items += [_item("file", asdict(file)) for file in files]
        if result.confirmed:
            self.items.append(_item("confirmed", {"words": result.confirmed}))

    def ask(self, prompt: ApprovalPrompt) -> None:
        """Prompt the person for approval. The model is told so instead of a result."""
        results = (self.model.result_item(each.call_id, ASKED) for each in prompt.approvals)
        self.items += [*(_item("result", result, OWN) for result in results), _item("approval", asdict(prompt))]

    def call(self, approval: Approval) -> None:
        """Add the call that the person has approved."""
        item = self.model.call_item(approval.approved_call_id, approval.tool, approval.arguments)
        self.items.append(_item("output", item, self.model.origin))

    def say(self, text: str) -> None:
        """Add fixed words of the assistant, which do not come from a model."""
        self.items.append(_item("output", self.model.said_item(text), self.model.origin))

    def note_failure(self, sentence: str) -> None:
        """Say that the turn failed, if calls were made in it: the model must not believe that nothing was done."""
        made = self.calls_made()
        if made:
            self.say(f"{sentence} (Before that I had called: {', '.join(made)}.)")

    def mark_stored(self) -> None:
        self.stored_count = len(self.items)

    def drop_unstored(self) -> None:
        """Leave no trace of the items that are not stored yet."""
        del self.items[self.stored_count :]

    def drop_stored(self, count: int) -> None:
        """The last stored items were superseded."""
        kept = max(0, self.stored_count - count)
        del self.items[kept : self.stored_count]
        self.stored_count = kept

    def start_over(self) -> None:
        """The conversation starts over: nothing so far is shown again."""
        self.ended = self.ended.emptied()
        del self.items[: self.stored_count]
        self.stored_count = 0

    @property
    def tainted(self) -> bool:
        """Whether content from outside is among what the model sees of this turn or the three before it."""
        return is_tainted(self.ended.outline + outline_of(self.items))

    @property
    def _sees_outside(self) -> bool:
        """Whether content from outside is anywhere in what the model sees."""
        return holds_any(self.ended.outline + outline_of(self.items), FROM_OUTSIDE)

    @property
    def began_tainted(self) -> bool:
        """Whether it was so before this turn called a tool."""
        inputs = [item for item in self.items if item.kind == "input"]
        return is_tainted(self.ended.outline + outline_of(inputs))

    # --- calls --------------------------------------------------------------------------------------------------

    def open_calls(self) -> list[dict[str, Any]]:
        """Calls that the model asked for and that have no result, in order."""
        called = [
            item.data for item in self.items if item.kind == "output" and item.data.get("type") == "function_call"
        ]
        if not called:
            return called
        answered = {item.data.get("call_id") for item in self.items if item.kind == "result"}
        return [data for data in called if data.get("call_id") not in answered]

    def results_so_far(self) -> list[str]:
        """The results of the calls in the model's last answer."""
        results: list[str] = []
        for item in reversed(self.items):
            if item.kind in ("output", "input"):
                break
            if item.kind == "result":
                results.append(str(item.data.get("output")))
        return results

    def results(self) -> Iterator[tuple[str, str]]:
        """All results with the names of their tools, the newest first."""
        items = [*self.ended.items(), *self.items]
        names = {item.data.get("call_id"): item.data.get("name") for item in items if item.kind == "output"}
        for item in reversed(items):
            if item.kind == "result" and (name := names.get(item.data.get("call_id"))):
                yield str(name), str(item.data.get("output"))

    def calls_made(self) -> list[str]:
        """The tools called since the person wrote last, each once."""
        since = _since_input(self.stored)
        answered = {item.data["call_id"] for item in since if item.kind == "result"}
        asked = {each.call_id for each in self.for_the_person().approvals}
        made = [item.data for item in since if item.data.get("call_id") in answered - asked]
        return list(dict.fromkeys(data["name"] for data in made if "name" in data))

    def has_something_for_the_person(self) -> bool:
        return any(item.kind in KINDS for item in _since_input(self.items))

    def for_the_person(self) -> ForThePerson:
        """The content for the person since they wrote last."""
        return for_the_person(_since_input(self.items))


def _item(kind: str, data: dict[str, Any], origin: str = "") -> HistoryItem:
    """Makes any content of a vendor, a tool or a person storable, so that the model can be shown it again."""
    return HistoryItem(kind, storable(data), origin)


def _kind_of(data: dict[str, Any]) -> str:
    kind = data.get("type")
    return kind if kind in {REASONING, COMPACTION} else "output"


def _parked(parked: ParkedRequest | None) -> dict[str, Any]:
    return {"parked": {"toolkit": parked.toolkit, "remaining": parked.remaining}} if parked else {}


def _since_input(items: list[HistoryItem]) -> list[HistoryItem]:
    start = len(items)
    while start and items[start - 1].kind != "input":
        start -= 1
    return items[start:]
