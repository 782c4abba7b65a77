"""Which accounts a person has, by our own store: links given out, accounts confirmed, accounts removed.

Any account id works with the project's key, so that whose it is must be known here, and only from here.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from kernel_service.errors import NotAllowed, NotFound, VendorUnavailable
from kernel_service.messages import Link
from kernel_service.tools.composio_wire import ComposioRefusedError
from kernel_service.tools.link_watcher import CONSENT_GRACE, LinkWatcher
from kernel_service.tools.sessions import Sessions
from kernel_service.tools.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from kernel_service.tools.composio_client import Composio, Toolkit

log = logging.getLogger(__name__)

LEAST_LIFE = 60.0
"""Seconds that a link must have left to be given out again."""
ASK_EVERY = 5.0
"""Seconds between two looks that a person's turns take at his pending accounts."""

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_WAITING = ("INITIALIZING", "INITIATED")


class ConnectionStatus(StrEnum):
    PENDING = "pending"
    UNCONFIRMED = "unconfirmed"
    ACTIVE = "active"
    EXPIRED = "expired"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class Connection:
    """A person's account of a toolkit. `link` is a bearer URL: sealed at rest, never logged. Times: epoch seconds.

    `made_for` is the person under whom the vendor keeps the account, if he was merged into this one; else empty.
    """

    id: str
    person_id: str
    toolkit: str
    account_id: str
    status: ConnectionStatus
    link: str
    link_expires_at: float
    created_at: float
    confirmed_at: float | None = None
    made_for: str = ""

    @property
    def holder(self) -> str:
        """Whose the account is at the vendor, who lets it be used in a session of that person only."""
        return self.made_for or self.person_id


class ConnectionStore(Protocol):
    """What is kept of sessions and connections. Each method is one transaction."""

    async def session_of(self, person_id: str) -> tuple[str, str] | None:
        """The person's session id and its configuration."""
        ...

    async def keep_session(self, person_id: str, session_id: str, configuration: str) -> str:
        """Keep it in place of one with another configuration; returns the session that is kept now.

        The first writer of a configuration wins: if one with the same configuration is there, that one stays.
        """
        ...

    async def connections(self, person_id: str) -> list[Connection]:
        """All of the person (or of the one into whom he was merged), oldest first."""
        ...

    async def pending(self, *, after: float) -> list[Connection]:
        """Everybody's pending ones whose link ends after that time."""
        ...

    async def keep_connection(self, connection: Connection) -> None:
        """Insert, or update by id."""
        ...


