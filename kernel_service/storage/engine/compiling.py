"""Compiles a statement for given names of values and lengths of lists, by SQLAlchemy's public interface.

A statement is compiled once for each, and then run often: see `statements`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Insert, TupleType
from sqlalchemy.exc import InvalidRequestError, StatementError

from kernel_service.storage.schema.columns import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Dialect, Executable
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.types import TypeEngine

    Values = Mapping[str, Any]
    Convert = Callable[[Any], Any]


@dataclass(slots=True, eq=False)
class Form:
    """A compiled statement: its SQL, and what makes the driver's arguments and our rows."""

    sql: str
    names: tuple[str, ...]
    """Of the driver's arguments, in their order."""
    constants: dict[str, Any]
    """Arguments that the statement itself holds, in the driver's form."""
    lists: list[tuple[str, Sequence[str]]]
    """The list parameters, each with the names of its elements."""
    texts: list[int]
    """The positions of arguments that are text."""
    binds: list[tuple[int, Convert]]
    """The positions of other arguments that need a conversion, with it."""
    types: list[TypeEngine[Any]]
    """Of the columns of its rows; none: it returns no rows, or is plain SQL."""
    read: Convert | None = None
    """Makes our row of one of the driver's. Known once the driver has described the columns."""


def compiled_form(statement: Executable, values: Values, dialect: Dialect) -> tuple[Form | None, tuple[str, ...]]:
    """The form, and the names of the statement's list parameters. No form: only SQLAlchemy itself can run it.

    Raises `StatementError` if a value is missing.
    """
    try:
        compiled = _compiled(statement, values, dialect)
        form = _form(statement, compiled, values, dialect) if _is_complete(compiled) else None
    except InvalidRequestError as error:
        raise StatementError(str(error), None, None, error, hide_parameters=True) from error
    return form, tuple(name for name, bind in compiled.binds.items() if bind.expanding and bind.required)


def _compiled(statement: Any, values: Values, dialect: Dialect) -> SQLCompiler:
    if isinstance(statement, Insert):
        statement = statement.inline()  # no caller reads the keys that the database generates
    compiled: SQLCompiler = statement.compile(dialect=dialect, column_keys=sorted(values))
    return compiled


def _is_complete(compiled: SQLCompiler) -> bool:
    """Whether nothing but the given values is needed: no value that Python makes, and none within the SQL's text."""
    made = any(bind.callable or isinstance(bind.type, TupleType) for bind in compiled.binds.values())
    return not (made or compiled.literal_execute_params or compiled.insert_prefetch or compiled.update_prefetch)


def _form(statement: Executable, compiled: SQLCompiler, values: Values, dialect: Dialect) -> Form:
    expanded = compiled.construct_expanded_state(values)
    lists = expanded.parameter_expansion
    source = {element: name for name, elements in lists.items() for element in elements}
    names = tuple(expanded.positiontup or ())
    types = {name: compiled.binds[source.get(name, name)].type.dialect_impl(dialect) for name in names}
    binds = {name: kind.bind_processor(dialect) for name, kind in types.items()}
    constants = {
        name: _bound(expanded.parameters[name], binds[name]) for name in names if source.get(name, name) not in values
    }
    given = [(place, name) for place, name in enumerate(names) if name not in constants]
    texts = [place for place, name in given if isinstance(types[name], Text)]
    return Form(
        expanded.statement,
        names,
        constants,
        [(name, elements) for name, elements in lists.items() if name in values],
        texts,
        [(place, bind) for place, name in given if (bind := binds[name]) and place not in texts],
        [column.type.dialect_impl(dialect) for column in getattr(statement, "exported_columns", ())],
    )


def _bound(value: Any, bind: Convert | None) -> Any:
    return value if bind is None else bind(value)
