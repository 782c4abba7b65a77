"""The systems under load: the pair as it is deployed, and the bare handler, each with separate vendors."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from benchmarks import load, webhooks
from benchmarks.filling import ENCRYPTION_KEYS
from benchmarks.http_client import Client
from benchmarks.processes import Process
from benchmarks.vendors import Vendors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
    from pathlib import Path

CHANNEL_TOKEN = "benchmark-channel-token"  # noqa: S105 - of no service
_QUIET_SECONDS = 0.7
_MOST_DRAIN_SECONDS = 20.0
_WARM_UP_AT_ONCE = 32


@dataclass(slots=True)
class System:
    """One system under load. `people` write in turn; every message contains a unique marker.

    `kernel_address` is that of the first kernel service; empty: there is none.
    """

    name: str
    client: Client
    vendors: Vendors
    processes: list[Process]
    people: int
    markers: Iterator[int]
    kernel_address: str = ""

    def messages(self) -> Iterator[tuple[str, bytes]]:
        """An endless series of markers and requests, one person after the other."""
        while True:
            yield self._message(0.0)

    def written_at(self, times: Sequence[float]) -> tuple[list[str], list[bytes]]:
        """The markers and requests of messages that are written at these times, in seconds from now."""
        made = [self._message(time) for time in times]
        return [marker for marker, _ in made], [request for _, request in made]

    def _message(self, delay: float) -> tuple[str, bytes]:
        number = next(self.markers)
        marker = f"q-{number}"
        return marker, webhooks.message(number % self.people, marker, delay)

    def cpu_seconds(self) -> float:
        """The CPU time of all its processes so far."""
        return sum(process.cpu_seconds() for process in self.processes)

    def cpu_parts(self) -> dict[str, float]:
        """The CPU time so far of each part, as "kernel_service: event loop"."""
        parts: Counter[str] = Counter()
        for process in self.processes:
            parts.update(process.cpu_parts())
        return dict(parts)

    async def warm_up(self) -> None:
        """Let each person write once, so that they are known, their kernels resident, and all connections open."""
        waiting = (request for _, request in itertools.islice(self.messages(), self.people))
        async with asyncio.TaskGroup() as group:
            for _ in range(_WARM_UP_AT_ONCE):
                group.create_task(self._send_all(waiting))
        await self.quiet()

    async def _send_all(self, requests: Iterator[bytes]) -> None:
        for request in requests:
            if await self.client.ask(request) != load.OK:
                raise RuntimeError(f"{self.name} refused a webhook while it was warmed up")

    async def quiet(self) -> None:
        """Return once the vendors have been idle for a while, and every status webhook is delivered."""
        loop = asyncio.get_running_loop()
        latest = loop.time() + _MOST_DRAIN_SECONDS
        asked = loop.time()
        while loop.time() < latest:
            await asyncio.sleep(0.05)
            asked = max(asked, self.vendors.last_asked)
            if not self.vendors.statuses_under_way and loop.time() - asked > _QUIET_SECONDS:
                return


@asynccontextmanager
async def pair(
    folder: Path,
    database_url: str,
    *,
    people: int,
    debounce: float,
    thinking: float = 0.0,
    under: str = "",
    nodes: int = 1,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[System]:
    """kernel_service and whatsapp_gateway, with defaults except for the debounce (seconds) and the limits.

    `thinking` is the model's delay, in seconds. `under` is a module of this package that runs each service and notes
    what it does (`counting` or `profiling`), in a file named after the service. `nodes` is the number of kernel
    services; more than one need PostgreSQL. `settings` are further ones of the kernel service.
    """
    async with AsyncExitStack() as stack:
        vendors = await stack.enter_async_context(Vendors(thinking).serving())
        gateway_port = free_port()
        kernel_settings = {
            "KERNEL_DATABASE_URL": database_url,
            "KERNEL_CHANNEL_TOKENS": f"whatsapp={CHANNEL_TOKEN}",
            "KERNEL_ENCRYPTION_KEYS": ENCRYPTION_KEYS,
            "KERNEL_DEBOUNCE_SECONDS": str(debounce),
            "COMPOSIO_API_KEY": "benchmark",
            "COMPOSIO_BASE_URL": vendors.url,
            "KERNEL_MODEL_PER_MINUTE": "0",  # measure the pair's capacity, not a vendor's limit
            **settings,
        }
        ports = [free_port() for _ in range(nodes)]
        kernels = []
        for port in ports:
            metrics_port = free_port()
            listens = {
                "KERNEL_LISTEN": f"127.0.0.1:{port}",
                "KERNEL_METRICS_LISTEN": f"127.0.0.1:{metrics_port}",
                "CONNECT_LISTEN": f"127.0.0.1:{free_port()}",
            }
            kernel = _service("kernel_service", _model(vendors) | kernel_settings | listens, folder, under=under)
            stack.push_async_callback(kernel.end)
            await kernel.ready(f"http://127.0.0.1:{metrics_port}/healthz")
            kernels.append(kernel)
        gateway_settings = {
            "KERNEL_ADDRESS": "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports),
            "KERNEL_TOKEN": CHANNEL_TOKEN,
            "WHATSAPP_MESSAGES_PER_SECOND": "0",  # as above
        }
        settings = _whatsapp(vendors, gateway_port) | gateway_settings
        gateway = _service("whatsapp_gateway", settings, folder, under=under)
        stack.push_async_callback(gateway.end)
        await gateway.ready(f"http://127.0.0.1:{gateway_port}/readyz")
        system = await stack.enter_async_context(_system("pair", gateway_port, vendors, [gateway, *kernels], people))
        system.kernel_address = f"127.0.0.1:{ports[0]}"
        yield system


def _service(module: str, settings: dict[str, str], folder: Path, *, under: str) -> Process:
    log = folder / f"{module}.log"
    if under:
        arguments = (str(folder / f"{module}.{under}"), module)
        return Process(f"benchmarks.{under}", settings, log, arguments=arguments)
    return Process(module, settings, log)


@asynccontextmanager
async def bare(folder: Path, *, people: int) -> AsyncIterator[System]:
    """benchmarks/bare_handler.py."""
    async with AsyncExitStack() as stack:
        vendors = await stack.enter_async_context(Vendors().serving())
        port = free_port()
        settings = _model(vendors) | _whatsapp(vendors, port)
        handler = Process("benchmarks.bare_handler", settings, folder / "bare_handler.log")
        stack.push_async_callback(handler.end)
        await handler.ready(f"http://127.0.0.1:{port}/readyz")
        yield await stack.enter_async_context(_system("bare handler", port, vendors, [handler], people))


@asynccontextmanager
async def _system(
    name: str, port: int, vendors: Vendors, processes: list[Process], people: int
) -> AsyncIterator[System]:
    client = Client("127.0.0.1", port)
    vendors.report_to(client)
    try:
        yield System(name, client, vendors, processes, people, itertools.count())
    finally:
        client.close()


def _model(vendors: Vendors) -> dict[str, str]:
    return {"OPENAI_API_KEY": "benchmark", "OPENAI_BASE_URL": f"{vendors.url}/v1"}


def _whatsapp(vendors: Vendors, port: int) -> dict[str, str]:
    return {
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "WHATSAPP_API_BASE_URL": vendors.url,
        "WHATSAPP_ACCESS_TOKEN": "benchmark",
        "WHATSAPP_APP_SECRET": webhooks.APP_SECRET,
        "WHATSAPP_VERIFY_TOKEN": "benchmark",
        "WHATSAPP_PHONE_NUMBER_ID": webhooks.NUMBER,
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
