"""A turn's view of the history: ended turns, its own stored and unstored items, open calls, items for the person."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from kernel_service.approvals.prompt import shown
from kernel_service.kernels.ended_turns import EndedTurns
from kernel_service.kernels.outline import FROM_OUTSIDE, SHOWS_FACTS, holds_any, outline_of
from kernel_service.ports.approvals import ASKED, Approval, ApprovalPrompt
from kernel_service.ports.memory import Recalled
from kernel_service.ports.messages import Link, ReplyFile
from kernel_service.ports.model import UserInput
from kernel_service.ports.resuming import ParkedRequest
from kernel_service.ports.turns import COMPACTION, FACTS, OWN, REASONING, TAINTED, HistoryItem
from kernel_service.storable import storable
from kernel_service.turns.context.taint import is_tainted, mark, mark_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kernel_service.ports.memory import Fact
    from kernel_service.ports.model import Model, ModelAnswer
    from kernel_service.ports.tools import ToolResult

FOR_THE_PERSON: Final = frozenset({"link", "file", "confirmed", "approval"})
"""Kinds of items that the model is never shown."""


@dataclass(slots=True)
class Transcript:
    """`stored` are this turn's items in the journal; `unstored` goes with the next write. `ended` precedes them.

    ContextWindow selects items for the model.
    """

    stored: list[HistoryItem]
    model: Model
    ended: EndedTurns = field(default_factory=EndedTurns)
    unstored: list[HistoryItem] = field(init=False, default_factory=list)
    has_ended: bool = field(init=False, default=False)
    """Whether the turn has ended in the store."""

    def hear(self, inputs: Iterable[UserInput]) -> None:
        """Add the person's messages."""
        self.unstored += [_item("input", self.model.user_item(given), mark_of(given)) for given in inputs]

    def recall(self, facts: Sequence[Fact]) -> None:
        """Show the model what is remembered about the person, before their newest messages."""
        start = len(self.unstored) - len(_ending_inputs(self.unstored))
        item = _item("input", self.model.user_item(UserInput(Recalled(tuple(facts)))), FACTS)
        self.unstored.insert(start, item)

    @property
    def may_recall(self) -> bool:
        """Whether the newest items are messages of the person that are not stored yet, and no item shows the facts."""
        shown = SHOWS_FACTS in self.ended.outline or SHOWS_FACTS in outline_of(self.items)
        return not shown and bool(_ending_inputs(self.unstored))

    def note(self, answer: ModelAnswer) -> None:
        """Add an answer of the model. A compaction may hold any words that the model has seen."""
        for item in answer.items:
            kind = _kind_of(item)
            seen = TAINTED if kind == COMPACTION and self._sees_outside else ""
            self.unstored.append(_item(kind, item, seen + self.model.origin))

    def result(self, call_id: str, result: ToolResult, files: Iterable[ReplyFile] = ()) -> None:
        """Add a tool's result, and the link, files and words that go to the person (the model never sees them)."""
        item = self.model.result_item(call_id, result.output)
        self.unstored.append(_item("result", item, mark(own=result.own)))
        if result.link is not None:
            data = asdict(result.link) | _parked(result.parked)
            self.unstored.append(_item("link", data))
        self.unstored += [_item("file", asdict(file)) for file in files]
        if result.confirmed:
            self.unstored.append(_item("confirmed", {"words": result.confirmed}))

    def ask(self, question: ApprovalPrompt) -> None:
        """Prompt the person for approval. The model is told so instead of a result."""
        results = (self.model.result_item(each.call_id, ASKED) for each in question.approvals)
        self.unstored += [*(_item("result", result, OWN) for result in results), _item("approval", asdict(question))]

    def call(self, approval: Approval) -> None:
        """Add the call that the person has approved."""
        item = self.model.call_item(approval.approved_call_id, approval.tool, approval.arguments)
        self.unstored.append(_item("output", item, self.model.origin))

    def say(self, text: str) -> None:
        """Add fixed words of the assistant, which do not come from a model."""
        self.unstored.append(_item("output", self.model.said_item(text), self.model.origin))

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

    def begin_anew(self) -> None:
        """The conversation starts over: nothing so far is shown again."""
        self.ended = self.ended.emptied()
        self.stored = []

    @property
    def items(self) -> list[HistoryItem]:
        """This turn's items."""
        return self.stored + self.unstored

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
        answered = {item.data.get("call_id") for item in self.items if item.kind == "result"}
        return [
            item.data
            for item in self.items
            if item.kind == "output"
            and item.data.get("type") == "function_call"
            and item.data.get("call_id") not in answered
        ]

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
        asked = {each.call_id for each in self.approvals()}
        made = [item.data for item in since if item.data.get("call_id") in answered - asked]
        return list(dict.fromkeys(data["name"] for data in made if "name" in data))

    # --- what goes to the person --------------------------------------------------------------------------------

    def has_something_for_the_person(self) -> bool:
        """Whether the answer has a button, a file or words of a tool, even without words of the model."""
        return any(item.kind in FOR_THE_PERSON for item in _since_input(self.items))

    def links(self) -> list[Link]:
        """The links made since the person wrote last, one per title, the newest."""
        links = {
            data["title"]: Link(data["url"], data["title"], data["expires_at"]) for data in self._since_input("link")
        }
        return list(links.values())

    def files(self) -> list[ReplyFile]:
        """The files that tools have made since the person wrote last, in order."""
        return [ReplyFile(**data) for data in self._since_input("file")]

    def confirmed(self) -> list[str]:
        """The words of tools since the person wrote last that they must read, each once."""
        return list(dict.fromkeys(data["words"] for data in self._since_input("confirmed")))

    def parked(self) -> list[ParkedRequest]:
        """The requests that wait for these links, each once."""
        parked = [data["parked"] for data in self._since_input("link") if "parked" in data]
        return list(dict.fromkeys(ParkedRequest(each["toolkit"], each["remaining"]) for each in parked))

    def questions(self) -> list[ApprovalPrompt]:
        """The approval prompts since the person wrote last."""
        return [question for data in self._since_input("approval") if (question := _question(data))]

    def approvals(self) -> list[Approval]:
        """The calls of these prompts."""
        return [each for question in self.questions() for each in question.approvals]

    def _since_input(self, kind: str) -> list[dict[str, Any]]:
        return [item.data for item in _since_input(self.items) if item.kind == kind]


