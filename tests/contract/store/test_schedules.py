"""Schedules: stored once and bounded; each run put into the inbox once, and none while the one before waits."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from kernel_service.errors import AlreadyExists, CallerError, Exhausted, NotFound
from kernel_service.ports.allow_list import AllowList
from kernel_service.ports.messages import Alias, Reply, Usage
from kernel_service.ports.payloads import Scheduled
from kernel_service.ports.schedules import MOST_SILENT, NewSchedule, ScheduleKind
from kernel_service.ports.states.reply import ReplyState
from kernel_service.ports.turns import TurnStatus
from kernel_service.schedules.limits import ScheduleLimits
from kernel_service.storage.outbox.replies import opened
from kernel_service.storage.schedules.sql_schedules import SqlSchedules
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.outbox import reply
from kernel_service.storage.schema.schedules import schedule
from tests.contract.store.owner import NOW as NOW_OF_OWNER
from tests.contract.store.owner import own, say

if TYPE_CHECKING:
    from kernel_service.ports.schedules import Ran, Schedule
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store
    from tests.contract.store.owner import Owner

MORNING = datetime(2027, 1, 15, 8, 0, tzinfo=UTC).timestamp()
HOUR, DAY = 3600.0, 86_400.0
DAILY = NewSchedule(ScheduleKind.REMIND, "water the plants", "test", "", "UTC", cron="0 9 * * *")
ONCE = replace(DAILY, cron="", at=MORNING + HOUR)
DO = replace(DAILY, kind=ScheduleKind.DO, request="sum up the news")


async def person_of(store: Store, name: str = "ann") -> str:
    return await say(store, f"hello from {name}", f"test:{name}", now=MORNING)


async def create(store: Store, person: str, new: NewSchedule = DAILY, *, now: float = MORNING, **more: Any) -> Schedule:
    request_id = more.pop("request_id", f"{new.request} {new.cron} {new.at}")
    return await store.schedules.create(person, new, request_id=request_id, now=now)


async def run_due(store: Store, now: float, *, limit: int = 10, most_waiting: int = 10) -> Ran:
    return await store.schedules.run_due(now=now, limit=limit, most_waiting=most_waiting)


async def own_greeted(store: Store, person: str) -> Owner:
    """The owner of the person's kernel, who has answered what they said so far."""
    owner = await own(store, person)
    await owner.end(await owner.open(now=MORNING + 1), now=MORNING + 1)
    return owner


async def answer(owner: Owner, now: float) -> Scheduled:
    """Answer the run that waits."""
    turn = await owner.open(now=now)
    content = turn.messages[0].payload.content
    assert isinstance(content, Scheduled)
    await owner.store.turns.end(
        turn, owner.epoch, (), [Reply("done")], status=TurnStatus.COMPLETED, usage=Usage(), now=now
    )
    return content


async def runs_of(store: Store, person: str) -> int:
    rows = select(message.c.seq).where(message.c.person_id == person, message.c.command.in_(("reminder", "scheduled")))
    return await store.engine.read(lambda tx: len(tx.execute(rows).all()))


# --- stored -----------------------------------------------------------------------------------------------------------


async def test_it_is_stored_and_listed(store: Store) -> None:
    person = await person_of(store)
    daily, once = await create(store, person), await create(store, person, ONCE, now=MORNING + 1)
    assert (daily.asked, daily.next_due_at, once.next_due_at) == (DAILY, MORNING + HOUR, MORNING + HOUR)
    assert await store.schedules.of_person(person, limit=10) == [daily, once]
    assert await store.schedules.of_person(person, after=daily.id, limit=10) == [once]
    assert await store.schedules.of_person(person, limit=1) == [daily]


async def test_a_repeated_request_is_the_same_schedule(store: Store) -> None:
    person = await person_of(store)
    first = await create(store, person, ONCE, request_id="r")
    assert await create(store, person, ONCE, request_id="r", now=MORNING + 2 * HOUR) == first  # its time is past
    with pytest.raises(AlreadyExists) as reused:
        await create(store, person, DAILY, request_id="r")
    assert reused.value.reason == "REQUEST_ID_REUSED"
    assert await create(store, await person_of(store, "bob"), DAILY, request_id="r") != first


