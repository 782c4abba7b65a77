"""Statements of SQLAlchemy Core, compiled once and run by the driver itself, in the connection's transaction.

SQLAlchemy writes the SQL and converts the values, by its public interface. Its way of executing costs several times
what the driver needs for the same statement, so a compiled statement goes straight to the driver's cursor.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy.exc import DBAPIError, InvalidRequestError, StatementError

from kernel_service.storage.engine.forms import Form, Forms
from kernel_service.storage.engine.results import Result, row_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Dialect, Executable

    Values = Mapping[str, Any]
    Observer = Callable[[Connection, str, Any, bool], None]


class Statements:
    """The compiled statements of one database. An unused statement is forgotten. Thread-safe.

    Each of `observers` is called before a statement runs, with the connection, the SQL, the driver's arguments, and
    whether these are many sets of arguments.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.observers: list[Observer] = []
        self._dialect = dialect
        self._forms: WeakKeyDictionary[Executable, Forms] = WeakKeyDictionary()

    def __len__(self) -> int:
        return len(self._forms)

    def execute(self, connection: Connection, statement: Executable, given: Values | Sequence[Values] | None) -> Result:
        """The connection's transaction has begun. Raises what SQLAlchemy raises, with the values hidden."""
        values: Any = given or {}
        many = isinstance(values, list | tuple)
        form = self._form(statement, values[0] if many else values)
        if form is None or (many and form.returns_rows):
            return _by_sqlalchemy(connection, statement, values)
        try:
            arguments = [form.arguments(each) for each in values] if many else form.arguments(values)
        except Exception as error:
            raise self._mapped(error, form) from error
        for observe in self.observers:
            observe(connection, form.sql, arguments, many)
        return self._run(connection, form, arguments, many=many)

    def _form(self, statement: Executable, values: Values) -> Form | None:
        forms = self._forms.get(statement)
        try:
            if forms is None:
                forms = self._forms[statement] = Forms(statement, values, self._dialect)
            return forms.form(statement, values, self._dialect)
        except InvalidRequestError as error:  # a value is missing
            raise StatementError(str(error), None, None, error, hide_parameters=True) from error

    def _run(self, connection: Connection, form: Form, arguments: Any, *, many: bool) -> Result:
        driver = connection.connection
        try:
            cursor = driver.cursor()
            (cursor.executemany if many else cursor.execute)(form.sql, arguments)
            return form.result(cursor, self._dialect)
        except self._dialect.loaded_dbapi.Error as error:
            if self._dialect.is_disconnect(error, driver, None):
                # SQLAlchemy meets the lost connection as well, and discards those of the pool that are as old.
                connection.exec_driver_sql("SELECT 1")
            raise self._mapped(error, form) from error
        except asyncio.CancelledError as error:
            connection.invalidate(error)  # the driver may have stopped in the middle of an answer
            raise

    def _mapped(self, error: Exception, form: Form) -> Exception:
        base = self._dialect.loaded_dbapi.Error
        return DBAPIError.instance(form.sql, None, error, base, hide_parameters=True, dialect=self._dialect)


def _by_sqlalchemy(connection: Connection, statement: Executable, values: Any) -> Result:
    """A statement whose SQL or values are complete only when it runs, and many sets of values that return rows."""
    result = connection.execute(statement, values)
    if not result.returns_rows:
        return Result((), result.rowcount)
    make = row_of(tuple(result.keys()))
    return Result([make(row) for row in result], result.rowcount)
