"""Leases of replies that wait or that the consumer has are renewed, within a limit."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from google.protobuf.duration_pb2 import Duration
from kernel.v1 import media_pb2, messages_pb2, outbox_pb2

from kernel_client import outbox as outbox_module
from kernel_client.address import KernelAddress
from kernel_client.connection import KernelConnection
from kernel_client.delivery import Delivery
from kernel_client.errors import KernelError
from kernel_client.outbox import HELD_SECONDS, Outbox
from kernel_client.outbox_stream import OutboxStream
from kernel_client.stall_detector import STOPPED_SECONDS, StallDetector
from tests.clock import Clock

LEASE = Duration(seconds=60)


class FakeKernel(KernelConnection):
    """Extends every lease."""

    def __init__(self) -> None:
        super().__init__(KernelAddress("unix:/nowhere"), "token")
        self.extended: list[list[str]] = []

    async def rpc(self, name: str, request: Any, timeout: float) -> Any:
        if name != "ExtendLeases":
            raise KernelError("UNREACHABLE")
        self.extended.append([lease.reply_id for lease in request.leases])
        results = [outbox_pb2.LEASE_STATE_HELD] * len(request.leases)
        return outbox_pb2.ExtendLeasesResponse(results=results, lease_for=LEASE)


class Scene:
    def __init__(self) -> None:
        self.clock = Clock(1000.0)
        self.kernel = FakeKernel()
        self.outbox = Outbox(self.kernel, outbox_pb2.PullOutboxRequest(instance_id="test"), self.clock)
        self.stream = OutboxStream(StallDetector(self.clock), self.clock)
        self.items = self.outbox.items()

    def lease(self, reply_id: str, lease_token: str = "lease-1") -> None:  # noqa: S107 - no secret
        leased = outbox_pb2.ReplyDelivery(
            reply=messages_pb2.Reply(id=reply_id), user_id="telegram:1", lease_token=lease_token, lease_for=LEASE
        )
        self.outbox.take(outbox_pb2.PullOutboxResponse(reply=leased), self.stream)

    def take(self, **item: Any) -> None:
        self.outbox.take(outbox_pb2.PullOutboxResponse(**item), self.stream)

    async def next(self) -> Delivery:
        return cast("Delivery", await anext(self.items))

    async def pass_time(self, seconds: float) -> None:
        """In steps of a running process."""
        for _ in range(round(seconds / STOPPED_SECONDS)):
            self.clock.now += STOPPED_SECONDS
            self.stream.is_live()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    yield made
    await made.kernel.close()


async def test_waiting_and_held_replies_keep_their_leases(scene: Scene) -> None:
    scene.lease("rp_1")
    scene.lease("rp_2")
    held = await scene.next()
    await scene.pass_time(50)
    await scene.outbox._renew_once()
    assert scene.kernel.extended == [["rp_1", "rp_2"]]
    await scene.pass_time(50)
    assert held.lease_ends > scene.clock.now
    assert (await scene.next()).id == "rp_2"


async def test_a_reply_whose_lease_ended_while_it_waited_is_left_out(scene: Scene) -> None:
    scene.lease("rp_1")
    await scene.pass_time(70)
    scene.lease("rp_2")
    assert (await scene.next()).id == "rp_2"


async def test_a_reply_that_is_held_for_too_long_is_not_renewed(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.lease("rp_1")
    await scene.next()
    await scene.pass_time(HELD_SECONDS + STOPPED_SECONDS)
    await scene.outbox._renew_once()
    assert scene.kernel.extended == []
    assert scene.outbox.in_hand() == set()
    assert "rp_1 was not acknowledged" in caplog.text


async def test_after_a_suspension_what_waited_is_left_out(scene: Scene) -> None:
    scene.lease("rp_1")
    scene.clock.now += STOPPED_SECONDS + 1
    scene.stream.is_live()
    scene.stream = OutboxStream(scene.stream._stall_detector, scene.clock)
    scene.lease("rp_1", "lease-2")
    assert (await scene.next()).lease_token == "lease-2"


async def test_a_consumer_that_is_busy_at_the_end_gets_no_further_item(scene: Scene) -> None:
    scene.outbox.start()
    scene.lease("rp_1")
    await scene.next()
    scene.lease("rp_2")
    await scene.outbox.stop()
    async with asyncio.timeout(5):
        assert await anext(scene.items, None) is None


def test_a_lease_is_renewed_in_time() -> None:
    assert LEASE.seconds > outbox_module.RENEW_SECONDS * 2


async def test_an_acknowledgement_that_the_end_cuts_off_does_not_count(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "FINISH_SECONDS", 0)
    scene.outbox.start()
    scene.lease("rp_1")
    reply = await scene.next()
    acknowledging = asyncio.create_task(reply.delivered())
    await asyncio.sleep(0)
    await scene.outbox.stop()
    async with asyncio.timeout(5):
        assert await acknowledging is False
        assert await reply.delivered() is False


async def test_of_a_persons_typing_the_latest_waits(scene: Scene) -> None:
    for message_id in ("1", "2"):
        for person in ("telegram:1", "telegram:2"):
            scene.take(typing=outbox_pb2.Typing(user_id=person, message_id=message_id))
    scene.lease("rp_1")
    shown: list[Any] = [await anext(scene.items) for _ in range(3)]
    assert [(each.user_id, each.message_id) for each in shown[:2]] == [("telegram:1", "2"), ("telegram:2", "2")]
    assert shown[2].id == "rp_1"
    scene.take(typing=outbox_pb2.Typing(user_id="telegram:1", message_id="3"))
    assert await anext(scene.items) == outbox_pb2.Typing(user_id="telegram:1", message_id="3")


async def test_a_file_that_is_asked_for_again_waits_once_under_the_newer_lease(scene: Scene) -> None:
    for token in ("lease-1", "lease-2"):
        scene.take(media_wanted=media_pb2.MediaWanted(media_id="m_1", lease_token=token))
    scene.lease("rp_1")
    wanted: Any = await anext(scene.items)
    assert wanted._wanted.lease_token == "lease-2"
    assert (await scene.next()).id == "rp_1"
