"""What all tables are made of: the types of columns, and the metadata that they share."""

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
    from collections.abc import Iterable
    from enum import StrEnum

    from sqlalchemy import Dialect


class Text(TypeDecorator[str]):
    """A column that takes whatever text a vendor or a channel sent: PostgreSQL refuses NUL, both lone surrogates."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        # What a vendor puts where its documents say text may be a number.
        return None if value is None else storable_text(value if isinstance(value, str) else str(value))


class Sealed(LargeBinary):
    """Sealed with the data key of the row's person, for the value's place (ciphers.place)."""


class Wrapped(LargeBinary):
    """Sealed with the master key that a column beside it names."""


class Digest(LargeBinary):
    """Found again by what it is of, which nobody reads from it."""


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


# SQLite counts only INTEGER PRIMARY KEY by itself.
Serial = BigInteger().with_variant(Integer, "sqlite")


def person_id(*, primary_key: bool = False, index: bool | None = None) -> Column[str]:
    return Column("person_id", Text, ForeignKey("person.id"), nullable=False, primary_key=primary_key, index=index)


def empty(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def zero(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=text("0"))


def no(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=false())


def partial_index(name: str, *columns: Column[Any], where: str) -> None:
    """An index of the rows that `where` is true of. A statement finds it by that condition in the same words.

    As a parameter SQLite would not know the value while it plans, nor would a plan that PostgreSQL keeps.
    """
    Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


def one_of(column: str, states: Iterable[StrEnum]) -> str:
    """For a partial index: the states as literals."""
    return f"{column} IN ({_literals(states)})"


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
    """What names a row from its first statement on, for good; in the order of ciphers.place()."""
    return tuple(table.c[name] for name in table.info.get("row_key", ())) or tuple(table.primary_key.columns)
