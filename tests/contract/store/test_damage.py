"""Rows that can no longer be read: their person continues without them, and no side effect is repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select, update

from kernel_service.ports.approvals import Approval, ApprovalPrompt, DecisionOutcome
from kernel_service.ports.commands import ApprovalButton, ApprovalButtonKind
from kernel_service.ports.messages import Usage
from kernel_service.ports.payloads import Payload, Text, Unsupported
from kernel_service.ports.turns import CallRecord, HistoryItem, TurnStatus
from kernel_service.storage.schema import schema
from kernel_service.storage.turns.items import item_place
from tests.contract.store.owner import ASKS, FOUND, HELLO, NOW, Owner, history, own, say
from tests.contract.store.people import connect

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

ODD_PLAINTEXTS = [b"", b"{", b"null", b"[]", b'"text"', b"\xff\xfe"]


async def damage(store: Store, column: Any, where: Any = None, *, to: bytes = b"damaged") -> None:
    statement = update(column.table).values({column.name: to})
    await store.engine.write(lambda tx: tx.execute(statement if where is None else statement.where(where)))


async def turn_of(store: Store, *items: HistoryItem) -> str:
    owner = await own(store, await say(store, f"m{len(await everything(store))}"))
    await owner.end(await owner.open(), *items)
    return owner.person_id


async def everything(store: Store) -> list[Any]:
    return await store.engine.read(lambda tx: list(tx.execute(select(schema.item.c.seq)).scalars()))


@pytest.mark.parametrize("seq", [1, 2, 3, 4])
async def test_a_turn_with_a_damaged_item_leaves_the_history_as_a_whole(
    store: Store, seq: int, caplog: pytest.LogCaptureFixture
) -> None:
    before, after = HistoryItem("input", {"said": "before"}), HistoryItem("input", {"said": "after"})
    await turn_of(store, before)
    ann = await turn_of(store, HELLO, ASKS, FOUND, HistoryItem("output", {"text": "done"}))
    await turn_of(store, after)
    await damage(store, schema.item.c.data, schema.item.c.seq == seq + 1)
    assert await history(store, ann) == [before, after]
    assert len(await everything(store)) == 6, "it is kept"
    alerts = [record for record in caplog.records if "alert: history damaged" in record.getMessage()]
    assert len(alerts) == 1
    assert await history(store, ann) == [before, after]
    assert len([record for record in caplog.records if "alert: history damaged" in record.getMessage()]) == 1, "once"


@pytest.mark.parametrize("plain", ODD_PLAINTEXTS)
async def test_an_item_that_opens_but_is_not_an_object_is_damaged(store: Store, plain: bytes) -> None:
    ann = await turn_of(store, HELLO)

    def odd(tx: Tx) -> None:
        sealed = tx.cipher_of(ann).seal(plain, item_place(ann, 1))
        tx.execute(update(schema.item).values(data=sealed))

    await store.engine.write(odd)
    assert await history(store, ann) == []


async def test_an_open_turn_without_side_effects_restarts(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    turn = await owner.open()
    await owner.append(turn, HELLO, ASKS)
    await damage(store, schema.item.c.data, schema.item.c.seq == 2)
    again = await (await own(store, owner.person_id)).open()
    assert (again.id, again.begun, again.attempt_count) == (turn.id, False, 0)
    assert [one.payload for one in again.messages] == [Payload(Text("m1"))]


@pytest.mark.parametrize("finished", [False, True])
async def test_an_open_turn_with_possible_side_effects_is_given_up(store: Store, *, finished: bool) -> None:
    owner = await own(store, await say(store, "m1"))
    turn = await owner.open()
    await owner.append(turn, HELLO, ASKS, started=CallRecord("c1", "tool", NOW))
    if finished:
        await owner.append(turn, FOUND, finished="c1", usage=Usage(tool_calls=1))
    await damage(store, schema.item.c.data, schema.item.c.seq == 1)
    again = await (await own(store, owner.person_id)).open()
    assert (again.id, again.begun) == (turn.id, True)
    assert again.attempt_count > 1000


async def test_turns_of_others_are_not_touched(store: Store) -> None:
    bob = await own(store, await say(store, "m1", "test:bob"))
    turn = await bob.open()
    await bob.append(turn, HELLO, ASKS)
    ann = await turn_of(store, HELLO)
    await damage(store, schema.item.c.data, schema.item.c.person_id == ann)
    assert await history(store, ann) == []
    assert (await Owner(store, bob.person_id, bob.epoch).open()).begun
    assert await history(store, bob.person_id) == [HELLO, ASKS]


async def test_a_damaged_message_is_requested_again(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    await damage(store, schema.message.c.payload)
    turn = await owner.open()
    assert [one.payload for one in turn.messages] == [Payload(Unsupported("unavailable"))]
    await owner.end(turn)
    assert await store.quotes.find(owner.person_id, "test", "", "m1") is None
    await say(store, "m2")
    assert [one.payload for one in (await owner.open()).messages] == [Payload(Text("m2"))]


async def test_a_button_of_a_damaged_prompt_does_nothing(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    asked = Approval("ap_1", "c1", "tool", {"a": 1}, NOW + 60)
    await store.turns.end(
        await owner.open(), owner.epoch, [HELLO], [], status=TurnStatus.COMPLETED, usage=Usage(),
        prompts=[ApprovalPrompt((asked,), "")],
        now=NOW,
    )  # fmt: skip
    await damage(store, schema.approval.c.arguments)
    await say(store, "m2")
    decision = await store.approvals.decide(
        await owner.open(), owner.epoch, ApprovalButton("ap_1", ApprovalButtonKind.YES), at=NOW
    )
    assert decision.outcome is DecisionOutcome.UNKNOWN


async def test_people_with_damaged_values_can_be_merged(store: Store) -> None:
    ann = await turn_of(store, HELLO)
    bob = await own(store, await say(store, "b1", "test:bob", now=NOW + 1))
    await bob.end(await bob.open(NOW + 1), ASKS, FOUND)
    await say(store, "b2", "test:bob", now=NOW + 1)
    await damage(store, schema.item.c.data, schema.item.c.person_id == bob.person_id)
    await damage(store, schema.message.c.payload, schema.message.c.person_id == bob.person_id)
    await store.merging.merge(ann, bob.person_id, now=NOW + 2)
    assert await history(store, ann) == [HELLO]
    turn = await (await own(store, ann)).open(NOW + 2)
    assert [one.payload for one in turn.messages] == [Payload(Unsupported("unavailable"))]


async def test_an_account_with_a_damaged_name_is_found(store: Store) -> None:
    ann = await turn_of(store, HELLO)
    made = await connect(store, ann)
    await damage(store, schema.connection.c.private)
    [known] = await store.connections.of_person(ann)
    assert (known.account_id, known.status, known.name) == (made.account_id, made.status, "")


async def test_a_journal_that_is_damaged_as_a_whole_is_left_out(store: Store) -> None:
    """Empty values have no size, so no number of them fills the window."""
    ann = await turn_of(store, HELLO)
    many = [
        {"person_id": ann, "seq": seq, "turn_id": f"t_{seq}", "kind": "input", "origin": "", "version": 1, "data": b"",
         "created_at": NOW}
        for seq in range(2, 1000)
    ]  # fmt: skip
    await store.engine.write(lambda tx: tx.execute(insert(schema.item), many))
    assert await history(store, ann) == [HELLO]
    assert await history(store, ann) == [HELLO]
