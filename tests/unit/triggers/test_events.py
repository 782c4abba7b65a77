"""Events of triggers: told once, to the person whose account it is, and to no other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from kernel_service.errors import Aborted
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.triggers import TriggerLimits
from tests.unit.triggers.fakes import ASKED, Watch

if TYPE_CHECKING:
    from tests.unit.composio.fakes import World


async def test_an_event_is_told_once_with_what_was_asked_for(watch: Watch) -> None:
    trigger = await watch.set()
    event = watch.event(trigger)
    for _ in range(3):
        assert await watch.deliver(event)
    await watch.pass_time(6)
    await watch.pass_time(6)
    [(person_id, told)] = watch.put
    assert (person_id, told.request, told.toolkit) == ("p_alice", ASKED, "Gmail")
    assert orjson.loads(told.events)[0]["subject"] == "Notice 1"
    assert watch.woken == ["p_alice"]


async def test_an_event_that_another_node_gets(watch: Watch) -> None:
    event = watch.event(await watch.set())
    other = Watch(watch.world.another_node())
    assert await other.deliver(event)
    await asyncio.gather(watch.deliver(event), other.deliver(event))
    watch.world.clock.now += 6
    await asyncio.gather(watch.teller.tick(), other.teller.tick())
    assert len(watch.put) == 1
    assert watch.woken + other.woken == ["p_alice"]


async def test_a_repeat_after_it_was_told_does_nothing(watch: Watch) -> None:
    trigger = await watch.set()
    event = watch.event(trigger)
    await watch.deliver(event)
    await watch.pass_time(6)
    await watch.answer()
    await watch.deliver(event)
    await watch.pass_time(4000)
    assert len(watch.put) == 1


async def test_events_within_five_minutes_are_one_message(watch: Watch) -> None:
    trigger = await watch.set()
    for number in range(3):
        await watch.deliver(watch.event(trigger, number))
        watch.world.clock.now += 1
    await watch.pass_time(6)
    assert [each["subject"] for each in orjson.loads(watch.put[0][1].events)] == ["Notice 0", "Notice 1", "Notice 2"]
    await watch.answer()
    for number in range(3, 6):
        await watch.deliver(watch.event(trigger, number))
        await watch.pass_time(60)
    assert len(watch.put) == 1, "five minutes have not passed"
    await watch.pass_time(130)
    assert len(watch.put) == 2
    assert len(orjson.loads(watch.put[1][1].events)) == 3


async def test_events_of_a_flood_are_counted(watch: Watch) -> None:
    trigger = await watch.set()
    for number in range(25):
        await watch.deliver(watch.event(trigger, number, "x" * 100_000))
    await watch.pass_time(6)
    [(_, told)] = watch.put
    assert orjson.loads(told.events)[-1]["further_events"] == 15
    assert len(told.events) < 40_000


async def test_events_wait_while_the_message_about_earlier_ones_is_unanswered(watch: Watch) -> None:
    trigger = await watch.set()
    await watch.deliver(watch.event(trigger, 1))
    await watch.pass_time(6)
    await watch.deliver(watch.event(trigger, 2))
    await watch.pass_time(1000)
    assert len(watch.put) == 1
    await watch.answer()
    await watch.pass_time(61)
    assert len(watch.put) == 2


async def test_the_limit_of_a_day_is_told_once_and_the_rest_comes_tomorrow(world: World) -> None:
    watch = Watch(world, TriggerLimits(daily_messages=2))
    await watch.connect("p_alice")
    first, second = await watch.set(), await watch.set(query="from:ada")
    for number in range(5):
        for trigger, mail in ((first, number), (second, number + 100)):
            await watch.deliver(watch.event(trigger, mail))
        await watch.pass_time(400)
        await watch.answer()
    assert len(watch.put) == 2
    [told] = [text for _, text in world.told if "until tomorrow" in text]
    assert "looked at news" in told, "perhaps none of it was worth a message"
    await watch.pass_time(86_400)
    assert len(watch.put) == 4


async def test_events_for_a_silent_person_wait_until_they_write(watch: Watch) -> None:
    trigger = await watch.set()
    for number in range(8):
        await watch.deliver(watch.event(trigger, number))
        await watch.pass_time(7 * 3600)
        await watch.answer()
    assert len(watch.put) == 5
    await watch.write("p_alice")
    await watch.pass_time(61)
    assert len(watch.put) == 6
    assert len(orjson.loads(watch.put[-1][1].events)) == 3


async def test_events_that_were_not_worth_a_word_do_not_use_up_a_silent_persons_share(watch: Watch) -> None:
    """The vendor's settings seldom say what a person waits for, and they wait in silence."""
    trigger = await watch.set()
    for number in range(8):
        await watch.deliver(watch.event(trigger, number))
        await watch.pass_time(7 * 3600)
        await watch.answer(told=False)
    assert len(watch.put) == 8


async def test_a_silent_persons_share_is_no_greater_after_some_days(watch: Watch) -> None:
    trigger = await watch.set()
    for number in range(12):
        await watch.deliver(watch.event(trigger, number))
        await watch.pass_time(86_400)
        await watch.answer()
        await watch.world.store.retention.forget_old(now=watch.world.clock())
    assert len(watch.put) == 5


async def test_an_event_that_is_not_of_this_trigger_account_and_person(watch: Watch) -> None:
    trigger = await watch.set()
    for changed in (
        {"user_id": "p_bob"},
        {"user_id": ""},
        {"user_id": None},
        {"connected_account_id": "ca_other"},
        {"trigger_id": "ti_other"},
        {"trigger_id": ["ti"]},
        {"trigger_id": "ti\n" * 300},
    ):
        assert await watch.deliver(watch.event(trigger, **changed)), "it is taken, so that it is not sent again"
    await watch.pass_time(1000)
    assert not watch.put


