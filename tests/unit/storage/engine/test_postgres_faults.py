"""Which errors of PostgreSQL mean that a new connection may help."""

from __future__ import annotations

import asyncpg
import pytest
from asyncpg.exceptions import InternalClientError
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from kernel_service.storage.engine.postgres_faults import lost


def wrapped(error: Exception) -> Exception:
    """As SQLAlchemy wraps an error of the driver that its adapter has translated."""
    adapted = Exception(str(error))
    adapted.__cause__ = error
    return DBAPIError(None, None, adapted)


@pytest.mark.parametrize("wrap", [wrapped, lambda error: error])
@pytest.mark.parametrize(
    ("error", "is_lost"),
    [
        (asyncpg.InterfaceError("connection is closed"), True),
        (asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"), True),
        (asyncpg.IdleInTransactionSessionTimeoutError("terminating connection"), True),
        (asyncpg.AdminShutdownError("terminating connection"), True),
        (InternalClientError("got result for unknown protocol state"), True),
        (ConnectionResetError(), True),
        (TimeoutError(), False),
        (asyncpg.QueryCanceledError("canceling statement"), False),
        (asyncpg.DiskFullError("could not extend file"), False),
        (asyncpg.CannotConnectNowError("the database system is starting up"), False),
    ],
)
def test_a_silent_or_unwilling_server_has_not_ended_the_connection(
    error: Exception,
    is_lost: bool,
    wrap: type[Exception],
) -> None:
    assert lost(wrap(error)) is is_lost


def test_a_statement_without_an_answer_and_a_pool_without_a_connection_are_no_loss() -> None:
    assert not lost(StatementError("late", None, None, TimeoutError()))
    assert not lost(NoConnectionFree("no connection is free"))
