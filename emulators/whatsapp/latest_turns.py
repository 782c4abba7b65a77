"""Each person's latest turn as the vendors see it, step by step. It holds no words of anybody."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulators.effects import Effect
    from emulators.whatsapp.feed import Feed

_MOST_STEPS: Final = 40
_MOST_UNKNOWN: Final = 200
_APPROVAL: Final = "approval:"
"""How the ids of buttons begin that a turn waits for."""


@dataclass(slots=True)
class _Turn:
    """`over`: everything is answered. `parked`: it waits for the person. `freed`: the account it needs is connected.

    `answered` holds the ids of the tool calls whose results the model has; `executed` the tools that ran since; `sent`
    the keys of what was sent.
    """

    steps: list[dict[str, Any]] = field(default_factory=list)
    over: bool = False
    parked: bool = False
    freed: bool = False
    answered: set[str] = field(default_factory=set)
    executed: list[str] = field(default_factory=list)
    sent: set[str] = field(default_factory=set)

    def add(self, step: str, at: float, what: str = "") -> None:
        if len(self.steps) < _MOST_STEPS:
            self.steps.append({"step": step, "at": at, "what": what})


class LatestTurns:
    """Follows the effects while a page is open, and publishes a `turn` event for the phone that each one concerns.

    A turn is {phone, parked, steps: [{step, at, what}], offered}. A step is posted, accepted, model, tool,
    parked, connected, resumed, sent, delivered, read, failed, killed or restarted. `at` is in epoch seconds. `what`
    names a tool, a toolkit, a service, or the thing that a parked turn waits for (account, approval). `offered` are the
    tools that the model got.

    Each vendor knows a person by another id. learn() says which phone a person id belongs to. Steps of other ids
    wait for it, and belong to no phone until then.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._turns: dict[str, _Turn] = {}
        self._offered: dict[str, list[str]] = {}
        self._phones: dict[str, str] = {}
        self._unclaimed: deque[Effect] = deque(maxlen=_MOST_UNKNOWN)
        self._steps: dict[str, Callable[[_Turn, Effect], None]] = {
            "message_taken": _taken,
            "model_call": _model,
            "tool_execution": _tool,
            "graph_send": _sent,
            "graph_send_failed": _failed,
            "status_taken": _reported,
            "account_connected": _connected,
        }

    def follow(self, effect: Effect) -> None:
        if not self._feed.watched.is_set() or (effect.kind not in self._steps and effect.kind != "message_posted"):
            return
        phone = self._phones.get(effect.person)
        if phone is None:
            self._unclaimed.append(effect)
        else:
            self._take(phone, effect)

    def add_phone(self, phone: str) -> None:
        """A phone is known to WhatsApp by its own id."""
        self._phones.setdefault(phone, phone)

    def learn(self, phone: str, person: str) -> None:
        """The id of the person behind a phone: Composio knows them by it, and the model's vendor by its hash."""
        hashed = hashlib.sha256(person.encode()).hexdigest()[:32]
        if self._phones.get(person) == phone:
            return
        self._phones[person] = self._phones[hashed] = phone
        theirs = [effect for effect in self._unclaimed if effect.person in {person, hashed}]
        for effect in theirs:
            self._unclaimed.remove(effect)
            turn = self._turns.get(phone)
            if turn is not None and turn.steps and effect.at >= turn.steps[0]["at"]:
                self._add(phone, turn, effect)

    def mark(self, step: str, at: float, what: str) -> None:
        """Add a step to every turn that is not over."""
        for phone, turn in self._turns.items():
            if not turn.over:
                turn.add(step, at, what)
                self._publish(phone)

    def of(self, phone: str) -> dict[str, Any]:
        turn = self._turns.get(phone, _Turn())
        # A vendor is told of some steps late, as of the first call for a person.
        steps = sorted(turn.steps, key=lambda step: float(step["at"]))
        offered = self._offered.get(phone, [])
        return {"phone": phone, "parked": turn.parked, "steps": steps, "offered": offered}

    def _take(self, phone: str, effect: Effect) -> None:
        turn = self._turns.get(phone)
        if turn is None or _begins(turn, effect):
            turn = self._turns[phone] = _Turn()
        self._add(phone, turn, effect)

    def _add(self, phone: str, turn: _Turn, effect: Effect) -> None:
        if effect.kind == "message_posted":
            turn.over = False
            turn.add("posted", effect.at)
        else:
            self._steps[effect.kind](turn, effect)
        if effect.kind == "model_call":
            self._offered[phone] = effect.detail["tools"]
        self._publish(phone)

    def _publish(self, phone: str) -> None:
        self._feed.publish("turn", self.of(phone))


def _begins(turn: _Turn, effect: Effect) -> bool:
    """Whether a new turn begins: a text after an answer, or a call of the model without one, as for a reminder."""
    goes_on = turn.parked
    if effect.kind == "message_posted":
        goes_on = turn.parked and (turn.freed or effect.detail["type"] != "text")
    return turn.over and not goes_on and effect.kind in {"message_posted", "model_call"}


def _taken(turn: _Turn, effect: Effect) -> None:
    turn.add("accepted", effect.at)


def _model(turn: _Turn, effect: Effect) -> None:
    _resume(turn, effect.at)
    for call, name in effect.detail["results"]:
        if call not in turn.answered:
            turn.answered.add(call)
            _take_result(turn, name, effect.at)
    turn.add("model", effect.at)


def _take_result(turn: _Turn, tool: str, at: float) -> None:
    """Only the model's vendor hears of a tool of the service's own, once it has run."""
    if tool in turn.executed:
        turn.executed.remove(tool)
    else:
        turn.add("tool", at, tool)


def _tool(turn: _Turn, effect: Effect) -> None:
    _resume(turn, effect.at)
    turn.executed.append(effect.key)
    turn.add("tool", effect.at, effect.key)


def _resume(turn: _Turn, at: float) -> None:
    """A step from before the parking may be told after it, and resumes nothing."""
    parked = max((float(step["at"]) for step in turn.steps if step["step"] == "parked"), default=0)
    if turn.parked and at > parked:
        turn.over = turn.parked = turn.freed = False
        turn.add("resumed", at)


def _sent(turn: _Turn, effect: Effect) -> None:
    turn.over = True
    turn.sent.add(effect.key)
    turn.add("sent", effect.at)
    asks = any(choice.startswith(_APPROVAL) for choice in effect.detail["choices"])
    if asks or "link" in effect.detail:
        turn.parked = True
        turn.add("parked", effect.at, "approval" if asks else "account")


def _failed(turn: _Turn, effect: Effect) -> None:
    turn.over = True
    turn.add("failed", effect.at)


def _reported(turn: _Turn, effect: Effect) -> None:
    """Delivered and read, once each for the texts of an answer. Those of an earlier turn may come late."""
    if effect.key not in turn.sent:
        return
    step = effect.detail["status"]
    sent = max((index for index, each in enumerate(turn.steps) if each["step"] == "sent"), default=-1)
    if step in {"delivered", "read"} and not any(each["step"] == step for each in turn.steps[sent + 1 :]):
        turn.add(step, effect.at)


def _connected(turn: _Turn, effect: Effect) -> None:
    turn.freed = turn.parked
    turn.add("connected", effect.at, effect.detail["toolkit"])
