"""State transitions in SQL: which rows a statement may change. The transition tables are in `ports/states`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import literal_column

if TYPE_CHECKING:
    from collections.abc import Iterable
    from enum import StrEnum

    from sqlalchemy import ColumnElement

    from kernel_service.ports.states.state_machine import StateMachine, Transition

    S = TypeVar("S", bound=StrEnum)


def is_one_of(column: ColumnElement[str], states: Iterable[str]) -> ColumnElement[bool]:
    """The states are literals: a list of parameters would be expanded each time that the statement runs."""
    return column.in_([literal_column(f"'{state}'") for state in states])


def may_take(column: ColumnElement[str], transition: Transition[S]) -> ColumnElement[bool]:
    """Whether the row is in one of the transition's source states."""
    return is_one_of(column, transition.sources)


def may_become(column: ColumnElement[str], machine: StateMachine[S], target: S) -> ColumnElement[bool]:
    """Whether the row is in a state from which it may become `target`."""
    return is_one_of(column, machine.sources(target))
