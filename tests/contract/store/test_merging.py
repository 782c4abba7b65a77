"""Merging two people: nothing of either is lost or left behind, and no other process writes for them meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, insert, or_, select, text, update

from kernel_service.connections.tokens import digest
from kernel_service.errors import LeaseLost, NotFound
from kernel_service.ports.approvals import Approval, ApprovalPrompt, DecisionOutcome
from kernel_service.ports.commands import ApprovalButton, ApprovalButtonKind, Command
from kernel_service.ports.connect_attempts import ConnectAttemptKey, ConnectAttemptState
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.memory import FactLabel
from kernel_service.ports.messages import Message, MessageStatus, Notice, Reply, ReplyMode, Usage
from kernel_service.ports.outbox import AckResult, Outcome, PartAck
from kernel_service.ports.payloads import Choice, Payload, Text
from kernel_service.ports.resuming import ParkedRequest
from kernel_service.ports.turns import CallRecord, HistoryItem, ToolUse, Turn
from kernel_service.storage.merging.sql_merging import SqlMerging
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.people import facts
from kernel_service.storage.schema import schema
from kernel_service.storage.schema.turns import TURN_OPEN
from tests.contract.store.conftest import keys
from tests.contract.store.lives import DAILY
from tests.contract.store.outbox import pull
from tests.contract.store.people import (
    ADDRESS,
    NOW,
    Owner,
    answer,
    attempt,
    connect,
    history,
    person,
    recipients,
    strong,
    unfollowed,
    weak,
    write,
)
from tests.contract.store.watching import event, receive, watching

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kernel_service.ports.messages import Alias
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

ANNA, OTHER = strong("anna"), strong("other")
LATER = NOW + 60
# These stay: the session, for their accounts; their key, for files that last as long as their message waits.
HIS_OWN = ("kernel.person_id", "media.person_id", "packed_history.person_id")
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
PLAIN = HistoryItem("input", {"said": "hi"})


def asks(call_id: str) -> HistoryItem:
    return HistoryItem("output", {"said": call_id}, "test:model")


async def two(store: Store) -> tuple[str, str]:
    """The older and the newer, each with some history."""
    return await person(store, ANNA, weak("+1")), await person(store, OTHER, weak("+2"), now=NOW + 1)


async def merge(store: Store, anna: str, other: str) -> None:
    merged = await store.merging.merge(other, anna, now=LATER)
    assert (merged.person_id, merged.merged_id) == (anna, other)


async def reopened(store: Store, person_id: str) -> Turn:
    return await (await Owner.of(store, person_id)).open(LATER)


# --- nothing is left behind -----------------------------------------------------------------------------------------


def columns_of_people() -> list[Any]:
    """Every column that references a person, except those of HIS_OWN: a new table must decide."""
    columns = [column for table in schema.metadata.sorted_tables for column in table.columns]
    return [
        column
        for column in columns
        if any(key.column is schema.person.c.id for key in column.foreign_keys) and str(column) not in HIS_OWN
    ]


def rows_of(person_id: str) -> Any:
    """A unit: how many rows each such column has for the person."""

    def counted(tx: Tx) -> dict[str, int]:
        return {
            str(column): tx.execute(select(func.count()).where(column == person_id)).scalar_one()
            for column in columns_of_people()
        }

    return counted


async def fill(store: Store, anna: str, other: str) -> None:
    """A value of the other person in every table."""
    accepted = await write(store, OTHER, now=NOW + 1)
    waits: dict[str, Any] = {
        "parked": [ParkedRequest("asana", "what waits")],
        "prompts": [ApprovalPrompt((Approval("ap_1", "c0", "SEND", {}, LATER),), "")],
    }
    await answer(store, accepted.person_id, "an answer", now=NOW + 1, **waits)
    owner = await Owner.of(store, (await write(store, OTHER, now=NOW + 1)).person_id)
    turn = await owner.open(NOW + 1)
    started = CallRecord("c1", "SEND", NOW)
    used = ToolUse("SEND", failed=False, seconds=1.0)
    await owner.append(turn, PLAIN, usage=Usage(input_tokens=5), started=started, used=used)
    pending = await connect(store, other, ConnectionStatus.PENDING)
    account = await connect(store, other)
    await watching(store, account)
    await receive(store, event(account))
    await store.schedules.create(other, DAILY, request_id="r", now=NOW + 1)
    seq = turn.messages[-1].seq

    def the_rest(tx: Tx) -> None:
        letter = {
            "id": "dl_1",
            "person_id": other,
            "message_seq": seq,
            "message_id": "m",
            "problem": "x",
            "dead_at": NOW,
        }
        tx.execute(insert(schema.dead_letter), letter)
        reservation = {
            "id": "tr_1",
            "person_id": other,
            "day": 0,
            "input_tokens": 1,
            "output_tokens": 1,
            "headroom": 1,
            "until": 0.0,
        }
        tx.execute(insert(schema.token_reservation), reservation)
        standing = {"person_id": other, "tool": "SEND", "account": "", "created_at": 0.0}
        tx.execute(insert(schema.standing_permission), standing)
        invited = {"person_id": other, "channel": "test", "address": "", "asked_at": 0.0, "claimed_by": "gateway-1"}
        tx.execute(insert(schema.invitation), invited)
        facts.remember(tx, other, "Takes tea", FactLabel.NONE, NOW)
        third = {"id": "p_0", "created_at": 0.0, "data_key": b"", "key_id": ""}
        tx.execute(insert(schema.person), third)
        for first, second in (("p_0", other), sorted((anna, other))):
            tx.execute(insert(schema.kept_apart), {"first_id": first, "second_id": second, "since": NOW})

    await store.engine.write(the_rest)
    assert pending.link


async def test_merging_moves_all_rows_and_values_to_the_older_person(store: Store) -> None:
    anna, other = await two(store)
    await fill(store, anna, other)
    before, hers = await store.engine.read(rows_of(other)), await store.engine.read(rows_of(anna))
    empty = {name for name, count in before.items() if not count}
    assert empty == {"kept_apart.first_id"} - ({"kept_apart.first_id"} if other < anna else set())
    await merge(store, anna, other)
    after, left = await store.engine.read(rows_of(anna)), await store.engine.read(rows_of(other))
    assert set(left.values()) == {0}
    moved = {name: before[name] + hers[name] for name in before if not name.startswith("kept_apart")}
    for table in ("usage", "tool_usage"):
        moved[f"{table}.person_id"] -= 0 if hers[f"{table}.person_id"] == 0 else 1
    assert {name: after[name] for name in moved} == moved
    assert await store.merging.kept_apart_from(anna) == ["p_0"]
    assert set(await store.people.ids_in(anna, "test")) == {ANNA, OTHER, weak("+1"), weak("+2")}
    assert [told for told, _ in await recipients(store)] == ["an answer"]
    links = [one.link for one in await store.connections.of_person(anna)]
    assert links == ["https://connect.example.org/link/lk_1", ""], "one waits, the other is connected"
    turn = await reopened(store, anna)
    assert [message.payload for message in turn.messages] == [Payload(Text("hello"))]
    [under_way] = await store.connect_attempts.live(anna)
    assert await store.connect_attempts.confirm(
        replace(under_way, state=ConnectAttemptState.CONNECTED), was=under_way.state, seq=1, now=LATER
    )
    assert [each.remaining for each in await store.connect_attempts.resumed_by(anna, 1)] == ["what waits"]
    assert [intent.call_id for intent in turn.intents] == ["c1"]
    [daily] = await store.schedules.of_person(other, limit=10)
    assert daily.asked == DAILY
    assert daily.next_due_at is not None
    assert (await store.schedules.run_due(now=daily.next_due_at, limit=1, most_waiting=1)).people == [anna]
    assert await store.spending.spent_today(anna, now=NOW) == 5


async def test_the_newer_history_follows_the_older_ones_and_its_reasoning_is_foreign(store: Store) -> None:
    anna, other = await two(store)
    await answer(store, (await write(store, OTHER, text="mine", now=NOW + 1)).person_id, "yours", now=NOW + 1)
    await answer(store, (await write(store, ANNA, text="hers", now=NOW + 2)).person_id, "to her", now=NOW + 2)
    await merge(store, anna, other)
    items = (await store.kernels.activate(anna, owner="one")).history
    assert [item.data["said"] for item in items] == ["hello", "", "hers", "to her", "hello", "", "mine", "yours"]
    assert [item.origin for item in items if item.kind == "output"] == ["test:model"] * 2 + ["merged:test:model"] * 2


async def test_a_long_history_moves_completely_and_in_order(store: Store) -> None:
    anna, other = await two(store)
    owner = await Owner.of(store, (await write(store, OTHER, now=NOW + 1)).person_id)
    turn = await owner.open(NOW + 1)
    await owner.append(turn, *(HistoryItem("input", {"said": n}) for n in range(1_200)))
    await owner.end(turn)
    await merge(store, anna, other)
    assert [said for said in await history(store, anna) if isinstance(said, int)] == list(range(1_200))


async def test_usage_is_added_up_by_day(store: Store) -> None:
    anna, other = await two(store)
    for user, tokens in ((ANNA, 3), (OTHER, 4)):
        owner = await Owner.of(store, (await write(store, user, now=NOW + 1)).person_id)
        await owner.append(await owner.open(NOW + 1), PLAIN, usage=Usage(input_tokens=tokens))
    await merge(store, anna, other)
    assert await store.spending.spent_today(anna, now=NOW) == 7
    assert await store.spending.spent_today(None, now=NOW) == 7


# --- leases ---------------------------------------------------------------------------------------------------------


async def test_running_turns_of_both_can_no_longer_write(store: Store) -> None:
    anna, other = await two(store)
    owners = [await Owner.of(store, (await write(store, user, now=NOW + 1)).person_id) for user in (ANNA, OTHER)]
    turns = [await owner.open(NOW + 1) for owner in owners]
    await merge(store, anna, other)
    for owner, turn in zip(owners, turns, strict=True):
        with pytest.raises(LeaseLost):
            await store.turns.check_interrupts(turn)
        with pytest.raises(LeaseLost):
            await owner.append(turn, PLAIN)
        with pytest.raises(LeaseLost):
            await owner.end(turn)
        with pytest.raises(LeaseLost):
            await owner.open(LATER)
    assert await history(store, anna) == ["hello", "", "hello", ""]


async def test_a_merged_person_cannot_be_activated(store: Store) -> None:
    anna, other = await two(store)
    await merge(store, anna, other)
    with pytest.raises(LeaseLost):
        await store.kernels.activate(other, owner="one")
    assert await store.inbox.due_people(now=LATER, limit=10) == []


# --- open turns -----------------------------------------------------------------------------------------------------


async def test_a_turn_of_the_newer_person_resumes_from_its_journal(store: Store) -> None:
    anna, other = await two(store)
    message = await write(store, OTHER, text="do it", now=NOW + 1)
    owner = await Owner.of(store, other)
    turn = await owner.open(NOW + 1)
    await owner.append(turn, HistoryItem("input", {"said": "do it"}), asks("c1"), started=CallRecord("c1", "SEND", NOW))
    await merge(store, anna, other)
    assert await store.inbox.due_people(now=LATER, limit=10) == [anna]
    again = await reopened(store, anna)
    assert (again.id, again.begun, [one.seq for one in again.messages]) == (turn.id, True, [message.seq])
    assert [intent.call_id for intent in again.intents] == ["c1"]
    assert (await history(store, anna))[-2:] == ["do it", "c1"]


async def test_a_turn_of_the_older_person_stays_at_the_end_of_the_history(store: Store) -> None:
    anna, other = await two(store)
    owner = await Owner.of(store, (await write(store, ANNA, text="do it", now=NOW + 1)).person_id)
    turn = await owner.open(NOW + 1)
    await owner.append(turn, HistoryItem("input", {"said": "do it"}), asks("c1"))
    await merge(store, anna, other)
    assert await history(store, anna) == ["hello", "", "hello", "", "do it", "c1"]
    assert (await reopened(store, anna)).id == turn.id


@pytest.mark.parametrize(("does", "looks"), [(ANNA, OTHER), (OTHER, ANNA)])
async def test_of_two_turns_the_one_with_side_effects_continues(store: Store, does: Any, looks: Any) -> None:
    anna, other = await two(store)
    first = await Owner.of(store, (await write(store, does, text="do it", now=NOW + 1)).person_id)
    turn = await first.open(NOW + 1)
    started = CallRecord("c1", "SEND", NOW)
    await first.append(turn, HistoryItem("input", {"said": "do it"}), asks("c1"), started=started)
    second = await Owner.of(store, (await write(store, looks, text="and then", now=NOW + 1)).person_id)
    await second.append(await second.open(NOW + 1), HistoryItem("input", {"said": "and then"}), asks("c2"))
    await merge(store, anna, other)
    assert (await history(store, anna))[-2:] == ["do it", "c1"]
    owner = await Owner.of(store, anna)
    again = await owner.open(LATER)
    assert (again.id, [one.payload.text for one in again.messages]) == (turn.id, ["do it"])
    await owner.end(again)
    after = await owner.open(LATER)
    assert [one.payload.text for one in after.messages] == ["and then"]
    assert not after.begun


async def test_two_turns_without_side_effects_restart_together(store: Store) -> None:
    anna, other = await two(store)
    for user in (ANNA, OTHER):
        owner = await Owner.of(store, (await write(store, user, text=user.user_id, now=NOW + 1)).person_id)
        turn = await owner.open(NOW + 1)
        await owner.append(turn, asks(user.user_id))
    await merge(store, anna, other)
    owner = await Owner.of(store, anna)
    again = await owner.open(LATER)
    assert [one.payload.text for one in again.messages] == [ANNA.user_id, OTHER.user_id]
    assert not again.begun
    assert await history(store, anna) == ["hello", ""] * 2


async def test_two_turns_with_side_effects_continue_as_one(store: Store) -> None:
    anna, other = await two(store)
    messages = []
    for user, call in ((ANNA, "c1"), (OTHER, "c2")):
        messages.append(await write(store, user, text=call, now=NOW + 1, mode=ReplyMode.INLINE))
        owner = await Owner.of(store, messages[-1].person_id)
        started = CallRecord(call, "SEND", NOW)
        await owner.append(await owner.open(NOW + 1), asks(call), started=started, usage=Usage(input_tokens=2))
    await merge(store, anna, other)
    owner = await Owner.of(store, anna)
    turn = await owner.open(LATER)
    assert [one.payload.text for one in turn.messages] == ["c1", "c2"]
    assert [intent.call_id for intent in turn.intents] == ["c1", "c2"]
    assert (turn.begun, turn.usage.input_tokens) == (True, 4)
    assert (await history(store, anna))[-2:] == ["c1", "c2"]
    owner = await Owner.of(store, anna)
    await owner.end(await owner.open(LATER))
    answers = [await store.inbox.answer_of(one.person_id, one.seq) for one in messages]
    assert [one.status for one in answers] == [MessageStatus.MERGED, MessageStatus.COMPLETED]
    assert await store.inbox.due_people(now=LATER, limit=10) == []


BUTTON = ApprovalButton("ap_1", ApprovalButtonKind.YES)


async def with_tap(store: Store, user: Alias) -> tuple[Owner, Turn]:
    """A turn that an approval's button opened, and that has decided it."""
    owner = await Owner.of(store, (await write(store, user)).person_id)
    await owner.end(
        await owner.open(),
        PLAIN,
        prompts=[ApprovalPrompt((Approval("ap_1", "c0", "SEND", {"to": "bob"}, LATER),), "")],
    )
    message = Message(user.user_id, "tapped", Payload(Choice(BUTTON.choice_id)), address=ADDRESS)
    await store.inbox.accept(message, now=NOW + 1, max_pending=9)
    tapped = await owner.open(NOW + 1)
    assert (await store.approvals.decide(tapped, owner.epoch, BUTTON, at=NOW + 1)).outcome is DecisionOutcome.APPROVED
    return owner, tapped


