"""The browser's way: from the link to the vendor's consent, and back to the code. Nothing here connects anything."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from kernel_service.connect.attempt import AWAITING_CODE, Attempt, Key, State
from kernel_service.connect.patience import patiently
from kernel_service.connect.secrets import digest, new_code, new_nonce
from kernel_service.errors import VendorUnavailable
from kernel_service.fairness.behalf import on_behalf_of
from kernel_service.tools.composio_client import LINK_SECONDS as CONSENT_SECONDS
from kernel_service.tools.composio_wire import ComposioRefusedError
from kernel_service.tools.connections import ConnectionStatus
from kernel_service.tools.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kernel_service.connect.attempt import AttemptStore
    from kernel_service.connect.endings import Endings
    from kernel_service.tools.composio_client import Composio
    from kernel_service.tools.connections import Connections

log = logging.getLogger(__name__)

CONSENT_GRACE: Final = 300.0
"""Seconds after the vendor's link ends during which a consent begun in time may still come back."""
CODE_SECONDS: Final = 600.0

_WAITING = ("INITIALIZING", "INITIATED")


class Step(Enum):
    """What a browser that comes to the door is shown."""

    ASK = auto()
    """Which chat the link connects, and a button to go on."""
    GO = auto()
    """Send it to `Seen.url`."""
    CODE = auto()
    """The code for the chat."""
    CODE_SHOWN = auto()
    """The code was shown already, to another browser."""
    ELSEWHERE = auto()
    """Another browser goes on with this link."""
    UNFINISHED = auto()
    """Consent is not complete at the vendor."""
    DENIED = auto()
    CONNECTED = auto()
    OVER = auto()
    UNKNOWN = auto()
    """No such link; or the browser brings what does not belong together."""
    AWAY = auto()
    """The vendor does not answer now: try again."""


@dataclass(frozen=True, slots=True)
class Seen:
    step: Step
    attempt: Attempt | None = None
    url: str = ""


