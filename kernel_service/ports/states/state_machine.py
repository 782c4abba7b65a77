"""States and their transitions: used by the domain, compiled into SQL, drawn as a diagram."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

S = TypeVar("S", bound=StrEnum)


class ForbiddenTransitionError(Exception):
    """A transition that is not in the table: a bug in the code. The text names only states."""


@dataclass(frozen=True, slots=True)
class Transition(Generic[S]):
    """An `event` that moves any of `sources` to `target`. Without sources it creates the object."""

    event: str
    sources: tuple[S, ...]
    target: S


@dataclass(frozen=True, slots=True)
class StateMachine(Generic[S]):
    """Staying in a state is not a transition, and is always allowed."""

    states: type[S]
    transitions: tuple[Transition[S], ...]
    _steps: frozenset[tuple[S, S]] = field(init=False, repr=False)
    """Each source with each of its targets."""

    def __post_init__(self) -> None:
        steps = frozenset((source, each.target) for each in self.transitions for source in each.sources)
        object.__setattr__(self, "_steps", steps)  # frozen

    def sources(self, target: S) -> list[str]:
        """The stored values of the source states of this target, for a statement's WHERE."""
        found = {source: None for each in self.transitions if each.target is target for source in each.sources}
        return [state.value for state in self.states if state in found]

    def allows(self, source: S, target: S) -> bool:
        return source is target or (source, target) in self._steps

    def check(self, source: S, target: S) -> None:
        """ForbiddenTransitionError if this state cannot become that one."""
        if not self.allows(source, target):
            raise ForbiddenTransitionError(f"{self.states.__name__}: {_name(source)} cannot become {_name(target)}")

    def mermaid(self, *, numbered: bool = False) -> str:
        """A Mermaid `stateDiagram-v2`. `numbered`: events are their numbers, from 1, so that many find room."""
        return "\n".join(["stateDiagram-v2", *self._arrows(numbered=numbered), *self._ends()])

    def _arrows(self, *, numbered: bool) -> list[str]:
        """One for each two states, with all events that lead from one to the other."""
        events: dict[tuple[str, str], list[str]] = {}
        for number, each in enumerate(self.transitions, 1):
            for source in map(_name, each.sources) if each.sources else ("[*]",):
                events.setdefault((source, _name(each.target)), []).append(str(number) if numbered else each.event)
        return [f"    {source} --> {target}: {', '.join(between)}" for (source, target), between in events.items()]

    def _ends(self) -> list[str]:
        left = {source for each in self.transitions for source in each.sources}
        return [f"    {_name(state)} --> [*]" for state in self.states if state not in left]


def _name(state: StrEnum) -> str:
    """Its name, since its value may be empty."""
    return state.name.lower()
