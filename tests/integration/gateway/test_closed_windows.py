"""A person with a closed window is asked once to write, if there is a template for it."""

from functools import partial

import pytest
from google.rpc import code_pb2

from emulators.app import Emulators
from emulators.whatsapp.phones import Phone
from tests.integration.gateway.conftest import Gateway, Start
from tests.integration.gateway.fake_kernel import FakeKernel


@pytest.fixture
def alice(emulators: Emulators) -> Phone:
    """A person who has never written to this number."""
    return emulators.whatsapp.add_phone("Alice")


async def test_the_template_asks_the_person_to_write(
    start_gateway: Start, kernel: FakeKernel, emulators: Emulators, alice: Phone
) -> None:
    gateway: Gateway = await start_gateway(whatsapp_template="come_back:en_US")
    for number in range(3):
        kernel.lease("your reminder", user_id=f"whatsapp:{alice.user_id}", id=f"rp_{number}")
    asked = await alice.wait_for_message()
    assert (asked.kind, asked.text) == ("template", "Template: come_back")
    await kernel.until(lambda: len(kernel.receipts) == 5)
    assert await gateway.count('templates_total{outcome="sent"}') == 1
    assert [message.kind for message in alice.received] == ["template"]
    failed = [str(receipt.part) for receipt in kernel.receipts if receipt.error_code == "131047"]
    assert sorted(failed) == ["rp_0/1/1", "rp_1/1/1", "rp_2/1/1"]


def claims(kernel: FakeKernel, count: int) -> bool:
    return kernel.calls.count("ClaimInvitation") == count


async def test_of_two_gateways_one_asks_the_person(
    start_gateway: Start, kernel: FakeKernel, emulators: Emulators, alice: Phone
) -> None:
    for number in range(2):
        gateway: Gateway = await start_gateway(whatsapp_template="come_back:en_US")
        kernel.lease("your reminder", user_id=f"whatsapp:{alice.user_id}", id=f"rp_{number}")
        await kernel.until(partial(claims, kernel, number + 1))
        if number == 0:
            await gateway.stop()
    await kernel.until(lambda: len({receipt.part for receipt in kernel.receipts}) >= 2)
    while not await gateway.count('templates_total{outcome="not_needed"}'):
        pass  # the answer to its claim is on its way
    assert [message.kind for message in alice.received] == ["template"]


async def test_an_older_service_leaves_it_to_the_gateway(
    start_gateway: Start, kernel: FakeKernel, emulators: Emulators, alice: Phone
) -> None:
    kernel.refusals["ClaimInvitation"] = lambda _: (code_pb2.UNIMPLEMENTED, "")
    await start_gateway(whatsapp_template="come_back:en_US")
    kernel.lease("your reminder", user_id=f"whatsapp:{alice.user_id}")
    assert (await alice.wait_for_message()).text == "Template: come_back"


async def test_a_window_refused_at_once_counts_the_same(
    start_gateway: Start, kernel: FakeKernel, emulators: Emulators, alice: Phone
) -> None:
    await start_gateway(whatsapp_template="come_back:en_US")
    emulators.whatsapp.fail_next(131047)
    kernel.lease("your reminder", user_id=f"whatsapp:{alice.user_id}")
    assert (await alice.wait_for_message()).text == "Template: come_back"


async def test_a_template_that_fails_is_tried_with_the_next_reply(
    start_gateway: Start, kernel: FakeKernel, emulators: Emulators, alice: Phone
) -> None:
    gateway: Gateway = await start_gateway(whatsapp_template="come_back:en_US")
    emulators.whatsapp.fail_next(132001, match=lambda call: call.body["type"] == "template")
    kernel.lease("your reminder", user_id=f"whatsapp:{alice.user_id}")
    await kernel.until(lambda: kernel.receipts)
    kernel.lease("another", user_id=f"whatsapp:{alice.user_id}", id="rp_2")
    assert (await alice.wait_for_message()).text == "Template: come_back"
    assert await gateway.count('templates_total{outcome="failed"}') == 1


async def test_without_a_template_nothing_is_sent(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators, alice: Phone
) -> None:
    kernel.lease("your reminder", user_id=f"whatsapp:{alice.user_id}")
    await kernel.until(lambda: kernel.receipts)
    await gateway.stop()
    assert alice.received == []