async def with_change(store: Store, user: Alias) -> Turn:
    """An ordinary turn with a side effect."""
    owner = await Owner.of(store, (await write(store, user, text="do it", now=NOW + 1)).person_id)
    turn = await owner.open(NOW + 1)
    await owner.append(turn, PLAIN, asks("c1"), started=CallRecord("c1", "SEND", NOW))
    return turn


@pytest.mark.parametrize(("taps", "does"), [(ANNA, OTHER), (OTHER, ANNA)])
@pytest.mark.parametrize("heard", [False, True])
async def test_a_button_without_a_result_yet_is_decided_after_the_continuing_turn(
    store: Store, taps: Alias, does: Alias, *, heard: bool
) -> None:
    anna, other = await two(store)
    tapper, tapped = await with_tap(store, taps)
    if heard:  # its call found the vendor busy
        await tapper.append(tapped, asks("c2"), started=CallRecord("c2", "SEND", NOW))
        await tapper.append(tapped, finished="c2")
    turn = await with_change(store, does)
    await merge(store, anna, other)
    owner = await Owner.of(store, anna)
    again = await owner.open(LATER)
    assert (again.id, [one.command for one in again.messages]) == (turn.id, [Command.NONE])
    await owner.end(again)
    after = await owner.open(LATER)
    assert [one.command for one in after.messages] == [Command.APPROVAL]
    assert (after.begun, after.closed) == (False, True)
    assert "c2" not in await history(store, anna)
    owner = await Owner.of(store, anna)
    assert (await store.approvals.decide(after, owner.epoch, BUTTON, at=NOW + 1)).outcome is DecisionOutcome.APPROVED


