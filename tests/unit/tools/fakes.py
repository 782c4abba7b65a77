"""A store in memory, a clock that tests move, and the parts wired as the service wires them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kernel_service.tools.composio_client import Composio
from kernel_service.tools.connections import Connections, ConnectionStatus
from kernel_service.tools.toolbox import KernelToolbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulators.app import Emulators
    from kernel_service.tools.connections import Connection
    from kernel_service.turns.tools import Tool

KEY = "ak_emulated"


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Sleeper:
    """A sleep that moves the clock, one step each time that a test lets it."""

    def __init__(self, clock: Clock) -> None:
        self.slept: list[float] = []
        self._clock = clock
        self._steps = asyncio.Semaphore(0)

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            self._steps.release()

    async def __call__(self, seconds: float) -> None:
        await self._steps.acquire()
        self.slept.append(seconds)
        self._clock.now += seconds


@dataclass
class MemoryStore:
    """Fills ConnectionStore. What it hands out are copies of what was kept, as a database's are."""

    sessions: dict[str, tuple[str, str]] = field(default_factory=dict)
    rows: dict[str, Connection] = field(default_factory=dict)

    async def session_of(self, person_id: str) -> tuple[str, str] | None:
        return self.sessions.get(person_id)

    async def keep_session(self, person_id: str, session_id: str, configuration: str) -> str:
        kept = self.sessions.get(person_id)
        if kept is None or kept[1] != configuration:
            self.sessions[person_id] = (session_id, configuration)
        return self.sessions[person_id][0]

    async def connections(self, person_id: str) -> list[Connection]:
        return [row for row in self.rows.values() if row.person_id == person_id]

    async def pending(self, *, after: float) -> list[Connection]:
        waiting = [row for row in self.rows.values() if row.status is ConnectionStatus.PENDING]
        return [row for row in waiting if row.link_expires_at > after]

    async def keep_connection(self, connection: Connection) -> None:
        self.rows[connection.id] = connection


class World:
    """Everything below the toolbox, on the emulated Composio."""

    def __init__(self, emulators: Emulators, clock: Clock) -> None:
        self.vendor = emulators.composio
        self.effects = emulators.effects
        self.clock = clock
        self.sleep = Sleeper(clock)
        self.store = MemoryStore()
        self.connected: list[tuple[str, str]] = []
        self.told = asyncio.Event()
        self._open: list[Composio | Connections] = []
        self.composio = self.client()
        self.connections = self.service()

    def client(self, key: str = KEY, *, execute_timeout: float = 5.0, timeout: float = 5.0) -> Composio:
        client = Composio(key, self.vendor.base_url, clock=self.clock, timeout=timeout, execute_timeout=execute_timeout)
        self._open.append(client)
        return client

    def service(self, *toolkits: str, composio: Composio | None = None) -> Connections:
        """As after a restart: a new object on the same store."""
        connections = Connections(
            composio or self.composio,
            self.store,
            toolkits,
            clock=self.clock,
            sleep=self.sleep,
            on_connected=self._on_connected,
        )
        self._open.append(connections)
        return connections

    def toolbox(self, *own: Tool, most_direct: int = 30) -> KernelToolbox:
        return KernelToolbox(self.composio, self.connections, own, most_direct=most_direct)

    async def connect(self, person_id: str, toolkit: str = "asana") -> Connection:
        """All the way: link, consent, confirmed."""
        link = await self.connections.connect(person_id, toolkit)
        self.vendor.approve(link.url)
        self.clock.now += 10
        await self.connections.refresh(person_id)
        connection = await self.connections.confirmed(person_id, toolkit)
        assert connection is not None
        return connection

    def count(self, kind: str, person_id: str | None = None) -> int:
        return len(self.effects.all(kind, person=person_id))

    def requests(self, path: str) -> int:
        return len([call for call in self.vendor.requests if path in call.path])

    async def close(self) -> None:
        for part in reversed(self._open):
            await part.close()

    async def _on_connected(self, person_id: str, toolkit: str) -> None:
        self.connected.append((person_id, toolkit))
        self.told.set()


def named(tools: Sequence[Tool], name: str) -> Tool:
    return next(tool for tool in tools if tool.schema.name == name)
