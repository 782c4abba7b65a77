"""The number of the next message, known before the row is inserted, because its payload is sealed for that number."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class NextMessageSeq(FunctionElement[int]):
    """PostgreSQL never issues a number twice, even after a rollback. SQLite has one writer at a time."""

    type = BigInteger()
    inherit_cache = True


@compiles(NextMessageSeq, "postgresql")
def _postgresql(*_: Any, **__: Any) -> str:
    return "nextval(pg_get_serial_sequence('message', 'seq'))"


@compiles(NextMessageSeq, "sqlite")
def _sqlite(*_: Any, **__: Any) -> str:
    return "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'message'), 0) + 1"
