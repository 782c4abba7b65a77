"""Ids and numbers change while people talk, connect and wait. Each stays the same person, and no two are mixed up."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
import pytest
from kernel.v1 import admin_pb2, identity_pb2, messages_pb2, outbox_pb2

from kernel_service.ports.messages import Reply
from tests.connect_browser import a_browser
from tests.integration.test_conversation import connect
from tests.integration.test_inline import refused
from tests.integration.test_kernelctl import ctl
from tests.integration.world import ADMIN_TOKEN, TELEGRAM_TOKEN, WHATSAPP_TOKEN, bearer

if TYPE_CHECKING:
    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World

LINKED = identity_pb2.LINK_OUTCOME_LINKED
MERGED = identity_pb2.LINK_OUTCOME_MERGED
KEPT_APART = identity_pb2.LINK_OUTCOME_KEPT_APART
UNKNOWN = identity_pb2.LINK_OUTCOME_UNKNOWN


def strong(user_id: str) -> identity_pb2.Alias:
    return identity_pb2.Alias(user_id=user_id, strength=identity_pb2.ALIAS_STRENGTH_STRONG)


def weak(user_id: str) -> identity_pb2.Alias:
    return identity_pb2.Alias(user_id=user_id, strength=identity_pb2.ALIAS_STRENGTH_WEAK)


async def link(
    world: World, previous: identity_pb2.Alias, current: identity_pb2.Alias, token: str = TELEGRAM_TOKEN
) -> Any:
    request = identity_pb2.LinkIdentityRequest(previous=previous, current=current)
    return (await world.stub.LinkIdentity(request, metadata=bearer(token), timeout=20)).outcome


async def becomes(world: World, old: Phone, new: Phone) -> Any:
    """Send the network's notice that the id of one phone is now that of the other."""
    previous, current = (strong(f"whatsapp:{phone.user_id}") for phone in (old, new))
    return await link(world, previous, current, WHATSAPP_TOKEN)


async def merge(world: World, one: str, other: str) -> str:
    refs = [admin_pb2.PersonRef(person_id=person_id) for person_id in (one, other)]
    request = admin_pb2.MergePersonsRequest(first=refs[0], second=refs[1])
    return str((await world.admin.MergePersons(request, metadata=bearer(ADMIN_TOKEN))).person_id)


async def kernel(world: World, **who: str) -> admin_pb2.Kernel:
    request = admin_pb2.GetKernelRequest(person=admin_pb2.PersonRef(**who))
    return (await world.admin.GetKernel(request, metadata=bearer(ADMIN_TOKEN))).kernel


async def write(world: World, user_id: str, text: str, message_id: str, *aliases: identity_pb2.Alias) -> None:
    """One OUTBOX message of another channel."""
    request = messages_pb2.HandleMessageRequest(
        user_id=user_id,
        message_id=message_id,
        payload=messages_pb2.Payload(text=text),
        aliases=aliases,
        reply_mode=messages_pb2.REPLY_MODE_OUTBOX,
    )
    await world.stub.HandleMessage(request, metadata=bearer(TELEGRAM_TOKEN), timeout=20)


async def pull(world: World, count: int) -> list[tuple[str, str]]:
    """The next replies of the other channel: addressee and text."""
    request = outbox_pb2.PullOutboxRequest(channel="telegram", instance_id="test")
    stream = world.stub.PullOutbox(request, metadata=bearer(TELEGRAM_TOKEN), timeout=20)
    pulled: list[tuple[str, str]] = []
    async for item in stream:
        pulled.append((item.reply.user_id, item.reply.reply.text))
        await ack(world, item.reply)
        if len(pulled) == count:
            break
    stream.cancel()
    return pulled


async def ack(world: World, leased: outbox_pb2.ReplyDelivery) -> None:
    part = outbox_pb2.ReplyPart(reply_id=leased.reply.id, part=1, parts=1)
    sent = outbox_pb2.Acknowledgement(
        lease_token=leased.lease_token,
        part=outbox_pb2.PartAcknowledgement(part=part, sent=outbox_pb2.DeliverySent()),
    )
    request = outbox_pb2.AckOutboxRequest(acknowledgements=[sent])
    await world.stub.AckOutbox(request, metadata=bearer(TELEGRAM_TOKEN), timeout=20)


async def metrics(world: World) -> str:
    url = f"http://{world.settings['kernel_metrics_listen']}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


# --- a number change ------------------------------------------------------------------------------------------------


