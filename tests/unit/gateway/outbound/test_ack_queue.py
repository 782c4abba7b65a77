"""Acknowledgements are gathered, and none is lost or held for long."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tenacity import Future, RetryCallState

from whatsapp_gateway import gathering
from whatsapp_gateway.kernel.errors import KernelCallError
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.outbox import Ack, AckResult, Delivery, DeliveryOutcome, Reply
from whatsapp_gateway.outbound.ack_queue import MOST_GATHERED, AckQueue, pause
from whatsapp_gateway.outbound.outbox_pullers import MOST_IN_FLIGHT


class FakeKernel:
    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    async def ack(self, acks: Sequence[Ack], timeout: float) -> list[AckResult]:
        self.calls.append([ack.part for ack in acks])
        return [AckResult.RECORDED] * len(acks)


class Scene:
    """A queue that has just sent an acknowledgement, and holds what comes next."""

    def __init__(self) -> None:
        self.kernel = FakeKernel()
        self.acks = AckQueue(cast("Any", self.kernel), Metrics(), time.monotonic)

    def put(self, part: int, outcome: DeliveryOutcome = DeliveryOutcome.SENT, *, has_next: bool = False) -> None:
        lease_ends = time.monotonic() + 60
        delivery = Delivery(Reply("rp_1"), "whatsapp:US.1", "1", "lease", lease_ends, has_next=has_next)
        self.acks.put(Ack(delivery, part, 100, "3", outcome))

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
    assert scene.acks.unsettled() == {"rp_1"}
    await scene.acks.flush()
    assert scene.kernel.calls == [[1, 2]]
    assert scene.acks.unsettled() == set()


async def test_a_failure_is_acknowledged_at_once_with_what_is_held(scene: Scene) -> None:
    scene.put(1)
    scene.put(2, DeliveryOutcome.RETRY)
    await scene.steps()
    assert scene.kernel.calls == [[1, 2]]


async def test_the_next_reply_does_not_wait(scene: Scene) -> None:
    scene.put(99, has_next=True)
    await scene.steps()
    assert scene.kernel.calls == []  # the reply waits for the last part
    scene.put(100, has_next=True)
    await scene.steps()
    assert scene.kernel.calls == [[99, 100]]


async def test_held_acknowledgements_keep_few_leases(scene: Scene) -> None:
    for part in range(MOST_GATHERED):
        scene.put(part)
    await scene.steps()
    assert scene.kernel.calls == [list(range(MOST_GATHERED))]
    assert 4 * MOST_GATHERED <= MOST_IN_FLIGHT


@pytest.mark.parametrize(("error", "least"), [(KernelCallError("CHANNEL_BUSY", 30), 30), (KernelCallError("X"), 0)])
def test_an_acknowledgement_waits_as_long_as_the_service_requests(error: Exception, least: float) -> None:
    unused: Any = SimpleNamespace()
    state = RetryCallState(unused, fn=None, args=(), kwargs={})
    state.outcome = Future.construct(1, error, has_exception=True)
    assert least <= pause(state) <= max(least, 5)
