"""Triggers and their events: each event once, whichever node gets it, and with its person wherever they move."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import func, select, update

from kernel_service.errors import NotFound
from kernel_service.ports.allow_list import AllowList
from kernel_service.ports.commands import Command
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.messages import Reply
from kernel_service.ports.payloads import Triggered
from kernel_service.ports.triggers import EventOutcome, TriggerStatus
from kernel_service.storage.admin import retention
from kernel_service.storage.schema import schema
from tests.contract.store.people import NOW, Owner, connect, person, strong
from tests.contract.store.watching import LIMITS, MAIL, begun, event, receive, watching

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store


async def tell(store: Store, now: float = NOW + 10) -> list[str]:
    """The people who are told."""
    due = await store.triggers.due(now=now, limit=10, most_waiting=32)
    told = [await store.triggers.tell(each, now=now, limits=LIMITS, limited="enough") for each in due]
    return [each.person_id for each in told if each and each.seq is not None]


async def heard(store: Store, person_id: str) -> list[Any]:
    """The events of the messages that wait for a turn of the person."""
    turn = await (await Owner.of(store, person_id)).open(NOW + 20)
    assert {message.command for message in turn.messages} == {Command.TRIGGERED}
    contents = [message.payload.content for message in turn.messages]
    return [each for told in contents if isinstance(told, Triggered) for each in orjson.loads(told.events)]


async def test_events_become_a_message_of_their_person(store: Store) -> None:
    anna = await person(store, strong("anna"))
    account = await connect(store, anna)
    await watching(store, account)
    for number in (1, 2):
        assert await receive(store, event(account, number), NOW + number) is EventOutcome.KEPT
    assert not await store.triggers.due(now=NOW + 4, limit=10, most_waiting=32), "others may come at the same time"
    assert await tell(store) == [anna]
    assert await heard(store, anna) == [{"number": 1}, {"number": 2}]


async def test_the_same_event_at_several_nodes(store: Store) -> None:
    anna = await person(store, strong("anna"))
    account = await connect(store, anna)
    await watching(store, account)
    await asyncio.gather(*(receive(store, event(account)) for _ in range(8)))
    [due] = await store.triggers.due(now=NOW + 10, limit=10, most_waiting=32)
    told = await asyncio.gather(*(store.triggers.tell(due, now=NOW + 10, limits=LIMITS, limited="") for _ in range(8)))
    assert len([each for each in told if each]) == 1
    assert await heard(store, anna) == [{"number": 1}]


async def test_one_event_that_fits_two_requests_is_one_message_with_both(store: Store) -> None:
    """The vendor tells it for each trigger, under another id. Others wait for their own message."""
    anna = await person(store, strong("anna"))
    account = await connect(store, anna)
    first = await watching(store, account)
    due = replace(MAIL, config={"query": "due"}, request="Tell me what is due")
    other = await watching(store, account, "ti_2", due)
    for vendor_id in ("ti_1", "ti_2"):
        happened = replace(event(account, vendor_id=vendor_id), id=f"msg_1_{vendor_id}")
        assert await receive(store, happened) is EventOutcome.KEPT
    assert await receive(store, event(account, 2, vendor_id="ti_2"), NOW + 1) is EventOutcome.KEPT
    assert await tell(store) == [anna]
    owner = await Owner.of(store, anna)
    turn = await owner.open(NOW + 20)
    [content] = [message.payload.content for message in turn.messages]
    assert isinstance(content, Triggered)
    assert (content.trigger_id, content.others) == (first.id, (other.id,))
    assert content.request == "Tell me of the bank\nTell me what is due"
    assert orjson.loads(content.events) == [{"number": 1}]
    await owner.end(turn)
    assert await tell(store, NOW + 309) == []
    assert await tell(store, NOW + 310) == [anna]
    assert await heard(store, anna) == [{"number": 2}]


async def test_an_event_that_is_not_of_the_account_and_its_holder(store: Store) -> None:
    anna, bruno = await person(store, strong("anna")), await person(store, strong("bruno"))
    account, other = await connect(store, anna), await connect(store, bruno)
    await watching(store, account)
    assert await receive(store, event(account, holder=bruno)) is EventOutcome.NOT_OURS
    assert await receive(store, event(other)) is EventOutcome.NOT_OURS
    assert await receive(store, event(account, vendor_id="ti_2")) is EventOutcome.NOT_OURS
    assert await tell(store) == []


async def test_a_person_who_is_not_on_the_operators_list_is_told_nothing(store: Store) -> None:
    account = await connect(store, await person(store, strong("anna")))
    await watching(store, account)
    assert await receive(store, event(account)) is EventOutcome.KEPT
    others = replace(LIMITS, allowed=AllowList(("test:bruno",)))
    assert await store.triggers.receive(event(account, 2), now=NOW, limits=others) is EventOutcome.NOT_OURS
    [due] = await store.triggers.due(now=NOW + 10, limit=10, most_waiting=32)
    assert await store.triggers.tell(due, now=NOW + 10, limits=others, limited="enough") is None
    assert await tell(store, NOW + 11) == []
    assert await tell(store, NOW + 3611) == [account.person_id], "they are on it again"
    assert not await store.triggers.end_watched(event(account), lambda _: Reply("ended"), now=NOW, limits=others)


async def test_an_account_that_the_operator_no_longer_allows_is_told_nothing(store: Store) -> None:
    account = await connect(store, await person(store, strong("anna")))
    await watching(store, account)
    await receive(store, event(account))
    [due] = await store.triggers.due(now=NOW + 10, limit=10, most_waiting=32)
    others = replace(LIMITS, toolkits=frozenset({"gmail"}))
    assert await store.triggers.tell(due, now=NOW + 10, limits=others, limited="enough") is None
    same = replace(LIMITS, toolkits=frozenset({account.toolkit}))
    told = await store.triggers.tell(due, now=NOW + 3611, limits=same, limited="enough")
    assert told is not None
    assert told.seq is not None


async def test_an_event_of_a_trigger_that_is_being_created(store: Store) -> None:
    anna = await person(store, strong("anna"))
    account = await connect(store, anna)
    trigger = await begun(store, account)
    assert await receive(store, event(account)) is EventOutcome.TOO_EARLY
    await store.triggers.activate(trigger.id, "ti_1")
    assert await receive(store, event(account)) is EventOutcome.KEPT


async def test_two_who_begin_the_same_get_one(store: Store) -> None:
    account = await connect(store, await person(store, strong("anna")))
    made = await asyncio.gather(*(begun(store, account) for _ in range(5)))
    assert len({each.id for each in made}) == 1
    other = await begun(store, account, replace(MAIL, config={"query": "ada"}))
    assert other.id != made[0].id


async def test_a_vendor_that_gives_two_of_them_one_id(store: Store) -> None:
    account = await connect(store, await person(store, strong("anna")))
    first = await watching(store, account)
    other = await begun(store, account, replace(MAIL, config={"query": "ada"}))
    again = await store.triggers.activate(other.id, "ti_1")
    assert again is not None
    assert again.id == first.id
    assert await store.triggers.known_at(account.account_id) == ["ti_1"]


async def test_an_account_that_is_barred_ends_its_triggers(store: Store) -> None:
    anna = await person(store, strong("anna"))
    account = await connect(store, anna)
    trigger, late = await watching(store, account), await begun(store, account, replace(MAIL, config={}))
    await receive(store, event(account))
    await store.connections.bar(account, ConnectionStatus.DISCONNECTED, remove=True)
    assert await receive(store, event(account, 2)) is EventOutcome.NOT_OURS
    assert await tell(store) == []
    assert await store.triggers.activate(late.id, "ti_2") is None
    ended = {each.id: each.vendor_id for each in await store.triggers.to_remove(limit=10)}
    assert ended == {trigger.id: "ti_1", late.id: "ti_2"}
    with pytest.raises(NotFound):
        await begun(store, account)


async def test_merged_people_keep_their_triggers_and_events(store: Store) -> None:
    older, newer = await person(store, strong("older")), await person(store, strong("newer"), now=NOW + 1)
    account = await connect(store, newer)
    await watching(store, account)
    await receive(store, event(account, 1))
    await store.merging.merge(older, newer, now=NOW + 2)
    [trigger] = await store.triggers.of_person(newer)
    assert trigger.asked == MAIL
    assert await receive(store, event(account, 2, holder=newer), NOW + 3) is EventOutcome.KEPT, (
        "the vendor knows no merge"
    )
    assert await receive(store, event(account, 3, holder=older)) is EventOutcome.NOT_OURS
    assert await tell(store) == [older]
    assert await heard(store, older) == [{"number": 1}, {"number": 2}]


@pytest.mark.parametrize("told_first", [True, False])
async def test_a_merge_while_events_are_told(store: Store, told_first: bool) -> None:
    older, newer = await person(store, strong("older")), await person(store, strong("newer"), now=NOW + 1)
    account = await connect(store, newer)
    await watching(store, account)
    await receive(store, event(account, 1))
    works = [tell(store), store.merging.merge(older, newer, now=NOW + 2)]
    await asyncio.gather(*(works if told_first else reversed(works)))
    await tell(store)
    assert await heard(store, older) == [{"number": 1}]


async def test_a_trigger_and_its_events_are_deleted_together(store: Store) -> None:
    anna = await person(store, strong("anna"))
    account = await connect(store, anna)
    trigger = await watching(store, account)
    await receive(store, event(account))
    assert await store.triggers.end(anna, trigger.id) is not None
    await store.triggers.removed(trigger.id)
    assert await _rows(store) == (0, 0)


async def test_told_events_are_kept_for_some_days_so_that_a_repeat_is_known(store: Store) -> None:
    account = await connect(store, await person(store, strong("anna")))
    await watching(store, account)
    await receive(store, event(account))
    await tell(store)
    await store.retention.forget_old(now=NOW + retention.EVENT_SECONDS - 60)
    assert await receive(store, event(account)) is EventOutcome.KEPT
    assert await _rows(store) == (1, 1)
    await store.retention.forget_old(now=NOW + retention.EVENT_SECONDS + 60)
    assert await _rows(store) == (1, 0)


async def test_an_ended_account_stays_until_its_triggers_are_removed(store: Store) -> None:
    account = await connect(store, await person(store, strong("anna")))
    trigger = await watching(store, account)
    await store.connections.bar(account, ConnectionStatus.EXPIRED, remove=False)
    later = NOW + (retention.KEEP_DAYS + 1) * 86_400
    await store.retention.forget_old(now=later)
    [ended] = await store.triggers.to_remove(limit=10)
    assert ended.account_id == account.account_id
    await store.triggers.removed(trigger.id)
    await store.retention.forget_old(now=later)
    assert await store.connections.of_account(account.account_id) is None


async def test_the_words_of_people_and_events_are_sealed(store: Store) -> None:
    account = await connect(store, await person(store, strong("anna")))
    await watching(store, account)
    await receive(store, event(account))

    def stored(tx: Tx) -> bytes:
        found = [tx.execute(select(schema.trigger.c.private)).scalar_one()]
        return b"".join([*found, tx.execute(select(schema.trigger_event.c.words)).scalar_one()])

    sealed = await store.engine.read(stored)
    assert not any(word in sealed for word in (b"bank", b"number", b"Gmail", b"msg_1"))


async def test_a_damaged_event_does_not_delay_the_others(store: Store) -> None:
    anna = await person(store, strong("anna"))
    account = await connect(store, anna)
    await watching(store, account)
    for number in (1, 2):
        await receive(store, event(account, number), NOW + number)
    broken = update(schema.trigger_event).where(schema.trigger_event.c.received_at == NOW + 1).values(words=b"broken")
    await store.engine.write(lambda tx: tx.execute(broken).rowcount)
    assert await tell(store) == [anna]
    assert await heard(store, anna) == [{"number": 2}]


async def test_a_creation_that_was_cut_off_ends(store: Store) -> None:
    account = await connect(store, await person(store, strong("anna")))
    trigger = await begun(store, account)
    assert trigger.status is TriggerStatus.CREATING
    assert await store.triggers.known_at(account.account_id) is None
    assert await store.triggers.lapse(before=NOW) == 0
    assert await store.triggers.lapse(before=NOW + 1) == 1
    assert await store.triggers.known_at(account.account_id) == []
    [ended] = await store.triggers.to_remove(limit=10)
    assert (ended.id, ended.vendor_id, ended.account_id) == (trigger.id, "", account.account_id)


async def _rows(store: Store) -> tuple[int, int]:
    def count(tx: Tx) -> tuple[int, int]:
        of = [
            tx.execute(select(func.count()).select_from(t)).scalar_one() for t in (schema.trigger, schema.trigger_event)
        ]
        return of[0], of[1]

    return await store.engine.read(count)