async def test_connections_and_history_outlive_a_number_change_told_late(world: World) -> None:
    old, new = world.phone("Alice"), world.phone("Alice’s new number")
    await world.ask(old, "my name is Alice")
    await connect(world, old)
    person = await world.person_of(old)
    stranger = await world.ask(new, "list my tasks")  # the notice has not come yet
    assert stranger.link is not None
    assert await becomes(world, old, new) == MERGED
    assert await world.person_of(new) == person
    tasks = [task.name for task in world.emulators.composio.tasks_of(person)]
    listed = await world.ask(new, "list my tasks")
    assert all(name in listed.text for name in tasks)
    assert (await world.ask(new, "what is my name")).text == "Your name is Alice."
    assert world.emulators.effects.all("foreign_content") == []


async def test_connections_and_history_outlive_a_number_change_told_first_and_twice(world: World) -> None:
    old, new = world.phone("Alice"), world.phone("Alice’s new number")
    await world.ask(old, "my name is Alice")
    await connect(world, old)
    person = await world.person_of(old)
    assert [await becomes(world, old, new) for _ in range(2)] == [LINKED] * 2
    assert (await world.ask(new, "what is my name")).text == "Your name is Alice."
    assert await becomes(world, old, new) == LINKED
    assert (await world.kernel_of(new)).person_id == person
    assert [each.toolkit for each in (await world.kernel_of(new)).connections] == ["asana"]
    assert old.received[-1].text == "Asana is connected."


@pytest.mark.parametrize("late", [False, True])
async def test_on_whatsapp_a_person_keeps_connections_and_the_next_owner_of_the_number_gets_none(
    world: World, *, late: bool
) -> None:
    whatsapp = world.emulators.whatsapp
    alice = whatsapp.add_phone("Alice", bsuid="US.1001", wa_id="15550101", name="Sam")
    await connect(world, alice)
    person = await world.person_of(alice)
    if late:
        await whatsapp.change_number(alice, "15550102", "US.1002", tell=False)
        await world.ask(alice, "hello from my new number")
        request = identity_pb2.LinkIdentityRequest(
            previous=strong("whatsapp:US.1001"), current=strong("whatsapp:US.1002")
        )
        await world.stub.LinkIdentity(request, metadata=bearer(WHATSAPP_TOKEN))
    else:
        await whatsapp.change_number(alice, "15550102", "US.1002")
    stranger = whatsapp.add_phone("Stranger", bsuid="US.1003", wa_id="15550101", name="Sam")
    offered = await world.ask(stranger, "list my tasks")
    assert offered.link is not None
    tasks = [task.name for task in world.emulators.composio.tasks_of(person)]
    listed = await world.ask(alice, "list my tasks")
    assert all(name in listed.text for name in tasks)
    assert not any(name in message.text for message in stranger.received for name in tasks)
    assert await world.person_of(alice) == person != await world.person_of(stranger)


async def test_on_whatsapp_a_notice_that_names_the_number_alone_is_an_operators_to_believe(world: World) -> None:
    """The number may belong to another person by now, so a person who is known by more than it starts again."""
    whatsapp = world.emulators.whatsapp
    alice = whatsapp.add_phone("Alice", bsuid="US.1001", wa_id="15550101", name="Sam")
    await world.ask(alice, "my name is Alice")
    person = await world.person_of(alice)
    await whatsapp.change_number(alice, "15550102", "US.1002", tell_previous=False)
    assert (await world.ask(alice, "what is my name")).text == "You have not told me your name."
    await ctl(world, "merge", person, "whatsapp:US.1002")
    assert (await world.ask(alice, "what is my name")).text == "Your name is Alice."
    assert await world.person_of(alice) == person


async def test_a_turn_that_runs_for_the_new_id_is_answered_once_as_the_older_person(world: World) -> None:
    await world.tell("telegram:old", "my name is Alice", "m1")
    person = (await kernel(world, user_id="telegram:old")).person_id
    hold = world.emulators.openai.hold()
    asking = asyncio.create_task(world.tell("telegram:new", "what is my name", "m2"))
    await hold.reached.wait()
    assert await link(world, strong("telegram:old"), strong("telegram:new")) == MERGED
    while len(world.emulators.openai.requests) < 3:  # asked again, with the whole history
        await asyncio.sleep(0)
    hold.release()
    answer = await asking
    assert [reply.text for reply in answer.replies] == ["Your name is Alice."]
    assert answer.status == messages_pb2.MESSAGE_STATUS_COMPLETED
    assert len({reply.id for reply in answer.replies}) == 1
    again = await world.tell("telegram:new", "what is my name", "m2")
    assert (again.duplicate, list(again.replies)) == (True, list(answer.replies))
    listed = await world.admin.ListTurns(
        admin_pb2.ListTurnsRequest(person=admin_pb2.PersonRef(person_id=person)), metadata=bearer(ADMIN_TOKEN)
    )
    assert [list(turn.message_ids) for turn in listed.turns] == [["2"], ["1"]]


