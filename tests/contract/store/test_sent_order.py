"""Waiting messages are ordered by send time, not arrival; "stop" follows the same order."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_service.ports.commands import Command
from kernel_service.ports.interruptions import JoiningMessages, Stopped
from kernel_service.ports.messages import Message, MessageStatus
from kernel_service.ports.payloads import Text
from kernel_service.ports.turns import LATE_MESSAGE_SECONDS, CallRecord, Turn, TurnStatus
from kernel_service.storage.inbox.sent_order import BELIEVED_SECONDS, believed
from kernel_service.storage.turns.waiting import DEBOUNCE_LIMIT, LATE_DEBOUNCE
from tests.contract.store.owner import ASKS, HELLO, NOW, Owner, own, say
from tests.payloads import sent

if TYPE_CHECKING:
    from kernel_service.ports.inbox import Accepted
    from kernel_service.storage.store import Store


def names(turn: Turn) -> list[str]:
    return [one.message_id for one in turn.messages]


async def told(owner: Owner) -> list[list[str]]:
    """The messages of each turn, until none waits."""
    turns = []
    while isinstance(due := await owner.ask(), Turn):
        turns.append(names(due))
        await owner.end(due)
    return turns


async def stop(store: Store, sent_at: float | None, message_id: str = "s", now: float = NOW) -> Accepted:
    message = Message("test:ann", message_id, sent(Text("stop"), sent_at))
    return await store.inbox.accept(message, now=now, max_pending=100)


async def status(store: Store, accepted: Accepted) -> MessageStatus:
    return (await store.inbox.answer_of(accepted.person_id, accepted.seq)).status


async def accept(store: Store, message_id: str, sent_at: float | None, now: float = NOW) -> Accepted:
    message = Message("test:ann", message_id, sent(Text(message_id), sent_at))
    return await store.inbox.accept(message, now=now, max_pending=100)


async def test_waiting_messages_are_answered_in_send_order(store: Store) -> None:
    for round_, order in enumerate(permutations(["one", "two", "three"])):
        sent = {"one": NOW - 3, "two": NOW - 2, "three": NOW - 1}
        for name in order:
            person = await say(store, f"{name} {round_}", sent_at=sent[name])
        turn = await (await own(store, person)).open()
        assert names(turn) == [f"one {round_}", f"two {round_}", f"three {round_}"]
        await (await own(store, person)).end(turn)


async def test_within_one_second_arrival_decides(store: Store) -> None:
    for name in ("one", "two", "three"):
        person = await say(store, name, sent_at=NOW - 5)
    assert names(await (await own(store, person)).open()) == ["one", "two", "three"]


async def test_without_a_channel_time_arrival_decides(store: Store) -> None:
    await say(store, "telegram", now=NOW)
    person = await say(store, "earlier", sent_at=NOW - 1, now=NOW + 1)
    await say(store, "last", now=NOW + 2)
    assert names(await (await own(store, person)).open(NOW + 2)) == ["earlier", "telegram", "last"]


async def test_a_late_message_that_joins_is_sorted_by_send_time(store: Store) -> None:
    person = await say(store, "two", sent_at=NOW - 8)
    owner = await own(store, person)
    turn = await owner.open()
    await owner.append(turn, HELLO, ASKS)
    await say(store, "one", sent_at=NOW - 9)
    with pytest.raises(JoiningMessages):
        await store.turns.check_interrupts(turn)
    joined = await owner.open()
    assert names(joined) == ["one", "two"]
    resumed = await (await own(store, person, "two")).open()
    assert names(resumed) == ["one", "two"]  # also in the next process


async def test_a_late_message_comes_next_once_the_turn_is_closed_or_ended(store: Store) -> None:
    owner = await own(store, await say(store, "two", sent_at=NOW - 8))
    turn = await owner.open()
    await owner.append(turn, HELLO, ASKS)
    await owner.append(turn, started=CallRecord("c1", "create_task", NOW))
    turn = await owner.open()
    await say(store, "one", sent_at=NOW - 9)
    await store.turns.check_interrupts(turn)
    await owner.end(turn)
    assert await told(owner) == [["one"]]


@pytest.mark.parametrize("sent_at", [NOW + 1e9, NOW + 1, -6e10])
async def test_a_wrong_clock_neither_starves_nor_overtakes_for_ever(store: Store, sent_at: float) -> None:
    """A clock that is ahead counts as the arrival time. One that is far behind does not overtake messages that wait for
    hours.
    """
    person = await say(store, "waits", now=NOW)
    later = NOW + BELIEVED_SECONDS + 1
    await say(store, "wrong", sent_at=sent_at, now=later)
    await say(store, "last", now=later + 1)
    assert names(await (await own(store, person)).open(later + 1)) == ["waits", "wrong", "last"]


@given(st.none() | st.floats(allow_nan=False), st.floats(min_value=0, max_value=4e9))
def test_trusted_times_are_bounded(sent_at: float | None, accepted_at: float) -> None:
    assert accepted_at - BELIEVED_SECONDS <= believed(sent_at, accepted_at) <= accepted_at


async def test_commands_run_alone_in_their_order(store: Store) -> None:
    await say(store, "after", sent_at=NOW - 1)
    code = Message("test:ann", "code", sent(Text("BCDF-GHJK"), NOW - 2))
    await store.inbox.accept(code, now=NOW, max_pending=9)
    person = await say(store, "before", sent_at=NOW - 3)
    assert await told(await own(store, person)) == [["before"], ["code"], ["after"]]


async def test_messages_of_a_split_turn_keep_the_order(store: Store) -> None:
    for number, name in enumerate(("three", "one", "two")):
        person = await say(store, name, sent_at=NOW - 9 + (number + 2) % 3)
    owner = await own(store, person)
    turn = await owner.open()
    await store.turns.split(turn, owner.epoch, problem="x", now=NOW)
    assert await told(owner) == [["one"], ["two"], ["three"]]


async def test_messages_of_merged_people_form_one_order(store: Store) -> None:
    await say(store, "two", "test:ann", sent_at=NOW - 8)
    ann = await say(store, "four", "test:ann", sent_at=NOW - 6)
    await say(store, "three", "test:bob", sent_at=NOW - 7)
    bob = await say(store, "one", "test:bob", sent_at=NOW - 9)
    merged = await store.merging.merge(ann, bob, now=NOW)
    assert await told(await own(store, merged.person_id)) == [["one", "two", "three", "four"]]


# --- late messages extend the wait


async def test_a_late_message_gives_the_others_more_time(store: Store) -> None:
    person = await say(store, "four", sent_at=NOW - LATE_MESSAGE_SECONDS - 1)
    owner = await own(store, person)
    assert await owner.ask(NOW, debounce=0.6) == NOW + LATE_DEBOUNCE * 0.6
    await say(store, "one", sent_at=NOW - LATE_MESSAGE_SECONDS - 4, now=NOW + 2)
    assert await owner.ask(NOW + 2.5, debounce=0.6) == NOW + DEBOUNCE_LIMIT * 0.6
    due = await owner.ask(NOW + 3, debounce=0.6)
    assert isinstance(due, Turn)
    assert names(due) == ["one", "four"]


async def test_without_a_debounce_no_message_waits(store: Store) -> None:
    person = await say(store, "four", sent_at=NOW - 3600)
    assert isinstance(await (await own(store, person)).ask(NOW, debounce=0), Turn)


async def test_a_late_new_chat_waits_for_messages_sent_before_it(store: Store) -> None:
    person = await say(store, "after", sent_at=NOW - LATE_MESSAGE_SECONDS - 1)
    parts = Message("test:ann", "new", sent(Text("new chat"), NOW - LATE_MESSAGE_SECONDS - 2))
    await store.inbox.accept(parts, now=NOW, max_pending=9)
    owner = await own(store, person)
    assert await owner.ask(NOW, debounce=0.6) == NOW + LATE_DEBOUNCE * 0.6
    await say(store, "before", sent_at=NOW - LATE_MESSAGE_SECONDS - 3, now=NOW + 1)
    heard = []
    while isinstance(due := await owner.ask(NOW + 60, debounce=0.6), Turn):
        heard += names(due)
        await owner.end(due)
    assert heard == ["before", "new", "after"]


@pytest.mark.parametrize(("text", "late"), [("new chat", 0), ("stop", LATE_MESSAGE_SECONDS + 1)])
async def test_a_new_chat_in_time_and_any_stop_do_not_wait(store: Store, text: str, late: float) -> None:
    command = Message("test:ann", "c", sent(Text(text), NOW - late))
    accepted = await store.inbox.accept(command, now=NOW, max_pending=9)
    assert isinstance(await (await own(store, accepted.person_id)).ask(NOW, debounce=0.6), Turn)


# --- "stop"


async def test_a_stop_withdraws_only_messages_sent_before_it(store: Store) -> None:
    before = await accept(store, "before", NOW - 9)
    after = await accept(store, "after", NOW - 5)
    stopped = await stop(store, NOW - 7)
    assert stopped.withdrawn == (before.seq,)
    assert await told(await own(store, after.person_id)) == [["s"], ["after"]]


async def test_a_message_sent_before_a_stop_but_arriving_after_it_is_withdrawn(store: Store) -> None:
    stopped = await stop(store, NOW - 7)
    owner = await own(store, stopped.person_id)
    assert await told(owner) == [["s"]]
    late = await accept(store, "late", NOW - 9)
    assert (late.status, await status(store, late)) == (MessageStatus.STOPPED, MessageStatus.STOPPED)
    assert (await accept(store, "late", NOW - 9)).duplicate
    same_second = await accept(store, "same second", NOW - 7)
    newer = await accept(store, "newer", NOW - 6)
    assert [one.status for one in (same_second, newer)] == [MessageStatus.ACCEPTED] * 2
    assert await told(owner) == [["same second", "newer"]]


async def test_a_late_stop_is_still_answered(store: Store) -> None:
    second = await stop(store, NOW - 5, "second")
    first = await stop(store, NOW - 9, "first")
    assert first.status is MessageStatus.ACCEPTED
    assert await told(await own(store, second.person_id)) == [["first"], ["second"]]
    assert (await accept(store, "between", NOW - 7)).status is MessageStatus.STOPPED  # the later one counts


async def test_a_late_stop_does_not_stop_a_turn_of_later_messages(store: Store) -> None:
    after = await accept(store, "after", NOW - 5)
    owner = await own(store, after.person_id)
    turn = await owner.open()
    await stop(store, NOW - 7)
    await store.turns.check_interrupts(turn)
    await owner.end(turn)
    assert await status(store, after) is MessageStatus.COMPLETED
    assert await told(owner) == [["s"]]


async def test_a_late_stop_ends_an_earlier_turn_and_leaves_later_messages_to_the_next(store: Store) -> None:
    before = await accept(store, "before", NOW - 9)
    after = await accept(store, "after", NOW - 5)
    owner = await own(store, before.person_id)
    turn = await owner.open()
    assert names(turn) == ["before", "after"]
    await owner.append(turn, HELLO, ASKS)
    await stop(store, NOW - 7)
    for refused in (
        store.turns.check_interrupts(turn),
        owner.append(turn, started=CallRecord("c1", "send", NOW)),
        owner.end(turn),
    ):
        with pytest.raises(Stopped):
            await refused
    await owner.end(turn, status=TurnStatus.STOPPED)
    assert await status(store, after) is MessageStatus.ACCEPTED
    assert await told(owner) == [["s"], ["after"]]


async def test_a_turn_with_side_effects_is_stopped_as_a_whole(store: Store) -> None:
    """Messages sent after the "stop" may be done already, and would be repeated."""
    before = await accept(store, "before", NOW - 9)
    after = await accept(store, "after", NOW - 5)
    owner = await own(store, before.person_id)
    turn = await owner.open()
    await owner.append(turn, HELLO, ASKS)
    await owner.append(turn, started=CallRecord("c1", "send", NOW))
    await stop(store, NOW - 7)
    await owner.end(turn, status=TurnStatus.STOPPED)
    assert await status(store, after) is MessageStatus.STOPPED


async def test_no_other_message_hides_a_stop(store: Store) -> None:
    """Not even a command that runs alone and was sent before it within the same second, or by a finer clock."""
    owner = await own(store, await say(store, "before", sent_at=NOW - 9))
    turn = await owner.open()
    await stop(store, NOW - 7)
    code = Message("test:ann", "code", sent(Text("BCDF-GHJK"), NOW - 7.5))
    assert (await store.inbox.accept(code, now=NOW, max_pending=9)).command is Command.CODE
    with pytest.raises(Stopped):
        await store.turns.check_interrupts(turn)


async def test_a_wrong_clock_does_not_stop_later_messages(store: Store) -> None:
    stopped = await stop(store, NOW + 1e9)
    assert (await accept(store, "next", NOW + 1, NOW + 1)).status is MessageStatus.ACCEPTED
    assert stopped.status is MessageStatus.ACCEPTED


async def test_a_stop_of_merged_people_counts_for_both(store: Store) -> None:
    ann = (await stop(store, NOW - 5)).person_id
    bob = await say(store, "hello", "test:bob", now=NOW - 100)
    assert (await store.merging.merge(ann, bob, now=NOW)).person_id == bob
    assert (await accept(store, "late", NOW - 9)).status is MessageStatus.STOPPED


@pytest.mark.parametrize("wrong", [0.0, -6e10, NOW - BELIEVED_SECONDS - 1])
async def test_a_clock_far_behind_counts_as_no_clock_for_stop(store: Store, wrong: float) -> None:
    before = await accept(store, "before", NOW - 1)
    stopped = await stop(store, wrong)
    assert stopped.withdrawn == (before.seq,)
    assert (await accept(store, "after", wrong)).status is MessageStatus.ACCEPTED
    assert sorted(await told(await own(store, stopped.person_id))) == [["after"], ["s"]]


async def test_a_clock_far_behind_does_not_extend_the_wait(store: Store) -> None:
    person = await say(store, "one", sent_at=0.0)
    assert await (await own(store, person)).ask(NOW, debounce=0.6) == NOW + 0.6