@pytest.mark.parametrize(("taps", "does"), [(ANNA, OTHER), (OTHER, ANNA)])
async def test_a_button_whose_call_was_started_stays_decided_in_the_continuing_turn(
    store: Store, taps: Alias, does: Alias
) -> None:
    anna, other = await two(store)
    tapper, tapped = await with_tap(store, taps)
    await tapper.append(tapped, asks("c2"), started=CallRecord("c2", "SEND", NOW))
    await with_change(store, does)
    await merge(store, anna, other)
    owner = await Owner.of(store, anna)
    again = await owner.open(LATER)
    assert {one.command for one in again.messages} == {Command.NONE, Command.APPROVAL}
    assert {intent.call_id for intent in again.intents} == {"c1", "c2"}
    assert (await store.approvals.decide(again, owner.epoch, BUTTON, at=NOW + 1)).outcome is DecisionOutcome.APPROVED


async def test_an_unprocessed_code_waits_for_the_continuing_turn(store: Store) -> None:
    anna, other = await two(store)
    turn = await with_change(store, ANNA)
    owner = await Owner.of(store, (await write(store, OTHER, text="Connect BBBB-CCCC", now=NOW + 1)).person_id)
    assert (await owner.open(NOW + 1)).messages[0].command is Command.CODE
    await merge(store, anna, other)
    owner = await Owner.of(store, anna)
    again = await owner.open(LATER)
    assert (again.id, [one.command for one in again.messages]) == (turn.id, [Command.NONE])
    await owner.end(again)
    assert [one.command for one in (await owner.open(LATER)).messages] == [Command.CODE]


