"""Each step of connecting is taken once, and the requests that wait for it resume once. On every engine."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kernel_service.connections.tokens import digest
from kernel_service.ports.connect_attempts import ConnectAttempt, ConnectAttemptKey, ConnectAttemptState
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.messages import Notice, Reply, Usage
from kernel_service.ports.resuming import ParkedRequest
from kernel_service.ports.turns import TurnStatus
from kernel_service.storage.connections.parked_requests import KEPT_SECONDS
from tests.contract.store.people import (
    ADDRESS,
    NOW,
    Owner,
    attempt,
    connect,
    person,
    recipients,
    strong,
    unfollowed,
    write,
)

if TYPE_CHECKING:
    from kernel_service.storage.store import Store

ANNA = strong("anna")
SEQ = 4711


async def made(store: Store, person_id: str, status: ConnectionStatus) -> ConnectAttempt:
    return attempt(await connect(store, person_id, status))


async def park(store: Store, *parked: ParkedRequest, now: float = NOW) -> str:
    """A turn of Anna's that parks this request; returns Anna."""
    accepted = await write(store, ANNA, now=now)
    owner = await Owner.of(store, accepted.person_id)
    turn = await owner.open(now)
    await store.turns.end(
        turn, owner.epoch, [], [Reply("connect it")], status=TurnStatus.COMPLETED, usage=Usage(), parked=parked, now=now
    )
    return accepted.person_id


async def remaining(store: Store, person_id: str, seq: int) -> list[str]:
    return [each.remaining for each in await store.connect_attempts.resumed_by(person_id, seq)]


async def confirmed(store: Store, person_id: str, seq: int = SEQ, now: float = NOW) -> bool:
    """The account of Asana is connected."""
    back = await made(store, person_id, ConnectionStatus.UNCONFIRMED)
    return await store.connect_attempts.confirm(
        replace(back, state=ConnectAttemptState.CONNECTED), was=ConnectAttemptState.RETURNED, seq=seq, now=now
    )


# --- attempts ---------------------------------------------------------------------------------------------------


async def test_an_attempt_is_found_by_each_of_its_secrets(store: Store) -> None:
    anna, other = await person(store, ANNA), await person(store, strong("other"))
    back = await made(store, anna, ConnectionStatus.UNCONFIRMED)
    await made(store, other, ConnectionStatus.UNCONFIRMED)
    for key in ConnectAttemptKey:
        found = getattr(back, key.value)
        assert await store.connect_attempts.find(key, found) == back
        assert await store.connect_attempts.find(key, digest("another")) is None


async def test_of_many_concurrent_callers_one_takes_the_step(store: Store) -> None:
    anna = await person(store, ANNA)
    started = await made(store, anna, ConnectionStatus.PENDING)
    steps = [
        replace(started, state=ConnectAttemptState.RETURNED, code_digest=digest(str(number))) for number in range(8)
    ]
    taken = await asyncio.gather(
        *(store.connect_attempts.advance(step, was=ConnectAttemptState.STARTED) for step in steps)
    )
    assert sorted(taken) == [False] * 7 + [True]
    assert await store.connect_attempts.find(ConnectAttemptKey.LINK, started.link_digest) == steps[taken.index(True)]


async def test_the_connection_changes_with_the_step(store: Store) -> None:
    anna = await person(store, ANNA)
    started = await made(store, anna, ConnectionStatus.PENDING)
    barred = replace(started.connection, status=ConnectionStatus.EXPIRED, link="", remove_due=True)
    assert await store.connect_attempts.advance(
        replace(started, state=ConnectAttemptState.DENIED, connection=barred), was=ConnectAttemptState.STARTED
    )
    assert await store.connections.of_person(anna) == [barred]
    assert await store.connect_attempts.live(anna) == []


async def test_the_notice_is_stored_with_the_step(store: Store) -> None:
    anna = await person(store, ANNA)
    started = await made(store, anna, ConnectionStatus.PENDING)
    denied, notice = (
        replace(started, state=ConnectAttemptState.DENIED),
        Notice(Reply("access was refused"), "test", ADDRESS, NOW),
    )
    for _ in range(2):
        await store.connect_attempts.advance(denied, was=ConnectAttemptState.STARTED, notice=notice)
    assert await recipients(store) == [("access was refused", ANNA.user_id)]