@dataclass(slots=True)
class Consent:
    """`door_url` is where the vendor sends people back to. A browser is known by a secret that it keeps (a cookie)."""

    composio: Composio
    connections: Connections
    store: AttemptStore
    endings: Endings
    door_url: str
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    flights: SingleFlight = field(default_factory=SingleFlight)

    async def look(self, nonce: str, browser: str) -> Seen:
        """Who opens the link, be it a program that makes a preview, changes nothing."""
        attempt = await self.store.attempt_by(Key.DOOR, digest(nonce))
        if attempt is None:
            return Seen(Step.UNKNOWN)
        if self._over(attempt):
            return Seen(Step.CONNECTED if attempt.state is State.CONNECTED else Step.OVER, attempt)
        if attempt.state is State.OPEN:
            return Seen(Step.ASK, attempt)
        if attempt.browser_digest != digest(browser):
            return Seen(Step.ELSEWHERE, attempt)
        return self._code(attempt, browser) if attempt.state in AWAITING_CODE else Seen(Step.ASK, attempt)

    async def start(self, nonce: str, browser: str) -> Seen:
        """The person goes on. The first browser that does has the link for itself."""
        seen = await self.look(nonce, browser)
        if seen.step is not Step.ASK or seen.attempt is None:
            return seen
        attempt = seen.attempt
        if attempt.state is State.OPEN:
            claimed = replace(attempt, state=State.CLAIMED, browser_digest=digest(browser))
            await self.store.advance(claimed, was=State.OPEN)
            return await self.start(nonce, browser)  # as its first claimant, or as one who came too late
        if attempt.state is State.STARTED:
            return Seen(Step.GO, attempt, attempt.consent_url)
        try:
            with on_behalf_of(attempt.person_id):
                await self.flights.run(nonce, lambda: patiently(lambda: self._ask_vendor(nonce), self.sleep))
        except VendorUnavailable as away:
            log.info("no link of the vendor yet toolkit=%s problem=%s", attempt.toolkit, away.problem)
            return Seen(Step.AWAY, attempt)
        except ComposioRefusedError as refused:
            log.warning("composio refuses a link toolkit=%s code=%s", attempt.toolkit, refused.code)
            return Seen(Step.AWAY, attempt)
        return await self.start(nonce, browser)

    async def _ask_vendor(self, door_nonce: str) -> None:
        attempt = await self.store.attempt_by(Key.DOOR, digest(door_nonce))
        if attempt is None or attempt.state is not State.CLAIMED:  # another tab's flight has just landed
            return
        nonce = new_nonce()
        callback = f"{self.door_url}/connect/return/{nonce}"
        link = await self.connections.sessions.using(
            attempt.connection.holder, lambda session: self.composio.link(session, attempt.toolkit, callback)
        )
        started = replace(
            attempt,
            state=State.STARTED,
            connection=replace(attempt.connection, account_id=link.account_id),
            return_digest=digest(nonce),
            consent_url=link.url,
            deadline=self.clock() + CONSENT_SECONDS + CONSENT_GRACE,
        )
        await self.store.advance(started, was=State.CLAIMED)

    # --- back from the vendor -----------------------------------------------------------------------------------

    async def returned(self, nonce: str, account_id: str, browser: str) -> Seen:
        """By the vendor's callback, whose own word (the account, the outcome) is a hint only."""
        attempt = await self.store.attempt_by(Key.RETURN, digest(nonce))
        if attempt is None or account_id not in {"", attempt.connection.account_id}:
            log.warning("callback that belongs to no attempt")
            return Seen(Step.UNKNOWN)
        if attempt.state is not State.STARTED or self._over(attempt):
            return self._back_again(attempt, browser)
        return await self._heed(attempt, browser)

    async def _heed(self, attempt: Attempt, browser: str) -> Seen:
        """Whether consent was given, the vendor itself has to say."""
        try:
            with on_behalf_of(attempt.person_id):
                status = await patiently(lambda: self.connections.status_of(attempt.connection), self.sleep)
        except VendorUnavailable:
            return Seen(Step.AWAY, attempt)
        if status == "ACTIVE":
            return await self._show_code(attempt, browser)
        if status in _WAITING:
            return Seen(Step.UNFINISHED, attempt)
        await self.endings.end(attempt, State.DENIED)
        return Seen(Step.DENIED, attempt)

    async def verified(self, session_uri: str, browser: str) -> Seen:
        """By the project's verifier: the account becomes active only once `session_uri` is completed for a person.

        The vendor names no attempt here, so that it is the one that this browser was sent on with. What came with
        another browser before belongs to somebody else.
        """
        attempts = await self.store.attempts_in_browser(digest(browser)) if browser else []
        if not session_uri or await self.store.stray_session(digest(session_uri)):
            return Seen(Step.UNKNOWN)
        for attempt in attempts:
            if attempt.state in AWAITING_CODE and attempt.session_uri == session_uri:
                return self._code(attempt, browser)
        for attempt in attempts:
            if attempt.state is State.STARTED and not self._over(attempt):
                return await self._show_code(replace(attempt, session_uri=session_uri), browser)
        await self.store.note_stray_session(digest(session_uri), now=self.clock())
        return Seen(Step.UNKNOWN)

    async def _show_code(self, attempt: Attempt, browser: str) -> Seen:
        code = new_code()
        back = replace(
            attempt,
            state=State.RETURNED,
            connection=replace(attempt.connection, status=ConnectionStatus.UNCONFIRMED, link=""),
            code=code,
            code_digest=digest(code),
            reader_digest=digest(browser),
            deadline=self.clock() + CODE_SECONDS,
        )
        if await self.store.advance(back, was=State.STARTED):
            log.info("consent given person=%s toolkit=%s", attempt.person_id, attempt.toolkit)
            return Seen(Step.CODE, back)
        now = await self.store.attempt_by(Key.DOOR, attempt.door_digest)
        return self._back_again(now or attempt, browser)

    def _back_again(self, attempt: Attempt, browser: str) -> Seen:
        if attempt.state is State.CONNECTED:
            return Seen(Step.CONNECTED, attempt)
        if self._over(attempt):
            return Seen(Step.OVER, attempt)
        return self._code(attempt, browser)

    def _code(self, attempt: Attempt, browser: str) -> Seen:
        """Whoever else comes to know the address of the page does not come to know the code."""
        return Seen(Step.CODE if attempt.reader_digest == digest(browser) else Step.CODE_SHOWN, attempt)

    def _over(self, attempt: Attempt) -> bool:
        return not attempt.live or self.clock() >= attempt.deadline