async def test_a_held_turn_does_not_delay_the_running_one(store: Store) -> None:
    anna, other = await two(store)
    for user in (ANNA, OTHER):
        owner = await Owner.of(store, (await write(store, user, now=NOW + 1)).person_id)
        turn = await owner.open(NOW + 1)
        await owner.append(turn, asks(user.user_id))
        if user is ANNA:
            await store.turns.hold(turn, owner.epoch, until=NOW + 1e6, problem="away", notice=None, now=NOW)
    await merge(store, anna, other)
    turn = await reopened(store, anna)
    assert len(turn.messages) == 2
    answers = [await store.inbox.answer_of(anna, message.seq) for message in turn.messages]
    assert {one.status for one in answers} == {MessageStatus.ACCEPTED}


async def test_a_withdrawn_message_stays_withdrawn(store: Store) -> None:
    anna, other = await two(store)
    for user in (ANNA, OTHER):
        await (await Owner.of(store, (await write(store, user, now=NOW + 1)).person_id)).open(NOW + 1)

    def stop(tx: Tx) -> None:
        tx.execute(update(schema.turn).where(schema.turn.c.person_id == other).values(stopped=True))

    await store.engine.write(stop)
    await merge(store, anna, other)

    def open_turns(tx: Tx) -> list[Any]:
        return list(tx.execute(select(schema.turn.c.stopped).where(TURN_OPEN)).scalars())

    assert await store.engine.read(open_turns) == [True]


