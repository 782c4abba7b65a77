"""Failures and crashes: their cost, when a turn is split, when a message becomes a dead letter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service.errors import LeaseLost, NotFound
from kernel_service.ports.messages import Message, MessageStatus, Reply
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.turns import CallRecord, HistoryItem, Quarantined, Turn, TurnPlacement, TurnStatus
from tests.contract.store.owner import ASKS, FOUND, HELLO, NOW, Owner, history, own, say

if TYPE_CHECKING:
    from kernel_service.storage.store import Store

SORRY = HistoryItem("output", {"type": "message", "content": "sorry"}, origin="openai:test")


async def give_up(owner: Owner, turn: Turn, *items: HistoryItem) -> int:
    return await owner.store.turns.give_up(turn, owner.epoch, items, [Reply("sorry")], problem="poison", now=NOW)


async def test_a_failure_costs_an_attempt_and_waits(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    for failed in range(3):
        turn = await owner.open(NOW + failed)
        assert (turn.attempt_count, turn.crash_count) == (failed, 0)
        await store.turns.fail(turn, owner.epoch, until=NOW + failed + 1, problem="turn_broke", now=NOW)
        assert await owner.ask(NOW + failed) == NOW + failed + 1


async def test_only_an_ended_process_counts_as_crashed(store: Store) -> None:
    person = await say(store, "m1")
    one = await own(store, person, "one")
    await one.open()
    # the same process, after an outage of its store
    assert (await (await own(store, person, "one")).open()).crash_count == 0
    two = await own(store, person, "two")
    turn = await two.open()
    assert turn.crash_count == 1
    await store.turns.requeue(turn, two.epoch)  # it ended regularly
    assert (await (await own(store, person, "three")).open()).crash_count == 1


async def test_progress_resets_the_counts(store: Store) -> None:
    person = await say(store, "m1")
    for name in ("one", "two", "three"):
        owner = await own(store, person, name)
        turn = await owner.open()
    assert turn.crash_count == 2
    await owner.append(turn, HELLO)
    again = await owner.open()
    assert (again.attempt_count, again.crash_count) == (0, 0)


async def test_a_turn_is_quarantined_after_two_crashes(store: Store) -> None:
    person = await say(store, "m1")
    for name in ("one", "two"):
        await (await own(store, person, name)).open()
    three = await own(store, person, "three")
    assert await three.ask(placement=TurnPlacement.BESIDE) == Quarantined(crash_count=2, crashes_alone=0)
    assert await three.ask(placement=TurnPlacement.BESIDE) == Quarantined(2, 0)  # the check costs nothing
    assert (await three.open()).crash_count == 2


async def test_only_a_crash_of_a_turn_that_ran_alone_counts_as_alone(store: Store) -> None:
    person = await say(store, "m1")
    found = []
    for name, placement in (
        ("one", TurnPlacement.BESIDE),
        ("two", TurnPlacement.QUARANTINED),
        ("three", TurnPlacement.ALONE),
        ("four", TurnPlacement.QUARANTINED),
    ):
        turn = await (await own(store, person, name)).ask(placement=placement)
        assert isinstance(turn, Turn)
        found.append((turn.crash_count, turn.crashes_alone))
    assert found == [(0, 0), (1, 0), (2, 0), (3, 1)]


async def test_a_turn_that_got_company_did_not_crash_alone(store: Store) -> None:
    person = await say(store, "m1")
    one = await own(store, person, "one")
    turn = await one.ask(placement=TurnPlacement.BESIDE)
    assert isinstance(turn, Turn)
    two = await own(store, person, "two")
    turn = await two.ask(placement=TurnPlacement.ALONE)
    assert isinstance(turn, Turn)
    await store.turns.end_isolation(turn, two.epoch)
    three = await own(store, person, "three")
    again = await three.open()
    assert (again.crash_count, again.crashes_alone) == (2, 0)
    with pytest.raises(LeaseLost):
        await store.turns.end_isolation(turn, two.epoch)


async def test_progress_resets_crashes_alone(store: Store) -> None:
    person = await say(store, "m1")
    for name in ("one", "two"):
        await (await own(store, person, name)).ask(placement=TurnPlacement.ALONE)
    owner = await own(store, person, "three")
    turn = await owner.open()
    assert (turn.crash_count, turn.crashes_alone) == (2, 1)
    await owner.append(turn, HELLO)
    assert (await owner.open()).crashes_alone == 0


async def test_a_stopped_turn_does_not_wait_for_isolation(store: Store) -> None:
    person = await say(store, "m1")
    for name in ("one", "two"):
        await (await own(store, person, name)).open()
    await store.inbox.accept(Message("test:ann", "s", Payload(Text("stop"))), now=NOW, max_pending=9)
    turn = await (await own(store, person, "three")).ask(placement=TurnPlacement.BESIDE)
    assert isinstance(turn, Turn)
    assert turn.stopped


async def test_a_requeued_turn_waits_until_its_time(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    turn = await owner.open()
    await store.turns.requeue(turn, owner.epoch, until=NOW + 75)
    assert await owner.ask(NOW) == NOW + 75
    assert await store.inbox.due_people(now=NOW, limit=9) == []
    assert (await owner.open(NOW + 75)).holds == 0


async def test_a_split_turn_leaves_a_separate_turn_for_each_message(store: Store) -> None:
    for name in ("m1", "m2", "m3"):
        person = await say(store, name)
    owner = await own(store, person)
    turn = await owner.open()
    await owner.append(turn, HELLO, ASKS)
    assert await store.turns.split(turn, owner.epoch, problem="failed_too_often", now=NOW) == 2
    assert await history(store, person) == []
    owner = await own(store, person)
    alone = []
    while isinstance(due := await owner.ask(), Turn):
        alone.append([one.message_id for one in due.messages])
        await owner.end(due)
    assert alone == [["m1"], ["m2"], ["m3"]]


async def test_a_message_given_up_becomes_a_dead_letter_and_leaves_the_history_as_a_whole(store: Store) -> None:
    person = await say(store, "m1")
    owner = await own(store, person)
    turn = await owner.open()
    await owner.append(turn, HELLO, ASKS)
    await owner.append(turn, started=CallRecord("c1", "tool", NOW))
    await owner.append(turn, FOUND, finished="c1")
    assert await give_up(owner, turn, SORRY) == 3
    answer = await store.inbox.answer_of(person, turn.messages[0].seq)
    assert (answer.status, [one.reply.text for one in answer.replies]) == (MessageStatus.DEAD_LETTERED, ["sorry"])
    letters, token = await store.admin.dead_letters(person, limit=9, before="")
    assert [(one.person_id, one.seq, one.problem, one.dead_at) for one in letters] == [
        (person, turn.messages[0].seq, "poison", NOW)
    ]
    assert (token, await history(store, person)) == ("", [SORRY])
    with pytest.raises(LeaseLost):
        await give_up(owner, turn)


async def test_messages_given_up_together_are_separate_letters_and_one_notice(store: Store) -> None:
    for name in ("m1", "m2"):
        person = await say(store, name)
    owner = await own(store, person)
    turn = await owner.open()
    await give_up(owner, turn)
    letters, _ = await store.admin.dead_letters(None, limit=9, before="")
    assert {one.seq for one in letters} == {one.seq for one in turn.messages}
    told = [len((await store.inbox.answer_of(person, one.seq)).replies) for one in turn.messages]
    assert told == [0, 1]


async def test_a_requeued_letter_runs_again_alone_and_once(store: Store) -> None:
    person = await say(store, "m1")
    owner = await own(store, person)
    await give_up(owner, await owner.open())
    letter = (await store.admin.dead_letters(None, limit=9, before=""))[0][0]
    await say(store, "m2")
    assert [await store.admin.requeue(letter.id, now=NOW) for _ in range(2)] == [person] * 2
    assert await store.admin.dead_letters(None, limit=9, before="") == ([], "")
    again = await owner.open()
    assert [one.message_id for one in again.messages] == ["m1"]
    await owner.end(again)
    await store.admin.requeue(letter.id, now=NOW)  # it was answered, so a late repeat changes nothing
    assert [one.message_id for one in (await owner.open()).messages] == ["m2"]
    with pytest.raises(NotFound):
        await store.admin.requeue("dl_nothing", now=NOW)


async def test_dead_letters_are_listed_newest_first_in_pages(store: Store) -> None:
    ids: list[str] = []
    for number in range(5):
        owner = await own(store, await say(store, f"m{number}", f"test:p{number}"))
        turn = await owner.open()
        await store.turns.give_up(turn, owner.epoch, [], [], problem="x", now=NOW + number)
        ids.insert(0, owner.person_id)
    listed, token = [], ""
    while True:
        page, token = await store.admin.dead_letters(None, limit=2, before=token)
        listed += [one.person_id for one in page]
        if not token:
            break
    assert listed == ids


async def test_a_former_owner_ends_no_attempt(store: Store) -> None:
    old = await own(store, await say(store, "m1"))
    turn = await old.open()
    await own(store, old.person_id)
    for ending in (
        store.turns.requeue(turn, old.epoch),
        store.turns.fail(turn, old.epoch, until=NOW, problem="x", now=NOW),
        store.turns.split(turn, old.epoch, problem="x", now=NOW),
        give_up(old, turn),
    ):
        with pytest.raises(LeaseLost):
            await ending
    summaries, _, _ = await store.admin.turns(old.person_id, limit=9, before="")
    assert [one.status for one in summaries] == [TurnStatus.RUNNING]