class Connections:
    """The connections of all people. `toolkits` are the allowed ones, empty: all.

    `on_connected(person_id, toolkit)` is told of each account that becomes active. `close` ends the watching of links.
    """

    def __init__(
        self,
        composio: Composio,
        store: ConnectionStore,
        toolkits: Sequence[str] = (),
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_connected: Callable[[str, str], Awaitable[None]] | None = None,
    ) -> None:
        self.toolkits = tuple(sorted(toolkits))
        self.sessions = Sessions(composio, store, self.toolkits)
        self._composio = composio
        self._store = store
        self._clock = clock
        self._on_connected = on_connected
        self._flights = SingleFlight()
        self._watcher = LinkWatcher(self.check, clock=clock, sleep=sleep)
        self._asked: dict[str, float] = {}

    async def watch(self) -> None:
        """Watch the links that an earlier process gave out."""
        for connection in await self._store.pending(after=self._clock() - CONSENT_GRACE):
            self._watcher.watch(connection)

    async def close(self) -> None:
        await self._watcher.close()

    async def list(self, person_id: str) -> Sequence[Connection]:
        """Oldest first, without those that the person removed."""
        known = await self._store.connections(person_id)
        return [connection for connection in known if connection.status is not ConnectionStatus.DISCONNECTED]

    # --- connecting ---------------------------------------------------------------------------------------------

    async def connect(self, person_id: str, toolkit: str) -> Link:
        """The person's link to connect this toolkit: the live one, or a new one.

        NotAllowed TOOLKIT_NOT_ALLOWED, NotFound TOOLKIT_UNKNOWN, VendorUnavailable.
        """
        slug = toolkit.strip().lower()
        if not _SLUG.fullmatch(slug):
            raise NotFound("TOOLKIT_UNKNOWN", "there is no toolkit of that name")
        if self.toolkits and slug not in self.toolkits:
            allowed = ", ".join(self.toolkits)
            raise NotAllowed("TOOLKIT_NOT_ALLOWED", f"this toolkit is not on offer here; on offer: {allowed}")
        return await self._flights.run(("link", person_id, slug), lambda: self._link(person_id, slug))

    async def _link(self, person_id: str, slug: str) -> Link:
        toolkit = await self.sessions.using(person_id, lambda session: self._composio.toolkit(session, slug))
        if toolkit is None or toolkit.no_auth:
            raise NotFound("TOOLKIT_UNKNOWN", "there is no toolkit of that name that an account could be connected to")
        connection = await self._live_link(person_id, slug) or await self._new_link(person_id, toolkit)
        return Link(connection.link, f"Connect {toolkit.name}", connection.link_expires_at)

    async def _live_link(self, person_id: str, slug: str) -> Connection | None:
        for connection in reversed(await self._store.connections(person_id)):
            waits = connection.toolkit == slug and connection.status is ConnectionStatus.PENDING
            if waits and connection.link_expires_at - self._clock() >= LEAST_LIFE:
                return connection
        return None

    async def _new_link(self, person_id: str, toolkit: Toolkit) -> Connection:
        try:
            link = await self.sessions.using(person_id, lambda session: self._composio.link(session, toolkit.slug))
        except ComposioRefusedError as refused:
            log.warning("composio refuses a link toolkit=%s code=%s", toolkit.slug, refused.code)
            raise NotAllowed("TOOLKIT_NOT_ALLOWED", "this toolkit cannot be connected here") from None
        connection = Connection(
            id=f"cn_{uuid4().hex}",
            person_id=person_id,
            toolkit=toolkit.slug,
            account_id=link.account_id,
            status=ConnectionStatus.PENDING,
            link=link.url,
            link_expires_at=link.expires_at,
            created_at=self._clock(),
        )
        await self._store.keep_connection(connection)
        self._watcher.watch(connection)
        return connection

    # --- what became of it --------------------------------------------------------------------------------------

    async def refresh(self, person_id: str) -> Sequence[Connection]:
        """As `list`, after a look at what is pending. A vendor who is away changes nothing."""
        known = await self.list(person_id)
        pending = [connection for connection in known if connection.status is ConnectionStatus.PENDING]
        if not pending:
            self._asked.pop(person_id, None)
            return known
        if self._clock() - self._asked.get(person_id, float("-inf")) < ASK_EVERY:
            return known
        self._asked[person_id] = self._clock()
        try:
            for connection in pending:
                await self.check(connection)
        except (VendorUnavailable, ComposioRefusedError) as away:
            log.warning("pending connections not looked at person=%s problem=%s", person_id, away)
        return await self.list(person_id)

    async def check(self, connection: Connection) -> bool:
        """Ask Composio about a pending connection; whether it is settled now. VendorUnavailable."""
        return await self._flights.run(("check", connection.id), lambda: self._check(connection))

    async def _check(self, connection: Connection) -> bool:
        status = await self._status_of(connection)
        # Read only now: it may have been disconnected, or settled by another process, meanwhile.
        kept = await self._kept(connection)
        if kept.status is not ConnectionStatus.PENDING:
            return True
        if status in _WAITING and self._clock() < kept.link_expires_at + CONSENT_GRACE:
            return False
        if status == "ACTIVE":
            await self._confirm(kept)
        else:
            await self._expire(kept)
        return True

    async def _kept(self, connection: Connection) -> Connection:
        known = await self._store.connections(connection.person_id)
        return next((kept for kept in known if kept.id == connection.id), connection)

    async def _status_of(self, connection: Connection) -> str:
        """Composio's status of the account; FAILED if it is gone or, against all order, another person's."""
        account = await self._composio.account(connection.account_id)
        if account is None:
            return "FAILED"
        if account.person_id != connection.holder:
            log.error("account of another person connection=%s person=%s", connection.id, connection.person_id)
            return "FAILED"
        return account.status

    async def _confirm(self, connection: Connection) -> None:
        active = replace(connection, status=ConnectionStatus.ACTIVE, link="", confirmed_at=self._clock())
        await self._store.keep_connection(active)
        log.info("connected person=%s toolkit=%s", connection.person_id, connection.toolkit)
        if self._on_connected is not None:
            try:
                await self._on_connected(connection.person_id, connection.toolkit)
            except Exception:
                log.exception("notice of a connection failed connection=%s", connection.id)

    async def _expire(self, connection: Connection) -> None:
        await self._store.keep_connection(replace(connection, status=ConnectionStatus.EXPIRED, link=""))
        log.info("connection ended person=%s toolkit=%s", connection.person_id, connection.toolkit)

    # --- using and removing -------------------------------------------------------------------------------------

    async def confirmed(self, person_id: str, toolkit: str) -> Connection | None:
        """The person's newest active connection of a toolkit that is still allowed: the only one to execute with."""
        if self.toolkits and toolkit not in self.toolkits:
            return None
        for connection in reversed(await self._store.connections(person_id)):
            if connection.toolkit == toolkit and connection.status is ConnectionStatus.ACTIVE:
                return connection
        return None

    async def still_connected(self, person_id: str, toolkit: str) -> bool:
        """Whether Composio, too, says that the toolkit is connected. What it ended is noted as expired."""
        connection = await self.confirmed(person_id, toolkit.strip().lower())
        if connection is None:
            return False
        if await self._status_of(connection) == "ACTIVE":
            return True
        await self._expire(connection)
        return False

    async def disconnect(self, person_id: str, *, connection_id: str = "", toolkit: str = "") -> Sequence[Connection]:
        """Remove one connection, or all of a toolkit: barred here first, then removed at Composio.

        Again is no harm. NotFound CONNECTION_NOT_FOUND; VendorUnavailable: barred, but not yet removed there.
        """
        known = await self._store.connections(person_id)
        chosen = [
            connection
            for connection in known
            if connection.id == connection_id or connection.toolkit == toolkit.lower()
        ]
        if not chosen:
            raise NotFound("CONNECTION_NOT_FOUND", "the person has no such connection")
        barred = [replace(connection, status=ConnectionStatus.DISCONNECTED, link="") for connection in chosen]
        for connection in barred:
            await self._store.keep_connection(connection)
        for connection in barred:
            await self._composio.delete_account(connection.account_id)
        return barred
