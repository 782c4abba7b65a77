"""The results of an accepted send: the phone that it reaches, its effect, and faults on request."""

import asyncio

import aiohttp
import pytest

from emulators.app import Emulators
from emulators.faults import matching
from emulators.whatsapp.app import WhatsApp
from emulators.whatsapp.graph import WINDOW
from tests.clock import Clock
from tests.emulators.whatsapp.fakes import Gateway, Graph


async def test_a_send_reaches_the_person_and_is_recorded_once(
    graph: Graph, emulators: Emulators, whatsapp: WhatsApp
) -> None:
    alice, bob = whatsapp.add_phone("Sam"), whatsapp.add_phone("Sam")
    await alice.send("hi")
    await bob.send("hi")
    status, answer = await graph.text("*hello*", recipient=alice.user_id, biz_opaque_callback_data="r/1/1")
    wamid = answer["messages"][0]["id"]
    assert status == 200
    assert wamid.startswith("wamid.")
    assert answer["contacts"] == [{"input": alice.user_id, "user_id": alice.user_id}]
    assert [message.text for message in alice.received] == ["*hello*"]
    assert bob.received == []
    (effect,) = emulators.effects.all("graph_send")
    assert (effect.person, effect.key) == (alice.user_id, "r/1/1")
    assert effect.detail | {"type": "text", "text": "*hello*", "wamid": wamid} == effect.detail


async def test_with_both_addresses_the_number_wins(graph: Graph, whatsapp: WhatsApp) -> None:
    alice, bob = whatsapp.add_phone("Alice"), whatsapp.add_phone("Bob")
    await bob.send("hi")
    status, answer = await graph.text("hello", to=f"+{bob.wa_id}", recipient=alice.user_id)
    assert (status, answer["contacts"][0]["wa_id"]) == (200, bob.wa_id)
    assert (len(alice.received), len(bob.received)) == (0, 1)


async def test_a_bsuid_in_to_is_accepted_and_silently_dropped(
    graph: Graph, gateway: Gateway, emulators: Emulators, whatsapp: WhatsApp
) -> None:
    alice = whatsapp.add_phone("Alice")
    await alice.send("hi")
    status, answer = await graph.text("lost", to=alice.user_id)
    assert (status, answer["messages"][0]["id"][:6]) == (200, "wamid.")
    # After the statuses of a later send have arrived, the first send has none.
    await graph.text("found", recipient=alice.user_id)
    await gateway.wait_until(lambda: len(gateway.statuses()) == 2)
    assert [message.text for message in alice.received] == ["found"]
    assert answer["messages"][0]["id"] not in {status["id"] for status in gateway.statuses()}
    sends = [effect.kind for effect in emulators.effects.all() if effect.kind.startswith("graph_")]
    assert sends == ["graph_send_dropped", "graph_send"]


@pytest.mark.parametrize("address", [{"to": "15550001111"}, {"recipient": "US.404"}])
async def test_a_stranger_is_reported_undeliverable(
    graph: Graph, gateway: Gateway, emulators: Emulators, address: dict[str, str]
) -> None:
    status, answer = await graph.text("hello", **address, biz_opaque_callback_data="r/1/1")
    assert status == 200
    await gateway.wait_until(lambda: len(gateway.statuses()) == 1)
    (report,) = gateway.statuses()
    assert (report["id"], report["status"]) == (answer["messages"][0]["id"], "failed")
    assert (report["errors"][0]["code"], report["biz_opaque_callback_data"]) == (131026, "r/1/1")
    assert emulators.effects.all("graph_send") == []


async def test_outside_the_window_only_templates_arrive(
    graph: Graph, gateway: Gateway, clock: Clock, whatsapp: WhatsApp
) -> None:
    alice = whatsapp.add_phone("Alice")
    await alice.send("hi")
    clock.now += WINDOW - 1
    await graph.text("in time", recipient=alice.user_id)
    clock.now += 1
    status, _ = await graph.text("too late", recipient=alice.user_id)
    assert status == 200
    template = {"type": "template", "template": {"name": "hello", "language": {"code": "en"}}}
    await graph.post({"messaging_product": "whatsapp", "recipient": alice.user_id} | template)
    await gateway.wait_until(lambda: len(gateway.statuses()) == 5)
    assert [message.text for message in alice.received] == ["in time", "Template: hello"]
    (failed,) = [status for status in gateway.statuses() if status["status"] == "failed"]
    assert failed["errors"][0]["code"] == 131047
    await alice.send("back again")
    await graph.text("welcome", recipient=alice.user_id)
    assert alice.received[-1].text == "welcome"


