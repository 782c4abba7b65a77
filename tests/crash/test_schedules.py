"""The kernel service dies at each step of a due schedule. Each run reaches the person, and only once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from kernel.v1 import kernel_pb2_grpc, schedules_pb2

from tests.crash.points import Doom
from tests.crash.system import TOKEN

if TYPE_CHECKING:
    from tests.crash.system import Person, System

pytestmark = pytest.mark.crash

_KILLED: Final = -9
_LEAD_SECONDS: Final = 1.0
_POINTS: Final = ("run not committed", "run taken", "end not committed")


async def test_a_reminder_comes_once(system: System, subtests: pytest.Subtests) -> None:
    person = await system.person()
    await system.answered(await system.writes(person))
    for point in _POINTS:
        with subtests.test(point):
            await _dies_at(system, person, point)


async def _dies_at(system: System, person: Person, point: str) -> None:
    words = f"{point} of the plants"
    await system.kernel.kill()
    await system.restart(system.kernel, doom=Doom(point))
    await _create(system, person, words)
    assert await system.kernel.ended() == _KILLED
    await system.restart(system.kernel)
    await system.until(lambda: _told(system, words) > 0)
    await system.settled(person)
    assert _told(system, words) == 1


async def _create(system: System, person: Person, words: str) -> None:
    """A reminder that is due in a second."""
    request = schedules_pb2.CreateScheduleRequest(
        user_id=f"whatsapp:{person.phone}",
        request_id=words,
        kind=schedules_pb2.SCHEDULE_KIND_REMIND,
        request=words,
        at=Timestamp(seconds=int(time.time() + _LEAD_SECONDS) + 1),
    )
    async with grpc.aio.insecure_channel(system.kernel.settings["KERNEL_LISTEN"]) as channel:
        stub = kernel_pb2_grpc.KernelServiceStub(channel)
        await stub.CreateSchedule(request, metadata=(("authorization", f"Bearer {TOKEN}"),), timeout=10)


def _told(system: System, words: str) -> int:
    """How many texts with these words reached the person."""
    return sum(effect.kind == "graph_send" and words in str(effect.detail.get("text")) for effect in system.log)
