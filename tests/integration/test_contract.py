"""The contract's rules for leases and pages, over the wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from kernel.v1 import admin_pb2, connections_pb2, messages_pb2, outbox_pb2

from kernel_service.outbox.outbox import LEASE_SECONDS
from tests.integration.world import ADMIN_TOKEN, TELEGRAM_TOKEN, World, bearer, whole_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TOKEN = bearer(TELEGRAM_TOKEN)
ADMIN = bearer(ADMIN_TOKEN)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with whole_world(tmp_path) as whole:
        yield whole


async def say(world: World, text: str, *, user_id: str = "telegram:1", outbox: bool = False) -> None:
    mode = messages_pb2.REPLY_MODE_OUTBOX if outbox else messages_pb2.REPLY_MODE_INLINE
    request = messages_pb2.HandleMessageRequest(
        user_id=user_id, message_id=text, payload=messages_pb2.Payload(text=text), reply_mode=mode
    )
    await world.stub.HandleMessage(request, metadata=TOKEN, timeout=20)


async def test_a_lease_is_extended_until_it_is_settled(world: World) -> None:
    await say(world, "hello", outbox=True)
    stream = world.stub.PullOutbox(
        outbox_pb2.PullOutboxRequest(channel="telegram", instance_id="one"), metadata=TOKEN, timeout=20
    )
    leased = (await anext(aiter(stream))).reply
    assert 0 < leased.lease_for.seconds <= LEASE_SECONDS
    assert not leased.HasField("split")
    mine = outbox_pb2.HeldLease(reply_id=leased.reply.id, lease_token=leased.lease_token)
    request = outbox_pb2.ExtendLeasesRequest(leases=[mine, outbox_pb2.HeldLease(reply_id="rp_\0", lease_token="t")])
    extended = await world.stub.ExtendLeases(request, metadata=TOKEN, timeout=20)
    assert list(extended.results) == [outbox_pb2.LEASE_STATE_HELD, outbox_pb2.LEASE_STATE_LOST]
    assert extended.lease_for.seconds == LEASE_SECONDS
    part = outbox_pb2.ReplyPart(reply_id=leased.reply.id, part=1, parts=1)
    sent = outbox_pb2.PartAcknowledgement(part=part, sent=outbox_pb2.DeliverySent())
    given = outbox_pb2.Acknowledgement(lease_token=leased.lease_token, part=sent)
    settled = await world.stub.AckOutbox(outbox_pb2.AckOutboxRequest(acknowledgements=[given]), metadata=TOKEN)
    assert list(settled.results) == [outbox_pb2.ACK_RESULT_RECORDED]
    extended = await world.stub.ExtendLeases(request, metadata=TOKEN, timeout=20)
    assert set(extended.results) == {outbox_pb2.LEASE_STATE_LOST}


async def test_a_stream_without_replies_says_at_once_that_it_is_served(world: World) -> None:
    pull = outbox_pb2.PullOutboxRequest(channel="telegram", instance_id="one")
    stream = world.stub.PullOutbox(pull, metadata=TOKEN)
    async with asyncio.timeout(10):
        await stream.initial_metadata()
    assert not stream.done()
    stream.cancel()


def person(user_id: str) -> dict[str, Any]:
    return {"person": admin_pb2.PersonRef(user_id=user_id)}


LISTS = {
    "ListTurns": (admin_pb2.ListTurnsRequest, person("telegram:1"), "turns"),
    "ListReplies": (admin_pb2.ListRepliesRequest, person("telegram:1"), "replies"),
    "ListNodes": (admin_pb2.ListNodesRequest, {}, "nodes"),
    "ListKernels": (admin_pb2.ListKernelsRequest, {}, "kernels"),
    "ListDeadLetters": (admin_pb2.ListDeadLettersRequest, {}, "dead_letters"),
    "ListKeys": (admin_pb2.ListKeysRequest, {}, "keys"),
    "ListConnections": (connections_pb2.ListConnectionsRequest, {"user_id": "telegram:1"}, "connections"),
}


async def ask(world: World, rpc: str, **page: Any) -> Any:
    request, given, _ = LISTS[rpc]
    is_admin = hasattr(world.admin, rpc)
    stub, metadata = (world.admin, ADMIN) if is_admin else (world.stub, TOKEN)
    return await getattr(stub, rpc)(request(**given | page), metadata=metadata, timeout=20)


async def pages(world: World, rpc: str) -> list[Any]:
    """Each page of one row."""
    found: list[Any] = []
    token = ""
    while not found or token:
        answer = await ask(world, rpc, page_size=1, page_token=token)
        found.append(getattr(answer, LISTS[rpc][2]))
        token = answer.next_page_token
    return found


async def test_lists_come_in_pages_that_hold_every_row_once(world: World) -> None:
    for number in range(3):
        await say(world, f"hello {number}")
        await say(world, "hello", user_id=f"telegram:{number + 1}")
    for toolkit in ("asana", "gmail"):
        request = connections_pb2.CreateConnectLinkRequest(user_id="telegram:1", toolkit=toolkit)
        await world.stub.CreateConnectLink(request, metadata=TOKEN, timeout=20)
    for rpc, (_, _, rows) in LISTS.items():
        whole = list(getattr(await ask(world, rpc), rows))
        found = await pages(world, rpc)
        assert all(len(page) <= 1 for page in found)
        assert [row for page in found for row in page] == whole, rpc
    counts = {rpc: len(await pages(world, rpc)) for rpc in ("ListTurns", "ListKernels", "ListConnections")}
    assert counts == {"ListTurns": 4, "ListKernels": 3, "ListConnections": 2}


@pytest.mark.parametrize("rpc", LISTS)
async def test_a_bad_page_token_is_refused_and_named(world: World, rpc: str) -> None:
    await say(world, "hello")
    await say(world, "hello again")
    turns_token = (await ask(world, "ListTurns", page_size=1)).next_page_token
    assert turns_token
    for token in ("1", "MQ", "é", *([] if rpc == "ListTurns" else [turns_token])):
        with pytest.raises(grpc.aio.AioRpcError, match="page_token") as refused:
            await ask(world, rpc, page_token=token)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
