"""Builds the parts by which people connect accounts."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service.connections.accounts import Connections
from kernel_service.connections.attempt_closer import AttemptCloser
from kernel_service.connections.confirmation import CodeConfirmation
from kernel_service.connections.consent import Consent
from kernel_service.connections.links import ConnectLinks
from kernel_service.connections.revoker import Revoker
from kernel_service.connections.tokens import Nonces
from kernel_service.connections.unmatched_sessions import UnmatchedSessions
from kernel_service.connections.vendor_events import ComposioEvents
from kernel_service.connections.web.connect_pages import ConnectPages
from kernel_service.connections.web.proxies import TrustedProxies
from kernel_service.wiring.watching import build_watching

if TYPE_CHECKING:
    from kernel_service.composio.client import Composio
    from kernel_service.outbox.outbox import Outbox
    from kernel_service.wiring.foundation import Foundation
    from kernel_service.wiring.watching import WatchingParts

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConnectParts:
    """The parts of connecting an account."""

    connections: Connections
    connect_links: ConnectLinks
    confirmation: CodeConfirmation
    attempt_closer: AttemptCloser
    pages: ConnectPages
    watching: WatchingParts
    revoker: Revoker


async def build_connecting(base: Foundation, composio: Composio, outbox: Outbox) -> ConnectParts:
    settings, store, clock = base.settings, base.store, base.clock
    connections = Connections(composio, store.connections, store.sessions, settings.toolkits())
    url, nonces = settings.connect_url(), Nonces(await store.keys.secret_for("connect links"))
    if not settings.connect_public_url:
        log.warning("CONNECT_PUBLIC_URL is not set: links to connect accounts open on this machine alone, at %s", url)
    if not settings.composio_verifier:
        log.info("COMPOSIO_VERIFIER is not set: accounts are connected only while Composio's project has no verifier")
    attempts = store.connect_attempts
    attempt_closer = AttemptCloser(attempts, store.connections, connections, outbox.ready, clock)
    consent = Consent(
        composio,
        connections,
        attempts,
        UnmatchedSessions(store.unmatched_sessions, clock),
        attempt_closer,
        connect_url=url,
        nonces=nonces,
        clock=clock,
        verifier=settings.composio_verifier,
    )
    watching = build_watching(base, composio, connections, outbox)
    events = ComposioEvents(
        settings.composio_webhook_secret.get_secret_value(),
        connections,
        watching.events.handle,
        watching.events.watched_for,
        store.inbox.last_route,
        outbox.ready,
        clock,
    )
    return ConnectParts(
        connections,
        ConnectLinks(composio, connections, attempts, attempt_closer, connect_url=url, nonces=nonces, clock=clock),
        CodeConfirmation(composio, connections, attempts, store.people, attempt_closer, clock),
        attempt_closer,
        ConnectPages(consent, events, store.chats, store.people, url, TrustedProxies(settings.connect_trusted_proxies)),
        watching,
        Revoker(composio, composio.triggers, store.revocations, clock),
    )
