"""Distinguishes the faults of SQLite: of a unit, of a temporary state, and of the disk."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError

FAILED = (DBAPIError, sqlite3.Error)
"""Errors of statements, and of the transaction's own commands."""
_DISK_FAILED = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# I/O errors that report missing space before anything is written. Otherwise missing space is SQLITE_FULL.
_NO_ROOM = {sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_NOMEM}
_TEMPORARY = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
"""After these the same connection serves again."""
_UNIT_FAILED = {
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_RANGE,
}


def name_of(error: Exception) -> str:
    """The error's name, such as `SQLITE_FULL`, without a statement or its values."""
    original = _original_of(error)
    return str(getattr(original, "sqlite_errorname", type(original).__name__))


def breaks_batch(error: Exception) -> bool:
    """See `batch.WritingConnection`."""
    return isinstance(error, FAILED) and _code_of(error) not in _UNIT_FAILED


def is_temporary(error: Exception) -> bool:
    return _code_of(error) in _TEMPORARY


def is_of_disk(error: Exception) -> bool:
    """Whether the durable state is unknown."""
    return _code_of(error) in _DISK_FAILED


def _code_of(error: Exception) -> int:
    """The primary code. Every kind of missing space is SQLITE_FULL."""
    extended: int = getattr(_original_of(error), "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return sqlite3.SQLITE_FULL if extended in _NO_ROOM else extended & 0xFF


def _original_of(error: Exception) -> BaseException | None:
    """The driver's error."""
    return error.orig if isinstance(error, DBAPIError) else error