async def test_a_person_who_is_not_on_the_operators_list_gets_no_run(store: Store) -> None:
    ann, bob = await person_of(store), await person_of(store, "bob")
    once, [daily, *_] = await create(store, ann, ONCE), [await create(store, each) for each in (ann, bob)]
    others = SqlSchedules(store.engine, ScheduleLimits(allowed=AllowList(("test:b*", "other:*"))))
    due_at = MORNING + HOUR
    assert (await others.run_due(now=due_at, limit=9, most_waiting=9)).people == [bob]
    due = {each.id: each.next_due_at for each in await store.schedules.of_person(ann, limit=9)}
    assert due == {once.id: due_at + HOUR, daily.id: due_at + DAY}, "it would be as before if they were on it again"
    assert await runs_of(store, ann) == 0
    assert (await run_due(store, due_at + HOUR)).people == [ann]


@pytest.mark.parametrize(("patterns", "is_served"), [("test:strong", True), ("test:number", False), ("tes?:*", True)])
async def test_the_strong_id_of_a_person_decides_whether_they_are_served(
    store: Store, patterns: str, *, is_served: bool
) -> None:
    known = await say(store, "hello", "test:strong", aliases=(Alias("test:strong"), Alias("test:number", strong=False)))
    due_at = (await create(store, known, now=NOW_OF_OWNER)).next_due_at
    assert due_at
    listed = SqlSchedules(store.engine, ScheduleLimits(allowed=AllowList((patterns,))))
    ran = await listed.run_due(now=due_at, limit=9, most_waiting=9)
    assert list(ran.people) == ([known] if is_served else [])


async def test_two_at_once_are_one(store: Store) -> None:
    person = await person_of(store)
    both = await asyncio.gather(*(create(store, person, request_id="r") for _ in range(2)))
    assert both[0] == both[1]
    assert len(await store.schedules.of_person(person, limit=10)) == 1


async def test_a_refused_one_is_not_stored(store: Store) -> None:
    person = await person_of(store)
    with pytest.raises(CallerError):
        await create(store, person, replace(DAILY, cron="* * * * *"))
    with pytest.raises(NotFound) as unknown:
        await create(store, "p_unknown")
    assert unknown.value.reason == "PERSON_NOT_FOUND"
    assert await store.schedules.of_person(person, limit=10) == []


async def test_a_person_has_at_most_fifty(store: Store) -> None:
    person = await person_of(store)
    for number in range(50):
        await create(store, person, replace(DAILY, request=str(number)))
    with pytest.raises(Exhausted) as full:
        await create(store, person)
    assert full.value.reason == "TOO_MANY_SCHEDULES"
    some = (await store.schedules.of_person(person, limit=1))[0]
    await store.schedules.delete(person, some.id, now=MORNING)
    await create(store, person)


async def test_all_recurring_requests_of_a_person_run_twenty_times_a_day_at_most(store: Store) -> None:
    ann, bob = await person_of(store), await person_of(store, "bob")
    hourly = replace(DO, cron="0 6-23 * * *")
    await create(store, ann, hourly)
    await create(store, ann, replace(DO, cron="0 8,9 * * *"))
    with pytest.raises(Exhausted) as full:
        await create(store, ann, replace(DO, cron="0 10 * * *"))
    assert full.value.reason == "TOO_MANY_SCHEDULES"
    for more in (replace(DO, cron="", at=MORNING + HOUR), replace(DAILY, cron=hourly.cron)):
        await create(store, ann, more)
    await create(store, bob, hourly)


async def test_the_database_shows_neither_request_nor_zone(store: Store) -> None:
    await create(store, await person_of(store), replace(DAILY, time_zone="Europe/Vienna"))
    (row,) = await store.engine.read(lambda tx: tx.execute(select(schedule)).all())
    assert b"plants" not in row.request
    assert b"Vienna" not in row.time_zone


# --- deleted ----------------------------------------------------------------------------------------------------------


async def test_it_is_deleted_by_its_owner_only(store: Store) -> None:
    person, other = await person_of(store), await person_of(store, "bob")
    made = await create(store, person)
    assert await store.schedules.delete(other, made.id, now=MORNING) is None
    assert await store.schedules.delete(person, made.id, now=MORNING) == made
    assert await store.schedules.delete(person, made.id, now=MORNING) is None


async def test_a_run_that_waits_is_withdrawn_with_it(store: Store) -> None:
    person = await person_of(store)
    owner, made = await own_greeted(store, person), await create(store, person)
    await run_due(store, MORNING + HOUR)
    await store.schedules.delete(person, made.id, now=MORNING)
    assert await owner.ask(MORNING + HOUR) is None


