"""Distinguishes the faults of PostgreSQL: of a unit, of a lock, and of the connection."""

from __future__ import annotations

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from kernel_service.storage.engine.postgres_server import LOST, of_driver

AWAY = (SQLAlchemyError, *LOST)
"""The errors of a statement that the server refuses, or that finds no server."""
# Classes of SQLSTATE for faults of the statement itself: no result, bad data, constraint, syntax.
_UNIT_FAILED = ("02", "21", "22", "23", "42")
# Serialization failure, deadlock, a lock that was not granted in time.
_CONTENDED = ("40001", "40P01", "55P03")
# Connection exceptions, a session that the administrator ended, one that the server ended because it was idle or slow.
_ENDED = ("08", "57P01", "57P02", "57P05", "25P03", "25P04")


def breaks_batch(error: Exception) -> bool:
    """See `batch.WritingConnection`."""
    if isinstance(error, DBAPIError):
        return not _sqlstate(error).startswith((*_UNIT_FAILED, *_CONTENDED))
    return isinstance(error, AWAY)


def contended(error: Exception) -> bool:
    """See `batch.WritingConnection`."""
    return isinstance(error, DBAPIError) and _sqlstate(error) in _CONTENDED


def lost(error: Exception) -> bool:
    """Whether the connection ended, which a new one may help. A server that does not answer has not ended it."""
    error_of_driver = of_driver(error)
    if isinstance(error_of_driver, asyncpg.PostgresError):
        return (error_of_driver.sqlstate or "").startswith(_ENDED)
    return isinstance(error_of_driver, LOST) and not isinstance(error_of_driver, TimeoutError)


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""
