"""The browser's way: from the link to the vendor's consent, and back to the code. Nothing here connects anything."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from kernel_service.composio.wire import ComposioRefusedError
from kernel_service.connections.patience import patiently
from kernel_service.connections.settled_status import settled_status
from kernel_service.connections.strays import STARTED_SECONDS, Strays
from kernel_service.connections.tokens import Nonces, digest, new_code
from kernel_service.errors import VendorUnavailable
from kernel_service.ports.connect_attempts import AWAITING_CODE, LIVE, Attempt, Key, State
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.rate_limits.current_tenant import as_tenant
from kernel_service.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kernel_service.composio.client import Composio
    from kernel_service.connections.accounts import Connections
    from kernel_service.connections.attempt_closer import AttemptCloser
    from kernel_service.ports.connect_attempts import AttemptStore

log = logging.getLogger(__name__)

CODE_SECONDS: Final = 600.0


class Step(Enum):
    """What a browser that comes to the door is shown."""

    ASK = auto()
    """Which chat the link connects, and a button to go on."""
    GO = auto()
    """Send it to `Seen.url`."""
    CODE = auto()
    """The code for the chat."""
    ELSEWHERE = auto()
    """Another browser goes on with this link."""
    STRAY = auto()
    """Another browser was sent to the vendor: the attempt has ended."""
    DENIED = auto()
    CONNECTED = auto()
    OVER = auto()
    UNKNOWN = auto()
    """No such link; or the browser brings what does not belong together."""
    AWAY = auto()
    """The vendor does not answer now: try again."""
    BUSY = auto()
    """Too many ask."""


@dataclass(frozen=True, slots=True)
class Seen:
    step: Step
    attempt: Attempt | None = None
    url: str = ""


@dataclass(slots=True)
class Consent:
    """`door_url` is where the vendor sends people back to. A browser is known by a secret that it keeps (a cookie).

    `verifier`: the project has Composio's identity verifier, which sends browsers back to `verified`, and no account
    is active before its session is completed. Without it they come back to `returned`.
    """

    composio: Composio
    connections: Connections
    store: AttemptStore
    endings: AttemptCloser
    door_url: str
    nonces: Nonces
    clock: Callable[[], float]
    verifier: bool = False
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    flights: SingleFlight = field(default_factory=SingleFlight)
    strays: Strays = field(init=False)

    def __post_init__(self) -> None:
        self.strays = Strays(self.store, self.clock)

    async def close(self) -> None:
        await self.strays.close()

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
        return Seen(Step.CODE if attempt.state in AWAITING_CODE else Step.ASK, attempt)

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
            with as_tenant(attempt.person_id):
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
        nonce = self.nonces.new()
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
            deadline=self.clock() + STARTED_SECONDS,
        )
        if not await self.store.advance(started, was=State.CLAIMED):  # it has ended meanwhile
            await self.connections.remove_at_vendor(replace(started.connection, remove_due=True))

    # --- back from the vendor -----------------------------------------------------------------------------------

    async def returned(self, nonce: str, account_id: str, browser: str) -> Seen:
        """By the vendor's callback, whose own word (the account, the outcome) is a hint only.

        Only the vendor knows its address, and whoever the vendor sent there: with another browser than the one that
        set out somebody else has given their consent, and whatever came of the attempt meanwhile ends.
        """
        attempt = await self.store.attempt_by(Key.RETURN, digest(nonce))
        if attempt is None or account_id not in {"", attempt.connection.account_id}:
            log.warning("callback that belongs to no attempt")
            return Seen(Step.UNKNOWN)
        if attempt.state not in {*LIVE, State.CONNECTED} or self.clock() >= attempt.deadline:
            return self._back_again(attempt)
        if attempt.browser_digest != digest(browser):
            ended = await self.endings.end(attempt, State.WRONG_BROWSER)
            return Seen(Step.STRAY, attempt) if ended else await self.returned(nonce, account_id, browser)
        return await self._heed(attempt) if attempt.state is State.STARTED else self._back_again(attempt)

    async def _heed(self, attempt: Attempt) -> Seen:
        """Whether consent was given, the vendor itself has to say; the callback is good once, whatever it says."""
        try:
            with as_tenant(attempt.person_id):
                status = await self._status_of(attempt)
        except (VendorUnavailable, ComposioRefusedError) as away:
            log.info("not known yet whether consent was given connection=%s problem=%s", attempt.connection.id, away)
            return Seen(Step.AWAY, attempt)
        if status != "ACTIVE":
            await self.endings.end(attempt, State.DENIED)
            return Seen(Step.DENIED, attempt)
        if self.verifier:
            log.error("COMPOSIO_VERIFIER is set, but Composio has no verifier connection=%s", attempt.connection.id)
            await self.endings.end(attempt, State.REMOVED)
            return Seen(Step.OVER, attempt)
        return await self._show_code(attempt)

    async def _status_of(self, attempt: Attempt) -> str:
        def look() -> Awaitable[str]:
            return patiently(lambda: self.connections.status_of(attempt.connection), self.sleep)

        return await settled_status(look, self.sleep)

    async def verified(self, session_uri: str, browser: str, admits_stray: Callable[[], Awaitable[bool]]) -> Seen:
        """By the project's verifier: the account becomes active only once `session_uri` is completed for a person.

        The vendor names no attempt here, so that it is the one that this browser was sent on with. What came with
        another browser before belongs to somebody else. `admits_stray`: whether there is room for one more such; it is
        burnt even if there is none.
        """
        if not self.verifier or not session_uri:
            return Seen(Step.UNKNOWN)
        attempts = await self.store.attempts_in_browser(digest(browser)) if browser else []
        if attempts and await self.strays.holds(session_uri):
            return Seen(Step.UNKNOWN)
        for attempt in attempts:
            if attempt.state in AWAITING_CODE and attempt.session_uri == session_uri:
                return Seen(Step.CODE, attempt)
        for attempt in attempts:
            if attempt.state is State.STARTED and not self._over(attempt):
                return await self._show_verified(attempt, session_uri)
        admitted = await admits_stray()
        await self.strays.burn(session_uri, as_row=admitted)
        return Seen(Step.UNKNOWN if admitted else Step.BUSY)

    async def _show_verified(self, attempt: Attempt, session_uri: str) -> Seen:
        if await self.strays.may_have_forgotten(attempt.deadline - STARTED_SECONDS):
            log.warning("verified after a flood and a restart, so not trusted connection=%s", attempt.connection.id)
            await self.endings.end(attempt, State.REMOVED)
            return Seen(Step.OVER, attempt)
        return await self._show_code(replace(attempt, session_uri=session_uri))

    async def _show_code(self, attempt: Attempt) -> Seen:
        code = new_code()
        back = replace(
            attempt,
            state=State.RETURNED,
            connection=replace(attempt.connection, status=ConnectionStatus.UNCONFIRMED),
            code=code,
            code_digest=digest(code),
            deadline=self.clock() + CODE_SECONDS,
        )
        if await self.store.advance(back, was=State.STARTED):
            log.info("consent given person=%s toolkit=%s", attempt.person_id, attempt.toolkit)
            return Seen(Step.CODE, back)
        now = await self.store.attempt_by(Key.DOOR, attempt.door_digest)
        return self._back_again(now or attempt)

    def _back_again(self, attempt: Attempt) -> Seen:
        if attempt.state is State.CONNECTED:
            return Seen(Step.CONNECTED, attempt)
        return Seen(Step.OVER if self._over(attempt) else Step.CODE, attempt)

    def _over(self, attempt: Attempt) -> bool:
        return not attempt.live or self.clock() >= attempt.deadline
