"""An account becomes usable when the person who requested the link sends its code in the chat."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from kernel_service import texts
from kernel_service.composio.wire import ComposioRefusedError
from kernel_service.connections.settled_status import settled_status
from kernel_service.connections.tokens import digest
from kernel_service.ports.connect_attempts import AWAITING_CODE, ConnectAttemptKey, ConnectAttemptState
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.resuming import Codes, Confirmed
from kernel_service.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kernel_service.composio.client import Composio
    from kernel_service.connections.accounts import Connections
    from kernel_service.connections.attempt_closer import AttemptCloser
    from kernel_service.ports.connect_attempts import ConnectAttempt, ConnectAttemptStore
    from kernel_service.ports.people import PeopleStore
    from kernel_service.ports.tools import Person

log = logging.getLogger(__name__)

MOST_WRONG_CODES: Final = 5


@dataclass(slots=True)
class CodeConfirmation(Codes):
    composio: Composio
    connections: Connections
    store: ConnectAttemptStore
    people: PeopleStore
    attempt_closer: AttemptCloser
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    completions: SingleFlight = field(default_factory=SingleFlight)
    """By attempt. Equal codes share one completion: a second request would be refused, and would end the attempt."""

    async def confirm(self, person: Person, code: str, seq: int, *, at: float) -> Confirmed:
        attempt = await self.store.find(ConnectAttemptKey.CODE, digest(code))
        if attempt is None:
            return Confirmed(await self._wrong(person))
        if attempt.person_id not in {person.id, await self.people.surviving(person.id)}:
            return Confirmed(await self._of_another_person(attempt, person))
        if attempt.state is ConnectAttemptState.CONNECTED and attempt.connection.status is ConnectionStatus.ACTIVE:
            return await self._connected(attempt, seq)
        if attempt.state in AWAITING_CODE and at >= attempt.deadline:
            await self.attempt_closer.end(attempt, ConnectAttemptState.LAPSED)
        elif attempt.state in AWAITING_CODE and attempt.wrong_codes >= MOST_WRONG_CODES:
            await self.attempt_closer.end(attempt, ConnectAttemptState.WRONG_CODES)
            return Confirmed(texts.connecting.TOO_MANY_WRONG_CODES)
        elif attempt.state in AWAITING_CODE:
            return await self._right(person, code, seq, attempt, at=at)
        return Confirmed(texts.connecting.code_too_late(attempt.toolkit_name))

    # --- the right code ------------------------------------------------------------------------------------------

    async def _right(self, person: Person, code: str, seq: int, attempt: ConnectAttempt, *, at: float) -> Confirmed:
        failed = Confirmed(texts.connecting.connect_failed(attempt.toolkit_name))
        if await self._unverified(attempt):
            ended = await self.attempt_closer.end(attempt, ConnectAttemptState.REMOVED)
            return failed if ended else await self.confirm(person, code, seq, at=at)
        proven = await self._completed_once(attempt) if attempt.session_uri else attempt
        if proven is None:
            refused = replace(attempt, state=ConnectAttemptState.COMPLETING)
            ended = await self.attempt_closer.end(refused, ConnectAttemptState.REMOVED)
            return failed if ended else await self.confirm(person, code, seq, at=at)
        active = replace(proven.connection, status=ConnectionStatus.ACTIVE, link="", confirmed_at=self.clock())
        connected = replace(
            proven, state=ConnectAttemptState.CONNECTED, connection=active, session_uri="", code="", consent_url=""
        )
        if not await self.store.confirm(connected, was=proven.state, seq=seq, now=self.clock()):
            # Another change came first: start again from the current state.
            return await self.confirm(person, code, seq, at=at)
        self.attempt_closer.outcomes[ConnectAttemptState.CONNECTED] += 1
        log.info("connected person=%s toolkit=%s", person.id, proven.toolkit)
        return await self._connected(connected, seq)

    async def _connected(self, attempt: ConnectAttempt, seq: int) -> Confirmed:
        resumed = await self.store.resumed_by(attempt.person_id, seq)
        told = texts.connecting.connected(attempt.toolkit_name, attempt.connection.name)
        return Confirmed(told, attempt.toolkit_name, tuple(resumed))

    async def _unverified(self, attempt: ConnectAttempt) -> bool:
        """Whether the account is active before its session is completed: then no session proves its owner."""
        if not attempt.session_uri or attempt.state is not ConnectAttemptState.RETURNED:
            return False
        if await self.connections.status_of(attempt.connection) != "ACTIVE":
            return False
        log.warning("account is active before it is verified connection=%s", attempt.connection.id)
        return True

    async def _completed_once(self, attempt: ConnectAttempt) -> ConnectAttempt | None:
        return await self.completions.run(attempt.connection.id, lambda: self._completed(attempt))

    async def _completed(self, attempt: ConnectAttempt) -> ConnectAttempt | None:
        """The attempt whose account the vendor has made active for this person; None: the vendor refuses.

        COMPLETING is stored before the request. A `session_uri` is used once, and a refusal is final whatever the
        account's status is: another person may have consented in between. After an earlier request whose answer is not
        known, the account's status shows whether that one succeeded, since the account was not active before it.
        """
        completing = replace(attempt, state=ConnectAttemptState.COMPLETING)
        asked_before = not await self.store.advance(completing, was=ConnectAttemptState.RETURNED)
        try:
            account_id = await self.composio.complete_auth(attempt.connection.holder, attempt.session_uri)
        except ComposioRefusedError as refused:
            log.warning("verification refused connection=%s code=%s", attempt.connection.id, refused.code)
            return completing if asked_before and await self._settled_active(attempt) else None
        return await self._of_account(completing, account_id)

    async def _settled_active(self, attempt: ConnectAttempt) -> bool:
        return await settled_status(lambda: self.connections.status_of(attempt.connection), self.sleep) == "ACTIVE"

    async def _of_account(self, attempt: ConnectAttempt, account_id: str) -> ConnectAttempt | None:
        """Two links followed in one browser may return in the other order. The vendor's answer names the account."""
        if account_id == attempt.connection.account_id:
            return attempt
        for other in await self.store.live(attempt.person_id):
            if other.connection.account_id == account_id:
                await self.attempt_closer.end(attempt, ConnectAttemptState.REMOVED)
                return other
        log.error("verified an account of no attempt connection=%s", attempt.connection.id)
        return None

    # --- any other code ----------------------------------------------------------------------------------------------

    async def _wrong(self, person: Person) -> str:
        """A code that matches no attempt of the person counts against each attempt of the person that awaits a code."""
        ended = [
            attempt
            for attempt in await self.store.count_wrong_code(person.id)
            if attempt.wrong_codes >= MOST_WRONG_CODES
            and await self.attempt_closer.end(attempt, ConnectAttemptState.WRONG_CODES)
        ]
        return texts.connecting.TOO_MANY_WRONG_CODES if ended else texts.connecting.CODE_UNKNOWN

    async def _of_another_person(self, attempt: ConnectAttempt, person: Person) -> str:
        """The link or the code was passed on. The person who requested the link must not get this account."""
        if attempt.live:
            log.warning("code in another chat person=%s owner=%s", person.id, attempt.person_id)
            await self.attempt_closer.end(attempt, ConnectAttemptState.WRONG_PERSON)
        elif attempt.state is not ConnectAttemptState.WRONG_PERSON:
            return await self._wrong(person)  # the code is now of no use
        return texts.connecting.CODE_OF_ANOTHER
