"""A template is refused as Meta refuses it, at once or by a status, and its quick reply comes back with its payload."""

from typing import Any

import pytest

from emulators.whatsapp.app import WhatsApp
from emulators.whatsapp.template_outcomes import HELD
from emulators.whatsapp.templates import Template
from tests.emulators.whatsapp.fakes import Gateway, Graph

PAYLOAD = {"type": "payload", "payload": "open"}


def body(*texts: str) -> dict[str, Any]:
    return {"type": "body", "parameters": [{"type": "text", "text": text} for text in texts]}


def button(index: str | int = "0") -> dict[str, Any]:
    return {"type": "button", "sub_type": "quick_reply", "index": index, "parameters": [PAYLOAD]}


def template(*components: dict[str, Any], name: str = "reminder", language: str = "en_US") -> dict[str, Any]:
    given = {"name": name, "language": {"code": language}, "components": list(components)}
    return {"messaging_product": "whatsapp", "recipient": "US.1", "type": "template", "template": given}


REFUSED = {
    "another name": (template(body("x"), name="absent"), 404, 132001),
    "another language": (template(body("x"), language="de"), 404, 132001),
    "no parameter": (template(), 400, 132000),
    "two parameters": (template(body("x", "y")), 400, 132000),
    "a line break": (template(body("x\ny")), 400, 132018),
    "a tab": (template(body("x\ty")), 400, 132018),
    "five spaces": (template(body("x     y")), 400, 132018),
    "an empty text": (template(body("")), 400, 131008),
    "a blank text": (template(body("  ")), 400, 131008),
    "a long text": (template(body("x" * 1024)), 400, 132005),
    "a second button": (template(body("x"), button("1")), 400, 132018),
    "a component of another kind": (template(body("x"), {"type": "carousel"}), 400, 131009),
}


@pytest.fixture
def whatsapp_with_alice(whatsapp: WhatsApp) -> WhatsApp:
    whatsapp.add_phone("Alice", bsuid="US.1")
    return whatsapp


@pytest.mark.parametrize(("given", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_wrong_template_is_refused(
    graph: Graph, whatsapp_with_alice: WhatsApp, given: dict[str, Any], status: int, code: int
) -> None:
    answered, answer = await graph.post(given)
    assert (answered, answer["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("status", "code"), [("PAUSED", 132015), ("DISABLED", 132016), ("PENDING", 132001), ("REJECTED", 132001)]
)
async def test_a_template_that_may_not_be_sent_is_refused(
    graph: Graph, whatsapp_with_alice: WhatsApp, status: str, code: int
) -> None:
    whatsapp_with_alice.graph.templates.add(Template("reminder", "en_US", "{{1}}", status=status))
    _, answer = await graph.post(template(body("x")))
    assert answer["error"]["code"] == code


async def test_the_person_reads_the_text_and_taps_the_button(
    graph: Graph, gateway: Gateway, whatsapp_with_alice: WhatsApp
) -> None:
    (alice,) = whatsapp_with_alice.phones
    _, answer = await graph.post(template(body("call Ada"), button(0)))
    assert answer["messages"][0]["message_status"] == "accepted"
    shown = alice.received[-1]
    assert (shown.text, [choice.title for choice in shown.choices]) == ("Your reminder: call Ada", ["Show"])
    await alice.tap(shown, "Show")
    (tapped,) = gateway.messages()
    assert (tapped["type"], tapped["button"]) == ("button", {"payload": "open", "text": "Show"})
    assert tapped["context"]["id"] == shown.id


@pytest.mark.parametrize("good", [True, False])
async def test_a_paced_template_waits_for_its_quality(
    graph: Graph, gateway: Gateway, whatsapp_with_alice: WhatsApp, good: bool
) -> None:
    (alice,) = whatsapp_with_alice.phones
    paced = whatsapp_with_alice.graph.templates.get("reminder", "en_US")
    paced.is_paced = True
    _, answer = await graph.post(template(body("call Ada")))
    assert (answer["messages"][0]["message_status"], alice.received) == (HELD, [])
    whatsapp_with_alice.graph.outcomes.assess(paced, good=good)
    await gateway.wait_until(lambda: bool(gateway.statuses()))
    assert (len(alice.received), paced.status) == ((1, "APPROVED") if good else (0, "PAUSED"))
    assert gateway.statuses()[0]["status"] == ("sent" if good else "failed")


async def test_an_accepted_template_fails_by_a_status(
    graph: Graph, gateway: Gateway, whatsapp_with_alice: WhatsApp
) -> None:
    whatsapp_with_alice.graph.outcomes.fail(131049, person="US.1")
    status, _ = await graph.post(template(body("call Ada")))
    await gateway.wait_until(lambda: bool(gateway.statuses()))
    (failed,) = gateway.statuses()
    assert (status, failed["status"], failed["errors"][0]["code"]) == (200, "failed", 131049)


async def test_a_test_in_another_process_changes_templates_and_their_outcome(
    graph: Graph, gateway: Gateway, whatsapp_with_alice: WhatsApp
) -> None:
    async def control(switch: str, **given: Any) -> None:
        async with graph.session.post(f"{graph.base}/control/whatsapp/{switch}", json=given) as answer:
            assert answer.status == 200

    await control("template", name="news", language="de", body="{{1}} und {{2}}", status="PAUSED")
    news = template(body("A", "B"), name="news", language="de")
    _, answer = await graph.post(news)
    assert answer["error"]["code"] == 132015
    await control("template", name="news", language="de", body="{{1}} und {{2}}")
    await control("fail_template", code=131042)
    for _ in range(2):
        await graph.post(news)
    await gateway.wait_until(lambda: len(gateway.statuses()) == 3)
    failed = [status["errors"][0]["code"] for status in gateway.statuses() if status["status"] == "failed"]
    assert failed == [131042]
    (alice,) = whatsapp_with_alice.phones
    assert [message.text for message in alice.received] == ["A und B"]
