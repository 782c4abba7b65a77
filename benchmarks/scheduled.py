"""The cost of a minute in which many schedules are due, for people's own messages.

Rounds without due schedules, with a thousand reminders, and with a thousand requests to the model alternate, with the
same arrivals of messages. `python -m benchmarks.scheduled` prints the p99 of people's own messages in each, the ratios,
and how many runs came.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
import uvloop
from google.protobuf.timestamp_pb2 import Timestamp
from kernel.v1 import kernel_pb2_grpc, schedules_pb2

from benchmarks import databases, load, webhooks
from benchmarks.figures import percentile
from benchmarks.systems import CHANNEL_TOKEN, pair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.systems import System

SCHEDULED: Final = 1_000
PEOPLE: Final = 50
"""They write, and have no schedules."""
RATE: Final = 10.0
"""Messages per second of all fifty together."""
SECONDS: Final = 45.0
ROUNDS: Final = 2
THINKING: Final = 0.3
"""The model's delay in seconds."""
LEAD_SECONDS: Final = 25.0
"""Within this time all schedules are created."""
AT_ONCE: Final = 16
KINDS: Final = {
    "reminders": schedules_pb2.SCHEDULE_KIND_REMIND,
    "requests": schedules_pb2.SCHEDULE_KIND_DO,
}
_METADATA: Final = (("authorization", f"Bearer {CHANNEL_TOKEN}"),)


async def measure(folder: Path, database_url: str) -> None:
    async with pair(folder, database_url, people=SCHEDULED + PEOPLE, debounce=0.0, thinking=THINKING) as system:
        await system.warm_up()
        delays: dict[str, list[float]] = {"nothing": [], **{name: [] for name in KINDS}}
        for number in range(ROUNDS):
            delays["nothing"] += await _round(system, number)
            for name, kind in KINDS.items():
                markers = await _create(system, kind)
                delays[name] += await _round(system, number)
                times = [system.vendors.times_sent[marker] for marker in markers]
                print(f"round {number + 1}: {times.count(1)} of {SCHEDULED} {name} came once, {times.count(0)} not")
    quiet = percentile(delays["nothing"], 99)
    for name, measured in delays.items():
        p50, p99 = (percentile(measured, each) for each in (50, 99))
        of = f"of {len(measured)} own messages"
        print(f"{name} due: p50 {p50:.0f} ms, p99 {p99:.0f} ms {of}, ratio of the p99 {p99 / quiet:.2f}")


async def _round(system: System, number: int) -> list[float]:
    """The milliseconds from each message of the fifty to the Graph call that answers it."""
    times = load.arrivals(RATE, int(RATE * SECONDS), random.Random(number))
    markers = [f"q-{next(system.markers)}" for _ in times]
    requests = [
        webhooks.message(SCHEDULED + place % PEOPLE, marker, time)
        for place, (marker, time) in enumerate(zip(markers, times, strict=True))
    ]
    outcome = await load.opened(system.client, requests, times)
    await system.quiet()
    sent = system.vendors.sent
    return [
        (sent[marker] - outcome.began - at) * 1000 for marker, at in zip(markers, times, strict=True) if marker in sent
    ]


async def _create(system: System, kind: schedules_pb2.ScheduleKind.ValueType) -> list[str]:
    """A schedule of each person, all due at the same second. Returns just before it."""
    due = int(time.time() + LEAD_SECONDS)
    markers = [f"q-{next(system.markers)}" for _ in range(SCHEDULED)]
    async with grpc.aio.insecure_channel(system.kernel_address) as channel:
        stub = kernel_pb2_grpc.KernelServiceStub(channel)
        waiting = iter(enumerate(markers))
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(_create_each(stub, waiting, due, kind))
    await asyncio.sleep(max(0.0, due - 2 - time.time()))
    return markers


async def _create_each(
    stub: kernel_pb2_grpc.KernelServiceAsyncStub,
    waiting: Iterator[tuple[int, str]],
    due: int,
    kind: schedules_pb2.ScheduleKind.ValueType,
) -> None:
    for person, marker in waiting:
        request = schedules_pb2.CreateScheduleRequest(
            user_id=f"whatsapp:{webhooks.bsuid(person)}",
            request_id=marker,
            kind=kind,
            request=f"{marker} water the plants",
            at=Timestamp(seconds=due),
        )
        await stub.CreateSchedule(request, metadata=_METADATA)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="scheduled-") as name:
        folder = Path(name)
        with databases.sqlite(folder) as new_database:
            uvloop.run(measure(folder, new_database()))


if __name__ == "__main__":
    main()
