"""Triggers are created once and removed permanently, whatever dies or fails in between."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from emulators.composio.trigger_types import TriggerType
from kernel_service.composio import triggers as module
from kernel_service.errors import VendorUnavailable
from kernel_service.ports.tools import OUTCOME_UNKNOWN, Person
from kernel_service.ports.triggers import TriggerLimits
from kernel_service.tools.triggers import MOST_REQUEST
from tests.unit.composio.fakes import Died, killed_after
from tests.unit.triggers.fakes import ASKED, BANK, Watch

if TYPE_CHECKING:
    from tests.unit.composio.fakes import World

NEW_MAIL = "GMAIL_NEW_GMAIL_MESSAGE"


async def names(watch: Watch, person_id: str = "p_alice") -> set[str]:
    return {tool.schema.name for tool in await watch.toolbox.tools_for(Person(person_id, "test", "desk"))}


async def asked_for(watch: Watch, person_id: str = "p_alice") -> list[str]:
    return [each.asked.request for each in await watch.triggers.of_person(person_id)]


async def test_the_tools_are_offered_to_people_whose_accounts_can_be_watched(watch: Watch) -> None:
    assert {"create_trigger", "delete_trigger"} <= await names(watch)
    assert not {"create_trigger", "delete_trigger"} & await names(watch, "p_bob")
    await watch.world.connect("p_bob", "asana")
    assert not {"create_trigger", "delete_trigger"} & await names(watch, "p_bob"), "Asana has none here"


@pytest.mark.parametrize("status", [500, 401, 400])
async def test_without_the_kinds_of_events_a_turn_continues(watch: Watch, status: int) -> None:
    watch.world.vendor.fail(status, match=lambda call: call.path == "/triggers_types")
    assert "create_trigger" not in await names(watch)
    assert "GMAIL_SEND_EMAIL" in await names(watch)
    assert watch.world.requests("/triggers_types") == 1, "it is not asked for each time"
    watch.world.clock.now += 61
    assert "create_trigger" in await names(watch)


async def test_a_turn_waits_only_a_moment_for_the_kinds_of_events(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAIT_SECONDS", 0.01)
    hold = watch.world.vendor.hold(lambda call: call.path == "/triggers_types")
    assert "create_trigger" not in await names(watch)
    monkeypatch.setattr(module, "MOST_WAIT_SECONDS", 30.0)
    hold.release()
    assert "create_trigger" in await names(watch)


async def test_the_tools_need_the_webhook(watch: Watch) -> None:
    tools = await watch.world.toolbox().tools_for(Person("p_alice", "test", "desk"))
    assert "create_trigger" not in {tool.schema.name for tool in tools}


async def test_kinds_that_need_a_developers_set_up_are_not_offered(watch: Watch) -> None:
    kind = TriggerType("GMAIL_PUSHED", "gmail", "Pushed", "By a webhook.", "webhook", {}, needs_endpoint=True)
    watch.world.vendor.catalogue.triggers[kind.slug] = kind
    result = await watch.call("create_trigger", trigger=kind.slug, config={}, request=ASKED)
    assert not result.ok
    assert NEW_MAIL in result.output


async def test_a_trigger_is_pinned_to_the_account_and_its_holder(watch: Watch) -> None:
    trigger = await watch.set()
    [connection] = await watch.world.connections.active("p_alice", "gmail")
    assert trigger.account.id == connection.account_id
    [call] = [call for call in watch.world.vendor.requests if call.path.endswith("/upsert")]
    assert call.body == {
        "connected_account_id": connection.account_id,
        "user_id": "p_alice",
        "trigger_config": BANK,
    }


async def test_the_result_says_that_news_comes_late(watch: Watch) -> None:
    result = await watch.call("create_trigger", trigger=NEW_MAIL, config=BANK, request=ASKED)
    assert "15 minutes" in result.output
    assert result.own


async def test_again_is_no_second_one(watch: Watch) -> None:
    for _ in range(2):
        await watch.set()
    assert len(watch.world.vendor.triggers) == 1
    assert await asked_for(watch) == [ASKED]
    result = await watch.call("create_trigger", trigger=NEW_MAIL, config=BANK, request="Something else")
    assert "already" in result.output
    assert await asked_for(watch) == [ASKED]


async def test_two_at_once_are_one(watch: Watch) -> None:
    await asyncio.gather(watch.set(), watch.set())
    assert len(watch.world.vendor.triggers) == 1
    assert await asked_for(watch) == [ASKED]


async def test_bad_arguments_are_explained_and_leave_nothing(watch: Watch) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"trigger": "GMAIL_NOTHING"}, NEW_MAIL),
        ({"trigger": 7}, NEW_MAIL),
        ({"config": "from:bank"}, "config"),
        ({"config": {"query": "x" * 5000}}, "config"),
        ({"config": {"search": "bank"}}, "search"),
        ({"config": {"interval": 1}}, "minimum"),
        ({"request": ""}, "request"),
        ({"request": "x" * (MOST_REQUEST + 1)}, "request"),
    ]
    for arguments, told in wrong:
        given = {"trigger": NEW_MAIL, "config": BANK, "request": ASKED, **arguments}
        result = await watch.call("create_trigger", **given)
        assert not result.ok
        assert told in result.output
    assert not watch.world.vendor.triggers
    assert not await watch.world.store.triggers.to_remove(limit=10)
    await watch.set()


async def test_the_number_of_a_persons_triggers_is_limited(world: World) -> None:
    watch = Watch(world, TriggerLimits(triggers=2))
    await watch.connect("p_alice")
    for number in range(2):
        await watch.set(query=f"from:{number}")
    result = await watch.call("create_trigger", trigger=NEW_MAIL, config=BANK, request=ASKED)
    assert "delete one first" in result.output
    assert len(world.vendor.triggers) == 2


async def test_with_several_accounts_the_person_says_which(watch: Watch) -> None:
    work = await watch.connect("p_alice", "work")
    result = await watch.call("create_trigger", trigger=NEW_MAIL, config=BANK, request=ASKED)
    assert "work" in result.output
    assert not watch.world.vendor.triggers
    await watch.call("create_trigger", trigger=NEW_MAIL, config=BANK, request=ASKED, which_account="work")
    assert [each.account.id for each in watch.world.vendor.triggers] == [work.account_id]


# --- what dies or fails in between ------------------------------------------------------------------------------------


async def test_a_process_that_dies_before_it_asks_leaves_nothing(watch: Watch) -> None:
    with killed_after(watch.world.store.triggers, "begin"):
        await watch.set()
    watch.world.clock.now += 601
    await watch.remover.sweep()
    assert not await watch.world.store.triggers.to_remove(limit=10)
    await watch.set()


async def test_a_process_that_dies_before_it_stores_the_answer_leaves_none_at_the_vendor(watch: Watch) -> None:
    await watch.set(query="from:ada")
    await killed_before_the_answer_is_stored(watch)
    assert len(watch.world.vendor.triggers) == 2
    await watch.remover.sweep()
    assert len(watch.world.vendor.triggers) == 2, "it may still be under way"
    watch.world.clock.now += 601
    await watch.remover.sweep()
    assert [each.config["query"] for each in watch.world.vendor.triggers] == ["from:ada"]
    await watch.set()


async def test_a_repeat_takes_over_what_a_dead_process_began(watch: Watch) -> None:
    await killed_before_the_answer_is_stored(watch)
    await watch.set()
    watch.world.clock.now += 1000
    await watch.remover.sweep()
    assert len(watch.world.vendor.triggers) == 1
    assert await asked_for(watch) == [ASKED]


@pytest.mark.parametrize("after", [False, True])
async def test_an_answer_that_never_comes(watch: Watch, after: bool) -> None:
    faults = watch.world.vendor.after if after else watch.world.vendor.faults
    faults.fail(0, match=lambda call: call.path.endswith("/upsert"))
    result = await watch.call("create_trigger", trigger=NEW_MAIL, config=BANK, request=ASKED)
    assert result.output == OUTCOME_UNKNOWN
    watch.world.clock.now += 601
    await watch.remover.sweep()
    assert not watch.world.vendor.triggers
    await watch.set()
    assert len(watch.world.vendor.triggers) == 1


@pytest.mark.parametrize("status", [503, 401])
async def test_a_vendor_that_is_away(watch: Watch, status: int) -> None:
    watch.world.vendor.fail(status, match=lambda call: call.path.endswith("/upsert"))
    with pytest.raises(VendorUnavailable):
        await watch.call("create_trigger", trigger=NEW_MAIL, config=BANK, request=ASKED)
    await watch.set()
    assert await asked_for(watch) == [ASKED]


async def test_an_account_that_is_disconnected_meanwhile(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    activate = watch.world.store.triggers.activate

    async def late(*arguments: Any) -> object:
        await watch.world.connections.disconnect("p_alice", toolkit="gmail")
        return await activate(*arguments)

    monkeypatch.setattr(watch.world.store.triggers, "activate", late)
    result = await watch.call("create_trigger", trigger=NEW_MAIL, config=BANK, request=ASKED)
    assert "disconnected" in result.output
    await watch.remover.sweep()
    assert not watch.world.vendor.triggers


# --- deleting ---------------------------------------------------------------------------------------------------------


async def test_a_trigger_is_deleted_here_and_at_the_vendor(watch: Watch) -> None:
    await watch.set()
    [theirs] = await watch.triggers.of_person("p_alice")
    assert (await watch.call("delete_trigger", id=theirs.id)).ok
    assert not watch.world.vendor.triggers
    assert not await asked_for(watch)
    again = await watch.call("delete_trigger", id=theirs.id)
    assert not again.ok
    await watch.set()
    assert await asked_for(watch) == [ASKED]


async def test_a_wrong_id_lists_what_there_is(watch: Watch) -> None:
    await watch.set()
    result = await watch.call("delete_trigger", id="the bank")
    assert ASKED in result.output
    assert len(watch.world.vendor.triggers) == 1


async def test_another_persons_trigger_is_not_deleted(watch: Watch) -> None:
    await watch.set()
    [theirs] = await watch.triggers.of_person("p_alice")
    await watch.connect("p_bob")
    result = await watch.call("delete_trigger", "p_bob", id=theirs.id)
    assert not result.ok
    assert ASKED not in result.output
    assert await asked_for(watch) == [ASKED]


@pytest.mark.parametrize("status", [503, 0])
async def test_a_deletion_that_fails_at_the_vendor_is_repeated(watch: Watch, status: int) -> None:
    trigger = await watch.set()
    [theirs] = await watch.triggers.of_person("p_alice")
    watch.world.vendor.fail(status, match=lambda call: "/manage/" in call.path)
    assert (await watch.call("delete_trigger", id=theirs.id)).ok
    assert watch.world.vendor.triggers
    await watch.deliver(watch.event(trigger))
    await watch.pass_time(1000)
    assert not watch.put, "here it has ended"
    await watch.remover.sweep()
    assert not watch.world.vendor.triggers
    assert not await watch.world.store.triggers.to_remove(limit=10)


async def test_one_that_the_vendor_has_deleted_already(watch: Watch) -> None:
    trigger = await watch.set()
    watch.world.vendor.delete_trigger(trigger.id)
    [theirs] = await watch.triggers.of_person("p_alice")
    assert (await watch.call("delete_trigger", id=theirs.id)).ok
    assert not await watch.world.store.triggers.to_remove(limit=10)


async def test_while_one_is_being_removed_the_same_is_not_created(watch: Watch) -> None:
    """The vendor would give it the id of the one that is about to be deleted."""
    await watch.set()
    [theirs] = await watch.triggers.of_person("p_alice")
    watch.world.vendor.fail(503, match=lambda call: "/manage/" in call.path)
    await watch.call("delete_trigger", id=theirs.id)
    result = await watch.call("create_trigger", trigger=NEW_MAIL, config=BANK, request=ASKED)
    assert "try again in a minute" in result.output
    await watch.remover.sweep()
    await watch.set()
    assert len(watch.world.vendor.triggers) == 1


async def killed_before_the_answer_is_stored(watch: Watch) -> None:
    async def die(*_: object) -> None:
        raise Died

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch.world.store.triggers, "activate", die)
        with pytest.raises(Died):
            await watch.set()
