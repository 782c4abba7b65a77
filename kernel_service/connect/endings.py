"""How attempts end that connect nothing: the account is barred at once, and removed at the vendor as soon as may be."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kernel_service import texts
from kernel_service.connect.attempt import AWAITING_CODE, State
from kernel_service.messages import Reply
from kernel_service.tools.connections import ConnectionStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kernel_service.connect.attempt import Attempt, AttemptStore
    from kernel_service.tools.connections import Connections

log = logging.getLogger(__name__)

AT_ONCE: Final = 200
"""How many attempts, and accounts to remove, one sweep looks at."""
ALARMING: Final = (State.WRONG_PERSON, State.WRONG_CODES, State.WRONG_BROWSER)


class Endings:
    """`tell(person_id, reply, channel, address)` sends a notice. `outcomes` counts attempts by how they ended."""

    def __init__(
        self,
        store: AttemptStore,
        connections: Connections,
        tell: Callable[[str, Reply, str, str], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._connections = connections
        self._tell = tell
        self._clock = clock
        self.outcomes: Counter[str] = Counter()

    async def end(self, attempt: Attempt, outcome: State) -> bool:
        """End it, if nobody has meanwhile, and tell its person what concerns him; whether it was ended here."""
        connection = replace(
            attempt.connection,
            status=ConnectionStatus.EXPIRED,
            link="",
            remove_due=bool(attempt.connection.account_id),
        )
        ended = replace(attempt, state=outcome, connection=connection, session_uri="", code="", consent_url="")
        if not await self._store.advance(ended, was=attempt.state):
            return False
        self.outcomes[outcome] += 1
        level = logging.WARNING if outcome in ALARMING else logging.INFO
        log.log(level, "connect ended outcome=%s person=%s toolkit=%s", outcome, attempt.person_id, attempt.toolkit)
        if notice := _notice(attempt, outcome):
            await self._tell(attempt.person_id, Reply(notice), attempt.channel, attempt.address)
        await self._connections.remove_at_vendor(connection)
        return True

    async def sweep(self) -> None:
        """End what has lapsed; remove what the vendor could not be told of before."""
        for attempt in await self._store.lapsing_attempts(now=self._clock(), limit=AT_ONCE):
            await self.end(attempt, State.LAPSED)
        for connection in await self._store.accounts_to_remove(limit=AT_ONCE):
            if not await self._connections.remove_at_vendor(connection):
                return  # it is away, or busy: the next sweep goes on


def _notice(attempt: Attempt, outcome: State) -> str:
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
