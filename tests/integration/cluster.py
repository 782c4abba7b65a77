"""Several kernel services on one PostgreSQL, before two gateways: real processes, whose effects the emulators log."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import grpc
from kernel.v1 import admin_pb2_grpc, kernel_pb2_grpc

from tests.crash.checker import judge
from tests.crash.system import TOKEN, System
from tests.crash.times import OWN
from tests.integration.cable import Cable
from tests.line import line_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from tests.crash.checker import Verdict
    from tests.crash.databases import Postgres
    from tests.crash.processes import Process, Settings
    from tests.crash.system import Person
    from tests.line import Line

ADMIN_TOKEN: Final = "admin-token-of-the-cluster"
INLINE_TOKEN: Final = "telegram-token-of-the-cluster"
_NOWHERE: Final = "127.0.0.1:1"
"""Gateways and other nodes find nobody there."""
_LISTENING: Final = """
    FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'kernel_service notices'
"""


class Cluster:
    """Nodes are numbered from 0. The last `spare_nodes` of them run only after `join`."""

    def __init__(self, system: System, postgres: Postgres, lines: Sequence[Line]) -> None:
        self.system = system
        self.postgres = postgres
        self._lines = lines
        self.channels = [
            grpc.aio.insecure_channel(node.settings["KERNEL_LISTEN"], options=[("grpc.max_reconnect_backoff_ms", 100)])
            for node in system.kernels
        ]
        self.stubs = [kernel_pb2_grpc.KernelServiceStub(channel) for channel in self.channels]
        self.admins = [admin_pb2_grpc.KernelAdminServiceStub(channel) for channel in self.channels]

    @property
    def nodes(self) -> list[Process]:
        return self.system.kernels

    # --- what happens to a node -----------------------------------------------------------------------------------

    async def kill(self, node: int) -> None:
        """With -9."""
        await self.system.kill(self.nodes[node])

    async def stop(self, node: int) -> None:
        """End it in order (SIGTERM), and wait for its end."""
        await self.nodes[node].end()

    async def join(self, node: int) -> None:
        """Start a spare or ended node, and wait until it serves."""
        await self.system.restart(self.nodes[node])

    async def freeze(self, node: int) -> None:
        await self.system.freeze(self.nodes[node])

    async def thaw(self, node: int) -> None:
        await self.system.resume(self.nodes[node])

    def cut_from_database(self, node: int) -> None:
        """Let nothing pass between it and the database, silently. Its other connections stay."""
        self._lines[node].go_silent()

    def reach_database(self, node: int) -> None:
        self._lines[node].speak()

    # --- the database -----------------------------------------------------------------------------------------------

    async def rows(self, sql: str, *values: Any) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.postgres.url)
        try:
            found: list[asyncpg.Record] = await connection.fetch(sql, *values)
            return found
        finally:
            await connection.close()

    async def listening(self) -> int:
        """How many connections listen for notices."""
        return len(await self.rows(f"SELECT 1 {_LISTENING}"))

    async def end_listening(self) -> None:
        """End the connections on which the nodes listen for notices."""
        await self.rows(f"SELECT pg_terminate_backend(pid) {_LISTENING}")

    # --- people -----------------------------------------------------------------------------------------------------

    async def people(self, many: int) -> list[Person]:
        return [await self.system.person() for _ in range(many)]

    async def ask(self, people: Sequence[Person], kind: str = "", timeout: float = 30) -> None:
        """Each writes a message. Returns when all are answered."""
        await self.system.answered(
            *await asyncio.gather(*(self.system.writes(person, kind) for person in people)), timeout=timeout
        )

    async def verdict(self, *people: Person) -> Verdict:
        """Judge everything that happened so far, after the last effect of these people."""
        await self.system.settled(*people)
        return judge(self.system.log)


@asynccontextmanager
async def cluster(
    folder: Path,
    postgres: Postgres,
    *,
    nodes: int = 3,
    spare_nodes: int = 1,
    seen: tuple[int, int] | None = None,
    ahead: Sequence[float] = (),
    settings: Settings | None = None,
) -> AsyncIterator[Cluster]:
    """A running cluster with the product's own times. No other one may use its database.

    The connect pages are behind a load balancer: each connection reaches another node. `seen` is the only node that
    each of the two gateways can reach; by default they reach all. `ahead`: how far the nodes' clocks are ahead, in
    seconds.
    """
    async with AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(line_to(postgres.url)) for _ in range(nodes + spare_nodes)]
        balancer = Cable()
        await balancer.plug_in()
        stack.push_async_callback(balancer.unplug)
        own = {
            "CONNECT_PUBLIC_URL": f"http://{balancer.address}",
            "KERNEL_ADMIN_TOKEN": ADMIN_TOKEN,
            "KERNEL_CHANNEL_TOKENS": f"whatsapp={TOKEN},telegram={INLINE_TOKEN}",
        }
        system = System(
            folder,
            [url for _, url in lines],
            OWN,
            own | (settings or {}),
            both_receive=True,
            nodes=nodes,
            spare_nodes=spare_nodes,
        )
        balancer.to_ports.extend(_port(node.settings["CONNECT_LISTEN"]) for node in system.kernels[:nodes])
        for node, seconds in zip(system.kernels, ahead, strict=False):
            node.ahead = seconds
        if seen is not None:
            _let_see(system, seen)
        await stack.enter_async_context(system.running())
        await system.restart(system.other_gateway)
        running = Cluster(system, postgres, [line for line, _ in lines])
        yield running
        await asyncio.gather(*(channel.close() for channel in running.channels))


def _let_see(system: System, seen: tuple[int, int]) -> None:
    for gateway, node in zip((system.gateway, system.other_gateway), seen, strict=True):
        gateway.settings["KERNEL_ADDRESS"] = f"ipv4:{system.kernels[node].settings['KERNEL_LISTEN']}"
    for kernel in system.kernels:
        kernel.settings["KERNEL_ADVERTISE"] = _NOWHERE


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
