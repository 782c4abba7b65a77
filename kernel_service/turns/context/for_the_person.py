"""The content that goes to the person beside the model's words: buttons, files, approval prompts.

The model is never shown it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kernel_service.approvals.prompt import shown
from kernel_service.ports.approvals import Approval, ApprovalPrompt
from kernel_service.ports.messages import Link, ReplyFile
from kernel_service.ports.resuming import ParkedRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.turns import HistoryItem

KINDS: Final = frozenset({"link", "file", "confirmed", "approval"})
"""The kinds of these items."""


class ForThePerson(NamedTuple):
    """`links`: one per title, the newest. `parked`: the requests that wait for these links, each once.

    `files` are those that tools have made. `confirmed` are the words of tools that the person must read, each once.
    `prompts` are approval prompts.
    """

    links: tuple[Link, ...] = ()
    parked: tuple[ParkedRequest, ...] = ()
    files: tuple[ReplyFile, ...] = ()
    confirmed: tuple[str, ...] = ()
    prompts: tuple[ApprovalPrompt, ...] = ()

    @property
    def approvals(self) -> list[Approval]:
        """The calls of the approval prompts."""
        return [each for prompt in self.prompts for each in prompt.approvals]


_NOTHING: Final = ForThePerson()


def for_the_person(items: Sequence[HistoryItem]) -> ForThePerson:
    """The content of these items for the person, in order."""
    data: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        if item.kind in KINDS:
            data.setdefault(item.kind, []).append(item.data)
    return _read(data) if data else _NOTHING


def _read(data: dict[str, list[dict[str, Any]]]) -> ForThePerson:
    links, asked = data.get("link", ()), data.get("approval", ())
    newest = {each["title"]: Link(each["url"], each["title"], each["expires_at"]) for each in links}
    parked = (each["parked"] for each in links if "parked" in each)
    return ForThePerson(
        links=tuple(newest.values()),
        parked=tuple(dict.fromkeys(ParkedRequest(each["toolkit"], each["remaining"]) for each in parked)),
        files=tuple(ReplyFile(**each) for each in data.get("file", ())),
        confirmed=tuple(dict.fromkeys(each["words"] for each in data.get("confirmed", ()))),
        prompts=tuple(prompt for each in asked if (prompt := _prompt(each))),
    )


def _prompt(data: dict[str, Any]) -> ApprovalPrompt | None:
    """None: an earlier release stored it, which prompted for one call at a time, and no message can show it."""
    if "approvals" not in data:
        earlier = Approval(**data)
        whole = shown([earlier])
        return ApprovalPrompt((earlier,), whole.text) if whole and whole.document is None else None
    approvals = tuple(Approval(**each) for each in data["approvals"])
    document = ReplyFile(**data["document"]) if data["document"] else None
    return ApprovalPrompt(approvals, data["text"], document, data["may_stand"])