async def test_a_held_reply_is_not_sent_after_it(store: Store) -> None:
    person = await person_of(store)
    owner, made = await own_greeted(store, person), await create(store, person)
    await run_due(store, MORNING + HOUR)
    await answer(owner, MORNING + HOUR)
    await store.engine.write(lambda tx: tx.execute(reply.update().values(state="held")))
    await store.schedules.delete(person, made.id, now=MORNING + 2 * HOUR)
    await say(store, "I am back", "test:ann", now=MORNING + 3 * HOUR)
    states = select(reply.c.state).where(reply.c.subject == made.id)
    assert await store.engine.read(lambda tx: list(tx.execute(states).scalars())) == [ReplyState.FAILED]


async def test_a_damaged_one_can_be_deleted(store: Store) -> None:
    person = await person_of(store)
    made = await create(store, person)
    await store.engine.write(lambda tx: tx.execute(schedule.update().values(request=b"damaged" * 8)))
    assert [each.asked.request for each in await store.schedules.of_person(person, limit=10)] == [""]
    assert (await run_due(store, MORNING + HOUR)).people == [person]
    assert await store.schedules.delete(person, made.id, now=MORNING) is not None


# --- run --------------------------------------------------------------------------------------------------------------


async def test_nothing_is_due_yet(store: Store) -> None:
    await create(store, await person_of(store))
    assert (await run_due(store, MORNING + HOUR - 1)).people == ()


async def test_a_single_run(store: Store) -> None:
    person = await person_of(store)
    owner, made = await own_greeted(store, person), await create(store, person, replace(ONCE, tainted=True))
    assert (await run_due(store, MORNING + 3 * HOUR)).people == [person]
    assert (await run_due(store, MORNING + 3 * HOUR)).people == ()
    run = await answer(owner, MORNING + 3 * HOUR)
    assert run == Scheduled(
        made.id, ScheduleKind.REMIND, "water the plants", MORNING + HOUR, "UTC", recurs=False, tainted=True
    )
    assert await store.schedules.of_person(person, limit=10) == []


async def test_a_recurring_run_and_the_next(store: Store) -> None:
    person = await person_of(store)
    owner, made = await own_greeted(store, person), await create(store, person)
    await run_due(store, MORNING + HOUR + 0.5)
    assert (await answer(owner, MORNING + HOUR + 1)).due_at == MORNING + HOUR
    (moved,) = await store.schedules.of_person(person, limit=10)
    assert moved == replace(made, next_due_at=MORNING + HOUR + DAY)
    assert (await run_due(store, MORNING + DAY)).people == ()
    assert (await run_due(store, MORNING + HOUR + DAY)).people == [person]


async def test_a_missed_run_is_not_made(store: Store) -> None:
    person = await person_of(store)
    await create(store, person)
    assert (await run_due(store, MORNING + 7 * HOUR)).people == []
    (moved,) = await store.schedules.of_person(person, limit=10)
    assert moved.next_due_at == MORNING + HOUR + DAY


async def test_a_run_waits_for_the_one_before(store: Store) -> None:
    person = await person_of(store)
    owner = await own_greeted(store, person)
    await create(store, person)
    await run_due(store, MORNING + HOUR)
    turn = await owner.open(now=MORNING + HOUR)
    assert (await run_due(store, MORNING + HOUR + DAY)).people == []
    await owner.end(turn, now=MORNING + HOUR + DAY)
    assert (await run_due(store, MORNING + HOUR + 2 * DAY)).people == [person]


async def test_each_person_in_their_turn(store: Store) -> None:
    people = [await person_of(store, str(number)) for number in range(5)]
    for person in people:
        await create(store, person)
    ran = [await run_due(store, MORNING + HOUR, limit=3), await run_due(store, MORNING + HOUR, limit=3)]
    assert [each.is_all for each in ran] == [False, True]
    assert sorted([*ran[0].people, *ran[1].people]) == sorted(people)


async def test_two_nodes_run_each_once(two_nodes: tuple[Store, Store]) -> None:
    here, there = two_nodes
    people = [await person_of(here, str(number)) for number in range(12)]
    for person in people:
        await create(here, person)
    both = await asyncio.gather(*(run_due(store, MORNING + HOUR) for store in (here, there, here, there)))
    both += [await run_due(here, MORNING + HOUR)]
    assert sorted(person for ran in both for person in ran.people) == sorted(people)
    assert [await runs_of(here, person) for person in people] == [1] * 12


