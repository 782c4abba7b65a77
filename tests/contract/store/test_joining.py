"""Consecutive messages: before the first side effect they join the running turn; later ones wait for the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.ports.interruptions import JoiningMessages
from kernel_service.ports.messages import MessageStatus, ReplyMode
from kernel_service.ports.turns import CallRecord, Turn, TurnStatus
from tests.contract.store.owner import ASKS, FOUND, HELLO, NOW, history, own, say

if TYPE_CHECKING:
    from kernel_service.storage.store import Store


def names(turn: Turn) -> list[str]:
    return [one.message_id for one in turn.messages]


async def test_a_message_before_the_first_side_effect_joins(store: Store) -> None:
    person = await say(store, "m1")
    owner = await own(store, person)
    first = await owner.open()
    await owner.append(first, HELLO, ASKS)
    await owner.append(first, FOUND)
    await say(store, "m2")
    with pytest.raises(JoiningMessages):
        await store.turns.check_interrupts(first)
    joined = await owner.open()
    assert (joined.id, names(joined), joined.joins, joined.begun) == (first.id, ["m1", "m2"], 1, False)
    # The model's output for the first message alone is no longer part of the history.
    assert (joined.dropped, await history(store, person)) == (3, [])


async def test_an_end_detects_a_message_that_arrived_just_before_it(store: Store) -> None:
    person = await say(store, "m1")
    owner = await own(store, person)
    turn = await owner.open()
    await say(store, "m2")
    with pytest.raises(JoiningMessages):
        await owner.end(turn, HELLO)
    assert await history(store, person) == []  # the interrupted end stored nothing
    owner = await own(store, person)
    joined = await owner.open()
    await owner.end(joined, HELLO)
    statuses = [(await store.inbox.answer_of(person, one.seq)).status for one in joined.messages]
    assert statuses == [MessageStatus.MERGED, MessageStatus.COMPLETED]


async def test_an_intent_detects_a_message_that_arrived_just_before_it_and_closes_the_turn(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    turn = await owner.open()
    await owner.append(turn, HELLO, ASKS)
    intent = CallRecord("c1", "create_task", NOW)
    await say(store, "m2")
    with pytest.raises(JoiningMessages):
        await owner.append(turn, started=intent)
    turn = await owner.open()
    assert (names(turn), turn.intents) == (["m1", "m2"], [])
    await owner.append(turn, HELLO, ASKS)
    await owner.append(turn, started=intent)
    await say(store, "m3")
    turn = await owner.open()
    assert (names(turn), turn.closed, turn.begun) == (["m1", "m2"], True, True)
    await store.turns.check_interrupts(turn)
    await owner.end(turn, FOUND)
    assert names(await owner.open()) == ["m3"]


async def test_a_failure_or_stop_is_not_delayed_by_joining_messages(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    turn = await owner.open()
    await say(store, "m2")
    await owner.end(turn, status=TurnStatus.FAILED)
    assert names(await owner.open()) == ["m2"]


async def test_a_turn_is_joined_three_times_at_most(store: Store) -> None:
    owner = await own(store, await say(store, "m0"))
    for number in range(1, 5):
        turn = await owner.open()
        assert turn.joins == number - 1
        await say(store, f"m{number}")
    assert len((await owner.open()).messages) == 4
    await store.turns.check_interrupts(turn)
    await owner.end(turn)
    assert names(await owner.open()) == ["m4"]


async def test_joining_messages_are_gathered_like_any_burst(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    await owner.open()
    await say(store, "m2", now=NOW + 1)
    assert await owner.ask(NOW + 1, debounce=0.6) == NOW + 1.6
    await say(store, "m3", now=NOW + 1.5)
    assert await owner.ask(NOW + 1.6, debounce=0.6) == NOW + 2.1
    joined = await owner.ask(NOW + 2.1, debounce=0.6)
    assert isinstance(joined, Turn)
    assert (names(joined), joined.joins) == (["m1", "m2", "m3"], 1)


@pytest.mark.parametrize("other", [{"address": "desk 2"}, {"reply_mode": ReplyMode.OUTBOX}])
async def test_a_message_by_another_route_does_not_join_and_blocks_later_ones(
    store: Store, other: dict[str, Any]
) -> None:
    owner = await own(store, await say(store, "m1"))
    turn = await owner.open()
    await say(store, "m2", **other)
    await say(store, "m3")
    await store.turns.check_interrupts(turn)
    await owner.end(turn)
    order = []
    while isinstance(due := await owner.ask(), Turn):
        order.append(names(due))
        await owner.end(due)
    assert order == [["m2"], ["m3"]]


async def test_an_interrupted_turn_is_joined_by_messages_that_arrived_meanwhile(store: Store) -> None:
    person = await say(store, "m1")
    dead = await own(store, person)
    turn = await dead.open()
    await dead.append(turn, HELLO, ASKS)
    await say(store, "m2")
    resumed = await (await own(store, person, "two")).open()
    assert (resumed.id, names(resumed), resumed.begun, resumed.crash_count) == (turn.id, ["m1", "m2"], False, 1)


async def test_a_held_turn_is_joined_when_it_runs_again(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    turn = await owner.open()
    await store.turns.hold(turn, owner.epoch, until=NOW + 30, problem="model_busy", notice=None, now=NOW)
    await say(store, "m2", now=NOW + 1)
    assert await owner.ask(NOW + 2) == NOW + 30
    joined = await owner.open(NOW + 30)
    assert (joined.id, names(joined)) == (turn.id, ["m1", "m2"])


async def test_a_turn_that_restarts_anyway_can_be_joined_any_number_of_times(store: Store) -> None:
    """A crash, or a hold, has ended the attempt, and nothing was journaled: no message is left behind."""
    person = await say(store, "m0")
    for number in range(6):
        owner = await own(store, person, f"process {number}")
        turn = await owner.open()
        assert (len(turn.messages), turn.joins) == (number + 1, 0)
        await say(store, f"m{number + 1}")
    await store.turns.hold(turn, owner.epoch, until=NOW, problem="model_busy", notice=None, now=NOW)
    assert (len((await owner.open()).messages), turn.joins) == (7, 0)


async def test_a_journal_is_superseded_three_times_at_most(store: Store) -> None:
    person = await say(store, "m0")
    for number in range(5):
        owner = await own(store, person, f"process {number}")
        turn = await owner.open()
        await owner.append(turn, HELLO)
        await say(store, f"m{number + 1}")
    assert (len(turn.messages), turn.joins) == (4, 3)
