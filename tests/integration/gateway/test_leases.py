"""A gateway sends only under a valid lease, also after a freeze, and releases the leases that it does not use."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from google.rpc import code_pb2
from kernel.v1 import messages_pb2, outbox_pb2

from tests.integration.gateway.payloads import webhook
from tests.integration.gateway.test_replies import LONG, key, sends
from whatsapp_gateway.outbound import deliveries
from whatsapp_gateway.outbound.reply_sender import MARGIN

if TYPE_CHECKING:
    from emulators.app import Emulators
    from emulators.whatsapp.phones import Phone
    from tests.integration.gateway.conftest import Gateway, Start
    from tests.integration.gateway.fake_kernel import FakeKernel


class Machine:
    """The gateway's monotonic clock, which a test moves as a freeze would."""

    def __init__(self) -> None:
        self.frozen = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.frozen


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
async def gateway(start_gateway: Start, machine: Machine, kernel: FakeKernel) -> Gateway:
    started: Gateway = await start_gateway(now=machine)
    await kernel.until(lambda: kernel.pulls)
    return started


@pytest.fixture
async def alice(gateway: Gateway, emulators: Emulators) -> Phone:
    """A person who has written."""
    phone = emulators.whatsapp.add_phone("Alice")
    await phone.send("hello")
    return phone


async def test_a_gateway_frozen_in_mid_reply_sends_no_further_part(
    alice: Phone, kernel: FakeKernel, emulators: Emulators, machine: Machine
) -> None:
    hold = emulators.whatsapp.graph.before.hold()
    kernel.lease(LONG, user_id=key(alice), seconds=60)
    await hold.reached.wait()
    machine.frozen += 60
    hold.release()
    await kernel.until(lambda: kernel.acks)
    await kernel.until(lambda: len(kernel.pulls) == 2)
    kernel.lease("fresh", user_id=key(alice), id="rp_2")
    await kernel.until(lambda: len(kernel.acks) == 2)
    assert [effect.key for effect in sends(emulators)] == ["rp_1/1/3", "rp_2/1/1"]


async def test_replies_queued_in_a_frozen_gateway_are_not_sent(
    alice: Phone, kernel: FakeKernel, emulators: Emulators, machine: Machine
) -> None:
    machine.frozen += 60
    kernel.lease("leased long ago", user_id=key(alice), seconds=60)
    await kernel.until(lambda: len(kernel.pulls) == 2)
    assert kernel.releases[-1].in_hand == []  # so the gateway that has it now need not wait for this one
    kernel.lease("fresh", user_id=key(alice), id="rp_2")
    assert (await alice.wait_for_message()).text == "fresh"
    assert len(sends(emulators)) == 1


async def test_under_a_lease_that_is_nearly_over_nothing_is_sent(
    alice: Phone, kernel: FakeKernel, emulators: Emulators
) -> None:
    for name, seconds in (("rp_late", MARGIN - 1), ("rp_2", 60)):
        late = outbox_pb2.ReplyDelivery(
            reply=messages_pb2.Reply(id=name, text=name),
            user_id=key(alice),
            address="106540352242922",
            lease_token="lease",
        )
        late.lease_for.FromMilliseconds(int(seconds * 1000))
        kernel.hand_out(late)
    assert (await alice.wait_for_message()).text == "rp_2"
    assert len(sends(emulators)) == 1


async def test_at_its_end_it_releases_leases_once_all_is_settled(
    alice: Phone, kernel: FakeKernel, emulators: Emulators, gateway: Gateway
) -> None:
    hold = emulators.whatsapp.graph.before.hold()
    kernel.lease(LONG, user_id=key(alice))
    await hold.reached.wait()
    stopping = asyncio.create_task(gateway.stop())
    hold.release()
    await stopping
    assert kernel.calls[-2:] == ["AckOutbox", "ReleaseLeases"]
    last = kernel.releases[-1]
    assert (last.instance_id, list(last.in_hand)) == (kernel.pulls[0].instance_id, [])


async def test_at_its_end_it_keeps_the_leases_of_unsettled_replies(
    alice: Phone, kernel: FakeKernel, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "DRAIN_SECONDS", 0.2)
    kernel.refusals["AckOutbox"] = lambda _: (code_pb2.UNAVAILABLE, "STORE_UNAVAILABLE")
    kernel.lease("sent", user_id=key(alice))
    await alice.wait_for_message()
    await gateway.stop()
    assert list(kernel.releases[-1].in_hand) == ["rp_1"]


async def test_before_it_pulls_again_it_releases_leases_lost_with_the_stream(
    alice: Phone, kernel: FakeKernel, emulators: Emulators
) -> None:
    hold = emulators.whatsapp.graph.before.hold()
    kernel.lease("in hand", user_id=key(alice))
    await hold.reached.wait()
    kernel.end_stream()
    await kernel.until(lambda: len(kernel.pulls) == 2)
    assert [call for call in kernel.calls if call in ("ReleaseLeases", "ServeChannel")][-2:] == [
        "ReleaseLeases",
        "ServeChannel",
    ]
    assert list(kernel.releases[-1].in_hand) == ["rp_1"]
    hold.release()


async def test_a_service_without_release_is_still_pulled_from(alice: Phone, kernel: FakeKernel) -> None:
    kernel.refusals["ReleaseLeases"] = lambda _: (code_pb2.UNIMPLEMENTED, "")
    kernel.end_stream()
    await kernel.until(lambda: len(kernel.pulls) == 2)
    kernel.lease("hello", user_id=key(alice))
    assert (await alice.wait_for_message()).text == "hello"


async def test_a_later_failure_slows_one_person_down_like_an_immediate_one(
    alice: Phone, gateway: Gateway, kernel: FakeKernel, emulators: Emulators
) -> None:
    emulators.whatsapp.fail_next(131056)
    kernel.lease("hi", user_id=key(alice))
    await kernel.until(lambda: kernel.acks)
    assert kernel.acks[0].retry_after == 4
    for wamid in ("wamid.1", "wamid.1", "wamid.2", "wamid.3"):
        failed = {"id": wamid, "status": "failed", "errors": [{"code": 131056}], "biz_opaque_callback_data": "rp_1/1/1"}
        assert await gateway.post(webhook(statuses=[failed])) == 200
    assert [receipt.retry_after for receipt in kernel.receipts] == [16, 16, 64, 64]


@pytest.mark.parametrize(
    ("code", "follows"),
    [
        (131000, ("retry", 0)),
        (131056, ("retry", 4)),
        (131042, ("retry", 300)),
        (131047, ("window_closed", 0)),
        (131026, ("failed", 0)),
        (999999, ("failed", 0)),
    ],
)
async def test_a_later_failure_is_reported_with_its_consequence(
    gateway: Gateway, kernel: FakeKernel, code: int, follows: tuple[str, int]
) -> None:
    status = {"id": "wamid.1", "status": "failed", "timestamp": "1", "errors": [{"code": code}]}
    assert await gateway.post(webhook(statuses=[status])) == 200
    (receipt,) = kernel.receipts
    assert receipt.error_code == str(code)
    assert (receipt.outcome, receipt.retry_after) == follows
    assert await gateway.count(f'graph_operator_errors_total{{code="{code}"}}') == (code == 131042)
