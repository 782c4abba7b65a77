"""What the emulators' effect log tells: who wrote what, what was accepted for whom, which tasks were made."""

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
    """One message under load. `posted` and `taken` are numbers in the log; taken 0: never answered with 200.

    Messages of one POST have the same `post` and are accepted in the order in which they were posted. `sent_at` is
    WhatsApp's own time, in whole seconds. `heard` is the number of the first model call that was shown it; 0: none was.
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
        """Whether this one was sent first. Of two that were under way at once in one second arrival decides."""
        if self.post == other.post:
            return self.posted < other.posted
        return self.sent_at < other.sent_at or 0 < self.taken < other.posted

    def waited_with(self, other: Message) -> bool:
        """Whether this one was there before the other one was heard: none that is sent later goes first then."""
        if self.post == other.post:
            return True
        return self.taken > 0 and (not other.heard or self.taken < other.heard)


@dataclass(slots=True)
class Part:
    """One numbered part of a reply, each time that the Graph API accepted it."""

    key: str
    number: int
    accepted: list[Effect] = field(default_factory=list)

    @property
    def first(self) -> int:
        return self.accepted[0].number


@dataclass(slots=True)
class Reply:
    """What was sent under one reply's id, by part. `tokens` are those it names, in the order of its text."""

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
    """`executions` are those of tools that change something, by the token among their arguments.

    `freezes` are those that ended, each with its beginning; `frozen` those that have not, by process. `answered` are
    the tokens whose answer was sent to its last part, `last_calls` the model calls that saw a token last among what
    was unanswered.
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
        """The next line of the log."""
        if effect.kind in _NOTED:
            _NOTED[effect.kind](self, effect)

    @property
    def waiting(self) -> list[Message]:
        """What is to be answered yet. Whose later message was answered does not wait for an earlier one any more."""
        answered = (message for message in self.messages.values() if message.token in self.answered)
        last = {message.phone: message.posted for message in answered}
        return [message for message in self.messages.values() if message.posted > last.get(message.phone, 0)]


def read(log: Iterable[Effect]) -> Evidence:
    """ValueError: a token was written twice, so that the log proves nothing about it."""
    found = Evidence()
    for effect in log:
        found.add(effect)
    return found


def tokens(text: str) -> list[str]:
    return list(dict.fromkeys(match[0] for match in load_rule.TOKEN.finditer(text)))


def _posted(found: Evidence, effect: Effect) -> None:
    wish = load_rule.read(effect.detail["text"])
    if wish is None:
        return
    if wish.token in found.messages:
        raise ValueError(f"{wish.token} was written twice")
    detail = effect.detail
    message = Message(wish.token, effect.person, wish.kind, effect.number, detail["post"], detail["sent_at"])
    found.messages[wish.token] = found.by_wamid[effect.key] = message


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
