"""The accounts of a person, by our own store: pending ones, active ones, removed ones.

The project's key works with any account id, so only this store says which person an account belongs to.
`kernel_service.connections` describes how an account becomes a person's.
"""

from __future__ import annotations

import logging
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from kernel_service.composio.sessions import Sessions
from kernel_service.composio.wire import ComposioRefusedError, UnansweredError
from kernel_service.errors import NotFound, VendorUnavailable
from kernel_service.ports.connections import Connection, ConnectionStatus, ConnectionStore, SessionStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.composio.client import Account, Composio
    from kernel_service.ports.messages import Notice

log = logging.getLogger(__name__)


MOST_UNANSWERED: Final = 3
"""After this number of unanswered requests to remove something, in a row, the vendor counts as unavailable."""


class Removal(Enum):
    """The result of a request to remove something at the vendor."""

    DONE = auto()
    REFUSED = auto()
    """Not this one; others may be removed."""
    UNANSWERED = auto()
    """Not this one, and perhaps no other."""
    AWAY = auto()
    """None now: the vendor is unavailable or busy."""


class Connections:
    """The connections of all people. `toolkits` are the allowed ones, empty: all."""

    def __init__(
        self, composio: Composio, store: ConnectionStore, sessions: SessionStore, toolkits: Sequence[str] = ()
    ) -> None:
        self.toolkits = tuple(sorted(toolkits))
        self.sessions = Sessions(composio, sessions, self.toolkits)
        self._composio = composio
        self._store = store

    async def list(self, person_id: str) -> Sequence[Connection]:
        """Oldest first, without those that the person removed or never confirmed before they ended."""
        known = await self._store.of_person(person_id)
        gone = ConnectionStatus.EXPIRED, ConnectionStatus.DISCONNECTED
        return [each for each in known if each.status not in gone or _was_ended_by_vendor(each)]

    async def active(self, person_id: str, toolkit: str) -> Sequence[Connection]:
        """The connections that the person has confirmed, of a toolkit that is still allowed: only these may be used."""
        if not self.allows(toolkit):
            return []
        return [
            connection
            for connection in await self._store.of_person(person_id)
            if connection.toolkit == toolkit and connection.status is ConnectionStatus.ACTIVE
        ]

    def allows(self, toolkit: str) -> bool:
        """Whether accounts of this toolkit may be used."""
        return not self.toolkits or toolkit in self.toolkits

    # --- the account's status at the vendor ---------------------------------------------------------------------

    async def status_of(self, connection: Connection) -> str:
        """Composio's status of the account; FAILED if it is gone or, by an error of the vendor's, another person's.

        VendorUnavailable.
        """
        account = await self._account_of(connection)
        return "FAILED" if account is None else account.status

    async def _account_of(self, connection: Connection) -> Account | None:
        account = await self._composio.account(connection.account_id)
        if account is None or account.person_id == connection.holder:
            return account
        log.error("account of another person connection=%s person=%s", connection.id, connection.person_id)
        return None

    async def still_connected(self, person_id: str, toolkit: str) -> bool:
        """Whether Composio, too, says that the toolkit is connected. Ended accounts are stored as expired."""
        active = await self.active(person_id, toolkit.strip().lower())
        ended = [await self.has_ended(connection) for connection in active]
        return not all(ended)

    async def has_ended(self, connection: Connection) -> bool:
        """Whether the account is no longer active at Composio; then it is marked as expired. VendorUnavailable."""
        account = await self._account_of(connection)
        if account is not None and account.status == "ACTIVE":
            return False
        await self._expire(connection, remove=account is not None)
        return True

    async def in_use(self, account_id: str, holder: str) -> Connection | None:
        """The active connection of this account, if it belongs to that person."""
        connection = await self._store.of_account(account_id)
        if connection is None or connection.holder != holder or connection.status is not ConnectionStatus.ACTIVE:
            return None
        return connection

    async def expire(self, connection: Connection, notice: Notice | None = None) -> bool:
        """Store that Composio ended the account, with the notice. Return whether this was not known before."""
        return await self._expire(connection, remove=True, notice=notice)

    async def _expire(self, connection: Connection, *, remove: bool, notice: Notice | None = None) -> bool:
        """`remove`: the vendor keeps an ended account with its permissions, so it is to be removed there."""
        expired = ConnectionStatus.EXPIRED
        news = await self._store.bar(connection, expired, remove=remove, notice=notice) is not None
        if news:
            log.info("connection ended person=%s toolkit=%s", connection.person_id, connection.toolkit)
        return news

    # --- removing -----------------------------------------------------------------------------------------------

    async def disconnect(self, person_id: str, *, connection_id: str = "", toolkit: str = "") -> Sequence[Connection]:
        """Remove one connection, or all of a toolkit: first it is barred here, then it is removed at Composio.

        A repeated call changes nothing. NotFound CONNECTION_NOT_FOUND; VendorUnavailable: it is removed there later.
        """
        known = await self._store.of_person(person_id)
        chosen = [
            connection
            for connection in known
            if connection.id == connection_id or connection.toolkit == toolkit.strip().lower()
        ]
        if not chosen:
            raise NotFound("CONNECTION_NOT_FOUND", "the person has no such connection")
        barred = [await self._bar(connection) for connection in chosen]
        removed = [await self.remove_at_vendor(connection) for connection in barred]
        if any(removal is not Removal.DONE for removal in removed):
            raise VendorUnavailable("tools_unavailable")
        return barred

    async def _bar(self, connection: Connection) -> Connection:
        if connection.status is ConnectionStatus.DISCONNECTED:
            return connection
        barred = await self._store.bar(connection, ConnectionStatus.DISCONNECTED, remove=True)
        if barred is not None:
            return barred
        known = {each.id: each for each in await self._store.of_person(connection.person_id)}
        if connection.id not in known:
            raise NotFound("CONNECTION_NOT_FOUND", "the person was deleted, with the connection")
        return await self._bar(known[connection.id])

    async def remove_at_vendor(self, connection: Connection) -> Removal:
        """Remove the account, if it is still there. A later sweep repeats a removal that failed."""
        if not connection.remove_due:
            return Removal.DONE
        try:
            await self._composio.delete_account(connection.account_id)
        except (VendorUnavailable, ComposioRefusedError) as problem:
            log.warning("account not removed at the vendor yet connection=%s problem=%s", connection.id, problem)
            return not_removed(problem)
        await self._store.mark_removed(connection.id, connection.account_id)
        return Removal.DONE


def _was_ended_by_vendor(connection: Connection) -> bool:
    return connection.status is ConnectionStatus.EXPIRED and connection.confirmed_at is not None


def not_removed(problem: VendorUnavailable | ComposioRefusedError) -> Removal:
    """The result of a failed request to remove something."""
    if isinstance(problem, ComposioRefusedError):
        return Removal.REFUSED
    return Removal.UNANSWERED if isinstance(problem, UnansweredError) else Removal.AWAY
