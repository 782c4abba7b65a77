"""The link that a person is given to connect a toolkit: ours, and at most one that can still be followed."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from kernel_service.connections.strays import CONSENT_GRACE
from kernel_service.connections.tokens import Nonces, digest
from kernel_service.errors import NotAllowed, NotFound
from kernel_service.ports.connect_attempts import LIVE, Attempt, State
from kernel_service.ports.connections import Connection, ConnectionStatus
from kernel_service.ports.messages import Link
from kernel_service.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from kernel_service.composio.client import Composio, Toolkit
    from kernel_service.connections.accounts import Connections
    from kernel_service.connections.attempt_closer import AttemptCloser
    from kernel_service.ports.connect_attempts import AttemptStore
    from kernel_service.ports.tools import Person

log = logging.getLogger(__name__)

LINK_SECONDS: Final = 1800.0
"""How long a link may wait to be followed. The vendor's own, ten minutes long, is made only then."""
LEAST_LIFE: Final = 60.0
"""Seconds that a link must have left to be given out again."""

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class LinkInProgress:
    """A link, and how far the person has come with it already."""

    link: Link
    state: State


@dataclass(slots=True)
class ConnectLinks:
    """Gives out links to the connect door, whose address is `door_url`."""

    composio: Composio
    connections: Connections
    store: AttemptStore
    endings: AttemptCloser
    door_url: str
    nonces: Nonces
    clock: Callable[[], float]
    flights: SingleFlight = field(default_factory=SingleFlight)

    async def link(
        self, person: Person, toolkit: str, name: str = "", *, again: Collection[State] = LIVE
    ) -> LinkInProgress:
        """The person's link to connect this toolkit: that of an attempt which has time left, or a new one.

        An attempt goes on if it is in one of the states `again`; any other of the toolkit ends. `name` is what the
        person calls the account, if it is a further one.
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
        # Who asks at the same moment gets the same link, whatever they would have had go on.
        return await self.flights.run((person.id, slug, name), lambda: self._link(person, slug, name, again))

    async def _link(self, person: Person, slug: str, name: str, again: Collection[State]) -> LinkInProgress:
        toolkit = await self.connections.sessions.using(person.id, lambda session: self.composio.toolkit(session, slug))
        if toolkit is None or toolkit.no_auth:
            raise NotFound("TOOLKIT_UNKNOWN", "there is no toolkit of that name to which an account can be connected")
        attempt = await self._going_on(person, slug, name, again) or await self._new(person, toolkit, name)
        return LinkInProgress(
            Link(attempt.connection.link, f"Connect {toolkit.name}", _good_until(attempt)), attempt.state
        )

    async def _going_on(self, person: Person, slug: str, name: str, again: Collection[State]) -> Attempt | None:
        """The attempt whose link is given out again.

        One for an account of another name goes on beside it, but for a link that nobody has followed yet: of these
        there is one.
        """
        found = None
        for attempt in await self.store.live_attempts(person.id):
            if attempt.toolkit != slug:
                continue
            goes_on, same = attempt.state in again, attempt.connection.name == name
            if goes_on and same and self._has_time(attempt):
                found = attempt
            elif not goes_on or same or attempt.state is State.OPEN:
                await self.endings.end(attempt, State.REMOVED)
        return found

    def _has_time(self, attempt: Attempt) -> bool:
        return bool(attempt.connection.link) and _good_until(attempt) - self.clock() >= LEAST_LIFE

    async def _new(self, person: Person, toolkit: Toolkit, name: str) -> Attempt:
        nonce, now = self.nonces.new(), self.clock()
        connection = Connection(
            id=f"cn_{uuid4().hex}",
            person_id=person.id,
            toolkit=toolkit.slug,
            toolkit_name=toolkit.name,
            account_id="",
            status=ConnectionStatus.PENDING,
            link=f"{self.door_url}/connect/{nonce}",
            created_at=now,
            name=name,
        )
        attempt = Attempt(
            connection, person.channel, person.address, State.OPEN, now + LINK_SECONDS, door_digest=digest(nonce)
        )
        await self.store.add_attempt(attempt, now=now)
        log.info("link offered person=%s toolkit=%s", person.id, toolkit.slug)
        return attempt


def _good_until(attempt: Attempt) -> float:
    """Until when the link leads on. Where it leads to the vendor, that one's own ends before the attempt does."""
    return attempt.deadline - (CONSENT_GRACE if attempt.state is State.STARTED else 0.0)