async def test_a_browsers_live_attempts_are_listed_newest_first(store: Store) -> None:
    anna = await person(store, ANNA)
    attempts = [await made(store, anna, ConnectionStatus.PENDING) for _ in range(3)]
    mine = [replace(one, browser_digest=digest("browser")) for one in attempts]
    for one, state in zip(
        mine, (ConnectAttemptState.STARTED, ConnectAttemptState.DENIED, ConnectAttemptState.RETURNED), strict=True
    ):
        await store.connect_attempts.advance(replace(one, state=state), was=ConnectAttemptState.STARTED)
    found = await store.connect_attempts.in_browser(digest("browser"))
    assert [one.connection.id for one in found] == [mine[2].connection.id, mine[0].connection.id]
    assert await store.connect_attempts.in_browser(digest("elsewhere")) == []


async def test_expired_attempts_are_found(store: Store) -> None:
    anna = await person(store, ANNA)
    started = await made(store, anna, ConnectionStatus.PENDING)
    active = await made(store, anna, ConnectionStatus.ACTIVE)
    early, late, lapsing = started.deadline - 1, started.deadline, started.connection.id
    assert await store.connect_attempts.lapsing(now=early, limit=9) == []
    assert await store.connect_attempts.lapsing_one(lapsing, now=early) is None
    assert await store.connect_attempts.lapsing(now=late, limit=9) == [lapsing]
    assert await store.connect_attempts.lapsing_one(lapsing, now=late) == started
    assert await store.connect_attempts.lapsing_one(active.connection.id, now=late) is None


@pytest.mark.parametrize(
    ("text", "seconds_left", "lapses"),
    [("BCDF-GHJK", 1, False), ("BCDF-GHJK", 0, True), ("is it connected?", 1, True)],
)
async def test_an_attempt_that_awaits_a_code_stays_open_for_a_code_sent_in_time(
    store: Store, text: str, seconds_left: float, *, lapses: bool
) -> None:
    anna, other = await person(store, ANNA), await person(store, strong("other"))
    back = await made(store, anna, ConnectionStatus.UNCONFIRMED)
    started = await made(store, anna, ConnectionStatus.PENDING)
    others = await made(store, other, ConnectionStatus.UNCONFIRMED)
    always = {started.connection.id, others.connection.id}
    late = back.deadline
    await write(store, ANNA, text=text, now=late - seconds_left)
    owner = await Owner.of(store, anna)
    turn = await owner.open(late)
    await store.turns.hold(turn, owner.epoch, until=late + 60, problem="tools_unavailable", notice=None, now=late)
    expected = always | ({back.connection.id} if lapses else set())
    assert set(await store.connect_attempts.lapsing(now=late, limit=9)) == expected
    assert (await store.connect_attempts.lapsing_one(back.connection.id, now=late) is not None) == lapses
    turn = await owner.open(late + 60)
    await owner.end(turn)
    assert set(await store.connect_attempts.lapsing(now=late + 60, limit=9)) == always | {back.connection.id}


async def test_expired_attempts_are_listed_page_by_page(store: Store) -> None:
    anna = await person(store, ANNA)
    made_here = [await made(store, anna, ConnectionStatus.PENDING) for _ in range(3)]
    first, second, third = sorted(one.connection.id for one in made_here)
    late = made_here[0].deadline
    assert await store.connect_attempts.lapsing(now=late, limit=2) == [first, second]
    assert await store.connect_attempts.lapsing(now=late, after=second, limit=2) == [third]


async def test_wrong_codes_are_counted_on_attempts_that_await_a_code(store: Store) -> None:
    anna, other = await person(store, ANNA), await person(store, strong("other"))
    await made(store, anna, ConnectionStatus.PENDING)
    back = await made(store, anna, ConnectionStatus.UNCONFIRMED)
    await made(store, other, ConnectionStatus.UNCONFIRMED)
    for count in (1, 2):
        assert await store.connect_attempts.count_wrong_code(anna) == [replace(back, wrong_codes=count)]


# --- parked requests --------------------------------------------------------------------------------------------


async def test_parked_requests_resume_once_in_their_order(store: Store) -> None:
    await park(store, ParkedRequest("asana", "first"), now=NOW)
    anna = await park(store, ParkedRequest("asana", "second"), ParkedRequest("gmail", "a mail"), now=NOW + 1)
    assert await confirmed(store, anna, now=NOW + 2)
    assert await remaining(store, anna, SEQ) == ["first", "second"]
    assert await confirmed(store, anna, SEQ + 1, now=NOW + 3), "of another account"
    assert await remaining(store, anna, SEQ + 1) == []
    assert await remaining(store, anna, SEQ) == ["first", "second"]


