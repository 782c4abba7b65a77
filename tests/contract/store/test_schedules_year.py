"""A year of a daily reminder on a process that is restarted at random moments: 365 runs, each day once."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from kernel_service.ports.messages import Reply, Usage
from kernel_service.ports.payloads import Scheduled
from kernel_service.ports.schedules import NewSchedule, ScheduleKind
from kernel_service.ports.turns import Turn, TurnStatus
from kernel_service.storage.opening.open_store import open_store
from tests.contract.store.conftest import key_setting, keys
from tests.contract.store.owner import own, say
from tests.migrated_sqlite import copy_migrated

if TYPE_CHECKING:
    from pathlib import Path

    from kernel_service.storage.store import Store

ZONE: Final = "Europe/Rome"
START: Final = datetime(2027, 1, 1, 12, tzinfo=ZoneInfo(ZONE)).timestamp()
HOUR: Final = 3600.0
DAILY: Final = NewSchedule(ScheduleKind.REMIND, "take the pill", "test", "", ZONE, cron="30 2 * * *")
"""On the day when the clocks go forward this time does not exist. When they go back it exists twice."""
RESTARTS: Final = 20
WORD_DAYS: Final = 4
"""The person writes this often: a schedule pauses while they are silent."""


async def test_a_year_of_a_daily_reminder(tmp_path: Path) -> None:
    chance = Random(1)
    url = f"sqlite:///{tmp_path / 'kernel.db'}"
    await copy_migrated(tmp_path / "kernel.db", key_setting("test"))
    store = await open_store(url, keys("test"))
    person = await say(store, "hello", now=START)
    await store.schedules.create(person, DAILY, request_id="r", now=START)
    now, ends, told = START, START + 365 * 24 * HOUR, [START]
    made: list[float] = []
    waits = False
    restarts = set(chance.sample(range(365), RESTARTS))
    while now < ends:
        if now - told[-1] > WORD_DAYS * 24 * HOUR:
            await say(store, f"I am well {now}", now=now)
            told.append(now)
        waits |= bool((await store.schedules.run_due(now=now, limit=8, most_waiting=8)).people)
        day = int((now - START) // (24 * HOUR))
        if day in restarts:  # perhaps between a run and its answer
            restarts.discard(day)
            await store.close()
            now += chance.uniform(0, 5 * HOUR)
            store = await open_store(url, keys("test"))
            continue
        if waits:
            made += await _answer_all(store, person, now)
            waits = False
        now += chance.uniform(4, 5.9) * HOUR
    await store.close()
    days = {datetime.fromtimestamp(due_at, ZoneInfo(ZONE)).date() for due_at in made}
    assert (len(made), len(days)) == (365, 365)
    assert {datetime.fromtimestamp(due_at, UTC).minute for due_at in made} == {0, 30}


async def _answer_all(store: Store, person: str, now: float) -> list[float]:
    """The times of the runs that are answered."""
    answered = []
    owner = await own(store, person)
    while isinstance(turn := await owner.ask(now), Turn):
        answered += [
            each.payload.content.due_at for each in turn.messages if isinstance(each.payload.content, Scheduled)
        ]
        replies = [Reply("done")]
        await store.turns.end(turn, owner.epoch, (), replies, status=TurnStatus.COMPLETED, usage=Usage(), now=now)
    return answered
