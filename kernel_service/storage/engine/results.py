"""The result of a statement: its rows, all of them read, and how many rows it changed."""

from __future__ import annotations

from collections import namedtuple
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy.exc import MultipleResultsFound, NoResultFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Row


@cache
def row_of(names: tuple[str, ...]) -> Callable[[Iterable[Any]], Any]:
    """Makes rows with these columns. A row is a named tuple, and has what the store uses of SQLAlchemy's `Row`:
    attributes, slices and `_asdict`.
    """
    row: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc]  # noqa: PYI024 - the names come from SQL
    return partial(tuple.__new__, row)  # `_make` does this and counts the values


class Scalars(list[Any]):
    """One column's values."""

    def all(self) -> list[Any]:
        return self


class Result(list["Row[Any]"]):
    """The rows, with the part of SQLAlchemy's `Result` that the store uses, and the same errors.

    `rowcount`: the rows that an INSERT, UPDATE or DELETE matched; of no meaning after a SELECT.
    """

    __slots__ = ("rowcount",)
    rowcount: int

    def all(self) -> Self:
        return self

    def first(self) -> Row[Any] | None:
        """None if there is no row."""
        return self[0] if self else None

    def one(self) -> Row[Any]:
        """Raises `NoResultFound`, `MultipleResultsFound`."""
        if len(self) > 1:
            raise MultipleResultsFound("Multiple rows were found when exactly one was required")
        if not self:
            raise NoResultFound("No row was found when one was required")
        return self[0]

    def one_or_none(self) -> Row[Any] | None:
        """Raises `MultipleResultsFound`."""
        if len(self) > 1:
            raise MultipleResultsFound("Multiple rows were found when one or none was required")
        return self[0] if self else None

    def scalars(self) -> Scalars:
        """The first column."""
        return Scalars(row[0] for row in self)

    def scalar(self) -> Any | None:
        """The first row's first column; None if there is no row."""
        return self[0][0] if self else None

    def scalar_one(self) -> Any:
        """Raises `NoResultFound`, `MultipleResultsFound`."""
        return self.one()[0]

    def scalar_one_or_none(self) -> Any | None:
        """Raises `MultipleResultsFound`."""
        row = self.one_or_none()
        return None if row is None else row[0]

    def close(self) -> None:
        """Nothing is open, because all rows are read. A unit ends with this to return nothing."""
