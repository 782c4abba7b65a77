"""A kernel service of several nodes, each a fake behind its own cable, and one gateway before it."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from kernel.v1 import channel_pb2

from tests.integration.cable import Cable
from tests.integration.gateway.fake_kernel import FakeKernel, Running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class FakeNode:
    """One node. Clients reach it over its cable."""

    def __init__(self, node_id: str) -> None:
        self.fake = FakeKernel()  # type: ignore[abstract]
        self.fake.node_id = node_id
        self.running = Running(self.fake, "127.0.0.1:0")

    @property
    def address(self) -> str:
        return self.cable.address

    def named(self, *, address: str | None = None, draining: bool = False) -> channel_pb2.ServingNode:
        given = self.address if address is None else address
        return channel_pb2.ServingNode(id=self.fake.node_id, address=given, draining=draining)

    async def start(self) -> None:
        await self.running.start()
        self.cable = Cable(int(self.running.address.rpartition(":")[2]))
        await self.cable.plug_in()

    async def die(self) -> None:
        """As with -9: its connections are reset, and nothing listens."""
        await self.cable.unplug()
        await self.running.stop()

    async def acknowledged(self) -> None:
        await self.fake.until(lambda: self.fake.acks)

    async def attached(self, streams: int = 1) -> None:
        await self.fake.until(lambda: len(self.fake.streams) == streams)


@asynccontextmanager
async def several_nodes(*node_ids: str) -> AsyncIterator[list[FakeNode]]:
    """Nodes that name each other, and share people by nothing."""
    nodes = [FakeNode(node_id) for node_id in node_ids]
    async with AsyncExitStack() as stack:
        for node in nodes:
            await node.start()
            stack.push_async_callback(node.die)
        tell(*nodes)
        yield nodes


def tell(*nodes: FakeNode) -> None:
    """Each of these nodes names all of them."""
    for node in nodes:
        node.fake.name(*(each.named() for each in nodes))
