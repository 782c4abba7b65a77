"""The proof: only the code, sent in the chat by the person whose link it was, makes an account usable."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from kernel_service import texts
from kernel_service.composio.wire import ComposioRefusedError
from kernel_service.connections.settled_status import settled_status
from kernel_service.connections.tokens import digest
from kernel_service.ports.connect_attempts import AWAITING_CODE, Key, State
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.resuming import Codes, Confirmed
from kernel_service.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kernel_service.composio.client import Composio
    from kernel_service.connections.accounts import Connections
    from kernel_service.connections.attempt_closer import AttemptCloser
    from kernel_service.ports.connect_attempts import Attempt, AttemptStore
    from kernel_service.ports.tools import Person

log = logging.getLogger(__name__)

MOST_WRONG_CODES: Final = 5


@dataclass(slots=True)
class CodeConfirmation(Codes):
    composio: Composio
    connections: Connections
    store: AttemptStore
    endings: AttemptCloser
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    completions: SingleFlight = field(default_factory=SingleFlight)
    """A code sent twice completes its session once: the second request would be refused, and end the attempt."""

    async def confirm(self, person: Person, code: str, seq: int, *, at: float) -> Confirmed:
        attempt = await self.store.attempt_by(Key.CODE, digest(code))
        if attempt is None:
            return Confirmed(await self._wrong(person))
        if attempt.person_id not in {person.id, await self.store.surviving(person.id)}:
            return Confirmed(await self._anothers(attempt, person))
        if attempt.state is State.CONNECTED and attempt.connection.status is ConnectionStatus.ACTIVE:
            return await self._connected(attempt, seq)
        if attempt.state in AWAITING_CODE and at >= attempt.deadline:
            await self.endings.end(attempt, State.LAPSED)
        elif attempt.state in AWAITING_CODE and attempt.wrong_codes >= MOST_WRONG_CODES:
            await self.endings.end(attempt, State.WRONG_CODES)
            return Confirmed(texts.TOO_MANY_WRONG_CODES)
        elif attempt.state in AWAITING_CODE:
            return await self._right(person, code, seq, attempt, at=at)
        return Confirmed(texts.CODE_TOO_LATE.format(toolkit=attempt.toolkit_name))

    # --- the right one ------------------------------------------------------------------------------------------

    async def _right(self, person: Person, code: str, seq: int, attempt: Attempt, *, at: float) -> Confirmed:
        failed = Confirmed(texts.CONNECT_FAILED.format(toolkit=attempt.toolkit_name))
        if await self._unverified(attempt):
            ended = await self.endings.end(attempt, State.REMOVED)
            return failed if ended else await self.confirm(person, code, seq, at=at)
        proven = await self._completed_once(attempt) if attempt.session_uri else attempt
        if proven is None:
            await self.endings.end(replace(attempt, state=State.COMPLETING), State.REMOVED)
            return failed
        active = replace(proven.connection, status=ConnectionStatus.ACTIVE, link="", confirmed_at=self.clock())
        connected = replace(proven, state=State.CONNECTED, connection=active, session_uri="", code="", consent_url="")
        if not await self.store.confirm(connected, was=proven.state, seq=seq, now=self.clock()):
            return await self.confirm(person, code, seq, at=at)  # something else came first: look what it was
        self.endings.outcomes[State.CONNECTED] += 1
        log.info("connected person=%s toolkit=%s", person.id, proven.toolkit)
        return await self._connected(connected, seq)

    async def _connected(self, attempt: Attempt, seq: int) -> Confirmed:
        resumed = await self.store.resumed_by(attempt.person_id, seq)
        toolkit = attempt.toolkit_name
        told = texts.CONNECTED.format(toolkit=f"{toolkit} ({name})" if (name := attempt.connection.name) else toolkit)
        return Confirmed(told, toolkit, tuple(resumed))

    async def _unverified(self, attempt: Attempt) -> bool:
        """Whether the account is active though its session is not completed: then a session may be anybody's word."""
        if not attempt.session_uri or attempt.state is not State.RETURNED:
            return False
        if await self.connections.status_of(attempt.connection) != "ACTIVE":
            return False
        log.warning("account is active before it is verified connection=%s", attempt.connection.id)
        return True

    async def _completed_once(self, attempt: Attempt) -> Attempt | None:
        return await self.completions.run(attempt.connection.id, lambda: self._completed(attempt))

    async def _completed(self, attempt: Attempt) -> Attempt | None:
        """The attempt whose account the vendor has made active for this person; None: it will not.

        That we are about to ask is stored first. A `session_uri` is good once, and the vendor's no to it is final,
        whatever the account says: consent may have been given in between, by somebody else. Only where we have asked
        before and do not know what became of it the account tells, which was not active then.
        """
        completing = replace(attempt, state=State.COMPLETING)
        asked_before = not await self.store.advance(completing, was=State.RETURNED)
        try:
            account_id = await self.composio.complete_auth(attempt.connection.holder, attempt.session_uri)
        except ComposioRefusedError as refused:
            log.warning("verification refused connection=%s code=%s", attempt.connection.id, refused.code)
            return completing if asked_before and await self._settled_active(attempt) else None
        return await self._of_account(completing, account_id)

    async def _settled_active(self, attempt: Attempt) -> bool:
        return await settled_status(lambda: self.connections.status_of(attempt.connection), self.sleep) == "ACTIVE"

    async def _of_account(self, attempt: Attempt, account_id: str) -> Attempt | None:
        """Two links followed in one browser may come back crosswise: the vendor's word says which it was."""
        if account_id == attempt.connection.account_id:
            return attempt
        for other in await self.store.live_attempts(attempt.person_id):
            if other.connection.account_id == account_id:
                await self.endings.end(attempt, State.REMOVED)
                return other
        log.error("verified an account that nobody was sent for connection=%s", attempt.connection.id)
        return None

    # --- any other ----------------------------------------------------------------------------------------------

    async def _wrong(self, person: Person) -> str:
        """Several attempts of one person are not told apart by a code that is none of theirs."""
        ended = [
            attempt
            for attempt in await self.store.count_wrong_code(person.id)
            if attempt.wrong_codes >= MOST_WRONG_CODES and await self.endings.end(attempt, State.WRONG_CODES)
        ]
        return texts.TOO_MANY_WRONG_CODES if ended else texts.CODE_UNKNOWN

    async def _anothers(self, attempt: Attempt, person: Person) -> str:
        """A link was passed on, or a code was: either way whoever the link was for must not get this account."""
        if attempt.live:
            log.warning("code in another chat person=%s owner=%s", person.id, attempt.person_id)
            await self.endings.end(attempt, State.WRONG_PERSON)
        elif attempt.state is not State.WRONG_PERSON:
            return await self._wrong(person)  # of no use to anybody any more
        return texts.CODE_OF_ANOTHER
