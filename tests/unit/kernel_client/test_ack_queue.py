"""Acknowledgements are gathered, and none is lost or held for long."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kernel.v1 import outbox_pb2
from tenacity import Future, RetryCallState

from kernel_client import gathering
from kernel_client.ack_queue import LONGEST_PAUSE, MOST_GATHERED, AckQueue, pause
from kernel_client.acks import Ack
from kernel_client.errors import KernelError
from kernel_client.observer import Observer
from whatsapp_gateway.kernel.attach import MOST_IN_FLIGHT


class FakeKernel:
    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.result = int(outbox_pb2.ACK_RESULT_RECORDED)

    async def acknowledge(self, acks: Sequence[Ack], timeout: float) -> list[int]:
        self.calls.append([ack.message.part.part.part for ack in acks])
        return [self.result] * len(acks)


class Scene:
    """A queue that has just sent an acknowledgement, and holds what comes next."""

    def __init__(self) -> None:
        self.kernel = FakeKernel()
        self.acks = AckQueue(cast("Any", self.kernel), Observer(), time.monotonic, gathering.GATHER_SECONDS)

    def put(self, part: int, *, is_urgent: bool = False, seconds: float = 60) -> None:
        settled = outbox_pb2.PartAcknowledgement(
            part=outbox_pb2.ReplyPart(reply_id="rp_1", part=part, parts=100), sent=outbox_pb2.DeliverySent()
        )
        message = outbox_pb2.Acknowledgement(lease_token="lease", part=settled)
        self.acks.put(Ack(message, "rp_1", time.monotonic() + seconds, may_be_sent=True, is_urgent=is_urgent))

    async def steps(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(gathering, "URGENT_SECONDS", 0)
    scene = Scene()
    running = asyncio.create_task(scene.acks.run())
    scene.put(0)
    await scene.steps()
    assert scene.kernel.calls == [[0]]  # after a quiet period it goes at once
    scene.kernel.calls.clear()
    yield scene
    running.cancel()


async def test_acknowledgements_of_successes_are_held_and_flushed_at_the_end(scene: Scene) -> None:
    scene.put(1)
    await scene.steps()
    scene.put(2)
    await scene.steps()
    assert scene.kernel.calls == []
    assert set(scene.acks.unsettled) == {"rp_1"}
    await scene.acks.flush()
    assert scene.kernel.calls == [[1, 2]]
    assert set(scene.acks.unsettled) == set()


@pytest.mark.parametrize(
    ("result", "level"), [(outbox_pb2.ACK_RESULT_UNKNOWN, "WARNING"), (outbox_pb2.ACK_RESULT_INVALID, "ERROR")]
)
async def test_a_reply_of_a_person_who_was_deleted_is_no_fault(
    scene: Scene, caplog: pytest.LogCaptureFixture, result: int, level: str
) -> None:
    scene.kernel.result = result
    scene.put(1)
    await scene.acks.flush()
    assert [record.levelname for record in caplog.records] == [level]


async def test_an_urgent_one_goes_at_once_with_what_is_held(scene: Scene) -> None:
    scene.put(1)
    scene.put(2, is_urgent=True)
    await scene.steps()
    assert scene.kernel.calls == [[1, 2]]


async def test_held_acknowledgements_keep_few_leases(scene: Scene) -> None:
    for part in range(MOST_GATHERED):
        scene.put(part)
    await scene.steps()
    assert scene.kernel.calls == [list(range(MOST_GATHERED))]
    assert 4 * MOST_GATHERED <= MOST_IN_FLIGHT


async def test_after_a_fault_the_reply_may_be_leased_again_once_its_lease_has_ended(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> list[int]:
        raise RuntimeError

    monkeypatch.setattr(scene.kernel, "acknowledge", fails)
    scene.put(1, is_urgent=True, seconds=0.1)
    async with asyncio.timeout(5):
        await scene.acks.flush()
        assert scene.acks.unsettled
        while scene.acks.unsettled:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("error", "least"), [(KernelError("CHANNEL_BUSY", 20), 20), (KernelError("X"), 0), (KernelError("X", -5), 0)]
)
def test_an_acknowledgement_waits_as_long_as_the_service_requests(error: Exception, least: float) -> None:
    assert least <= pause(failed(error)) <= max(least, 5)


def test_a_wait_of_a_day_does_not_keep_the_acknowledgements_of_all_people() -> None:
    assert pause(failed(KernelError("CHANNEL_BUSY", 86_400))) == LONGEST_PAUSE


def failed(error: Exception) -> RetryCallState:
    unused: Any = SimpleNamespace()
    state = RetryCallState(unused, fn=None, args=(), kwargs={})
    state.outcome = Future.construct(1, error, has_exception=True)
    return state
