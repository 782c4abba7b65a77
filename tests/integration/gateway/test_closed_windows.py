"""A person with a closed window is asked once to write, if there is a template for it."""

from functools import partial

import pytest
from google.rpc import code_pb2

from emulators.app import Emulators
from emulators.whatsapp.phones import Phone
from emulators.whatsapp.templates import Template
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


async def test_the_reminder_comes_in_its_template_and_the_tap_opens_the_window(
    start_gateway: Start, kernel: FakeKernel, alice: Phone
) -> None:
    await start_gateway(whatsapp_template="come_back:en_US", whatsapp_reminder_template="reminder:en_US")
    kernel.reminders["rp_1"] = "Call **Ada**\nat 9"
    kernel.lease("Call **Ada**\nat 9", user_id=f"whatsapp:{alice.user_id}")
    asked = await alice.wait_for_message()
    assert (asked.kind, asked.text) == ("template", "Your reminder: Call *Ada* at 9")
    await alice.tap(asked, "Show")
    (tapped,) = kernel.messages
    assert tapped.payload.WhichOneof("content") == "opened"
    assert tapped.user_id == f"whatsapp:{alice.user_id}"


async def test_another_quick_reply_keeps_its_words(start_gateway: Start, kernel: FakeKernel, alice: Phone) -> None:
    await start_gateway()
    await alice.send_as("button", {"payload": "Yes, please", "text": "Yes, please"})
    (tapped,) = kernel.messages
    assert tapped.payload.choice.title == "Yes, please"


@pytest.mark.parametrize("status", ["PAUSED", "REJECTED"])
async def test_a_template_that_whatsapp_refuses_is_not_tried_for_each_person(
    start_gateway: Start, kernel: FakeKernel, emulators: Emulators, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    gateway: Gateway = await start_gateway(whatsapp_template="come_back:en_US")
    await emulators.whatsapp.change_template("come_back", "en_US", status)
    people = [emulators.whatsapp.add_phone(f"Person {number}") for number in range(5)]
    for number, person in enumerate(people):
        kernel.lease("your reminder", user_id=f"whatsapp:{person.user_id}", id=f"rp_{number}")
    while await gateway.count('templates_total{outcome="postponed"}') < len(people):
        pass
    alerts = [record.message for record in caplog.records if "refuses template come_back" in record.message]
    assert len(alerts) == 1
    await emulators.whatsapp.change_template("come_back", "en_US", "APPROVED")
    for person in people:
        assert (await person.wait_for_message()).text == "Template: come_back"


@pytest.mark.parametrize(
    ("body", "buttons", "code"),
    [
        ("{{1}} and {{2}}", ["Show"], 132000),
        ("{{1}}", [], 132018),
        ("x" * 1024 + "{{1}}", ["Show"], 132005),
    ],
)
async def test_a_reminder_template_of_another_form_is_an_alert_and_the_plain_one_asks(
    start_gateway: Start,
    kernel: FakeKernel,
    emulators: Emulators,
    alice: Phone,
    *,
    body: str,
    buttons: list[str],
    code: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    emulators.whatsapp.graph.templates.add(Template("reminder", "en_US", body, buttons))
    await start_gateway(whatsapp_template="come_back:en_US", whatsapp_reminder_template="reminder:en_US")
    kernel.reminders["rp_1"] = "call Ada"
    kernel.lease("call Ada", user_id=f"whatsapp:{alice.user_id}")
    assert (await alice.wait_for_message()).text == "Template: come_back"
    (alert,) = [record.message for record in caplog.records if "template reminder" in record.message]
    assert f"error {code}" in alert


@pytest.mark.parametrize("code", [131049, 131026])
async def test_a_template_that_a_status_refuses_for_the_person_is_not_repeated(
    start_gateway: Start, kernel: FakeKernel, emulators: Emulators, alice: Phone, code: int
) -> None:
    gateway: Gateway = await start_gateway(whatsapp_template="come_back:en_US")
    emulators.whatsapp.graph.outcomes.fail(code)
    kernel.lease("your reminder", user_id=f"whatsapp:{alice.user_id}")
    while not await gateway.count('alerts_total{reason="template"}'):
        pass
    kernel.lease("another", user_id=f"whatsapp:{alice.user_id}", id="rp_2")
    await kernel.until(lambda: "rp_2" in {receipt.part.reply_id for receipt in kernel.receipts})
    await gateway.stop()
    assert alice.received == []


async def test_templates_that_are_dropped_for_their_quality_are_sent_once_it_is_good(
    start_gateway: Start, kernel: FakeKernel, emulators: Emulators, alice: Phone
) -> None:
    gateway: Gateway = await start_gateway(whatsapp_template="come_back:en_US")
    graph = emulators.whatsapp.graph
    template = graph.templates.get("come_back", "en_US")
    template.is_paced = True
    kernel.lease("your reminder", user_id=f"whatsapp:{alice.user_id}")
    while not await gateway.count('templates_total{outcome="sent"}'):
        pass
    assert alice.received == []
    graph.outcomes.assess(template, good=False)
    while not await gateway.count('templates_total{outcome="postponed"}'):
        pass
    await emulators.whatsapp.change_template("come_back", "en_US", "APPROVED")
    assert (await alice.wait_for_message()).text == "Template: come_back"


async def test_without_a_template_nothing_is_sent(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators, alice: Phone
) -> None:
    kernel.lease("your reminder", user_id=f"whatsapp:{alice.user_id}")
    await kernel.until(lambda: kernel.receipts)
    await gateway.stop()
    assert alice.received == []