def _item(kind: str, data: dict[str, Any], origin: str = "") -> HistoryItem:
    """Makes any content of a vendor, a tool or a person storable, so that the model can be shown it again."""
    return HistoryItem(kind, storable(data), origin)


def _kind_of(data: dict[str, Any]) -> str:
    kind = data.get("type")
    return kind if kind in {REASONING, COMPACTION} else "output"


def _question(data: dict[str, Any]) -> ApprovalPrompt | None:
    """None: an earlier release stored it, which prompted for one call at a time, and no message can show it."""
    if "approvals" not in data:
        earlier = Approval(**data)
        whole = shown([earlier])
        return ApprovalPrompt((earlier,), whole.text) if whole and whole.document is None else None
    approvals = tuple(Approval(**each) for each in data["approvals"])
    document = ReplyFile(**data["document"]) if data["document"] else None
    return ApprovalPrompt(approvals, data["text"], document, data["may_stand"])


def _parked(parked: ParkedRequest | None) -> dict[str, Any]:
    return {"parked": {"toolkit": parked.toolkit, "remaining": parked.remaining}} if parked else {}


def _ending_inputs(items: list[HistoryItem]) -> list[HistoryItem]:
    others = (place for place in range(len(items), 0, -1) if items[place - 1].kind != "input")
    return items[next(others, 0) :]


def _since_input(items: list[HistoryItem]) -> list[HistoryItem]:
    last = max((place for place, item in enumerate(items) if item.kind == "input"), default=-1)
    return items[last + 1 :]
