"""How long people wait for progress after a kernel service was killed or frozen, from the effect log alone."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.crash import evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emulators.effects import Effect

WANTED: Final = {"killed": 5.0, "frozen": 8.0}
"""The longest wait, in seconds, by what happened to the node."""
IN_A_CALL: Final = "in a call"
"""Waits of people whose turn had just called a tool: the vendor may still work on a call that was cut."""
UNSENT: Final = "unsent"
"""Waits of people whose answer was made: it may be in doubt, if a gateway died as well."""
_SERVICE: Final = "kernel_service"
_BLOWS: Final = {"killed": "killed", "died": "killed", "frozen": "frozen"}
_PROGRESS: Final = frozenset({"model_call", "tool_execution", "graph_send"})
_HELD_UP: Final = frozenset({"started", "ready", "resumed"})
"""After these a wait begins again: meanwhile the database or a gateway could not serve anybody."""


@dataclass(slots=True)
class Progress:
    """`waits` are seconds from a blow to the next effect of each person who then had an unanswered message, by blow.

    The log does not name a person's node. So these are all waiting people, not only those of the node concerned.
    """

    waits: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def late(self, blow: str) -> int:
        return sum(wait > WANTED[blow] for wait in self.waits[blow])

    def __str__(self) -> str:
        told = [f"{blow}: {_percentiles(self.waits[blow])}, {self.late(blow)} late" for blow in WANTED]
        apart = [f"{reason}: {_percentiles(self.waits[reason])}" for reason in (IN_A_CALL, UNSENT)]
        return "; ".join([*told, *apart])


def progress(log: Iterable[Effect]) -> Progress:
    found, told = evidence.Evidence(), Progress()
    held: dict[str, tuple[str, float]] = {}
    down: set[str] = set()
    apart: dict[str, str] = {}
    for effect in log:
        found.add(effect)
        _note_down(down, effect)
        of_node = effect.key.startswith(_SERVICE)
        if down or (effect.kind in _HELD_UP and not of_node):
            held.clear()
        elif effect.kind in _BLOWS and of_node:
            for phone in {message.phone for message in found.waiting if message.taken}:
                held[phone] = apart.get(phone) or _BLOWS[effect.kind], effect.at
        if effect.kind in _PROGRESS:
            people = _people(found, effect)
            for phone in people & held.keys():
                blow, at = held.pop(phone)
                told.waits[blow].append(effect.at - at)
            apart.update(dict.fromkeys(people, _apart(effect)))
    return told


def _apart(effect: Effect) -> str:
    """Why a wait after this effect is counted apart; "" if it is not."""
    if effect.kind == "tool_execution" or "function_call" in effect.detail.get("output", ()):
        return IN_A_CALL
    return UNSENT if effect.kind == "model_call" else ""


def _note_down(down: set[str], effect: Effect) -> None:
    """Keep which gateways, or whether the database, cannot serve now."""
    if effect.key.startswith(_SERVICE):
        return
    if effect.kind in {"killed", "died", "frozen", "stopped"}:
        down.add(effect.key)
    elif effect.kind in _HELD_UP:
        down.discard(effect.key)


def _people(found: evidence.Evidence, effect: Effect) -> set[str]:
    """The phones of the people whose messages the effect concerns."""
    text = str(effect.detail.get("text", effect.detail.get("arguments", "")))
    return {found.messages[token].phone for token in evidence.tokens(text) if token in found.messages}


def _percentiles(waits: Sequence[float]) -> str:
    if len(waits) < 2:
        return f"{len(waits)} waits"
    cuts = statistics.quantiles(waits, n=100, method="inclusive")
    shown = ", ".join(f"p{percent} {cuts[percent - 1]:.1f}" for percent in (50, 90, 99))
    return f"{len(waits)} waits, {shown}, longest {max(waits):.1f} s"
