"""A person who is deleted leaves nothing, and other people lose nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import insert, select, update

from kernel_service.clock import DAY_SECONDS as DAY
from kernel_service.errors import Exhausted, LeaseLost, NotFound
from kernel_service.ports.connect_attempts import ConnectAttemptState
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.deletion import REDELIVERY_DAYS, Revocation, RevocationKind
from kernel_service.ports.kernels import NO_TURNS
from kernel_service.ports.messages import Alias, Message, MessageStatus, ReplyMode
from kernel_service.ports.outbox import AckResult, Outcome
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.people import LinkOutcome
from kernel_service.ports.spending import Budgets, Estimate
from kernel_service.ports.triggers import EventOutcome, TriggerStatus
from kernel_service.ports.turns import HistoryItem
from kernel_service.storage.deleting import stored_of_people
from kernel_service.storage.deleting.stored_of_people import columns_of_people, parts_of
from kernel_service.storage.people.people import attach
from kernel_service.storage.schema import schema
from kernel_service.storage.schema.columns import Digest
from kernel_service.storage.turns import packed_turns
from tests.contract.store.lives import live
from tests.contract.store.outbox import ack, pull, receipt
from tests.contract.store.owner import NOW, own, say
from tests.contract.store.people import answer, connect, strong, unfollowed, weak, write
from tests.contract.store.watching import begun, event, receive, watching

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Table

    from kernel_service.ports.deletion import DeletionStep
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

OF_THE_SERVICE: Final = {"commit_mark", "node", "puller", "secret", "schema_version", "backfill", "usage_of_all"}
"""Tables that name no person. The sums over all people stay."""
LEFT: Final = {"forgotten_message", "revocation"}
"""What the deletion itself leaves for a while, without a word of whose it was."""
OF_PEOPLE: Final = [table for table in schema.metadata.sorted_tables if columns_of_people(table)]


async def delete(store: Store, person_id: str, now: float = NOW) -> DeletionStep:
    step = first = await store.deletion.begin(person_id, now=now)
    while not step.is_last:
        step = await store.deletion.go_on(step.people, now=now)
        first.rows.update(step.rows)
    return first


async def contents(store: Store, *, without: set[str] = OF_THE_SERVICE) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, as they are stored."""

    def read(tx: Tx) -> dict[str, list[tuple[Any, ...]]]:
        return {
            table.name: sorted((tuple(row) for row in tx.execute(select(table))), key=repr)
            for table in schema.metadata.sorted_tables
            if table.name not in without
        }

    return await store.engine.read(read)


async def keep(store: Store, table: Table, **row: Any) -> None:
    await store.engine.write(lambda tx: tx.execute(insert(table), row))


