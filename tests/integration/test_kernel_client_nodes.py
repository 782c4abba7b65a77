"""`kernel_client` before several nodes of the kernel service, which come, go and lease again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kernel_client import KernelClient
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
