"""How attempts end that connect nothing: the account is barred at once, and removed at the vendor as soon as may be."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kernel_service import texts
from kernel_service.connections.accounts import Removal
from kernel_service.connections.sweep_cursor import AT_ONCE, SweepCursor
from kernel_service.errors import Conflict
from kernel_service.ports.connect_attempts import AWAITING_CODE, State
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.messages import Notice, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.connections.accounts import Connections
    from kernel_service.ports.connect_attempts import Attempt, AttemptStore
    from kernel_service.ports.connections import Connection

log = logging.getLogger(__name__)

MOST_UNANSWERED: Final = 3
"""After so many in a row that the vendor does not answer, it is away for all."""
ALARMING: Final = (State.WRONG_PERSON, State.WRONG_CODES, State.WRONG_BROWSER)


class AttemptCloser:
    """`told(channel)` says that the outbox has a notice. `outcomes` counts attempts by how they ended."""

    def __init__(
        self,
        store: AttemptStore,
        connections: Connections,
        told: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._connections = connections
        self._told = told
        self._clock = clock
        self.outcomes: Counter[str] = Counter()
        self._lapsing, self._removing = SweepCursor(clock), SweepCursor(clock)

    async def end(self, attempt: Attempt, outcome: State) -> bool:
        """End it, if nobody has meanwhile, and tell its person what concerns them; whether it was ended here."""
        barred = await self._end(attempt, outcome)
        if barred is not None:
            await self._connections.remove_at_vendor(barred)
        return barred is not None

    async def _end(self, attempt: Attempt, outcome: State) -> Connection | None:
        """Its connection, whose account is still to be removed at the vendor; None: something else came first."""
        connection = replace(
            attempt.connection,
            status=ConnectionStatus.EXPIRED,
            link="",
            remove_due=bool(attempt.connection.account_id),
        )
        ended = replace(attempt, state=outcome, connection=connection, session_uri="", code="", consent_url="")
        notice = self._notice(attempt, outcome)
        if not await self._store.advance(ended, was=attempt.state, notice=notice):
            return None
        self.outcomes[outcome] += 1
        level = logging.WARNING if outcome in ALARMING else logging.INFO
        log.log(level, "connect ended outcome=%s person=%s toolkit=%s", outcome, attempt.person_id, attempt.toolkit)
        if notice is not None:
            self._told(notice.channel)
        return connection

    def _notice(self, attempt: Attempt, outcome: State) -> Notice | None:
        """In the chat that the attempt was for."""
        sentence = _sentence(attempt, outcome)
        return Notice(Reply(sentence), attempt.channel, attempt.address, self._clock()) if sentence else None

    # --- what no event announces --------------------------------------------------------------------------------

    async def sweep(self) -> None:
        """End what has lapsed; remove what the vendor could not be told of before."""
        await self._lapse()
        await self._remove()

    async def _lapse(self) -> None:
        now = self._clock()
        due = await self._store.lapsing_attempts(now=now, after=self._lapsing.after, limit=AT_ONCE)
        for connection_id in self._lapsing.turns(due):
            try:
                attempt = await self._store.lapsing_attempt(connection_id, now=now)
                if attempt is not None:
                    await self._end(attempt, State.LAPSED)
            except Conflict as sealed:
                log.warning("attempt cannot be opened connection=%s reason=%s", connection_id, sealed.reason)
                self._lapsing.put_off(connection_id)

    async def _remove(self) -> None:
        """One that the vendor will not remove holds up no other; a vendor who is away is not asked for each."""
        due = await self._store.accounts_to_remove(after=self._removing.after, limit=AT_ONCE)
        accounts, unanswered = {connection.id: connection for connection in due}, 0
        for connection_id in self._removing.turns(list(accounts)):
            removal = await self._connections.remove_at_vendor(accounts[connection_id])
            unanswered = unanswered + 1 if removal is Removal.UNANSWERED else 0
            if removal is Removal.AWAY or unanswered == MOST_UNANSWERED:
                return
            if removal is Removal.REFUSED:
                self._removing.put_off(connection_id)


def _sentence(attempt: Attempt, outcome: State) -> str:
    toolkit = attempt.toolkit_name
    if outcome is State.WRONG_PERSON:
        return texts.CODE_USED_ELSEWHERE.format(toolkit=toolkit)
    if outcome is State.WRONG_BROWSER:
        return texts.LINK_ASTRAY.format(toolkit=toolkit)
    if outcome is State.DENIED:
        return texts.CONSENT_DENIED.format(toolkit=toolkit)
    if outcome is State.LAPSED and attempt.state in AWAITING_CODE:
        return texts.CODE_NEVER_CAME.format(toolkit=toolkit)
    return ""
