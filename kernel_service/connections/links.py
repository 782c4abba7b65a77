"""Links by which people connect a toolkit: addresses of the connect pages, at most one usable link per account."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from kernel_service.connections.tokens import Nonces, digest
from kernel_service.connections.unmatched_sessions import CONSENT_GRACE_SECONDS
from kernel_service.errors import NotAllowed, NotFound
from kernel_service.ports.connect_attempts import LIVE, ConnectAttempt, ConnectAttemptState
from kernel_service.ports.connections import Connection, ConnectionStatus
from kernel_service.ports.messages import Link
from kernel_service.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from kernel_service.composio.client import Composio, Toolkit
    from kernel_service.connections.accounts import Connections
    from kernel_service.connections.attempt_closer import AttemptCloser
    from kernel_service.ports.connect_attempts import ConnectAttemptStore
    from kernel_service.ports.tools import Person

log = logging.getLogger(__name__)

LINK_SECONDS: Final = 1800.0
"""How long a link can be followed. The vendor's own link, valid for ten minutes, is requested only then."""
MIN_REMAINING_SECONDS: Final = 60.0
"""A pending link with less time left is not issued again."""

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class LinkInProgress:
    """A link, and the state of its attempt."""

    link: Link
    state: ConnectAttemptState


@dataclass(slots=True)
class ConnectLinks:
    """Links to the connect pages at `connect_url`. Requesting a new link revokes the pending one."""

    composio: Composio
    connections: Connections
    store: ConnectAttemptStore
    attempt_closer: AttemptCloser
    connect_url: str
    nonces: Nonces
    clock: Callable[[], float]
    flights: SingleFlight = field(default_factory=SingleFlight)

    async def link(
        self, person: Person, toolkit: str, name: str = "", *, reusable: Collection[ConnectAttemptState] = LIVE
    ) -> LinkInProgress:
        """The person's link to connect this toolkit: that of an attempt which has time left, or a new one.

        An attempt in one of the states `reusable` is reused; any other attempt of the toolkit ends. `name` is what the
        person calls the account, if it is not the first one of the toolkit.
        NotAllowed TOOLKIT_NOT_ALLOWED, NotFound TOOLKIT_UNKNOWN, VendorUnavailable.
        """
        slug = toolkit.strip().lower()
        if not _SLUG.fullmatch(slug):
            raise NotFound("TOOLKIT_UNKNOWN", "there is no toolkit of that name")
        allowed = self.connections.toolkits
        if allowed and slug not in allowed:
            raise NotAllowed(
                "TOOLKIT_NOT_ALLOWED", f"this toolkit is not on offer here; on offer: {', '.join(allowed)}"
            )
        # Simultaneous requests share one link, whatever states each would have reused.
        return await self.flights.run((person.id, slug, name), lambda: self._link(person, slug, name, reusable))

    async def _link(
        self, person: Person, slug: str, name: str, reusable: Collection[ConnectAttemptState]
    ) -> LinkInProgress:
        toolkit = await self.connections.sessions.using(person.id, lambda session: self.composio.toolkit(session, slug))
        if toolkit is None or toolkit.no_auth:
            raise NotFound("TOOLKIT_UNKNOWN", "there is no toolkit of that name to which an account can be connected")
        attempt = None
        while attempt is None:  # another node may make a link of the toolkit between the two steps
            attempt = await self._reusable_attempt(person, slug, name, reusable)
            attempt = attempt or await self._added(person, toolkit, name)
        return LinkInProgress(
            Link(attempt.connection.link, f"Connect {toolkit.name}", _expires_at(attempt)), attempt.state
        )

    async def _reusable_attempt(
        self, person: Person, slug: str, name: str, reusable: Collection[ConnectAttemptState]
    ) -> ConnectAttempt | None:
        """The attempt whose link is issued again.

        An attempt for an account of another name is kept as well, unless its link is still unfollowed: there is one
        unfollowed link per toolkit.
        """
        found = None
        for attempt in await self.store.live(person.id):
            if attempt.toolkit != slug:
                continue
            is_reusable, same_account = attempt.state in reusable, attempt.connection.name == name
            if is_reusable and same_account and self._has_time(attempt):
                found = attempt
            elif not is_reusable or same_account or attempt.state is ConnectAttemptState.OPEN:
                await self.attempt_closer.end(attempt, ConnectAttemptState.REMOVED)
        return found

    def _has_time(self, attempt: ConnectAttempt) -> bool:
        return bool(attempt.connection.link) and _expires_at(attempt) - self.clock() >= MIN_REMAINING_SECONDS

    async def _added(self, person: Person, toolkit: Toolkit, name: str) -> ConnectAttempt | None:
        """None: the person has an unfollowed link of the toolkit."""
        nonce, now = self.nonces.new(), self.clock()
        connection = Connection(
            id=f"cn_{uuid4().hex}",
            person_id=person.id,
            toolkit=toolkit.slug,
            toolkit_name=toolkit.name,
            account_id="",
            status=ConnectionStatus.PENDING,
            link=f"{self.connect_url}/connect/{nonce}",
            created_at=now,
            name=name,
        )
        attempt = ConnectAttempt(
            connection,
            person.channel,
            person.address,
            ConnectAttemptState.OPEN,
            now + LINK_SECONDS,
            link_digest=digest(nonce),
        )
        if not await self.store.add(attempt, now=now):
            return None
        log.info("link offered person=%s toolkit=%s", person.id, toolkit.slug)
        return attempt


def _expires_at(attempt: ConnectAttempt) -> float:
    """When the link expires. The vendor's own link ends before the attempt does."""
    return attempt.deadline - (CONSENT_GRACE_SECONDS if attempt.state is ConnectAttemptState.STARTED else 0.0)
