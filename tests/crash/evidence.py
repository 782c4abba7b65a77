"""A summary of the emulators' effect log: written messages, accepted sends and created tasks."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emulators.openai import load_rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from emulators.effects import Effect

_CALLBACK = re.compile(r"(.+)/(\d+)/(\d+)")


@dataclass(slots=True)
class Message:
    """One load-test message. `posted` and `taken` are numbers in the log; taken 0: never answered with 200.

    Messages of one POST have the same `post` and are accepted in the order in which they were posted. `sent_at` is
    WhatsApp's time, in whole seconds. `heard` is the number of the first model call that contained it; 0: none.
    """

    token: str
    phone: str
    kind: str
    posted: int
    post: str
    sent_at: int
    taken: int = 0
    heard: int = 0

    def surely_before(self, other: Message) -> bool:
        """Whether this one was sent first. Arrival decides between two of one second that were in transit at once."""
        if self.post == other.post:
            return self.posted < other.posted
        return self.sent_at < other.sent_at or 0 < self.taken < other.posted

    def waited_with(self, other: Message) -> bool:
        """Whether this one had arrived before the model got the other one. Then a later one must not go first."""
        if self.post == other.post:
            return True
        return self.taken > 0 and (not other.heard or self.taken < other.heard)


@dataclass(slots=True)
class Part:
    """One numbered part of a reply, with every acceptance by the Graph API."""

    key: str
    number: int
    accepted: list[Effect] = field(default_factory=list)

    @property
    def first(self) -> int:
        return self.accepted[0].number


@dataclass(slots=True)
class Reply:
    """The parts that were sent under one reply's id. `tokens` are those in its text, in order."""

    id: str
    parts: int
    sent: dict[int, Part] = field(default_factory=dict)

    @property
    def tokens(self) -> list[str]:
        texts = (str(self.sent[number].accepted[0].detail["text"]) for number in sorted(self.sent))
        return list(dict.fromkeys(match[0] for text in texts for match in load_rule.TOKEN.finditer(text)))

    @property
    def missing(self) -> list[int]:
        return [number for number in range(1, self.parts + 1) if number not in self.sent]

    @property
    def began(self) -> int:
        return min(part.first for part in self.sent.values())

    @property
    def ended(self) -> int:
        return max(part.first for part in self.sent.values())


@dataclass(slots=True)
class Evidence:
    """The facts of a log that the checker needs.

    `executions` are those of tools that change something, by the token among their arguments. `freezes` are pairs of
    the beginning and end of a freeze; `frozen` are the beginnings of unfinished ones, by process. `answered` holds the
    tokens whose answer was sent completely. `last_calls` maps a token to the last model call in which it was
    unanswered.
    """

    messages: dict[str, Message] = field(default_factory=dict)
    by_wamid: dict[str, Message] = field(default_factory=dict)
    replies: dict[str, Reply] = field(default_factory=dict)
    executions: defaultdict[str, list[Effect]] = field(default_factory=lambda: defaultdict(list))
    model_calls: list[Effect] = field(default_factory=list)
    foreign: list[Effect] = field(default_factory=list)
    statuses_taken: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    statuses_withheld: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    frozen: dict[str, Effect] = field(default_factory=dict)
    freezes: list[tuple[Effect, Effect]] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)
    last_calls: dict[str, str] = field(default_factory=dict)

    def add(self, effect: Effect) -> None:
        """Add the next line of the log."""
        if effect.kind in _NOTED:
            _NOTED[effect.kind](self, effect)

    @property
    def waiting(self) -> list[Message]:
        """The messages without an answer. An answer to a person's later message ends the wait for the earlier ones."""
        answered = (message for message in self.messages.values() if message.token in self.answered)
        last = {message.phone: message.posted for message in answered}
        return [message for message in self.messages.values() if message.posted > last.get(message.phone, 0)]


def read(log: Iterable[Effect]) -> Evidence:
    """Read a whole log. Raises ValueError if a token was written twice: the log then proves nothing about it."""
    found = Evidence()
    for effect in log:
        found.add(effect)
    return found


def tokens(text: str) -> list[str]:
    return list(dict.fromkeys(match[0] for match in load_rule.TOKEN.finditer(text)))


def _posted(found: Evidence, effect: Effect) -> None:
    request = load_rule.read(effect.detail["text"])
    if request is None:
        return
    if request.token in found.messages:
        raise ValueError(f"{request.token} was written twice")
    detail = effect.detail
    message = Message(request.token, effect.person, request.kind, effect.number, detail["post"], detail["sent_at"])
    found.messages[request.token] = found.by_wamid[effect.key] = message


def _taken(found: Evidence, effect: Effect) -> None:
    message = found.by_wamid.get(effect.key)
    if message is not None and not message.taken:
        message.taken = effect.number


def _sent(found: Evidence, effect: Effect) -> None:
    numbered = _CALLBACK.fullmatch(effect.key)
    reply_id, number, parts = (numbered[1], int(numbered[2]), int(numbered[3])) if numbered else (effect.key, 1, 1)
    reply = found.replies.setdefault(reply_id, Reply(reply_id, parts))
    reply.sent.setdefault(number, Part(effect.key, number)).accepted.append(effect)
    if not reply.missing:
        found.answered.update(reply.tokens)


def _called(found: Evidence, effect: Effect) -> None:
    found.model_calls.append(effect)
    for token in tokens(effect.detail["text"]):
        found.last_calls[token] = effect.key
        if (message := found.messages.get(token)) is not None:
            message.heard = message.heard or effect.number


def _executed(found: Evidence, effect: Effect) -> None:
    if not effect.detail["read_only"]:
        for token in tokens(str(effect.detail["arguments"])):
            found.executions[token].append(effect)


def _resumed(found: Evidence, effect: Effect) -> None:
    if effect.key in found.frozen:
        found.freezes.append((found.frozen.pop(effect.key), effect))


_NOTED: dict[str, Callable[[Evidence, Effect], None]] = {
    "message_posted": _posted,
    "message_taken": _taken,
    "graph_send": _sent,
    "tool_execution": _executed,
    "model_call": _called,
    "foreign_content": lambda found, effect: found.foreign.append(effect),
    "status_taken": lambda found, effect: found.statuses_taken[effect.key].append(effect.number),
    "status_withheld": lambda found, effect: found.statuses_withheld[effect.key].append(effect.number),
    "frozen": lambda found, effect: found.frozen.update({effect.key: effect}),
    "resumed": _resumed,
}
