"""docs/reference/states.md: the diagrams and the tables of all state machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from checks.reference.markdown import page as written
from checks.reference.markdown import paragraphs, table
from kernel_service.ports.states import connect_attempt, media, message, part, reply, turn

if TYPE_CHECKING:
    from types import ModuleType

    from kernel_service.ports.states.state_machine import StateMachine

_INTRODUCTION: Final = """\
# States

Each concern has one table of transitions in [kernel_service/ports/states](../../kernel_service/ports/states). Code
checks the table before it changes a state, and SQL statements read from it which states they may change. A test watches
a real database with triggers. The diagrams show the tables; below each is the same in words, with the numbers of the
events."""


_MOST_WORDED: Final = 20
"""A diagram with more arrows has the numbers of the events, which the table explains."""


class Concern(NamedTuple):
    """The docstring of `module` says what has these states."""

    title: str
    module: ModuleType
    machine: StateMachine[Any]


CONCERNS: Final = (
    Concern("Message", message, message.MESSAGE),
    Concern("Turn", turn, turn.TURN),
    Concern("Reply", reply, reply.REPLY),
    Concern("Part of a reply", part, part.PART),
    Concern("Connect attempt", connect_attempt, connect_attempt.CONNECT_ATTEMPT),
    Concern("File", media, media.MEDIA),
)


def page() -> str:
    return written("the tables of transitions", _INTRODUCTION, *(each for concern in CONCERNS for each in _of(concern)))


def _of(concern: Concern) -> list[str]:
    rows = [
        (
            str(number),
            each.event,
            ", ".join(f"`{state.name.lower()}`" for state in each.sources),
            f"`{each.target.name.lower()}`",
        )
        for number, each in enumerate(concern.machine.transitions, 1)
    ]
    return [
        f"## {concern.title}",
        paragraphs(concern.module.__doc__ or ""),
        f"```mermaid\n{_titled(concern)}\n```",
        table(["No.", "Event", "From", "To"], rows),
    ]


def _titled(concern: Concern) -> str:
    """With the title that a screen reader says."""
    machine = concern.machine
    arrows = sum(max(1, len(each.sources)) for each in machine.transitions)
    kind, _, drawn = machine.mermaid(numbered=arrows > _MOST_WORDED).partition("\n")
    return f"{kind}\n    accTitle: States of a {concern.title.lower()}\n{drawn}"