async def test_an_event_of_another_persons_account(watch: Watch) -> None:
    trigger = await watch.set()
    await watch.connect("p_bob")
    theirs = await watch.set("p_bob")
    stolen = watch.event(trigger, connected_account_id=theirs.account.id, user_id="p_bob")
    await watch.deliver(stolen)
    await watch.pass_time(1000)
    assert not watch.put


async def test_a_forged_event(watch: Watch) -> None:
    trigger = await watch.set()
    event, vendor = watch.event(trigger), watch.world.vendor
    raw, headers = orjson.dumps(event), vendor.events.headers(event["id"], orjson.dumps(event))
    assert not await watch.events.handle(headers | {"webhook-signature": "v1,AAAA"}, raw)
    assert not await watch.events.handle(headers, raw + b" ")
    assert not await watch.events.handle(headers | {"webhook-id": "msg_2"}, raw)
    watch.world.clock.now += 301
    assert not await watch.events.handle(headers, raw), "a replay"
    await watch.pass_time(1000)
    assert not watch.put


async def test_a_malformed_event(watch: Watch) -> None:
    trigger = await watch.set()
    malformed: list[Any] = [None, [], "x", {}, {"trigger_id": 1}]
    for metadata in malformed:
        assert await watch.deliver(watch.event(trigger) | {"metadata": metadata})
    await watch.pass_time(1000)
    assert not watch.put


async def test_odd_data(watch: Watch) -> None:
    trigger = await watch.set()
    odd: list[Any] = [None, [], "text", 7, {"a": {"b": {"c": {"d": {"e": {"f": "deep"}}}}}}, {"\0": "\0"}]
    for data in odd:
        await watch.deliver(watch.event(trigger) | {"data": data})
    await watch.pass_time(6)
    assert len(orjson.loads(watch.put[0][1].events)) == len(odd)


async def test_no_event_is_heard_after_the_account_is_disconnected(watch: Watch) -> None:
    trigger = await watch.set()
    await watch.deliver(watch.event(trigger, 1))
    await watch.world.connections.disconnect("p_alice", toolkit="gmail")
    await watch.deliver(watch.event(trigger, 2))
    await watch.pass_time(1000)
    assert not watch.put
    await watch.remover.sweep()
    assert not watch.world.vendor.triggers


async def test_no_event_is_heard_after_the_account_has_expired(watch: Watch) -> None:
    trigger = await watch.set()
    world = watch.world
    event = world.vendor.events.expired(trigger.account)
    await watch.deliver(event)
    [gone] = await world.store.connections.of_person("p_alice")
    assert gone.status is ConnectionStatus.EXPIRED
    [(_, told)] = world.told
    assert f"I no longer watch it for this: “{ASKED}”" in told
    await watch.deliver(watch.event(trigger, 2))
    await watch.pass_time(1000)
    assert not watch.put
    await watch.remover.sweep()
    assert not world.vendor.triggers


async def test_an_event_of_a_toolkit_that_is_not_allowed_any_more(watch: Watch) -> None:
    trigger = await watch.set()
    watch.world.restart("asana")
    await Watch(watch.world).deliver(watch.event(trigger))
    await watch.pass_time(1000)
    assert not watch.put


async def test_a_trigger_that_the_vendor_disables_is_told_once(watch: Watch) -> None:
    trigger = await watch.set()
    event = watch.world.vendor.events.disabled(trigger)
    for _ in range(2):
        assert await watch.deliver(event)
    assert ["no longer watch your Gmail" in text for _, text in watch.world.told] == [True]
    await watch.deliver(watch.event(trigger))
    await watch.pass_time(1000)
    assert not watch.put


async def test_an_event_before_its_trigger_is_stored_is_asked_for_again(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vendor watches from the moment of the request, before its answer has come."""
    activate = watch.world.store.triggers.activate

    async def after_an_event(trigger_id: str, vendor_id: str) -> object:
        with pytest.raises(Aborted):
            await watch.deliver(watch.event(watch.world.vendor.triggers[-1]))
        return await activate(trigger_id, vendor_id)

    monkeypatch.setattr(watch.world.store.triggers, "activate", after_an_event)
    trigger = await watch.set()
    await watch.deliver(watch.event(trigger))
    await watch.pass_time(6)
    assert len(watch.put) == 1


async def test_events_out_of_order_are_each_told(watch: Watch) -> None:
    trigger = await watch.set()
    early, late = watch.event(trigger, 1), watch.event(trigger, 2)
    await watch.deliver(late)
    await watch.pass_time(6)
    await watch.answer()
    await watch.deliver(early)
    await watch.pass_time(301)
    assert [orjson.loads(told.events)[0]["subject"] for _, told in watch.put] == ["Notice 2", "Notice 1"]


async def test_events_leave_room_for_peoples_own_messages(watch: Watch) -> None:
    """Many accounts have news in the same minute, and the turns of a node are few."""
    triggers = [await watch.set(query=f"from:{number}") for number in range(4)]
    for number, trigger in enumerate(triggers):
        await watch.deliver(watch.event(trigger, number))
    watch.room = 3
    await watch.pass_time(6)
    await watch.pass_time(1)
    assert len(watch.put) == 3
    await watch.answer()
    await watch.pass_time(1)
    assert len(watch.put) == 4
