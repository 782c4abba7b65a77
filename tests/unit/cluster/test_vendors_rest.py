"""The vendors' clients of two nodes: a 429 to one of them, with a time, rests both. On the emulated wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson
import pytest

from emulators.app import Emulators
from kernel_service.cluster.shared_quota import share_quota
from kernel_service.composio.client import Composio
from kernel_service.errors import Busy
from kernel_service.models.openai_client import OpenAIClient
from kernel_service.models.openai_responses import OpenAIResponses
from kernel_service.ports.model import ModelRequest, UserInput
from kernel_service.ports.payloads import Payload, Text
from kernel_service.rate_limits.current_tenant import as_tenant
from kernel_service.rate_limits.fair_queue import FairQueue
from tests.node_view import View, node
from tests.notice_air import NoticeAir

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NAMES = ("n1", "n2")


class Node:
    """A node's clients of both vendors."""

    def __init__(self, name: str, emulators: Emulators, air: NoticeAir) -> None:
        loop = asyncio.get_running_loop()
        queues = FairQueue("model", 6000, 0, loop), FairQueue("tools", 6000, 0, loop)
        share_quota(queues, View.of(*(node(each) for each in sorted(NAMES, key=name.__ne__))), air.board(name))
        self.openai = OpenAIClient("sk-emulated", emulators.openai.base_url, queue=queues[0])
        self.model = OpenAIResponses(self.openai, "gpt-6-luna")
        self.composio = Composio("ak_emulated", emulators.composio.base_url, queue=queues[1])

    async def ask_model(self, person_id: str) -> None:
        items = [orjson.dumps(self.model.user_item(UserInput(Payload(Text("hello")))))]
        with as_tenant(person_id):
            await self.model.answer(ModelRequest("Be brief.", items, [], "k" * 32, 500))

    async def ask_tools(self, person_id: str) -> None:
        with as_tenant(person_id):
            await self.composio.create_session(person_id, [])

    async def close(self) -> None:
        await self.openai.close()
        await self.composio.close()


@pytest.fixture
async def emulators() -> AsyncIterator[Emulators]:
    async with Emulators.start() as running:
        yield running


@pytest.fixture
async def nodes(emulators: Emulators) -> AsyncIterator[list[Node]]:
    air = NoticeAir()
    made = [Node(name, emulators, air) for name in NAMES]
    yield made
    for one in made:
        await one.close()


async def test_the_models_rest_holds_at_every_node(emulators: Emulators, nodes: list[Node]) -> None:
    emulators.openai.fail(429, retry_after=30)
    for asking, person_id in zip(nodes, ("p_1", "p_2"), strict=True):
        with pytest.raises(Busy) as caught:
            await asking.ask_model(person_id)
        assert caught.value.retry_after == pytest.approx(30, abs=1)
    assert len(emulators.openai.requests) == 1
    await nodes[1].ask_tools("p_2")


async def test_the_tools_rest_holds_at_every_node(emulators: Emulators, nodes: list[Node]) -> None:
    emulators.composio.fail(429, retry_after=30)
    for asking, person_id in zip(nodes, ("p_1", "p_2"), strict=True):
        with pytest.raises(Busy) as caught:
            await asking.ask_tools(person_id)
        assert caught.value.retry_after == pytest.approx(30, abs=1)
    assert len(emulators.composio.requests) == 1
    await nodes[1].ask_model("p_2")