async def test_pacing_is_enforced_when_switched_on(graph: Graph, clock: Clock, whatsapp: WhatsApp) -> None:
    alice, bob = whatsapp.add_phone("Alice"), whatsapp.add_phone("Bob")
    whatsapp.graph.pacing = 6
    answers = [await graph.text("1", recipient=phone.user_id) for phone in (alice, alice, bob)]
    assert [(status, answer.get("error", {}).get("code")) for status, answer in answers] == [
        (200, None),
        (400, 131056),
        (200, None),
    ]
    clock.now += 6
    assert (await graph.text("2", recipient=alice.user_id))[0] == 200


async def test_throughput_is_enforced_when_switched_on(graph: Graph, clock: Clock, whatsapp: WhatsApp) -> None:
    phones = [whatsapp.add_phone(f"Person {number}") for number in range(4)]
    whatsapp.graph.throughput = 3
    answers = [await graph.text("1", recipient=phone.user_id) for phone in phones]
    assert [status for status, _ in answers] == [200, 200, 200, 429]
    assert answers[3][1]["error"]["code"] == 130429
    clock.now += 1
    assert (await graph.text("2", recipient=phones[3].user_id))[0] == 200


async def test_a_read_receipt_turns_ticks_blue_and_shows_typing(
    graph: Graph, clock: Clock, emulators: Emulators, whatsapp: WhatsApp
) -> None:
    alice = whatsapp.add_phone("Alice")
    earlier, message = await alice.send("hi"), await alice.send("are you there?")
    assert [earlier.ticks, message.ticks] == ["delivered", "delivered"]
    read = {"messaging_product": "whatsapp", "status": "read", "message_id": message.id}
    assert await graph.post(read) == (200, {"success": True})
    assert [earlier.ticks, message.ticks] == ["read", "read"]
    assert alice.as_json()["typing"] == 0
    await graph.post(read | {"typing_indicator": {"type": "text"}})
    assert alice.as_json()["typing"] == 25
    clock.now += 10
    assert alice.as_json()["typing"] == 15
    await graph.text("hello", recipient=alice.user_id)
    assert alice.as_json()["typing"] == 0
    assert [effect.detail["typing"] for effect in emulators.effects.all("graph_read")] == [False, True]


async def test_a_reaction_is_put_on_the_message(graph: Graph, whatsapp: WhatsApp) -> None:
    alice = whatsapp.add_phone("Alice")
    message = await alice.send("hi")
    reaction = {"type": "reaction", "reaction": {"message_id": message.id, "emoji": "👍"}}
    await graph.post({"messaging_product": "whatsapp", "recipient": alice.user_id} | reaction)
    assert message.reaction == "👍"
    assert alice.received == []


async def test_sends_fail_with_a_chosen_code(graph: Graph, emulators: Emulators, whatsapp: WhatsApp) -> None:
    alice, bob = whatsapp.add_phone("Alice"), whatsapp.add_phone("Bob")
    whatsapp.fail_next(130429, times=2, match=matching(person=alice.user_id))
    addresses = [alice.user_id, bob.user_id, alice.user_id, alice.user_id]
    answers = [await graph.text("x", recipient=address) for address in addresses]
    assert [status for status, _ in answers] == [429, 200, 429, 200]
    assert answers[0][1]["error"]["code"] == 130429


async def test_a_send_is_held_until_released(graph: Graph, whatsapp: WhatsApp) -> None:
    alice = whatsapp.add_phone("Alice")
    await alice.send("hi")
    hold = whatsapp.graph.before.hold()
    sending = asyncio.create_task(graph.text("held", recipient=alice.user_id))
    await hold.reached.wait()
    assert alice.received == []
    hold.release()
    assert (await sending)[0] == 200
    assert len(alice.received) == 1


async def test_a_send_is_accepted_and_never_answered(graph: Graph, gateway: Gateway, whatsapp: WhatsApp) -> None:
    alice = whatsapp.add_phone("Alice")
    await alice.send("hi")
    whatsapp.graph.after.fail(0)
    with pytest.raises(aiohttp.ClientError):
        await graph.text("arrives", recipient=alice.user_id, biz_opaque_callback_data="r/1/1")
    assert alice.received[-1].text == "arrives"
    await gateway.wait_until(lambda: len(gateway.statuses()) == 2)
    assert gateway.statuses()[0]["biz_opaque_callback_data"] == "r/1/1"