async def test_a_turn_that_the_merge_interrupts_counts_no_crash(store: Store) -> None:
    anna, other = await two(store)
    for user in (ANNA, OTHER):
        await (await Owner.of(store, (await write(store, user, now=NOW + 1)).person_id)).open(NOW + 1)

    def begin(tx: Tx) -> None:
        tx.execute(update(schema.turn).values(attempt_owner="k_1"))

    def owners(tx: Tx) -> list[Any]:
        return list(tx.execute(select(schema.turn.c.attempt_owner).where(TURN_OPEN)).scalars())

    await store.engine.write(begin)
    await merge(store, anna, other)
    assert await store.engine.read(owners) == [""]


# --- references to the old id ---------------------------------------------------------------------------------------


async def test_an_inline_caller_is_answered_under_the_id_of_the_request(store: Store) -> None:
    anna, other = await two(store)
    message = await write(store, OTHER, now=NOW + 1, mode=ReplyMode.INLINE)
    assert message.person_id == other
    await merge(store, anna, other)
    assert (await store.inbox.answer_of(other, message.seq)).status is MessageStatus.ACCEPTED
    owner = await Owner.of(store, anna)
    await owner.end(await owner.open(LATER), replies=["here"])
    told = await store.inbox.answer_of(other, message.seq)
    assert [reply.reply.text for reply in told.replies] == ["here"]


