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
        return "; ".join(f"{blow}: {_percentiles(self.waits[blow])}, {self.late(blow)} late" for blow in WANTED)


def progress(log: Iterable[Effect]) -> Progress:
    found, told = evidence.Evidence(), Progress()
    held: dict[str, tuple[str, float]] = {}
    down: set[str] = set()
    for effect in log:
        found.add(effect)
        _note_down(down, effect)
        if effect.kind in _BLOWS and effect.key.startswith(_SERVICE) and not down:
            taken = (message.phone for message in found.waiting if message.taken)
            held.update(dict.fromkeys(taken, (_BLOWS[effect.kind], effect.at)))
        elif down or (effect.kind in _HELD_UP and not effect.key.startswith(_SERVICE)):
            held.clear()
        elif effect.kind in _PROGRESS:
            for phone in _people(found, effect) & held.keys():
                blow, at = held.pop(phone)
                told.waits[blow].append(effect.at - at)
    return told


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