async def test_a_repeated_request_is_parked_once(store: Store) -> None:
    await park(store, ParkedRequest("asana", "Prepare  the demo"))
    anna = await park(store, ParkedRequest("asana", "prepare the demo"))
    await confirmed(store, anna)
    assert await remaining(store, anna, SEQ) == ["Prepare  the demo"]


@pytest.mark.parametrize("toolkits", [("gmail", "asana"), ("asana", "gmail")])
async def test_the_same_request_for_two_toolkits_waits_for_both(store: Store, toolkits: tuple[str, str]) -> None:
    anna = await park(store, *(ParkedRequest(toolkit, "tell Bob of the task") for toolkit in toolkits))
    await confirmed(store, anna)
    assert await remaining(store, anna, SEQ) == []
    back = await made(store, anna, ConnectionStatus.UNCONFIRMED)
    gmail = replace(back, state=ConnectAttemptState.CONNECTED, connection=replace(back.connection, toolkit="gmail"))
    assert await store.connect_attempts.confirm(gmail, was=ConnectAttemptState.RETURNED, seq=SEQ + 1, now=NOW)
    assert await remaining(store, anna, SEQ + 1) == ["tell Bob of the task"]


async def test_a_step_not_taken_resumes_nothing(store: Store) -> None:
    anna = await park(store, ParkedRequest("asana", "first"))
    back = await made(store, anna, ConnectionStatus.UNCONFIRMED)
    both = [replace(back, state=ConnectAttemptState.CONNECTED)] * 2
    taken = await asyncio.gather(
        *(
            store.connect_attempts.confirm(one, was=ConnectAttemptState.RETURNED, seq=SEQ + n, now=NOW)
            for n, one in enumerate(both)
        )
    )
    assert sorted(taken) == [False, True]
    resumed = [await remaining(store, anna, SEQ + n) for n in range(2)]
    assert sorted(resumed) == [[], ["first"]]


async def test_withdrawn_and_old_requests_do_not_resume(store: Store) -> None:
    await park(store, ParkedRequest("asana", "long ago"))
    now = NOW + KEPT_SECONDS + 1
    anna = await park(store, ParkedRequest("asana", "taken back"), now=now)
    await write(store, ANNA, text="stop", now=now)
    await confirmed(store, anna, now=now)
    assert await remaining(store, anna, SEQ) == []


async def test_another_persons_requests_are_not_touched(store: Store) -> None:
    anna, other = await park(store, ParkedRequest("asana", "hers")), await person(store, strong("other"))
    await confirmed(store, other)
    assert await remaining(store, other, SEQ) == []
    await confirmed(store, anna, SEQ + 1)
    assert await remaining(store, anna, SEQ + 1) == ["hers"]


# --- two nodes --------------------------------------------------------------------------------------------------


async def test_of_links_made_at_once_at_two_nodes_one_is_live(two_nodes: tuple[Store, Store]) -> None:
    one, other = two_nodes
    anna = await person(one, ANNA)
    made = await asyncio.gather(
        *(
            node.connect_attempts.add(unfollowed(f"cn_{number}{name}", "asana", anna), now=NOW)
            for number in range(4)
            for name, node in (("a", one), ("b", other))
        )
    )
    assert sorted(made) == [False] * 7 + [True]
    assert len(await other.connect_attempts.live(anna)) == 1


async def test_of_many_callers_at_two_nodes_one_takes_the_step(two_nodes: tuple[Store, Store]) -> None:
    anna = await person(two_nodes[0], ANNA)
    started = await made(two_nodes[0], anna, ConnectionStatus.PENDING)
    denied = replace(started, state=ConnectAttemptState.DENIED)
    notice = Notice(Reply("access was refused"), "test", ADDRESS, NOW)
    taken = await asyncio.gather(
        *(
            node.connect_attempts.advance(denied, was=ConnectAttemptState.STARTED, notice=notice)
            for node in two_nodes * 3
        )
    )
    assert sorted(taken) == [False] * 5 + [True]
    assert await recipients(two_nodes[0]) == [("access was refused", ANNA.user_id)]


async def test_the_first_of_two_nodes_keeps_its_session(two_nodes: tuple[Store, Store]) -> None:
    anna = await person(two_nodes[0], ANNA)
    kept = await asyncio.gather(
        *(node.sessions.keep(anna, f"trs_{number}", "settings") for number, node in enumerate(two_nodes * 3))
    )
    assert len(set(kept)) == 1
    assert await two_nodes[1].sessions.of_person(anna) == (kept[0], "settings")