async def test_a_repeated_message_is_still_recognised(store: Store) -> None:
    anna, other = await two(store)
    owner = await Owner.of(store, (await write(store, OTHER, now=NOW + 1)).person_id)
    turn = await owner.open(NOW + 1)
    await merge(store, anna, other)
    again = await store.inbox.answer_of(anna, turn.messages[0].seq)
    assert again.status is MessageStatus.ACCEPTED


async def test_attempts_of_the_merged_person_continue_for_the_remaining_one(store: Store) -> None:
    anna, other = await two(store)
    pending = await connect(store, other, ConnectionStatus.PENDING)
    await merge(store, anna, other)
    await store.outbox.notify(other, Reply("connected"), channel="test", address=ADDRESS, now=LATER)
    assert [told for told, _ in await recipients(store)] == ["connected"]
    assert await store.inbox.last_route(other) == ("test", ADDRESS)
    assert await store.connect_attempts.advance(
        replace(attempt(pending), state=ConnectAttemptState.RETURNED), was=ConnectAttemptState.STARTED
    )
    late = await connect(store, other)
    kept = await store.connections.of_person(other)
    assert kept == await store.connections.of_person(anna)
    assert [(one.id, one.person_id, one.holder) for one in kept] == [
        (pending.id, anna, other),
        (late.id, anna, other),
    ]
    assert await store.people.surviving(other) == anna


