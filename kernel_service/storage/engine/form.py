"""The compiled form of a statement: its SQL, how values become the driver's arguments, and how its rows become ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import InvalidRequestError

from kernel_service.storage.engine.results import row_of
from kernel_service.storage.schema.columns import Text, stored_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Dialect, Executable
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.types import TypeEngine

    Values = Mapping[str, Any]
    Convert = Callable[[Any], Any]


class Form:
    __slots__ = (
        "_binds",
        "_constants",
        "_dialect",
        "_lists",
        "_names",
        "_texts",
        "_types",
        "read",
        "returns_rows",
        "sql",
    )

    def __init__(self, statement: Executable, compiled: SQLCompiler, values: Values, dialect: Dialect) -> None:
        expanded = compiled.construct_expanded_state(values)
        lists = expanded.parameter_expansion
        source = {element: name for name, elements in lists.items() for element in elements}
        self.sql = expanded.statement
        self._names = tuple(expanded.positiontup or ())
        self._lists = [(name, elements) for name, elements in lists.items() if name in values]
        types = {name: compiled.binds[source.get(name, name)].type.dialect_impl(dialect) for name in self._names}
        binds = {name: kind.bind_processor(dialect) for name, kind in types.items()}
        self._constants = {
            name: _bound(expanded.parameters[name], binds[name])
            for name in self._names
            if source.get(name, name) not in values
        }
        given = [(place, name) for place, name in enumerate(self._names) if name not in self._constants]
        self._texts = [place for place, name in given if isinstance(types[name], Text)]
        self._binds = [(place, bind) for place, name in given if (bind := binds[name]) and place not in self._texts]
        self._types = [column.type.dialect_impl(dialect) for column in getattr(statement, "exported_columns", ())]
        self._dialect = dialect
        self.read: Convert | None = None
        """Makes a row of the driver's, after `reader`."""
        self.returns_rows = bool(self._types)

    def arguments(self, values: Values) -> list[Any]:
        """The driver's. Raises `InvalidRequestError` if one is missing."""
        if self._constants or self._lists:
            given = {**self._constants, **values}
            for name, elements in self._lists:
                given.update(zip(elements, values[name], strict=True))
            values = given
        try:
            bound = [*map(values.__getitem__, self._names)]
        except KeyError as missing:
            raise InvalidRequestError(f"A value is required for bind parameter {missing}") from None
        for place in self._texts:
            text = bound[place]  # nearly all are ids of ours: the test here spares a call for each
            if text is not None and not (isinstance(text, str) and text.isascii() and "\0" not in text):
                bound[place] = stored_text(text)
        for place, bind in self._binds:
            bound[place] = bind(bound[place])
        return bound

    def reader(self, description: Sequence[Sequence[Any]]) -> Convert:
        """`read`, once the driver has described the columns."""
        self.read = _reader(description, self._types, self._dialect)
        return self.read


def _bound(value: Any, bind: Convert | None) -> Any:
    return value if bind is None else bind(value)


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
