"""`python -m benchmarks.start`: how long each service takes to start, and its memory at rest.

Every round starts the pair on a new database; `--postgres` uses a real PostgreSQL. Seconds count from the start of the
process to its first 200 from /healthz. Memory is resident, and read two seconds after both services are ready.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import databases
from benchmarks.figures import Figure
from benchmarks.processes import Process
from benchmarks.systems import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ROUNDS = 5
_SETTLE_SECONDS = 2.0
_TOKEN = "benchmark-channel-token"  # noqa: S105 - of no service


class Started(NamedTuple):
    seconds: float
    cpu_seconds: float
    mebibytes: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="on a real PostgreSQL instead of SQLite")
    kind = databases.postgres if parser.parse_args().postgres else databases.sqlite
    print(f"load average {os.getloadavg()[0]:.1f}; median of {_ROUNDS} (lowest to highest)")
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder, kind(Path(folder)) as new:
        rounds = [asyncio.run(_round(Path(folder), new())) for _ in range(_ROUNDS)]
    for name, started in zip(("kernel_service", "whatsapp_gateway"), zip(*rounds, strict=True), strict=True):
        print(f"{name:<16} {_report(started)}")


async def _round(folder: Path, database_url: str) -> tuple[Started, Started]:
    kernel_port, metrics_port, connect_port, gateway_port = (free_port() for _ in range(4))
    kernel_settings = {
        "KERNEL_LISTEN": f"127.0.0.1:{kernel_port}",
        "KERNEL_METRICS_LISTEN": f"127.0.0.1:{metrics_port}",
        "CONNECT_LISTEN": f"127.0.0.1:{connect_port}",
        "KERNEL_DATABASE_URL": database_url,
        "KERNEL_CHANNEL_TOKENS": f"whatsapp={_TOKEN}",
        "KERNEL_ENCRYPTION_KEYS": "benchmark:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "OPENAI_API_KEY": "benchmark",
        "COMPOSIO_API_KEY": "benchmark",
    }
    gateway_settings = {
        "GATEWAY_LISTEN": f"127.0.0.1:{gateway_port}",
        "KERNEL_ADDRESS": f"dns:///127.0.0.1:{kernel_port}",
        "KERNEL_TOKEN": _TOKEN,
        "WHATSAPP_ACCESS_TOKEN": "benchmark",
        "WHATSAPP_APP_SECRET": "benchmark",
        "WHATSAPP_VERIFY_TOKEN": "benchmark",
        "WHATSAPP_PHONE_NUMBER_ID": "106540352242922",
    }
    async with AsyncExitStack() as stack:
        kernel = await _started(stack, folder, "kernel_service", kernel_settings, metrics_port)
        gateway = await _started(stack, folder, "whatsapp_gateway", gateway_settings, gateway_port)
        await asyncio.sleep(_SETTLE_SECONDS)
        return _at_rest(*kernel), _at_rest(*gateway)


async def _started(
    stack: AsyncExitStack, folder: Path, module: str, settings: Mapping[str, str], port: int
) -> tuple[Process, float, float]:
    began = time.monotonic()
    process = Process(module, settings, folder / f"{module}.log")
    stack.push_async_callback(process.end)
    await process.ready(f"http://127.0.0.1:{port}/healthz")
    return process, time.monotonic() - began, process.cpu_seconds()


def _at_rest(process: Process, seconds: float, cpu_seconds: float) -> Started:
    status = Path(f"/proc/{process.pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return Started(seconds, cpu_seconds, int(resident.split()[1]) / 1024)


def _report(started: Sequence[Started]) -> str:
    seconds, cpu, memory = (Figure.of(values) for values in zip(*started, strict=True))
    return (
        f"serves after {_figure(seconds, 2)} s, {_figure(cpu, 2)} s of CPU; at rest {_figure(memory, 0)} MiB resident"
    )


def _figure(figure: Figure, digits: int) -> str:
    return f"{figure.median:.{digits}f} ({min(figure.rounds):.{digits}f} to {max(figure.rounds):.{digits}f})"


if __name__ == "__main__":
    main()
