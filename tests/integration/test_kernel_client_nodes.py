"""`kernel_client` before several nodes of the kernel service, which come, go and lease again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kernel.v1.outbox_pb2 import DELIVERY_STAGE_READ

from kernel_client import Delivery, KernelClient, MediaWanted, Receipt, Typing
from tests.integration.gateway.fake_kernel import TOKEN
from tests.integration.gateway.several_nodes import several_nodes, tell

if TYPE_CHECKING:
    from tests.integration.gateway.several_nodes import FakeNode

ADA = "whatsapp:US.1"


async def attached(*nodes: FakeNode) -> None:
    for node in nodes:
        await node.attached()


async def test_it_follows_the_nodes_and_sends_each_person_to_theirs() -> None:
    async with several_nodes("a", "b") as (a, b), KernelClient(a.address, TOKEN) as kernel, asyncio.timeout(30):
        replies = kernel.replies("whatsapp")
        first = asyncio.create_task(anext(replies))
        await attached(a, b)
        a.fake.home = b.fake.home = lambda _: "b"
        await kernel.submit(ADA, "one", message_id="1")
        await kernel.submit(ADA, "two", message_id="2")
        assert "two" in b.fake.texts_of(ADA)
        assert a.fake.separate_calls.count("HandleMessage") == b.fake.separate_calls.count("HandleMessage") == 0
        await b.die()
        tell(a)
        await kernel.submit(ADA, "three", message_id="3")
        assert "three" in a.fake.texts_of(ADA)
        a.fake.lease("hello", user_id=ADA)
        assert await (await first).delivered("m1")
        assert [ack.part.reply_id for ack in a.fake.acks] == ["rp_1"]


async def test_a_held_reply_that_is_leased_again_comes_once_and_is_settled_under_the_newer_lease() -> None:
    async with several_nodes("a", "b") as (a, b), KernelClient(a.address, TOKEN) as kernel, asyncio.timeout(30):
        replies = kernel.replies("whatsapp")
        first = asyncio.create_task(anext(replies))
        await attached(a, b)
        again = b.fake.lease("hello", user_id=ADA)
        reply = await first
        again.lease_token = "lease-2"
        a.fake.hand_out(again)
        a.fake.lease("later", user_id=ADA, id="rp_2")
        assert (await anext(replies)).text == "later"
        assert await reply.delivered()
    acks = [ack for node in (a, b) for call in node.fake.ack_calls for ack in call.acknowledgements]
    assert [ack.lease_token for ack in acks] == ["lease-2"]


async def test_a_waiting_reply_of_a_broken_stream_is_not_sent() -> None:
    async with several_nodes("a") as (a,), KernelClient(a.address, TOKEN) as kernel, asyncio.timeout(30):
        replies = kernel.replies("whatsapp")
        first = asyncio.create_task(anext(replies))
        await attached(a)
        a.fake.lease("one", user_id=ADA)
        a.fake.lease("two", user_id="whatsapp:US.2", id="rp_2")
        reply = await first
        await asyncio.sleep(0)
        a.cable.cut()
        await a.fake.until(lambda: len(a.fake.pulls) == 2)
        assert not reply.is_live
        assert a.fake.releases[-1].in_hand == ["rp_1"], "the other one goes to any process at once"
        a.fake.lease("two", user_id="whatsapp:US.2", id="rp_2")
        assert (await anext(replies)).text == "two"


async def test_files_and_typing_come_through_the_outbox_too() -> None:
    async with several_nodes("a") as (a,), KernelClient(a.address, TOKEN) as kernel, asyncio.timeout(30):
        items = kernel.outbox("whatsapp", media=True, typing_interval=2.5)
        first = asyncio.create_task(anext(items))
        await attached(a)
        assert a.fake.pulls[0].typing_interval.ToMilliseconds() == 2500
        a.fake.show_typing("desk", ADA, "1")
        assert (await first) == Typing(user_id=ADA, address="desk", message_id="1")
        a.fake.want("picture-1")
        wanted = await anext(items)
        assert isinstance(wanted, MediaWanted)
        assert wanted.media_ref == "picture-1"
        await wanted.upload(b"x" * 100_000, "image/png")
        assert [(header.mime_type, len(data)) for header, data in a.fake.uploads] == [("image/png", 100_000)]
        await wanted.failed("gone")
        assert a.fake.ack_calls[-1].acknowledgements[0].media.failed.error_code == "gone"
        a.fake.lease("look", user_id=ADA, media=[a.fake.file(b"bytes", "image/png")])
        reply = await anext(items)
        assert isinstance(reply, Delivery)
        assert await kernel.download(reply.media[0]) == b"bytes"
        assert await reply.delivered("m1", part=1, parts=2)
        assert await reply.failed("blocked", part=2, parts=2)
        await kernel.report([Receipt(channel_message_id="m1", reached=DELIVERY_STAGE_READ)])
        assert len(a.fake.receipts) == 1
