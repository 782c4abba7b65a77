"""Ends attempts that connect nothing: their account is barred at once, and removed when the vendor is available."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kernel_service import texts
from kernel_service.connections.accounts import MOST_UNANSWERED, Removal
from kernel_service.connections.sweep_cursor import PAGE_SIZE, SweepCursor
from kernel_service.errors import Unreadable
from kernel_service.ports.connect_attempts import AWAITING_CODE, ConnectAttemptState
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.messages import Notice, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.connections.accounts import Connections
    from kernel_service.ports.connect_attempts import ConnectAttempt, ConnectAttemptStore
    from kernel_service.ports.connections import Connection, ConnectionStore

log = logging.getLogger(__name__)

ALARMING: Final = (ConnectAttemptState.WRONG_PERSON, ConnectAttemptState.WRONG_CODES, ConnectAttemptState.WRONG_BROWSER)


class AttemptCloser:
    """`notify(channel)` says that the outbox has a notice. `outcomes` counts attempts by how they ended."""

    def __init__(
        self,
        store: ConnectAttemptStore,
        accounts: ConnectionStore,
        connections: Connections,
        notify: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._connections = connections
        self._notify = notify
        self._clock = clock
        self.outcomes: Counter[str] = Counter()
        self._lapsing, self._removing = SweepCursor(clock), SweepCursor(clock)

    async def end(self, attempt: ConnectAttempt, outcome: ConnectAttemptState) -> bool:
        """End the attempt unless it has changed meanwhile, and notify its person. Return whether this call ended it."""
        barred = await self._end(attempt, outcome)
        if barred is not None:
            await self._connections.remove_at_vendor(barred)
        return barred is not None

    async def _end(self, attempt: ConnectAttempt, outcome: ConnectAttemptState) -> Connection | None:
        """The connection, with its account still to be removed at the vendor. None: another change came first."""
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
            self._notify(notice.channel)
        return connection

    def _notice(self, attempt: ConnectAttempt, outcome: ConnectAttemptState) -> Notice | None:
        """In the chat that the attempt was for."""
        sentence = _sentence(attempt, outcome)
        return Notice(Reply(sentence), attempt.channel, attempt.address, self._clock()) if sentence else None

    # --- the sweep --------------------------------------------------------------------------------

    async def sweep(self) -> None:
        """End lapsed attempts, and retry removals that failed at the vendor."""
        await self._lapse()
        await self._remove()

    async def _lapse(self) -> None:
        now = self._clock()
        due = await self._store.lapsing(now=now, after=self._lapsing.after, limit=PAGE_SIZE)
        for connection_id in self._lapsing.eligible(due):
            try:
                attempt = await self._store.lapsing_one(connection_id, now=now)
                if attempt is not None:
                    await self._end(attempt, ConnectAttemptState.LAPSED)
            except Unreadable as sealed:
                log.warning("attempt cannot be opened connection=%s reason=%s", connection_id, sealed.reason)
                self._lapsing.defer(connection_id)

    async def _remove(self) -> None:
        """A refused removal does not block the others; an unavailable vendor is not asked about each account."""
        due = await self._accounts.to_remove(after=self._removing.after, limit=PAGE_SIZE)
        accounts, unanswered = {connection.id: connection for connection in due}, 0
        for connection_id in self._removing.eligible(list(accounts)):
            removal = await self._connections.remove_at_vendor(accounts[connection_id])
            unanswered = unanswered + 1 if removal is Removal.UNANSWERED else 0
            if removal is Removal.AWAY or unanswered == MOST_UNANSWERED:
                return
            if removal is Removal.REFUSED:
                self._removing.defer(connection_id)


def _sentence(attempt: ConnectAttempt, outcome: ConnectAttemptState) -> str:
    toolkit = attempt.toolkit_name
    if outcome is ConnectAttemptState.WRONG_PERSON:
        return texts.connecting.code_used_elsewhere(toolkit)
    if outcome is ConnectAttemptState.WRONG_BROWSER:
        return texts.connecting.link_in_two_browsers(toolkit)
    if outcome is ConnectAttemptState.DENIED:
        return texts.connecting.consent_denied(toolkit)
    if outcome is ConnectAttemptState.LAPSED and attempt.state in AWAITING_CODE:
        return texts.connecting.code_never_came(toolkit)
    return ""