async def everything(store: Store, name: str) -> str:
    """A person with a row in every table of people. Their chat's address is theirs alone; "desk" is everybody's."""
    person_id, late = await live(store, name), NOW + 1000
    merged = await say(store, "before", f"test:{name} before", now=late)
    await connect(store, merged, ConnectionStatus.PENDING)
    await own(store, merged)
    await store.sessions.keep(merged, f"trs_{name}_before", "c")
    assert (await store.merging.merge(person_id, merged, now=NOW)).person_id == person_id
    await store.sessions.keep(person_id, f"trs_{name}", "c")
    await answer(store, person_id)
    spoken = Message(f"test:{name}", "own", Payload(Text("hello")), address=f"of {name}", reply_mode=ReplyMode.OUTBOX)
    await store.inbox.accept(spoken, now=NOW, max_pending=100)
    await store.chats.keep_link(person_id, "test", f"of {name}", f"https://chat.example/{name}?{{text}}")
    await answer(store, person_id, "an answer")
    for lease in await pull(store, limit=100, seconds=30):
        await ack(store, lease)
    await say(store, "open", f"test:{name}")
    await store.spending.reserve(person_id, Estimate(5, 5, 100), Budgets(), now=NOW)
    change = Alias(f"test:{name}"), Alias(f"test:{name} new")
    assert (await store.merging.link(*change, now=NOW)).outcome is LinkOutcome.LINKED
    await store.engine.write(lambda tx: attach(tx, person_id, (Alias("test:shared", scope=name),), NOW))
    shared = store.engine.write
    await shared(
        lambda tx: tx.execute(
            insert(schema.identity_link),
            {
                "channel": "test", "previous_scope": name, "previous_digest": tx.digests.user("test:shared"),
                "current_scope": name, "current_digest": tx.digests.user("test:else"),
                "outcome": "unknown", "told_at": NOW,
            },
        )
    )  # fmt: skip
    await store.engine.write(lambda tx: packed_turns.keep(tx, person_id, "openai:m", NO_TURNS, last=1))
    of = {"person_id": person_id}
    await keep(store, schema.dead_letter, id=f"dl_{name}", message_seq=1, message_id="", problem="p", dead_at=NOW, **of)
    await keep(store, schema.invitation, channel="test", address="desk", asked_at=NOW, claimed_by="gateway", **of)
    await keep(store, schema.tool_call, call_id=f"c {name}", turn_id="t", tool="x", started_at=NOW, **of)
    await keep(store, schema.standing_permission, tool=f"x {name}", account="", created_at=NOW, **of)
    await keep(store, schema.tool_usage, day=1, tool="x", calls=1, failures=0, seconds=1.0, **of)
    return person_id


async def rows_of(store: Store, table: Table, people: Sequence[str]) -> int:
    def count(tx: Tx) -> int:
        columns = columns_of_people(table)
        return sum(any(getattr(row, each.name) in people for each in columns) for row in tx.execute(select(table)))

    return await store.engine.read(count)


async def test_nothing_of_a_person_is_left_and_others_stay_as_they_are_byte_for_byte(store: Store) -> None:
    bob = await everything(store, "bob")
    before = await contents(store)
    ann = await everything(store, "ann")
    first, second = sorted((ann, bob))
    await keep(store, schema.kept_apart, first_id=first, second_id=second, since=NOW)
    people = [ann, *await merged_into(store, ann)]
    full = await contents(store)
    for table in OF_PEOPLE:
        assert await rows_of(store, table, people), f"`everything` has no row in {table.name}"
        for part in parts_of(table):
            assert len(full[part.column.table.name]) > len(before[part.column.table.name]), part.column
    step = await delete(store, ann)
    after = await contents(store, without=OF_THE_SERVICE | LEFT)
    assert after == {name: rows for name, rows in before.items() if name not in LEFT}
    assert step.people == tuple(people)
    assert step.rows["person"] == 2
    assert step.rows["fact"] == 2


async def merged_into(store: Store, person_id: str) -> list[str]:
    query = select(schema.person.c.id).where(schema.person.c.merged_into == person_id)
    return await store.engine.read(lambda tx: list(tx.execute(query).scalars()))


async def test_no_value_of_any_row_names_who_was_deleted(store: Store) -> None:
    """Also in tables that refer to no person: neither an id of the person, nor a digest of one of their ids."""
    ann = await everything(store, "ann")
    merged = await merged_into(store, ann)
    aliases = select(schema.alias.c.digest)
    digests = await store.engine.read(lambda tx: set(tx.execute(aliases).scalars()))
    await delete(store, ann)
    words = [ann, *merged]
    for table, rows in (await contents(store, without=set())).items():
        for value in (value for row in rows for value in row):
            assert not isinstance(value, str) or not any(word in value for word in words), table
            assert not isinstance(value, bytes) or bytes(value) not in digests, table


def test_each_table_is_of_people_or_names_no_person() -> None:
    """A new table must be one or the other."""
    reached = {table.name for table in OF_PEOPLE}
    reached |= {part.column.table.name for table in OF_PEOPLE for part in parts_of(table)}
    by_digest = {"identity_link", "chat", "person"}  # deleted by the ids, by the address, at the end
    anonymous = {"stray_session", "stray_batch"}
    everywhere = {table.name for table in schema.metadata.sorted_tables}
    assert everywhere == reached | by_digest | anonymous | OF_THE_SERVICE | LEFT
    assert not any(
        isinstance(column.type, Digest)
        for table in schema.metadata.sorted_tables
        if table.name in OF_THE_SERVICE
        for column in table.columns
    )


