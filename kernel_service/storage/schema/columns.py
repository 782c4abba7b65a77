"""Shared parts of all tables: the column types and the metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    false,
    text,
)

from kernel_service.storable import storable_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from enum import StrEnum

    from sqlalchemy import Dialect


class Text(TypeDecorator[str]):
    """A column for any text that a vendor or a channel sent. PostgreSQL refuses NUL, both databases a
    lone surrogate.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return stored_text(value)

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:  # noqa: ARG002
        """The function itself: a `TypeDecorator` would wrap it in another for each value of each statement."""
        return stored_text


def stored_text(value: str | None) -> str | None:
    """A value as a `Text` column keeps it."""
    if value is None:
        return None
    # Some vendors send a number where their documentation states text.
    return storable_text(value if isinstance(value, str) else str(value))


class Sealed(LargeBinary):
    """Sealed with the data key of the row's person, for the value's place (`ciphers.place`)."""


class Wrapped(LargeBinary):
    """Sealed with the master key that an adjacent column names."""


class Digest(LargeBinary):
    """Looked up by the digest of a value; the value cannot be read from it."""


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


# SQLite numbers rows automatically only for INTEGER PRIMARY KEY.
Serial = BigInteger().with_variant(Integer, "sqlite")


def person_id(*, primary_key: bool = False, index: bool | None = None) -> Column[str]:
    return Column("person_id", Text, ForeignKey("person.id"), nullable=False, primary_key=primary_key, index=index)


def empty(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def zero(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=text("0"))


def no(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=false())


def partial_index(name: str, *columns: Column[Any], where: str, unique: bool = False) -> None:
    """A partial index of the rows that match `where`. A statement must repeat that condition literally to use it.

    SQLite plans before it knows the value of a bound parameter. A plan that PostgreSQL caches does not know it either.
    """
    Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


def one_of(column: str, states: Iterable[StrEnum]) -> str:
    """States as literals, for a partial index."""
    return f"{column} IN ({_literals(states)})"


def any_of(column: str, states: Iterable[StrEnum]) -> str:
    """As `one_of`. SQLite makes a table of a list of three or more, each time that it runs a statement."""
    return "(" + " OR ".join(f"{column} = '{state.value}'" for state in states) + ")"


def none_of(column: str, states: Iterable[StrEnum]) -> str:
    return f"{column} NOT IN ({_literals(states)})"


def _literals(states: Iterable[StrEnum]) -> str:
    return ", ".join(f"'{state.value}'" for state in states)


def counts(*names: str) -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False, server_default=text("0")) for name in names]


def usage_counts() -> list[Column[int]]:
    return counts(
        "input_tokens",
        "cached_input_tokens",
        "output_tokens",
        "reasoning_tokens",
        "model_calls",
        "tool_calls",
    )


def row_key(table: Table) -> tuple[Column[Any], ...]:
    """The columns that identify a row from its first statement and never change, in the order of `ciphers.place()`."""
    return tuple(table.c[name] for name in table.info.get("row_key", ())) or tuple(table.primary_key.columns)
