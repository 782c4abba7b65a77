"""The compiled form of a statement: its SQL, how values become the driver's arguments, and how its rows become ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import InvalidRequestError

from kernel_service.storage.engine.results import Result, row_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Dialect, Executable
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.types import TypeEngine

    Values = Mapping[str, Any]
    Convert = Callable[[Any], Any]


class Form:
    __slots__ = ("_binds", "_constants", "_lists", "_reads", "_types", "returns_rows", "sql")

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
        self.returns_rows = bool(self._types)

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

    def run(self, connection: Connection, arguments: Any, dialect: Dialect, *, many: bool) -> Result:
        """Raises what the driver raises. `many`: the arguments are many sets, and no rows return."""
        cursor = connection.connection.cursor()
        (cursor.executemany if many else cursor.execute)(self.sql, arguments)
        result = Result()
        if cursor.description is not None:
            rows = cursor.fetchall()
            if self._reads is None:
                self._reads = _reader(cursor.description, self._types, dialect)
            result.extend(map(self._reads, rows))
        result.rowcount = cursor.rowcount
        return result


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