async def test_the_key_is_destroyed_with_the_first_step(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await everything(store, "ann")
    monkeypatch.setattr(stored_of_people, "PAGE", 1)
    query = select(schema.person.c.data_key).where(schema.person.c.id == ann)
    before = await store.engine.read(lambda tx: tx.execute(query).scalar_one())
    step = await store.deletion.begin(ann, now=NOW)
    assert not step.is_last
    store.deletion.forget_key(ann)
    item = select(schema.item).where(schema.item.c.person_id == ann).limit(1)

    def opened(tx: Tx) -> Any:
        return tx.cipher_of(ann).open(tx.execute(item).one().data, None)  # type: ignore[arg-type]

    assert await store.engine.read(lambda tx: tx.execute(query).scalar_one()) != before
    with pytest.raises(Exception):  # noqa: B017 - no value of theirs opens
        await store.engine.read(opened)


async def test_an_operator_sees_whom_they_delete_though_no_value_opens(store: Store) -> None:
    ann = await everything(store, "ann")
    known = await store.connections.of_person(ann)
    damage = update(schema.person).where(schema.person.c.id == ann).values(data_key=bytes(60))
    await store.engine.write(lambda tx: tx.execute(damage))
    store.engine.keyring.clear()
    assert await store.people.channels_of(ann) == ["test"]
    assert [each.id for each in await store.connections.of_person(ann)] == [each.id for each in known]
    assert (await delete(store, ann)).is_last


# --- in several steps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [1, 7])
async def test_a_deletion_in_many_steps_leaves_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    bob = await everything(store, "bob")
    before = await contents(store)
    ann = await everything(store, "ann")
    monkeypatch.setattr(stored_of_people, "PAGE", page)
    step = await store.deletion.begin(ann, now=NOW)
    steps = 1
    while not step.is_last:
        with pytest.raises(NotFound, match="no such person"):
            await store.people.surviving(ann)
        step = await store.deletion.go_on(step.people, now=NOW)
        steps += 1
    assert steps > 3
    after = await contents(store, without=OF_THE_SERVICE | LEFT)
    assert after == {name: rows for name, rows in before.items() if name not in LEFT}
    assert await store.people.surviving(bob) == bob


async def test_an_interrupted_deletion_is_found_and_a_repeat_continues_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await everything(store, "ann")
    with monkeypatch.context() as small:
        small.setattr(stored_of_people, "PAGE", 1)
        assert not (await store.deletion.begin(ann, now=NOW)).is_last
    assert await store.deletion.unfinished(before=NOW) == []
    assert await store.deletion.unfinished(before=NOW + 1) == [ann]
    assert (await delete(store, ann)).rows["person"] == 2
    assert await store.deletion.unfinished(before=NOW + 1) == []
    with pytest.raises(NotFound, match="no such person"):
        await store.deletion.begin(ann, now=NOW)


async def test_nothing_reaches_a_person_whose_deletion_is_not_finished(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await live(store, "ann")
    owner = await own(store, ann)
    turn = await owner.open()
    account = await connect(store, ann)
    await watching(store, account, "ti_watched")
    monkeypatch.setattr(stored_of_people, "PAGE", 1)
    await store.deletion.begin(ann, now=NOW)
    with pytest.raises(LeaseLost):
        await owner.append(turn, HistoryItem("output", {}))
    for refused in (
        own(store, ann),
        store.merging.merge(ann, ann, now=NOW),
        store.memory.remember(ann, "x", now=NOW),
        store.connect_attempts.add(unfollowed("cn_late", "x", ann), now=NOW),
    ):
        with pytest.raises(NotFound):
            await refused
    assert await store.inbox.due_people(now=NOW + DAY, limit=9) == []
    assert await pull(store, limit=9, seconds=30, now=NOW + DAY) == []
    assert await receive(store, event(account, 9, "ti_watched")) is EventOutcome.NOT_OURS
    assert await store.triggers.due(now=NOW + DAY, limit=9, most_waiting=9) == []
    assert await store.connections.bar(account, ConnectionStatus.EXPIRED, remove=True) is None
    assert (await say(store, "new", "test:ann")) != ann


async def test_a_message_that_is_not_deleted_yet_is_a_repeat_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = (await write(store, strong("ann"), text="first")).person_id
    await answer(store, ann)
    said = Message("test:ann", "m", Payload(Text("hello")), address="desk")
    await store.inbox.accept(said, now=NOW, max_pending=9)
    await answer(store, ann)
    monkeypatch.setattr(stored_of_people, "PAGE", 1)
    await store.deletion.begin(ann, now=NOW)
    again = await store.inbox.accept(said, now=NOW, max_pending=9)
    assert (again.person_id, again.duplicate, again.status) == ("", True, MessageStatus.STOPPED)
    await say(store, "new", "test:ann", address="desk")
    assert (await store.inbox.accept(said, now=NOW, max_pending=9)).person_id == ""


# --- what comes later -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("new_person", [False, True])
@pytest.mark.parametrize("is_open", [False, True])
async def test_a_repeat_of_a_deleted_message_starts_nothing(store: Store, *, new_person: bool, is_open: bool) -> None:
    ids = strong("ann"), weak("+43")
    said = Message("test:ann", "m1", Payload(Text("hello")), aliases=ids, address="desk")
    ann = (await store.inbox.accept(said, now=NOW, max_pending=9)).person_id
    if not is_open:
        await answer(store, ann)
    await delete(store, ann)
    if new_person:
        other = await store.inbox.accept(replace(said, message_id="m2"), now=NOW, max_pending=9)
        assert other.person_id not in {"", ann}
        assert not other.duplicate
    for repeat in (said, replace(said, user_id="test:+43", aliases=ids)):
        again = await store.inbox.accept(repeat, now=NOW + 7 * DAY, max_pending=9)
        assert (again.person_id, again.duplicate, again.status) == ("", True, MessageStatus.STOPPED)
    people = await contents(store)
    assert len(people["person"]) == len(people["message"]) == new_person


async def test_the_same_id_from_another_sender_or_in_another_chat_is_another_message(store: Store) -> None:
    said = Message("test:ann", "1", Payload(Text("hello")), address="desk")
    ann = (await store.inbox.accept(said, now=NOW, max_pending=9)).person_id
    await delete(store, ann)
    for other in (replace(said, user_id="test:bob"), replace(said, address="shop")):
        assert not (await store.inbox.accept(other, now=NOW, max_pending=9)).duplicate


async def test_digests_that_recognise_repeats_are_deleted_when_none_can_come(store: Store) -> None:
    await delete(store, await say(store, "m1", "test:ann"))
    assert len((await contents(store))["forgotten_message"]) == 1
    await store.retention.forget_old(now=NOW + REDELIVERY_DAYS * DAY)
    assert len((await contents(store))["forgotten_message"]) == 1
    await store.retention.forget_old(now=NOW + (REDELIVERY_DAYS + 1) * DAY)
    assert (await contents(store))["forgotten_message"] == []


async def test_an_old_message_is_not_remembered(store: Store) -> None:
    ann = await say(store, "m1", "test:ann")
    await answer(store, ann)
    await delete(store, ann, NOW + (REDELIVERY_DAYS + 1) * DAY)
    assert (await contents(store))["forgotten_message"] == []


async def test_a_later_message_makes_a_person_who_inherits_nothing(store: Store) -> None:
    ann = await everything(store, "ann")
    await delete(store, ann)
    new = await say(store, "again", "test:ann")
    assert new != ann
    assert (await store.kernels.activate(new, owner="one")).history == []
    assert await store.connections.of_person(new) == []
    assert await store.approvals.permissions(new) == []
    assert list((await store.memory.of_person(new)).facts) == []


async def test_late_reports_on_replies_are_ignored(store: Store) -> None:
    ann = await say(store, "m1", "test:ann", address="desk", reply_mode=ReplyMode.OUTBOX)
    await answer(store, ann, "an answer")
    [lease] = await pull(store, limit=9, seconds=30)
    await delete(store, ann)
    assert await ack(store, lease) is AckResult.UNKNOWN
    await receipt(store, lease.reply.id, "delivered")
    assert (await contents(store))["reply"] == []


async def test_waiting_callers_are_notified(store: Store) -> None:
    accepted = await write(store, strong("ann"), mode=ReplyMode.INLINE)
    assert await store.inbox.ended_among([accepted.seq]) == []
    assert (await delete(store, accepted.person_id)).unanswered == (accepted.seq,)
    assert await store.inbox.ended_among([accepted.seq]) == [accepted.seq]
    with pytest.raises(NotFound, match="deleted"):
        await store.inbox.answer_of(accepted.person_id, accepted.seq)


async def test_reserved_tokens_stay_in_the_sums_of_all(store: Store) -> None:
    ann = await say(store, "m1", "test:ann")
    await store.spending.reserve(ann, Estimate(5, 7, 100), Budgets(), now=NOW)
    await delete(store, ann)
    assert await store.spending.spent_today(None, now=NOW) == 12


# --- at the tools' vendor ---------------------------------------------------------------------------------------------


async def test_accounts_and_triggers_at_the_vendor_are_revoked(store: Store) -> None:
    ann, bob = await say(store, "m1", "test:ann"), await say(store, "m1", "test:bob")
    account, removed = await connect(store, ann), await connect(store, ann)
    other = await connect(store, bob)
    await watching(store, account, "ti_ann")
    await watching(store, other, "ti_bob")
    barred = await store.connections.bar(removed, ConnectionStatus.DISCONNECTED, remove=True)
    assert barred is not None
    await store.connections.mark_removed(removed.id, removed.account_id)
    await store.sessions.keep(ann, "trs_ann", "c")
    assert (await delete(store, ann)).revocations == 3
    due = await store.revocations.due(limit=9)
    assert due == [
        Revocation(RevocationKind.ACCOUNT, account.account_id),
        Revocation(RevocationKind.TRIGGER, "ti_ann"),
        Revocation(RevocationKind.SESSION, "trs_ann"),
    ]
    assert await store.revocations.due(after="ti_ann", limit=9) == due[2:]
    for each in due:
        await store.revocations.done(each.vendor_id)
    assert await store.revocations.due(limit=9) == []
    assert [each.status for each in await store.triggers.of_person(bob) if each] == [TriggerStatus.ACTIVE]


async def test_anything_that_the_vendor_makes_after_the_deletion_is_removed(store: Store) -> None:
    """An account, a trigger and a session that were being created."""
    ann = await say(store, "m1", "test:ann")
    link = unfollowed("cn_late", "asana", ann)
    await store.connect_attempts.add(link, now=NOW)
    claimed = replace(link, state=ConnectAttemptState.CLAIMED)
    assert await store.connect_attempts.advance(claimed, was=ConnectAttemptState.OPEN)
    account = await connect(store, ann)
    creating = await begun(store, account)
    await delete(store, ann)
    started = replace(
        claimed, state=ConnectAttemptState.STARTED, connection=replace(link.connection, account_id="ca_late")
    )
    assert not await store.connect_attempts.advance(started, was=ConnectAttemptState.CLAIMED)
    assert await store.triggers.activate(creating.id, "ti_late") is None
    with pytest.raises(NotFound, match="no such person"):
        await store.sessions.keep(ann, "trs_late", "c")
    due = {each.vendor_id: each.kind for each in await store.revocations.due(limit=9)}
    assert due == {
        account.account_id: RevocationKind.ACCOUNT,
        "ca_late": RevocationKind.ACCOUNT,
        "ti_late": RevocationKind.TRIGGER,
        "trs_late": RevocationKind.SESSION,
    }


# --- at the same time -------------------------------------------------------------------------------------------------


async def settled(*work: Any) -> list[Any]:
    """The results, or the expected errors."""
    results = await asyncio.gather(*work, return_exceptions=True)
    unexpected = [each for each in results if isinstance(each, BaseException)]
    assert all(isinstance(each, NotFound | LeaseLost | Exhausted) for each in unexpected), unexpected
    return results


@pytest.mark.parametrize("number", range(4))
async def test_a_deletion_beside_everything_else_leaves_nothing_of_the_person(
    two_nodes: tuple[Store, Store], number: int
) -> None:
    one, other = two_nodes
    ann, bob = await everything(one, "ann"), await everything(one, "bob")
    [account, *_] = [each for each in await one.connections.of_person(ann) if each.status is ConnectionStatus.ACTIVE]
    happened = replace(event(account, 7, "ti_ann2"), id="late")
    owner = await own(one, ann)
    leases = await pull(other, limit=9, seconds=30)
    merges = [one.merging.merge(ann, bob, now=NOW)] if number == 3 else []
    results = await settled(
        delete(one, ann),
        delete(other, ann),
        *(say(one if each % 2 else other, f"late {each}", "test:ann new") for each in range(6)),
        owner.ask(),
        other.merging.link(Alias("test:ann new"), Alias("test:ann newest"), now=NOW),
        one.schedules.run_due(now=NOW + 2 * DAY, limit=9, most_waiting=9),
        receive(other, happened),
        other.memory.remember(ann, "x", now=NOW),
        *(ack(other, each) for each in leases),
        *merges,
    )
    assert any(not isinstance(each, BaseException) for each in results[:2])
    left = str(await contents(one, without=set()))
    assert ann not in left
    assert (bob in left) == (not merges or isinstance(results[-1], NotFound))
    await say(one, "afterwards", "test:ann new")


async def test_receipts_of_settled_replies_come_while_these_are_deleted(
    two_nodes: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each adds a part to a reply, whose row the deletion takes."""
    one, other = two_nodes
    sent: list[str] = []
    for number in range(20):
        ann = await say(one, f"m{number}", "test:ann", address="desk", reply_mode=ReplyMode.OUTBOX)
        await answer(one, ann, "an answer")
        [lease] = await pull(one, limit=9, seconds=30)
        await ack(one, lease, Outcome.FAILED)
        sent.append(lease.reply.id)
    monkeypatch.setattr(stored_of_people, "PAGE", 2)
    reports = [receipt(other, each, "delivered", part=part, parts=3) for part in (1, 2, 3) for each in sent]
    await settled(delete(one, ann), *reports)
    assert (await contents(one))["reply_part"] == []
    assert (await contents(one))["person"] == []


async def test_two_deletions_at_once_count_each_row_once(two_nodes: tuple[Store, Store]) -> None:
    one, other = two_nodes
    ann = await everything(one, "ann")
    results = await settled(delete(one, ann), delete(other, ann))
    done = [each for each in results if not isinstance(each, BaseException)]
    assert sum(each.rows["person"] for each in done) == 2
    assert sum(each.rows["fact"] for each in done) == 2


async def test_a_link_to_the_chat_that_comes_during_the_deletion_does_not_stay(store: Store) -> None:
    """The link of a message is stored after the message."""
    for number in range(20):
        address = f"chat {number}"
        hello = Message("test:anna", f"m{number}", Payload(Text("hello")), address=address, reply_mode=ReplyMode.OUTBOX)
        person_id = (await store.inbox.accept(hello, now=NOW, max_pending=100)).person_id
        keeping = store.chats.keep_link(person_id, "test", address, "https://chat.example/?{text}")
        both = [keeping, store.deletion.begin(person_id, now=NOW)]
        await asyncio.gather(*(both if number % 2 else reversed(both)))
        assert await store.chats.link("test", address) == ""