async def test_turns_that_run_for_both_ids_are_cut_at_once_and_answered_as_one(world: World) -> None:
    for user_id in ("telegram:old", "telegram:new"):
        await world.tell(user_id, "hello", "m1")
    hold = world.emulators.openai.hold()
    asking = [asyncio.create_task(world.tell(f"telegram:{who}", f"from {who}", "m2")) for who in ("old", "new")]
    while len(world.emulators.openai.requests) < 4:
        await asyncio.sleep(0)
    assert await link(world, strong("telegram:old"), strong("telegram:new")) == MERGED
    while len(world.emulators.openai.requests) < 5:  # the model still owes its answers to both
        await asyncio.sleep(0)
    hold.release()
    answers = await asyncio.gather(*asking)
    assert sorted(answer.status for answer in answers) == [
        messages_pb2.MESSAGE_STATUS_COMPLETED,
        messages_pb2.MESSAGE_STATUS_MERGED,
    ]
    [reply] = [reply for answer in answers for reply in answer.replies]
    assert "from old" in reply.text
    assert "from new" in reply.text
    assert "message 4 of our chat" in reply.text


async def test_the_merged_kernel_leaves_memory_and_its_id_leads_to_the_one_who_stays(world: World) -> None:
    people = []
    for user_id in ("telegram:old", "telegram:new"):
        await world.tell(user_id, "hello", "m1")
        people.append((await kernel(world, user_id=user_id)).person_id)
    assert await link(world, strong("telegram:old"), strong("telegram:new")) == MERGED
    await world.tell("telegram:new", "hello again", "m2")
    assert [each.person_id for each in world.kernel.kernels.resident()] == people[:1]
    shown = await kernel(world, person_id=people[1])
    assert (shown.person_id, shown.history_items) == (people[0], 9)
    assert "LEASE_LOST" in (await ctl(world, "kernels")).stdout


async def test_a_restart_after_the_change_changes_nothing(world: World) -> None:
    await world.tell("telegram:old", "my name is Alice", "m1")
    await world.tell("telegram:new", "hello", "m1")
    assert await link(world, strong("telegram:old"), strong("telegram:new")) == MERGED
    await world.stop_kernel()
    await world.start_kernel()
    answer = await world.tell("telegram:new", "what is my name", "m2")
    assert answer.replies[0].text == "Your name is Alice."
    assert await link(world, strong("telegram:old"), strong("telegram:new")) == LINKED


# --- a recycled number ----------------------------------------------------------------------------------------------


async def test_a_stranger_with_the_recycled_number_gets_none_of_its_former_owners_data(world: World) -> None:
    number = weak("telegram:+1")
    await write(world, "telegram:alice", "my name is Alice", "m1", strong("telegram:alice"), number)
    await pull(world, 1)
    owner = (await kernel(world, user_id="telegram:alice")).person_id
    await world.kernel.store.outbox.notify(owner, Reply("for Alice"), channel="telegram", address="", now=1.0)
    await write(world, "telegram:bob", "what is my name", "m1", strong("telegram:bob"), number)
    told = dict(await pull(world, 2))
    assert told == {"telegram:alice": "for Alice", "telegram:bob": "You have not told me your name."}
    stranger = await kernel(world, user_id="telegram:+1")
    assert stranger.person_id != owner
    assert (stranger.history_items, list(stranger.connections)) == (3, [])


async def test_a_waiting_reply_follows_its_person_and_not_the_old_number(world: World) -> None:
    await write(world, "telegram:+1", "hello", "m1", weak("telegram:+1"))
    await pull(world, 1)
    hold = world.emulators.openai.hold()
    await write(world, "telegram:+1", "my secret", "m2", weak("telegram:+1"))
    await hold.reached.wait()
    assert await link(world, weak("telegram:+1"), weak("telegram:+2")) == LINKED
    await write(world, "telegram:+1", "who am I", "m1b", weak("telegram:+1"))
    hold.release()
    told = dict(await pull(world, 2))
    assert "my secret" in told["telegram:+2"]
    assert told["telegram:+1"] == "You have not told me your name."


# --- kept apart, and merged by an operator --------------------------------------------------------------------------


