"""The steps in the browser: from the link to the vendor's consent page, and back to the code.

None of them connects an account.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from kernel_service.composio.wire import ComposioRefusedError
from kernel_service.connections.busy_retry import retry_while_busy
from kernel_service.connections.settled_status import settled_status
from kernel_service.connections.tokens import Nonces, digest, new_code
from kernel_service.connections.unmatched_sessions import STARTED_SECONDS, UnmatchedSessions
from kernel_service.errors import VendorUnavailable
from kernel_service.ports.connect_attempts import (
    AWAITING_CODE,
    LIVE,
    ConnectAttempt,
    ConnectAttemptKey,
    ConnectAttemptState,
)
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.rate_limits.current_tenant import as_tenant
from kernel_service.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kernel_service.composio.client import Composio
    from kernel_service.connections.accounts import Connections
    from kernel_service.connections.attempt_closer import AttemptCloser
    from kernel_service.ports.connect_attempts import ConnectAttemptStore

log = logging.getLogger(__name__)

CODE_SECONDS: Final = 600.0


class PageKind(Enum):
    """The connect page to show."""

    CONFIRM = auto()
    """Which chat the link connects, and a button to continue."""
    REDIRECT = auto()
    """The browser is sent to `PageView.url`."""
    CODE = auto()
    """The code for the chat."""
    OTHER_BROWSER = auto()
    """Another browser has claimed this link."""
    WRONG_BROWSER = auto()
    """The consent arrived from a browser that was not sent to the vendor: the attempt has ended."""
    DENIED = auto()
    CONNECTED = auto()
    ENDED = auto()
    UNKNOWN = auto()
    """No such link, or the parts of the request do not belong to one attempt."""
    VENDOR_UNAVAILABLE = auto()
    """The vendor does not answer now: try again."""
    RATE_LIMITED = auto()


@dataclass(frozen=True, slots=True)
class PageView:
    kind: PageKind
    attempt: ConnectAttempt | None = None
    url: str = ""


@dataclass(slots=True)
class Consent:
    """`connect_url` is the address of the connect pages, without a path. A browser is known by a secret in its cookie.

    `verifier`: the project has Composio's identity verifier, which sends browsers back to `verified`, and no account
    is active before its session is completed. Without it they return to `returned`.
    """

    composio: Composio
    connections: Connections
    store: ConnectAttemptStore
    unmatched_sessions: UnmatchedSessions
    attempt_closer: AttemptCloser
    connect_url: str
    nonces: Nonces
    clock: Callable[[], float]
    verifier: bool = False
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    flights: SingleFlight = field(default_factory=SingleFlight)

    async def view(self, nonce: str, browser: str) -> PageView:
        """Opening the link changes nothing, since chat programs open links to make previews."""
        attempt = await self.store.find(ConnectAttemptKey.LINK, digest(nonce))
        if attempt is None:
            return PageView(PageKind.UNKNOWN)
        if self._has_ended(attempt):
            return PageView(
                PageKind.CONNECTED if attempt.state is ConnectAttemptState.CONNECTED else PageKind.ENDED, attempt
            )
        if attempt.state is ConnectAttemptState.OPEN:
            return PageView(PageKind.CONFIRM, attempt)
        if attempt.browser_digest != digest(browser):
            return PageView(PageKind.OTHER_BROWSER, attempt)
        return PageView(PageKind.CODE if attempt.state in AWAITING_CODE else PageKind.CONFIRM, attempt)

    async def start(self, nonce: str, browser: str) -> PageView:
        """The person continues. The first browser that does so claims the link for itself."""
        seen = await self.view(nonce, browser)
        if seen.kind is not PageKind.CONFIRM or seen.attempt is None:
            return seen
        attempt = seen.attempt
        if attempt.state is ConnectAttemptState.OPEN:
            claimed = replace(attempt, state=ConnectAttemptState.CLAIMED, browser_digest=digest(browser))
            await self.store.advance(claimed, was=ConnectAttemptState.OPEN)
            return await self.start(nonce, browser)  # as its first claimant, or after another browser
        if attempt.state is ConnectAttemptState.STARTED:
            return PageView(PageKind.REDIRECT, attempt, attempt.consent_url)
        try:
            with as_tenant(attempt.person_id):
                await self.flights.run(nonce, lambda: retry_while_busy(lambda: self._ask_vendor(nonce), self.sleep))
        except VendorUnavailable as away:
            log.info("no link of the vendor yet toolkit=%s problem=%s", attempt.toolkit, away.problem)
            return PageView(PageKind.VENDOR_UNAVAILABLE, attempt)
        except ComposioRefusedError as refused:
            log.warning("composio refuses a link toolkit=%s code=%s", attempt.toolkit, refused.code)
            return PageView(PageKind.VENDOR_UNAVAILABLE, attempt)
        return await self.start(nonce, browser)

    async def _ask_vendor(self, link_nonce: str) -> None:
        attempt = await self.store.find(ConnectAttemptKey.LINK, digest(link_nonce))
        if attempt is None or attempt.state is not ConnectAttemptState.CLAIMED:  # another tab was first
            return
        nonce = self.nonces.new()
        callback = f"{self.connect_url}/connect/return/{nonce}"
        link = await self.connections.sessions.using(
            attempt.connection.holder, lambda session: self.composio.link(session, attempt.toolkit, callback)
        )
        started = replace(
            attempt,
            state=ConnectAttemptState.STARTED,
            connection=replace(attempt.connection, account_id=link.account_id),
            return_digest=digest(nonce),
            consent_url=link.url,
            deadline=self.clock() + STARTED_SECONDS,
        )
        if not await self.store.advance(started, was=ConnectAttemptState.CLAIMED):  # the attempt has ended meanwhile
            await self.connections.remove_at_vendor(replace(started.connection, remove_due=True))

    # --- back from the vendor -----------------------------------------------------------------------------------

    async def returned(self, nonce: str, account_id: str, browser: str) -> PageView:
        """The vendor's callback. Its parameters (the account, the outcome) are only hints.

        Its address is known to the vendor, and to the browser that the vendor sent there. If that is not the browser
        that claimed the link, another person has given their consent, and the attempt ends in any state.
        """
        attempt = await self.store.find(ConnectAttemptKey.RETURN, digest(nonce))
        if attempt is None or account_id not in {"", attempt.connection.account_id}:
            log.warning("callback that belongs to no attempt")
            return PageView(PageKind.UNKNOWN)
        if attempt.state not in {*LIVE, ConnectAttemptState.CONNECTED} or self.clock() >= attempt.deadline:
            return self._current_view(attempt)
        if attempt.browser_digest != digest(browser):
            ended = await self.attempt_closer.end(attempt, ConnectAttemptState.WRONG_BROWSER)
            return (
                PageView(PageKind.WRONG_BROWSER, attempt) if ended else await self.returned(nonce, account_id, browser)
            )
        return (
            await self._check_consent(attempt)
            if attempt.state is ConnectAttemptState.STARTED
            else self._current_view(attempt)
        )

    async def _check_consent(self, attempt: ConnectAttempt) -> PageView:
        """Only the vendor's own answer shows whether consent was given. The callback is used once in any case."""
        try:
            with as_tenant(attempt.person_id):
                status = await self._status_of(attempt)
        except (VendorUnavailable, ComposioRefusedError) as away:
            log.info("not known yet whether consent was given connection=%s problem=%s", attempt.connection.id, away)
            return PageView(PageKind.VENDOR_UNAVAILABLE, attempt)
        if status != "ACTIVE":
            await self.attempt_closer.end(attempt, ConnectAttemptState.DENIED)
            return PageView(PageKind.DENIED, attempt)
        if self.verifier:
            log.error("COMPOSIO_VERIFIER is set, but Composio has no verifier connection=%s", attempt.connection.id)
            await self.attempt_closer.end(attempt, ConnectAttemptState.REMOVED)
            return PageView(PageKind.ENDED, attempt)
        return await self._show_code(attempt)

    async def _status_of(self, attempt: ConnectAttempt) -> str:
        def status() -> Awaitable[str]:
            return retry_while_busy(lambda: self.connections.status_of(attempt.connection), self.sleep)

        return await settled_status(status, self.sleep)

    async def verified(
        self, session_uri: str, browser: str, admits_unmatched: Callable[[], Awaitable[bool]]
    ) -> PageView:
        """The verifier's callback: the account becomes active only once `session_uri` is completed for a person.

        The vendor names no attempt here, so the attempt is found by the browser that was sent to the vendor. A session
        that arrived from another browser before belongs to another person, and is rejected permanently.
        `admits_unmatched`: whether the database has room for one more of these.
        """
        if not self.verifier or not session_uri:
            return PageView(PageKind.UNKNOWN)
        attempts = await self.store.in_browser(digest(browser)) if browser else []
        if attempts and await self.unmatched_sessions.is_rejected(session_uri):
            return PageView(PageKind.UNKNOWN)
        for attempt in attempts:
            if attempt.state in AWAITING_CODE and attempt.session_uri == session_uri:
                return PageView(PageKind.CODE, attempt)
        for attempt in attempts:
            if attempt.state is ConnectAttemptState.STARTED and not self._has_ended(attempt):
                return await self._show_code(replace(attempt, session_uri=session_uri))
        admitted = await admits_unmatched()
        await self.unmatched_sessions.reject(session_uri, as_row=admitted)
        return PageView(PageKind.UNKNOWN if admitted else PageKind.RATE_LIMITED)

    async def _show_code(self, attempt: ConnectAttempt) -> PageView:
        code = new_code()
        back = replace(
            attempt,
            state=ConnectAttemptState.RETURNED,
            connection=replace(attempt.connection, status=ConnectionStatus.UNCONFIRMED),
            code=code,
            code_digest=digest(code),
            deadline=self.clock() + CODE_SECONDS,
        )
        if await self.store.advance(back, was=ConnectAttemptState.STARTED):
            log.info("consent given person=%s toolkit=%s", attempt.person_id, attempt.toolkit)
            return PageView(PageKind.CODE, back)
        now = await self.store.find(ConnectAttemptKey.LINK, attempt.link_digest)
        return self._current_view(now or attempt)

    def _current_view(self, attempt: ConnectAttempt) -> PageView:
        if attempt.state is ConnectAttemptState.CONNECTED:
            return PageView(PageKind.CONNECTED, attempt)
        return PageView(PageKind.ENDED if self._has_ended(attempt) else PageKind.CODE, attempt)

    def _has_ended(self, attempt: ConnectAttempt) -> bool:
        return not attempt.live or self.clock() >= attempt.deadline