async def test_parked_requests_resume_for_the_remaining_person_also_during_a_proof(store: Store) -> None:
    anna, other = await two(store)
    await write(store, OTHER, now=NOW + 1)
    await answer(store, other, now=NOW + 1, parked=[ParkedRequest("asana", "what waits")])
    await write(store, ANNA, now=NOW + 1)
    await answer(store, anna, now=NOW + 1, parked=[ParkedRequest("asana", "what she left")])
    back = attempt(await connect(store, other, ConnectionStatus.UNCONFIRMED))
    await merge(store, anna, other)
    assert await store.connect_attempts.confirm(
        replace(back, state=ConnectAttemptState.CONNECTED), was=ConnectAttemptState.RETURNED, seq=7, now=LATER
    )
    for asked in (anna, other):
        assert {each.remaining for each in await store.connect_attempts.resumed_by(asked, 7)} == {
            "what waits",
            "what she left",
        }


async def test_the_session_of_a_merged_person_is_kept_for_its_accounts(store: Store) -> None:
    anna, other = await two(store)
    await store.sessions.keep(other, "s2", "c")
    await merge(store, anna, other)
    assert (await store.sessions.of_person(anna), await store.sessions.of_person(other)) == (None, ("s2", "c"))


async def test_of_two_phones_the_asking_one_is_answered(store: Store) -> None:
    anna, other = await two(store)
    await merge(store, anna, other)
    for user in (ANNA, OTHER, ANNA):
        await answer(store, (await write(store, user, now=LATER)).person_id, "to it", now=LATER)
        [lease] = await pull(store, limit=1, seconds=30, now=LATER)
        assert lease.user_id == user.user_id
        sent = PartAck(lease.reply.id, 1, 1, "1", lease.token, Outcome.SENT)
        assert (await store.outbox.settle("test", [sent], now=LATER)).results == [AckResult.RECORDED]


# --- repeated and chained merges ------------------------------------------------------------------------------------


async def test_merging_again_does_no_harm(store: Store) -> None:
    anna, other = await two(store)
    await merge(store, anna, other)
    epoch = (await store.kernels.lease(anna)).epoch
    for pair in ((anna, other), (other, anna), (other, other), (anna, anna)):
        again = await store.merging.merge(*pair, now=LATER)
        assert (again.person_id, again.merged_id) == (anna, "")
    assert (await store.kernels.lease(anna)).epoch == epoch


async def test_an_unknown_person_is_not_merged(store: Store) -> None:
    anna = await person(store, ANNA)
    for pair in ((anna, "p_nobody"), ("p_nobody", anna)):
        with pytest.raises(NotFound) as nobody:
            await store.merging.merge(*pair, now=LATER)
        assert nobody.value.reason == "PERSON_NOT_FOUND"


async def test_three_people_merge_in_either_order(store: Store) -> None:
    anna, other = await two(store)
    third = await person(store, strong("third"), now=NOW + 2)
    await merge(store, other, third)
    await merge(store, anna, other)
    assert {await store.people.surviving(one) for one in (anna, other, third)} == {anna}
    assert await history(store, anna) == ["hello", ""] * 3
    account = await connect(store, third)
    assert [(one.person_id, one.holder) for one in await store.connections.of_person(third)] == [(anna, third)]
    assert account.person_id == third


async def test_messages_and_notices_during_merges(store: Store) -> None:
    """In any order: no row is left with a merged person."""
    anna, other = await two(store)

    async def merge_soon() -> None:
        await asyncio.sleep(0)
        await store.merging.merge(anna, other, now=LATER)

    coming = [write(store, user, now=LATER) for user in (OTHER, ANNA) * 20]
    notices = [store.outbox.notify(other, Reply("news"), channel="test", address=ADDRESS, now=LATER) for _ in range(20)]
    connecting = [connect(store, other) for _ in range(5)]
    await asyncio.gather(*coming, *notices, merge_soon(), *connecting)
    left = await store.engine.read(rows_of(other))
    assert set(left.values()) == {0}
    _, waiting, _ = await store.admin.turns(anna, limit=10, before="")
    assert len(waiting) == 40