async def test_two_who_both_connected_are_kept_apart_until_an_operator_merges_them(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = world.phone("Alice"), world.phone("Alice’s new number")
    for phone in (old, new):
        await connect(world, phone)
    people = [await world.person_of(phone) for phone in (old, new)]
    assert [await becomes(world, old, new) for _ in range(2)] == [KEPT_APART] * 2
    alerts = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(alerts) == 1
    assert all(person in alerts[0] for person in people)
    assert old.user_id not in caplog.text
    assert new.user_id not in caplog.text
    told = await metrics(world)
    assert 'kernel_identity_links_total{outcome="kept_apart"} 2.0' in told
    assert "kernel_people_kept_apart 1.0" in told
    assert list((await kernel(world, person_id=people[0])).kept_apart_from) == [people[1]]
    merged = await ctl(world, "merge", f"whatsapp:{new.user_id}", people[0])
    assert json.loads(merged.stdout) == {"person_id": people[0]}
    assert "kernel_people_kept_apart 0.0" in await metrics(world)
    assert await becomes(world, old, new) == LINKED
    assert len((await kernel(world, person_id=people[1])).connections) == 2


async def test_the_newer_ones_accounts_work_for_the_one_who_stays(world: World) -> None:
    """The vendor allows an account only in sessions of the account's person."""
    old, new = world.phone("Alice"), world.phone("Alice’s new number")
    await world.ask(old, "hello")
    await connect(world, new)
    people = [await world.person_of(phone) for phone in (old, new)]
    tasks = [task.name for task in world.emulators.composio.tasks_of(people[1])]
    assert [await merge(world, *people) for _ in range(2)] == people[:1] * 2
    listed = await world.ask(old, "list my tasks")
    assert tasks
    assert all(name in listed.text for name in tasks)
    [executed] = world.emulators.effects.all("tool_execution")
    assert executed.person == people[1]


async def test_a_link_that_was_given_to_the_one_who_went_connects_the_one_who_stays(world: World) -> None:
    old, new = world.phone("Alice"), world.phone("Alice’s new number")
    await world.ask(old, "hello")
    offer = await world.ask(new, "connect my asana")
    assert offer.link is not None
    assert await becomes(world, old, new) == MERGED
    async with a_browser() as browser:
        code = await browser.follow(offer.link.url)
    assert (await world.ask(new, code)).text == "Asana is connected."
    listed = await world.ask(new, "list my tasks")
    assert listed.link is None


# --- permissions and refusals ---------------------------------------------------------------------------------------


async def test_an_unknown_id_has_no_effect(world: World) -> None:
    assert await link(world, strong("telegram:old"), strong("telegram:new")) == UNKNOWN
    assert await world.kernel.store.people.last_person_of("telegram:new") is None


@pytest.mark.parametrize(
    ("previous", "current", "code", "reason"),
    [
        ("whatsapp:1", "telegram:2", grpc.StatusCode.PERMISSION_DENIED, "CHANNEL_MISMATCH"),
        ("telegram:1", "whatsapp:2", grpc.StatusCode.PERMISSION_DENIED, "CHANNEL_MISMATCH"),
        ("telegram:default", "telegram:2", grpc.StatusCode.INVALID_ARGUMENT, "USER_ID_RESERVED"),
        ("telegram:1", "", grpc.StatusCode.INVALID_ARGUMENT, "USER_ID_RESERVED"),
        ("telegram:1", "telegram:a,b", grpc.StatusCode.INVALID_ARGUMENT, "USER_ID_INVALID"),
        (None, "telegram:2", grpc.StatusCode.INVALID_ARGUMENT, "FIELD_REQUIRED"),
        ("telegram:1", None, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_REQUIRED"),
    ],
)
async def test_a_channel_may_name_only_its_own_ids(
    world: World, previous: str | None, current: str | None, code: grpc.StatusCode, reason: str
) -> None:
    request = identity_pb2.LinkIdentityRequest(
        previous=None if previous is None else strong(previous), current=None if current is None else strong(current)
    )
    assert await refused(world.stub.LinkIdentity(request, metadata=bearer(TELEGRAM_TOKEN))) == (code, reason)


async def test_only_an_operator_merges_and_only_known_people(world: World) -> None:
    await world.tell("telegram:old", "hello", "m1")
    person = (await kernel(world, user_id="telegram:old")).person_id
    assert await refused(merge(world, person, "p_nobody")) == (grpc.StatusCode.NOT_FOUND, "PERSON_NOT_FOUND")
    request = admin_pb2.MergePersonsRequest(first=admin_pb2.PersonRef(person_id=person))
    assert await refused(world.admin.MergePersons(request, metadata=bearer(ADMIN_TOKEN))) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "FIELD_REQUIRED",
    )
    assert await refused(world.admin.MergePersons(request, metadata=bearer(TELEGRAM_TOKEN))) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "ADMIN_REQUIRED",
    )


async def test_a_caller_who_gives_up_leaves_nothing_half_done(world: World) -> None:
    await world.tell("telegram:old", "my name is Alice", "m1")
    await world.tell("telegram:new", "hello", "m1")
    call = world.stub.LinkIdentity(
        identity_pb2.LinkIdentityRequest(previous=strong("telegram:old"), current=strong("telegram:new")),
        metadata=bearer(TELEGRAM_TOKEN),
    )
    await asyncio.sleep(0)
    call.cancel()
    assert await link(world, strong("telegram:old"), strong("telegram:new")) in (LINKED, MERGED)
    answer = await world.tell("telegram:new", "what is my name", "m2")
    assert answer.replies[0].text == "Your name is Alice."