async def test_reminders_come_before_the_rest_which_waits_for_room(store: Store) -> None:
    people = [await person_of(store, str(number)) for number in range(6)]
    for person in people[:4]:
        await create(store, person, DO)
    for person in people[4:]:
        await create(store, person)
    first = await run_due(store, MORNING + HOUR, limit=8, most_waiting=4)
    assert first.people == [*people[4:], *people[:2]]
    assert (await run_due(store, MORNING + HOUR + 1, limit=8, most_waiting=4)).people == []
    # A run that waits for longer may wait for something that others do not need.
    assert (await run_due(store, MORNING + HOUR + 61, limit=8, most_waiting=4)).people == people[2:4]


# --- silence ----------------------------------------------------------------------------------------------------------


async def run_daily(store: Store, owner: Owner, days: range) -> list[int]:
    """The days on which it ran."""
    ran = []
    for day in days:
        at = MORNING + HOUR + day * DAY
        if (await run_due(store, at)).people:
            ran.append(day)
            await answer(owner, at + 1)
    return ran


async def test_it_pauses_after_five_runs_without_a_word(store: Store) -> None:
    person = await person_of(store)
    owner = await own_greeted(store, person)
    await create(store, person)
    assert await run_daily(store, owner, range(8)) == [0, 1, 2, 3, 4]
    (paused,) = await store.schedules.of_person(person, limit=10)
    assert (paused.next_due_at, paused.paused_at) == (None, MORNING + HOUR + MOST_SILENT * DAY)
    [(notice, state)] = await notices_of(store, person)
    assert state == ReplyState.HELD
    assert "water the plants" in notice.text
    await say(store, "I am back", "test:ann", now=MORNING + 9 * DAY)
    assert [state for _, state in await notices_of(store, person)] == [ReplyState.PENDING]


async def test_a_word_in_between_starts_the_count_again(store: Store) -> None:
    person = await person_of(store)
    owner = await own_greeted(store, person)
    await create(store, person)
    assert await run_daily(store, owner, range(5)) == [0, 1, 2, 3, 4]
    await say(store, "thanks", "test:ann", now=MORNING + HOUR + 4.5 * DAY)
    await owner.end(await owner.open(now=MORNING + HOUR + 4.5 * DAY), now=MORNING + HOUR + 4.5 * DAY)
    assert await run_daily(store, owner, range(5, 11)) == [5, 6, 7, 8, 9]


async def test_one_notice_tells_all_that_is_paused(store: Store) -> None:
    person = await person_of(store)
    owner = await own_greeted(store, person)
    await create(store, person)
    await create(store, person, replace(DAILY, request="feed the cat", cron="30 9 * * *"))
    for day in range(7):
        for minutes in (0, 30):
            at = MORNING + HOUR + day * DAY + minutes * 60
            if (await run_due(store, at)).people:
                await answer(owner, at + 1)
    told = {state: notice.text for notice, state in await notices_of(store, person)}
    assert "plants" in told[ReplyState.HELD]
    assert "cat" in told[ReplyState.HELD]
    assert set(told) == {ReplyState.HELD, ReplyState.FAILED}


async def test_it_resumes(store: Store) -> None:
    person = await person_of(store)
    owner = await own_greeted(store, person)
    await create(store, person)
    await run_daily(store, owner, range(7))
    now = MORNING + 9 * DAY
    (resumed,) = await store.schedules.resume(person, now=now)
    assert (resumed.next_due_at, resumed.paused_at) == (MORNING + HOUR + 9 * DAY, None)
    assert await store.schedules.of_person(person, limit=10) == [resumed]
    assert await store.schedules.resume(person, now=now) == []
    await say(store, "go on", "test:ann", now=now)
    await owner.end(await owner.open(now=now), now=now)
    assert await run_daily(store, owner, range(9, 11)) == [9, 10]


async def test_a_monthly_one_does_not_pause(store: Store) -> None:
    """Messages are kept for 30 days, so it is not known whether the person wrote after the run before."""
    person = await person_of(store)
    owner = await own_greeted(store, person)
    await create(store, person, replace(DAILY, cron="0 9 1 * *"))
    made = 0
    for month in range(13):
        at = datetime(2027 + (month + 1) // 12, (month + 1) % 12 + 1, 1, 9, tzinfo=UTC).timestamp()
        if (await run_due(store, at)).people:
            made += 1
            await answer(owner, at + 1)
    assert made == 13


async def notices_of(store: Store, person: str) -> list[tuple[Reply, ReplyState]]:
    def unit(tx: Tx) -> list[tuple[Reply, ReplyState]]:
        rows = tx.execute(select(reply).where(reply.c.person_id == person, reply.c.subject == "paused")).all()
        return [(opened(tx, row).reply, ReplyState(row.state)) for row in rows]

    return await store.engine.read(unit)
