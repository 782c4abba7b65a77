"""Statuses follow each send, in order, and name their message, person and callback data."""

from emulators.app import Emulators
from emulators.whatsapp.app import WhatsApp
from tests.emulators.whatsapp.fakes import Gateway, Graph


async def test_sent_delivered_and_read_follow(graph: Graph, gateway: Gateway, whatsapp: WhatsApp) -> None:
    alice = whatsapp.add_phone("Alice", bsuid="US.1", wa_id="15550100")
    await alice.send("hi")
    _, answer = await graph.text("hello", recipient="US.1", biz_opaque_callback_data="r/1/1")
    await gateway.wait_until(lambda: len(gateway.statuses()) == 2)
    alice.read()
    alice.read()
    await gateway.wait_until(lambda: len(gateway.statuses()) == 3)
    assert [status["status"] for status in gateway.statuses()] == ["sent", "delivered", "read"]
    for status in gateway.statuses():
        assert status["id"] == answer["messages"][0]["id"]
        assert (status["recipient_id"], status["recipient_user_id"]) == ("15550100", "US.1")
        assert status["biz_opaque_callback_data"] == "r/1/1"
    assert all(post.signed for post in gateway.posts)
    assert gateway.posts[-1].values[0]["contacts"] == [{"wa_id": "15550100", "user_id": "US.1"}]


async def test_a_failed_status_has_no_contacts(graph: Graph, gateway: Gateway, whatsapp: WhatsApp) -> None:
    phone = whatsapp.add_phone("Alice", wa_id="")
    await graph.text("you never wrote to me", recipient=phone.user_id)
    await gateway.wait_until(lambda: len(gateway.statuses()) == 1)
    (value,) = gateway.posts[0].values
    assert "contacts" not in value
    assert "recipient_id" not in value["statuses"][0]
    assert "biz_opaque_callback_data" not in value["statuses"][0]


async def test_withheld_statuses_come_when_released(graph: Graph, gateway: Gateway, whatsapp: WhatsApp) -> None:
    alice = whatsapp.add_phone("Alice")
    whatsapp.statuses.withhold()
    await alice.send("hi")
    await graph.text("1", recipient=alice.user_id)
    await graph.text("2", recipient=alice.user_id)
    await alice.send("anything?")
    assert gateway.statuses() == []
    whatsapp.statuses.release()
    await gateway.wait_until(lambda: len(gateway.statuses()) == 4)
    for message in alice.received:
        order = [status["status"] for status in gateway.statuses() if status["id"] == message.id]
        assert order == ["sent", "delivered"]


async def test_the_log_has_the_accepted_and_the_withheld_statuses(
    graph: Graph, gateway: Gateway, whatsapp: WhatsApp, emulators: Emulators
) -> None:
    alice, bob = whatsapp.add_phone("Alice"), whatsapp.add_phone("Bob")
    whatsapp.statuses.withhold(alice.user_id)
    for phone in (alice, bob):
        await phone.send("hi")
        await graph.text("hello", recipient=phone.user_id, biz_opaque_callback_data=f"{phone.label}/1/1")
    log = emulators.effects
    await log.wait_for(lambda effect: effect.kind == "status_taken" and effect.detail["status"] == "delivered")
    assert [(effect.key, effect.detail["status"]) for effect in log.all("status_withheld")] == [
        ("Alice/1/1", "sent"),
        ("Alice/1/1", "delivered"),
    ]
    assert {effect.key for effect in log.all("status_taken")} == {"Bob/1/1"}
    assert {status["biz_opaque_callback_data"] for status in gateway.statuses()} == {"Bob/1/1"}


async def test_a_status_waits_until_the_previous_one_is_accepted(
    graph: Graph, gateway: Gateway, whatsapp: WhatsApp
) -> None:
    alice = whatsapp.add_phone("Alice")
    await alice.send("hi")
    gateway.answers = [503, 503]
    await graph.text("hello", recipient=alice.user_id)
    await gateway.wait_until(lambda: len(gateway.statuses()) == 4)
    assert [status["status"] for status in gateway.statuses()] == ["sent", "sent", "sent", "delivered"]
