"""Webhooks are signed, formatted and retried as Meta's are."""

import asyncio

from emulators.whatsapp.app import WhatsApp
from emulators.whatsapp.payloads import encode, signature
from emulators.whatsapp.webhooks import doubling
from tests.clock import Clock
from tests.emulators.whatsapp.fakes import Gateway
from tests.ports import free_port


async def test_a_message_comes_in_the_envelope_signed_over_its_bytes(
    gateway: Gateway, clock: Clock, whatsapp: WhatsApp
) -> None:
    alice = whatsapp.add_phone("Alice", bsuid="US.1", wa_id="15550100", username="alice.w")
    message = await alice.send("hi")
    (post,) = gateway.posts
    assert post.signed
    assert post.headers["Content-Type"] == "application/json"
    assert post.values == [
        {
            "messaging_product": "whatsapp",
            "metadata": {
                "display_phone_number": post.values[0]["metadata"]["display_phone_number"],
                "phone_number_id": "106540352242922",
            },
            "contacts": [{"profile": {"name": "Alice", "username": "alice.w"}, "wa_id": "15550100", "user_id": "US.1"}],
            "messages": [
                {
                    "from": "15550100",
                    "from_user_id": "US.1",
                    "id": message.id,
                    "timestamp": str(int(clock())),
                    "type": "text",
                    "text": {"body": "hi"},
                }
            ],
        }
    ]


async def test_metas_escapes_are_on_the_wire(gateway: Gateway, whatsapp: WhatsApp) -> None:
    await whatsapp.add_phone("Alice").send("a@b.c/d <é> 100% 🙂")
    raw = gateway.posts[0].raw
    assert rb"a\u0040b.c\/d \u003c\u00e9> 100\u0025 \ud83d\ude42" in raw
    assert gateway.messages()[0]["text"]["body"] == "a@b.c/d <é> 100% 🙂"
    assert gateway.posts[0].signed


def test_the_signature_is_that_of_a_known_body() -> None:
    assert signature("key", b"The quick brown fox jumps over the lazy dog") == (
        "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    )
    assert encode([]).startswith(b'{"object":"whatsapp_business_account","entry":[{"id":"')


async def test_a_hidden_number_appears_nowhere(gateway: Gateway, whatsapp: WhatsApp) -> None:
    await whatsapp.add_phone("Alice", wa_id="").send("hi")
    (value,) = gateway.posts[0].values
    assert "wa_id" not in value["contacts"][0]
    assert "from" not in value["messages"][0]


async def test_a_webhook_is_retried_until_accepted(gateway: Gateway, whatsapp: WhatsApp) -> None:
    gateway.answers = [503, 403, 200]
    waits: list[int] = []

    def backoff(attempt: int) -> float:
        waits.append(attempt)
        return 0

    whatsapp.webhooks.backoff = backoff
    message = await whatsapp.add_phone("Alice").send("hi")
    assert [post.raw for post in gateway.posts] == [gateway.posts[0].raw] * 3
    assert waits == [0, 1]
    assert message.ticks == "delivered"


async def test_an_unavailable_gateway_gets_the_webhook_later(
    gateway: Gateway, whatsapp: WhatsApp, webhook_url: str
) -> None:
    tried = asyncio.Event()

    def backoff(_: int) -> float:
        tried.set()
        return 0

    whatsapp.webhooks.url = "http://127.0.0.1:1/webhook"
    whatsapp.webhooks.backoff = backoff
    message = (phone := whatsapp.add_phone("Alice")).write("hi")
    await tried.wait()
    assert message.ticks == "sent"
    whatsapp.webhooks.url = webhook_url
    await gateway.wait_until(lambda: len(gateway.messages()) == 1)
    assert gateway.messages()[0]["from_user_id"] == phone.user_id


def test_the_wait_doubles_up_to_a_minute() -> None:
    assert [doubling(attempt) for attempt in (0, 1, 2, 7, 10_000)] == [0.5, 1, 2, 60, 60]


async def test_copies_are_sent_concurrently(gateway: Gateway, whatsapp: WhatsApp) -> None:
    whatsapp.webhooks.copies = 2
    await whatsapp.add_phone("Alice").send("hi")
    assert len({message["id"] for message in gateway.messages()}) == 1
    assert len(gateway.posts) == 2


async def test_the_order_can_be_reversed(gateway: Gateway, whatsapp: WhatsApp) -> None:
    alice = whatsapp.add_phone("Alice")
    async with whatsapp.webhooks.reversed_order():
        for text in ("first", "second", "third"):
            alice.write(text)
    assert [message["text"]["body"] for message in gateway.messages()] == ["third", "second", "first"]


async def test_several_people_come_in_one_post(gateway: Gateway, whatsapp: WhatsApp) -> None:
    alice, bob = whatsapp.add_phone("Sam"), whatsapp.add_phone("Sam")
    sent = await whatsapp.send_together([(alice, "a"), (bob, "b"), (bob, "c")])
    (value,) = gateway.posts[0].values
    assert [message["from_user_id"] for message in value["messages"]] == [
        alice.user_id,
        bob.user_id,
        bob.user_id,
    ]
    assert [contact["user_id"] for contact in value["contacts"]] == [bob.user_id, alice.user_id]
    assert len(gateway.posts) == 1
    assert [message.ticks for message in sent] == ["delivered"] * 3


async def test_the_gateway_proves_that_it_knows_the_token(whatsapp: WhatsApp, gateway: Gateway) -> None:
    assert await whatsapp.verify_webhook() is True
    assert (await whatsapp.webhooks.verify("another token", "1"))[0] == 403


async def test_several_gateways_take_turns(gateway: Gateway, whatsapp: WhatsApp) -> None:
    other = Gateway()
    async with other.serving() as (_, url):
        whatsapp.webhooks.url += f",{url}"
        alice = whatsapp.add_phone("Alice")
        for word in ("one", "two", "three", "four"):
            await alice.send(word)
    bodies = [[message["text"]["body"] for message in each.messages()] for each in (gateway, other)]
    assert bodies == [["one", "three"], ["two", "four"]]


async def test_the_next_attempt_skips_an_unavailable_gateway(gateway: Gateway, whatsapp: WhatsApp) -> None:
    whatsapp.webhooks.url = f"http://127.0.0.1:{free_port()}/webhook,{whatsapp.webhooks.url}"
    await whatsapp.add_phone("Alice").send("hi")
    assert [message["text"]["body"] for message in gateway.messages()] == ["hi"]


async def test_slower_webhooks_are_overtaken(gateway: Gateway, whatsapp: WhatsApp) -> None:
    delays = iter([0.05, 0.0])
    whatsapp.webhooks.delay = lambda: next(delays)
    alice = whatsapp.add_phone("Alice")
    await asyncio.gather(*(alice.carry(alice.compose("text", {"body": word}, word)) for word in ("one", "two")))
    assert [message["text"]["body"] for message in gateway.messages()] == ["two", "one"]
