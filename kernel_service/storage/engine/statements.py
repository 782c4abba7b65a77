"""Statements of SQLAlchemy Core, compiled once and run by the driver itself, in the connection's transaction.

SQLAlchemy writes the SQL and converts the values, by its public interface. Its way of executing costs several times
what the driver needs for the same statement, so a compiled statement goes straight to the driver's cursor.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Insert, TupleType, Update
from sqlalchemy.exc import DBAPIError, InvalidRequestError, StatementError

from kernel_service.storage.engine.form import Form
from kernel_service.storage.engine.results import Result, row_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Dialect, Executable
    from sqlalchemy.sql.compiler import SQLCompiler

    Values = Mapping[str, Any]
    Observer = Callable[[Connection, str, Any, bool], None]

MOST: Final = 64
"""Forms of one statement that are kept."""


class Statements:
    """The compiled statements of one database. An unused statement is forgotten. Thread-safe.

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
        self, connection: Connection, statement: Executable, given: Values | Sequence[Values] | None = None
    ) -> Result:
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
                forms = self._forms[statement] = _Forms(statement, values, self._dialect)
            return forms.form(statement, values, self._dialect)
        except InvalidRequestError as error:  # a value is missing
            raise StatementError(str(error), None, None, error, hide_parameters=True) from error

    def _run(self, connection: Connection, form: Form, arguments: Any, *, many: bool) -> Result:
        try:
            return form.run(connection, arguments, self._dialect, many=many)
        except self._dialect.loaded_dbapi.Error as error:
            if self._dialect.is_disconnect(error, connection.connection, None):
                # SQLAlchemy meets the lost connection as well, and discards those of the pool that are as old.
                connection.exec_driver_sql("SELECT 1")
            raise self._mapped(error, form) from error
        except asyncio.CancelledError as error:
            connection.invalidate(error)  # the driver may have stopped in the middle of an answer
            raise

    def _mapped(self, error: Exception, form: Form) -> Exception:
        base = self._dialect.loaded_dbapi.Error
        return DBAPIError.instance(form.sql, None, error, base, hide_parameters=True, dialect=self._dialect)


class _Forms:
    """The forms of one statement: one for each set of columns that an INSERT or UPDATE is given, one for each length of
    a list parameter. Holds the statement nowhere, so that it can be forgotten.
    """

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


def _compiled(statement: Any, values: Values, dialect: Dialect) -> SQLCompiler:
    if isinstance(statement, Insert):
        statement = statement.inline()  # no caller asks for the keys that the database makes
    compiled: SQLCompiler = statement.compile(dialect=dialect, column_keys=sorted(values))
    return compiled


def _is_complete(compiled: SQLCompiler) -> bool:
    """Whether nothing but the given values is needed: no value that Python makes, and none within the SQL's text."""
    made = any(bind.callable or isinstance(bind.type, TupleType) for bind in compiled.binds.values())
    return not (made or compiled.literal_execute_params or compiled.insert_prefetch or compiled.update_prefetch)


def _by_sqlalchemy(connection: Connection, statement: Executable, values: Any) -> Result:
    """A statement whose SQL or values are complete only when it runs, and many sets of values that return rows."""
    result = connection.execute(statement, values)
    read = Result(map(row_of(tuple(result.keys())), result) if result.returns_rows else ())
    read.rowcount = result.rowcount
    return read
