"""The journal: turns in order, one owner at a time, no repeated side effect and no loss after a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from kernel_service.errors import LeaseLost, NotFound
from kernel_service.ports.messages import MessageStatus, Reply, ReplyMode, Usage
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.turns import REASONING, CallRecord, HistoryItem, Turn, TurnStatus
from kernel_service.storage.schema.kernels import kernel
from tests.contract.store.outbox import pull
from tests.contract.store.owner import ASKS, FOUND, HELLO, NOW, Owner, history, own, say

if TYPE_CHECKING:
    from kernel_service.storage.store import Store


async def test_epochs_only_increase(store: Store) -> None:
    person = await say(store, "m1")
    assert (await store.kernels.lease(person)).epoch == 0
    first = await store.kernels.activate(person, owner="one")
    await store.kernels.release(person, first.epoch)
    second = await store.kernels.activate(person, owner="two")
    assert (first.epoch, second.epoch, (await store.kernels.lease(person)).epoch) == (1, 2, 2)


async def test_all_leases_of_a_process_are_released_at_once_except_those_taken_by_others(store: Store) -> None:
    people = [await say(store, f"m{number}", user_id=f"test:{number}") for number in range(3)]
    held = {person: (await store.kernels.activate(person, owner="one")).epoch for person in people}
    await store.kernels.activate(people[1], owner="two")
    await store.kernels.release_all(held)
    owners = await store.engine.read(
        lambda tx: dict(map(tuple, tx.execute(select(kernel.c.person_id, kernel.c.owner)).all()))
    )
    assert owners == {people[0]: "", people[1]: "two", people[2]: ""}
    await store.kernels.release_all({})


async def test_the_kernel_of_an_unknown_person_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.kernels.activate("p_nobody", owner="one")
    with pytest.raises(NotFound):
        await store.kernels.lease("p_nobody")


async def test_a_former_owner_writes_nothing(store: Store) -> None:
    old = await own(store, await say(store, "m1"))
    turn = await old.open()
    new = await own(store, old.person_id)
    with pytest.raises(LeaseLost):
        await old.ask()
    with pytest.raises(LeaseLost):
        await old.append(turn, HELLO)
    with pytest.raises(LeaseLost):
        await store.turns.hold(turn, old.epoch, until=NOW + 5, problem="x", notice=Reply("wait"), now=NOW)
    with pytest.raises(LeaseLost):
        await old.end(turn, HELLO)
    await store.kernels.release(old.person_id, old.epoch)
    assert (await new.open()).id == turn.id
    assert (await store.kernels.activate(old.person_id, owner="three")).history == []
    assert await pull(store, limit=9, seconds=9, now=NOW) == []


async def test_waiting_messages_are_one_turn_in_order_of_acceptance(store: Store) -> None:
    for name in ("m1", "m2", "m3"):
        person = await say(store, name)
    turn = await (await own(store, person)).open()
    assert [one.payload for one in turn.messages] == [Payload(Text(name)) for name in ("m1", "m2", "m3")]
    assert [one.seq for one in turn.messages] == sorted(one.seq for one in turn.messages)
    assert (turn.attempt_count, turn.crash_count, turn.begun, turn.holds, turn.intents) == (0, 0, False, 0, [])


@pytest.mark.parametrize("other", [{"address": "desk 2"}, {"reply_mode": ReplyMode.OUTBOX}])
async def test_a_turn_ends_where_the_route_changes(store: Store, other: dict[str, Any]) -> None:
    for name, way in (("m1", {}), ("m2", {}), ("m3", other), ("m4", {})):
        person = await say(store, name, **way)
    owner, members = await own(store, person), []
    while turn := await owner.ask():
        assert isinstance(turn, Turn)
        members.append([one.message_id for one in turn.messages])
        await owner.end(turn)
    assert members == [["m1", "m2"], ["m3"], ["m4"]]


async def test_a_burst_is_awaited_for_a_bounded_time(store: Store) -> None:
    owner = await own(store, await say(store, "m0", now=NOW))
    assert await owner.ask(NOW + 0.5, debounce=1) == NOW + 1
    for number in range(1, 6):
        await say(store, f"m{number}", now=NOW + number * 0.9)
    assert await owner.ask(NOW + 4.5, debounce=1) == NOW + 5
    turn = await owner.ask(NOW + 5, debounce=1)
    assert isinstance(turn, Turn)
    assert len(turn.messages) == 6


async def test_a_crash_loses_nothing(store: Store) -> None:
    dead = await own(store, await say(store, "m1"))
    turn = await dead.open()
    started = CallRecord("c1", "create_task", NOW)
    await dead.append(turn, HELLO, ASKS, usage=Usage(input_tokens=7, model_calls=1))
    await dead.append(turn, started=started)

    activation = await store.kernels.activate(dead.person_id, owner="two")
    assert (activation.history, activation.open_items) == ([HELLO, ASKS], 2)
    resumed = await Owner(store, dead.person_id, activation.epoch).open()
    expected = Turn(
        turn.id, dead.person_id, turn.messages, begun=True, crash_count=1, closed=True,
        usage=Usage(input_tokens=7, model_calls=1), intents=[started], started_at=NOW,
    )  # fmt: skip
    assert resumed == expected


async def test_items_of_ended_turns_are_distinguished_from_those_of_the_open_one(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    await owner.end(await owner.open(), HELLO, ASKS)
    assert (await store.kernels.activate(owner.person_id, owner="two")).open_items == 0
    await say(store, "m2")
    owner = await own(store, owner.person_id)
    await owner.append(await owner.open(), HELLO)
    activation = await store.kernels.activate(owner.person_id, owner="two")
    assert (len(activation.history), activation.open_items) == (3, 1)


async def test_reasoning_is_read_until_its_turn_ends(store: Store) -> None:
    thought = HistoryItem(REASONING, {"type": "reasoning", "id": "rs_1"}, "openai:m")
    owner = await own(store, await say(store, "m1"))
    turn = await owner.open()
    await owner.append(turn, HELLO, thought)
    assert await history(store, owner.person_id) == [HELLO, thought]
    owner = await own(store, owner.person_id)
    await owner.end(turn, ASKS)
    assert await history(store, owner.person_id) == [HELLO, HistoryItem(REASONING, {}, "openai:m"), ASKS]


async def test_a_finished_call_is_no_longer_an_intent(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    turn = await owner.open()
    await owner.append(turn, HELLO, ASKS)
    for call_id in ("c1", "c2"):
        await owner.append(turn, started=CallRecord(call_id, "tool", NOW))
    await owner.append(turn, FOUND, finished="c1")
    assert [intent.call_id for intent in (await owner.open()).intents] == ["c2"]
    assert (await store.kernels.activate(owner.person_id, owner="two")).history == [HELLO, ASKS, FOUND]


async def test_a_held_turn_waits_for_its_time_and_costs_no_attempt(store: Store) -> None:
    person = await say(store, "m1")
    owner = await own(store, person)
    turn = await owner.open()
    await store.turns.hold(turn, owner.epoch, until=NOW + 30, problem="model_unavailable", notice=None, now=NOW)
    seq = turn.messages[0].seq
    assert (await store.inbox.answer_of(person, seq)).status is MessageStatus.HELD
    assert await owner.ask(NOW + 29) == NOW + 30
    assert await store.inbox.due_people(now=NOW + 29, limit=10) == []
    assert await store.inbox.due_people(now=NOW + 30, limit=10) == [person]
    again = await owner.open(NOW + 30)
    assert (again.id, again.attempt_count, again.crash_count, again.holds) == (turn.id, 0, 0, 1)
    assert (await store.inbox.answer_of(person, seq)).status is MessageStatus.ACCEPTED


async def test_the_notice_of_a_hold_is_sent_by_the_outbox(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    turn = await owner.open()
    await store.turns.hold(turn, owner.epoch, until=NOW + 30, problem="x", notice=Reply("still trying"), now=NOW)
    leases = await pull(store, limit=9, seconds=9, now=NOW)
    assert [(one.reply.reply.text, one.reply.answers_message_id) for one in leases] == [("still trying", "m1")]
    turn = await owner.open(NOW + 30)
    await owner.end(turn)
    answer = await store.inbox.answer_of(owner.person_id, turn.messages[0].seq)
    assert [one.reply.text for one in answer.replies] == ["done"]


@pytest.mark.parametrize(
    ("status", "member"),
    [
        (TurnStatus.COMPLETED, MessageStatus.COMPLETED),
        (TurnStatus.FAILED, MessageStatus.COMPLETED),
        (TurnStatus.STOPPED, MessageStatus.STOPPED),
    ],
)
async def test_an_end_is_atomic(store: Store, status: TurnStatus, member: MessageStatus) -> None:
    person = await say(store, "m1")
    owner = await own(store, person)
    turn = await owner.open()
    await owner.append(turn, HELLO, ASKS, started=CallRecord("c1", "tool", NOW))
    await owner.end(turn, FOUND, status=status, now=NOW + 2)
    assert (await store.inbox.answer_of(person, turn.messages[0].seq)).status is member
    assert await store.inbox.due_people(now=NOW, limit=10) == []
    summaries, waiting, token = await store.admin.turns(person, limit=10, before="")
    assert [(one.id, one.status, one.messages, one.ended_at) for one in summaries] == [
        (turn.id, status, [turn.messages[0].seq], NOW + 2)
    ]
    assert (waiting, token) == ([], "")
    with pytest.raises(LeaseLost):
        await owner.end(turn)
    with pytest.raises(LeaseLost):
        await owner.append(turn, FOUND)
    assert (await store.kernels.activate(person, owner="two")).history == [HELLO, ASKS, FOUND]


async def test_history_is_ordered_over_turns_and_separate_between_people(store: Store) -> None:
    expected: dict[str, list[HistoryItem]] = {}
    for number in range(3):
        for name in ("ann", "bob"):
            person = await say(store, f"m{number}", f"test:{name}")
            owner = await own(store, person)
            items = [HistoryItem("input", {"of": name, "n": n + 2 * number}) for n in range(2)]
            turn = await owner.open()
            await owner.append(turn, items[0])
            await owner.end(turn, items[1])
            expected.setdefault(person, []).extend(items)
    for person, items in expected.items():
        assert (await store.kernels.activate(person, owner="two")).history == items


async def test_the_longest_waiting_are_due_first(store: Store) -> None:
    waiting = await say(store, "m1", "test:late", now=NOW + 2)
    running = await say(store, "m1", "test:early", now=NOW + 1)
    await (await own(store, running)).open(NOW + 1)
    assert await store.inbox.due_people(now=NOW + 3, limit=10) == [running, waiting]
    assert await store.inbox.due_people(now=NOW + 3, limit=1) == [running]


async def test_tokens_are_counted_by_person_and_utc_day(store: Store) -> None:
    midnight = NOW - NOW % 86_400 + 86_400
    for name, tokens in (("ann", 10), ("bob", 5)):
        owner = await own(store, await say(store, "m1", f"test:{name}"))
        turn = await owner.open()
        usage = Usage(input_tokens=tokens, cached_input_tokens=3, output_tokens=1)
        await store.turns.append(turn, owner.epoch, [], usage=usage, now=midnight - 1)
        await store.turns.end(turn, owner.epoch, [], [], status=TurnStatus.COMPLETED, usage=usage, now=midnight - 1)
    assert await store.spending.spent_today(owner.person_id, now=midnight - 0.5) == 12
    assert await store.spending.spent_today(None, now=midnight - 0.5) == 34
    assert await store.spending.spent_today(None, now=midnight) == 0


async def test_turns_are_listed_newest_first_in_pages(store: Store) -> None:
    ids: list[str] = []
    for number in range(5):
        owner = await own(store, await say(store, f"m{number}"))
        turn = await owner.open(NOW + number)
        await owner.end(turn)
        ids.insert(0, turn.id)
    await say(store, "m5", now=NOW + 9)
    listed, token = [], ""
    while True:
        page, waiting, token = await store.admin.turns(owner.person_id, limit=2, before=token)
        assert [at for _, at in waiting] == [NOW + 9]
        listed += [one.id for one in page]
        if not token:
            break
    assert listed == ids


async def test_a_turn_in_the_queue_counts_no_hold_and_remembers_its_notice(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    for until, notice in ((NOW + 5, None), (NOW + 30, Reply("busy")), (NOW + 60, None)):
        turn = await owner.open(until - 5)
        assert (turn.holds, turn.told_busy) == (0, until > NOW + 30)
        await store.turns.hold(
            turn, owner.epoch, until=until - 1, problem="model_busy", notice=notice, busy=True, now=until - 5
        )
    assert (await owner.open(NOW + 90)).told_busy
    assert len(await pull(store, limit=9, seconds=60, now=NOW + 90)) == 1
