"""The invented data of one person at Asana and Gmail: always the same for the same Composio user id."""

import hashlib
from dataclasses import dataclass, field
from typing import Any


def owner_mark(user_id: str) -> str:
    """Eight characters that mark every name with its owner, so that a leak is visible."""
    return hashlib.sha256(user_id.encode()).hexdigest()[:8]


@dataclass(slots=True)
class Task:
    gid: str
    name: str
    completed: bool = False
    notes: str = ""
    due_on: str | None = None


@dataclass(slots=True)
class Mail:
    message_id: str
    sender: str
    to: str
    subject: str
    body: str


@dataclass(slots=True)
class Workplace:
    user_id: str
    tasks: list[Task] = field(default_factory=list)
    inbox: list[Mail] = field(default_factory=list)
    sent: list[Mail] = field(default_factory=list)
    made: int = 0

    @property
    def mark(self) -> str:
        return owner_mark(self.user_id)

    @property
    def address(self) -> str:
        return f"owner-{self.mark}@mail.example"

    def new_id(self) -> str:
        """Digits that are unique among the objects of all people."""
        self.made += 1
        return str(int(hashlib.sha256(self.user_id.encode()).hexdigest()[:12], 16) * 1000 + self.made)


def furnished(user_id: str) -> Workplace:
    place = Workplace(user_id)
    mark = place.mark
    place.tasks = [
        Task(place.new_id(), f"{name} · owner {mark}")
        for name in ("Prepare demo", "Review the budget", "Book the venue")
    ]
    place.inbox = [
        Mail(place.new_id(), sender, place.address, f"{subject} · owner {mark}", body)
        for sender, subject, body in (
            ("anna@team.example", "Minutes of Monday", "We agreed to ship on Thursday."),
            ("billing@shop.example", "Your invoice", "The amount due is 42.00."),
        )
    ]
    return place


class Workplaces:
    """Workplaces by Composio user id, created on first use."""

    def __init__(self) -> None:
        self._places: dict[str, Workplace] = {}

    def of(self, user_id: str) -> Workplace:
        if user_id not in self._places:
            self._places[user_id] = furnished(user_id)
        return self._places[user_id]


class NotDoneError(Exception):
    """The provider behind a tool declines, in its own words."""


def task_of(place: Workplace, arguments: dict[str, Any]) -> Task:
    for task in place.tasks:
        if task.gid == arguments["task_gid"]:
            return task
    raise NotDoneError(f"task: Unknown object: {arguments['task_gid']}")
