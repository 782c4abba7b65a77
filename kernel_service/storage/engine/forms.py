"""The compiled form of a statement: its SQL, how values become the driver's arguments, and how its rows become ours.

A statement has several forms: one for each set of columns that an INSERT or UPDATE is given, and one for each length of
a list parameter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Insert, TupleType, Update
from sqlalchemy.exc import InvalidRequestError

from kernel_service.storage.engine.results import Result, row_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Dialect, Executable
    from sqlalchemy.engine.interfaces import DBAPICursor
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.types import TypeEngine

    Values = Mapping[str, Any]
    Convert = Callable[[Any], Any]

MOST: Final = 64
"""Forms of one statement that are kept."""


class Forms:
    """The forms of one statement. Holds the statement nowhere, so that it can be forgotten."""

    __slots__ = ("_by_columns", "_known", "_lists")

    def __init__(self, statement: Executable, values: Values, dialect: Dialect) -> None:
        compiled = _compiled(statement, values, dialect)
        self._by_columns = isinstance(statement, Insert | Update)
        self._lists = [name for name, bind in compiled.binds.items() if bind.expanding and bind.required]
        self._known: dict[Any, Form | None] = {}
        self._keep(statement, compiled, values, dialect)

    def form(self, statement: Executable, values: Values, dialect: Dialect) -> Form | None:
        """None: only SQLAlchemy itself can run the statement."""
        try:
            return self._known[self._shape(values)]
        except KeyError:  # asked in one step, because another thread may clear them
            return self._keep(statement, _compiled(statement, values, dialect), values, dialect)

    def _shape(self, values: Values) -> Any:
        columns: Any = tuple(values) if self._by_columns else ()
        return (columns, *(len(values.get(name, ())) for name in self._lists)) if self._lists else columns

    def _keep(self, statement: Executable, compiled: SQLCompiler, values: Values, dialect: Dialect) -> Form | None:
        if len(self._known) >= MOST:
            self._known.clear()
        form = Form(statement, compiled, values, dialect) if _is_complete(compiled) else None
        self._known[self._shape(values)] = form
        return form


class Form:
    __slots__ = ("_binds", "_constants", "_lists", "_reads", "_types", "sql")

    def __init__(self, statement: Executable, compiled: SQLCompiler, values: Values, dialect: Dialect) -> None:
        expanded = compiled.construct_expanded_state(values)
        lists = expanded.parameter_expansion
        source = {element: name for name, elements in lists.items() for element in elements}
        names = expanded.positiontup or ()
        self.sql = expanded.statement
        self._lists = [(name, elements) for name, elements in lists.items() if name in values]
        self._constants = {name: expanded.parameters[name] for name in names if source.get(name, name) not in values}
        self._binds = [(name, _bind(compiled.binds[source.get(name, name)].type, dialect)) for name in names]
        self._types = [column.type.dialect_impl(dialect) for column in getattr(statement, "exported_columns", ())]
        self._reads: Convert | None = None

    @property
    def returns_rows(self) -> bool:
        return bool(self._types)

    def arguments(self, values: Values) -> tuple[Any, ...]:
        """The driver's. Raises `InvalidRequestError` if one is missing."""
        if self._constants or self._lists:
            given = {**self._constants, **values}
            for name, elements in self._lists:
                given.update(zip(elements, values[name], strict=True))
            values = given
        try:
            return tuple([values[name] if bind is None else bind(values[name]) for name, bind in self._binds])
        except KeyError as missing:
            raise InvalidRequestError(f"A value is required for bind parameter {missing}") from None

    def result(self, cursor: DBAPICursor, dialect: Dialect) -> Result:
        if cursor.description is None:
            return Result((), cursor.rowcount)
        rows = cursor.fetchall()
        if self._reads is None:
            self._reads = _reader(cursor.description, self._types, dialect)
        return Result([self._reads(row) for row in rows], cursor.rowcount)


def _compiled(statement: Any, values: Values, dialect: Dialect) -> SQLCompiler:
    if isinstance(statement, Insert):
        statement = statement.inline()  # no caller asks for the keys that the database makes
    compiled: SQLCompiler = statement.compile(dialect=dialect, column_keys=sorted(values))
    return compiled


def _is_complete(compiled: SQLCompiler) -> bool:
    """Whether nothing but the given values is needed: no value that Python makes, and none within the SQL's text."""
    made = any(bind.callable or isinstance(bind.type, TupleType) for bind in compiled.binds.values())
    return not (made or compiled.literal_execute_params or compiled.insert_prefetch or compiled.update_prefetch)


def _bind(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _reader(description: Sequence[Sequence[Any]], types: Sequence[TypeEngine[Any]], dialect: Dialect) -> Convert:
    """Makes a row of the driver's. Without `types`, as for text, the driver's values are taken as they are."""
    make = row_of(tuple(column[0] for column in description))
    if not types:
        return make
    codes = [column[1] for column in description]
    converts = [kind.result_processor(dialect, code) for kind, code in zip(types, codes, strict=True)]
    changed = [(place, convert) for place, convert in enumerate(converts) if convert is not None]
    if not changed:
        return make

    def read(row: Sequence[Any]) -> Any:
        values = list(row)
        for place, convert in changed:
            values[place] = convert(values[place])
        return make(values)

    return read