async def ended(store: Store, other: str) -> None:
    [under_way] = await store.connect_attempts.live(other)
    notice = Notice(Reply("x"), "test", ADDRESS, LATER)
    await store.connect_attempts.advance(
        replace(under_way, state=ConnectAttemptState.LAPSED), was=under_way.state, notice=notice
    )


async def barred(store: Store, other: str) -> None:
    [connection] = await store.connections.of_person(other)
    notice = Notice(Reply("x"), "test", ADDRESS, LATER)
    await store.connections.bar(connection, ConnectionStatus.EXPIRED, remove=True, notice=notice)


LATECOMERS: dict[str, Callable[[Store, str], Awaitable[Any]]] = {
    "message": lambda store, _: write(store, OTHER, now=LATER),
    "notice": lambda store, other: store.outbox.notify(other, Reply("x"), channel="test", address=ADDRESS, now=LATER),
    "connection": connect,
    "ending": ended,
    "barring": barred,
}


@pytest.mark.parametrize("what", LATECOMERS)
async def test_a_write_waits_for_an_uncommitted_merge(postgres_url: str, what: str) -> None:
    store = await open_store(postgres_url, keys("test"))
    anna, other = await two(store)
    await connect(store, other, ConnectionStatus.PENDING)
    engine: Any = store.engine
    merge: Any = SqlMerging.merge.__wrapped__  # type: ignore[attr-defined]
    async with engine._database.begin() as connection:
        await connection.run_sync(lambda sync: merge(store.merging, engine._tx(sync), anna, other, now=LATER))
        coming = asyncio.ensure_future(LATECOMERS[what](store, other))
        while not coming.done() and not await connection.scalar(text(WAITING)):
            await asyncio.sleep(0)
    await coming
    assert set((await engine.read(rows_of(other))).values()) == {0}
    await store.close()


async def test_merging_in_both_directions_at_once(store: Store) -> None:
    people = [await person(store, strong(f"n{n}"), now=NOW + n) for n in range(5)]
    pairs = [(one, two_) for one in people for two_ in people if one != two_]
    await asyncio.gather(*(store.merging.merge(*pair, now=LATER) for pair in pairs))
    assert {await store.people.surviving(one) for one in people} == {people[0]}
    assert await history(store, people[0]) == ["hello", ""] * 5

    def unmatched(tx: Tx) -> int:
        gone = select(schema.person.c.id).where(schema.person.c.merged_into.is_not(None))
        columns = [column.in_(gone) for column in columns_of_people() if column.table is schema.message]
        return int(tx.execute(select(func.count()).select_from(schema.message).where(or_(*columns))).scalar_one())

    assert await store.engine.read(unmatched) == 0


async def test_of_two_unfollowed_links_of_a_toolkit_a_merge_leaves_one(store: Store) -> None:
    older, newer = await person(store, strong("older"), now=NOW), await person(store, strong("newer"), now=NOW + 1)
    links = [("asana", older), ("asana", newer), ("gmail", newer)]
    for number, (toolkit, person_id) in enumerate(links):
        assert await store.connect_attempts.add(unfollowed(f"cn_{number}", toolkit, person_id), now=NOW)
    await store.merging.merge(older, newer, now=NOW)
    assert {one.connection.id for one in await store.connect_attempts.live(older)} == {"cn_0", "cn_2"}
    ended = await store.connect_attempts.find(ConnectAttemptKey.LINK, digest("cn_1"))
    assert ended is not None
    assert (ended.state, ended.connection.status) == (ConnectAttemptState.REMOVED, ConnectionStatus.EXPIRED)
    assert not ended.connection.link
