"""A phone number passes to another person, as networks do with numbers that were given up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from kernel.v1 import connections_pb2, identity_pb2, memory_pb2, messages_pb2

from tests.connect_browser import a_browser
from tests.integration.world import TELEGRAM_TOKEN, bearer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.world import World


async def test_a_stranger_gets_the_number_and_nothing_of_its_former_owner(world: World) -> None:
    whatsapp = world.emulators.whatsapp
    alice = whatsapp.add_phone("Alice", bsuid="US.1001", wa_id="15550101", name="Sam")
    await world.ask(alice, "my name is Alice and the code is swordfish")
    alices = await world.person_of(alice)
    # WhatsApp says nothing of the change: the worst that can happen.
    await whatsapp.change_number(alice, "15550102", "US.1002", tell=False)
    stranger = whatsapp.add_phone("Stranger", bsuid="US.1003", wa_id="15550101", name="Sam")
    answer = await world.ask(stranger, "what did I say? who am I?")
    assert await world.person_of(stranger) != alices
    assert "Alice" not in answer.text
    assert "swordfish" not in answer.text
    assert "swordfish" not in str(world.emulators.openai.requests[-1].body)
    assert [message.text for message in alice.received if "swordfish" not in message.text] == []


# --- a channel that knows people by their numbers alone --------------------------------------------------------------

NUMBER = "telegram:15550101"
WEAK = identity_pb2.Alias(user_id=NUMBER, strength=identity_pb2.ALIAS_STRENGTH_WEAK)
TOKEN = bearer(TELEGRAM_TOKEN)


async def say(world: World, text: str, message_id: str, *aliases: identity_pb2.Alias) -> Any:
    request = messages_pb2.HandleMessageRequest(
        user_id=aliases[0].user_id, message_id=message_id, payload=messages_pb2.Payload(text=text), aliases=aliases
    )
    return await world.stub.HandleMessage(request, metadata=TOKEN, timeout=60)


async def connect_asana(world: World, *aliases: identity_pb2.Alias) -> str:
    """The connection's id."""
    answer = await say(world, "create a task: Call the notary", "1", *aliases)
    async with a_browser() as browser:
        code = await browser.follow(answer.replies[0].link.url)
    assert "Call the notary" in (await say(world, code, "2", *aliases)).replies[0].text
    found = await world.stub.ListConnections(
        connections_pb2.ListConnectionsRequest(user_id=aliases[0].user_id), metadata=TOKEN
    )
    return str(found.connections[0].id)


def calls_about(world: World, connection_id: str) -> dict[str, Callable[[], Any]]:
    """Make every call that names a person and concerns accounts."""
    stub = world.stub
    listing = connections_pb2.ListConnectionsRequest(user_id=NUMBER)
    linking = connections_pb2.CreateConnectLinkRequest(user_id=NUMBER, toolkit="asana")
    removing = connections_pb2.DisconnectRequest(user_id=NUMBER, connection_id=connection_id)
    of_toolkit = connections_pb2.DisconnectRequest(user_id=NUMBER, toolkit="asana")
    memory = memory_pb2.GetMemoryRequest(user_id=NUMBER)
    return {
        "GetMemory": lambda: stub.GetMemory(memory, metadata=TOKEN),
        "ListConnections": lambda: stub.ListConnections(listing, metadata=TOKEN),
        "CreateConnectLink": lambda: stub.CreateConnectLink(linking, metadata=TOKEN),
        "Disconnect": lambda: stub.Disconnect(removing, metadata=TOKEN),
        "Disconnect of a toolkit": lambda: stub.Disconnect(of_toolkit, metadata=TOKEN),
    }


async def assert_that_nobody_is_found(world: World, connection_id: str) -> None:
    for name, call in calls_about(world, connection_id).items():
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call()
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND, name


async def test_a_bare_number_never_finds_a_person_with_a_strong_id(world: World) -> None:
    strong = identity_pb2.Alias(user_id="telegram:ann", strength=identity_pb2.ALIAS_STRENGTH_STRONG)
    connection_id = await connect_asana(world, strong, WEAK)
    await assert_that_nobody_is_found(world, connection_id)
    thief = identity_pb2.Alias(user_id="telegram:thief", strength=identity_pb2.ALIAS_STRENGTH_STRONG)
    for strength in (identity_pb2.ALIAS_STRENGTH_STRONG, identity_pb2.ALIAS_STRENGTH_WEAK):
        previous = identity_pb2.Alias(user_id=NUMBER, strength=strength)
        request = identity_pb2.LinkIdentityRequest(previous=previous, current=thief)
        answer = await world.stub.LinkIdentity(request, metadata=TOKEN)
        assert answer.outcome == identity_pb2.LINK_OUTCOME_UNKNOWN
    mine = connections_pb2.ListConnectionsRequest(user_id="telegram:ann")
    assert [each.id for each in (await world.stub.ListConnections(mine, metadata=TOKEN)).connections] == [connection_id]


async def test_after_a_long_silence_a_number_brings_no_accounts_and_no_history(world: World) -> None:
    connection_id = await connect_asana(world, WEAK)
    world.wall = lambda: time.time() + 45 * 86_400
    await assert_that_nobody_is_found(world, connection_id)
    with pytest.raises(grpc.aio.AioRpcError) as reused:  # the channel restarts its message numbers
        await say(world, "create a task: Call the notary", "1", WEAK)
    assert reused.value.code() is grpc.StatusCode.ALREADY_EXISTS
    answer = (await say(world, "list my tasks", "3", WEAK)).replies[0]
    assert "Call the notary" not in answer.text
    assert answer.link.url
    assert "Call the notary" not in str(world.emulators.openai.requests[-1].body)


async def test_after_a_short_silence_everything_is_there(world: World) -> None:
    await connect_asana(world, WEAK)
    world.wall = lambda: time.time() + 20 * 86_400
    assert "Call the notary" in (await say(world, "list my tasks", "3", WEAK)).replies[0].text
