"""Statements of SQLAlchemy Core, compiled once and run by the driver itself, in the connection's transaction.

SQLAlchemy writes the SQL and converts the values, by its public interface. Its way of executing costs several times
what the driver needs for the same statement, so a compiled statement goes straight to the driver's cursor.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy.exc import DBAPIError, InvalidRequestError

from kernel_service.storage.engine.compiling import compiled_form
from kernel_service.storage.engine.results import Result, row_of
from kernel_service.storage.schema.columns import stored_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Dialect, Executable

    from kernel_service.storage.engine.compiling import Convert, Form

    Values = Mapping[str, Any]
    Observer = Callable[[Connection, str, Any, bool], None]

MOST: Final = 64
"""Forms of one statement that are kept."""
_MANY: Final = (list, tuple)


class Statements:
    """The compiled statements of one database. An unused statement is dropped. Thread-safe.

    Each of `observers` is called before a statement runs, with the connection, the SQL, the driver's arguments, and
    whether these are many sets of arguments.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.observers: list[Observer] = []
        self._dialect = dialect
        self._forms: WeakKeyDictionary[Executable, _Forms] = WeakKeyDictionary()

    def __len__(self) -> int:
        return len(self._forms)

    def execute(
        self, connection: Connection, cursor: Any, statement: Executable, given: Values | Sequence[Values] | None = None
    ) -> Result:
        """In the connection's transaction, which has begun, on the driver's `cursor`.

        Raises what SQLAlchemy raises, with the values hidden.
        """
        values: Any = given or {}
        if isinstance(values, _MANY):
            return self._execute_many(connection, statement, values)
        form = self._form(statement, values)
        if form is None:
            return _by_sqlalchemy(connection, statement, values)
        try:
            arguments = _arguments(form, values)
            for observe in self.observers:
                observe(connection, form.sql, arguments, False)
            cursor.execute(form.sql, arguments)
            rows = cursor.fetchall()
        except Exception as error:
            raise self.failure(connection, form.sql, error) from error
        except asyncio.CancelledError as error:
            connection.invalidate(error)  # the driver may have stopped in the middle of an answer
            raise
        result = Result(map(form.read or self._reader(form, cursor.description), rows) if rows else ())
        result.rowcount = cursor.rowcount
        return result

    def _execute_many(self, connection: Connection, statement: Executable, values: Sequence[Values]) -> Result:
        form = self._form(statement, values[0])
        if form is None or form.types:
            return _by_sqlalchemy(connection, statement, values)
        cursor = connection.connection.cursor()  # a driver may leave the count of the statement before
        try:
            arguments = [_arguments(form, each) for each in values]
            for observe in self.observers:
                observe(connection, form.sql, arguments, True)
            cursor.executemany(form.sql, arguments)
        except Exception as error:
            raise self.failure(connection, form.sql, error) from error
        except asyncio.CancelledError as error:
            connection.invalidate(error)
            raise
        result = Result()
        result.rowcount = cursor.rowcount
        return result

    def _form(self, statement: Executable, values: Values) -> Form | None:
        """None: only SQLAlchemy itself can run the statement."""
        forms = self._forms.get(statement)
        if forms is None:
            forms = self._forms[statement] = _Forms()
        try:
            return forms.known[forms.shape(values) if forms.lists else tuple(values)]
        except KeyError:  # a single lookup, because another thread may clear them
            return forms.add(statement, values, self._dialect)

    def _reader(self, form: Form, description: Sequence[Sequence[Any]]) -> Convert:
        """`form.read`, now that the driver has described the columns."""
        form.read = _row_reader(form, description, self._dialect)
        return form.read

    def failure(self, connection: Connection, sql: str, error: Exception) -> Exception:
        """The exception that SQLAlchemy raises for an error of the driver, or for a value that it does not accept."""
        base = self._dialect.loaded_dbapi.Error
        if isinstance(error, base) and self._dialect.is_disconnect(error, connection.connection, None):
            # SQLAlchemy detects the lost connection as well, and discards those of the pool that are as old.
            connection.exec_driver_sql("SELECT 1")
        return DBAPIError.instance(sql, None, error, base, hide_parameters=True, dialect=self._dialect)


class _Forms:
    """The forms of one statement: one for each set of names that are given, with each length of a list parameter.

    Holds no reference to the statement, so that it can be dropped.
    """

    __slots__ = ("known", "lists")

    def __init__(self) -> None:
        self.lists: tuple[str, ...] = ()
        """The names of its list parameters."""
        self.known: dict[Any, Form | None] = {}

    def add(self, statement: Executable, values: Values, dialect: Dialect) -> Form | None:
        """Compile it for these values. Raises `StatementError` if one is missing."""
        form, self.lists = compiled_form(statement, values, dialect)
        if len(self.known) >= MOST:
            self.known.clear()
        self.known[self.shape(values) if self.lists else tuple(values)] = form
        return form

    def shape(self, values: Values) -> Any:
        return (*values, *map(len, map(values.__getitem__, self.lists)))


def _arguments(form: Form, values: Values) -> list[Any]:
    """The driver's. Raises `InvalidRequestError` if one is missing."""
    if form.constants or form.lists:
        given = {**form.constants, **values}
        for name, elements in form.lists:
            given.update(zip(elements, values[name], strict=True))
        values = given
    try:
        bound = [*map(values.__getitem__, form.names)]
    except KeyError as missing:
        raise InvalidRequestError(f"A value is required for bind parameter {missing}") from None
    for place in form.texts:
        text = bound[place]  # nearly all are ids of ours: the test here spares a call for each
        if text is not None and not (isinstance(text, str) and text.isascii() and "\0" not in text):
            bound[place] = stored_text(text)
    for place, bind in form.binds:
        bound[place] = bind(bound[place])
    return bound


def _row_reader(form: Form, description: Sequence[Sequence[Any]], dialect: Dialect) -> Convert:
    """Makes a row of the driver's. Without types, as for text, the driver's values are taken as they are."""
    make = row_of(tuple(column[0] for column in description))
    if not form.types:
        return make
    codes = [column[1] for column in description]
    converts = [kind.result_processor(dialect, code) for kind, code in zip(form.types, codes, strict=True)]
    changed = [(place, convert) for place, convert in enumerate(converts) if convert is not None]
    if not changed:
        return make

    def read(row: Sequence[Any]) -> Any:
        values = list(row)
        for place, convert in changed:
            values[place] = convert(values[place])
        return make(values)

    return read


def _by_sqlalchemy(connection: Connection, statement: Executable, values: Any) -> Result:
    """A statement whose SQL or values are complete only when it runs, and many sets of values that return rows."""
    result = connection.execute(statement, values)
    read = Result(map(row_of(tuple(result.keys())), result) if result.returns_rows else ())
    read.rowcount = result.rowcount
    return read
