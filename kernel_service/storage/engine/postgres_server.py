"""The only access to a PostgreSQL server: every connection is made here, by the same URL and with the same TLS."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
from asyncpg.exceptions import InternalClientError, TargetServerAttributeNotMatched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kernel_service.storage.engine.postgres_url import PostgresUrl

LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, InternalClientError)
"""Errors of connecting, and of a connection in use. The last one: the connection was closed during an operation."""
_PLAIN_SQLSTATES = ("08", "28", "3D", "53")
"""Classes of SQLSTATE with which a server rejects a client. Its message gives the reason, and holds no password."""


class ReadOnlyServerError(ConnectionError):
    """A standby, or a server set to read-only: a failover is in progress, or the URL names the wrong server."""

    def __init__(self) -> None:
        super().__init__("the server is read-only: a standby, or one with default_transaction_read_only")


@dataclass(frozen=True, slots=True)
class Server:
    """`multiplexed`: a pooler gives each transaction another session, so no state is kept in a session."""

    url: PostgresUrl
    multiplexed: bool = False

    async def connect(
        self, purpose: str = "", *, settings: Mapping[str, str] | None = None, seconds: float | None = None
    ) -> asyncpg.Connection:
        """`settings` are the session's; `seconds` limit each statement. Raises one of LOST, or `ValueError`."""
        try:
            connection = await asyncpg.connect(
                self.url.dsn,
                ssl=ssl.create_default_context() if self.url.system_roots else None,
                timeout=self.url.connect_seconds,
                command_timeout=seconds,
                statement_cache_size=0 if self.multiplexed else 100,
                # A pooler accepts no other setting at connect, so the rest is set afterwards.
                server_settings={"application_name": f"{self.url.application_name} {purpose}".rstrip()},
                # The check for a read-only server runs a statement outside of a transaction.
                target_session_attrs="any" if self.multiplexed else None,
            )
        except TargetServerAttributeNotMatched:
            raise ReadOnlyServerError from None
        if settings and not self.multiplexed:
            await self._set(connection, settings)
        return connection

    async def _set(self, connection: asyncpg.Connection, settings: Mapping[str, str]) -> None:
        try:
            await connection.execute("; ".join(f"SET {name} = '{value}'" for name, value in settings.items()))
        except BaseException:
            connection.terminate()
            raise


def of_driver(error: BaseException) -> BaseException:
    """The error that SQLAlchemy's own wraps, or the error itself."""
    adapted = getattr(error, "orig", None)
    return getattr(adapted, "__cause__", None) or adapted or error


def why(error: BaseException) -> str:
    """The reason, for an operator: no statement, no value, no password."""
    error = of_driver(error)
    if isinstance(error, asyncpg.QueryCanceledError):
        return "a statement took longer than the server's statement_timeout"
    if isinstance(error, asyncpg.PostgresError):
        sqlstate = error.sqlstate or ""
        reason = str(error) if sqlstate.startswith(_PLAIN_SQLSTATES) else type(error).__name__
        return reason.splitlines()[0]
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, asyncpg.InterfaceError | OSError):
        return (str(error) or type(error).__name__).splitlines()[0]
    return type(error).__name__
