"""WhatsApp's webhooks are accepted once and in order, or refused so that they are delivered again."""

import asyncio
import hashlib
import hmac
import json

import pytest
from google.rpc import code_pb2
from kernel.v1 import identity_pb2, messages_pb2

from emulators.app import Emulators
from tests.integration.gateway.conftest import Gateway, Start
from tests.integration.gateway.fake_kernel import FakeKernel, Running
from tests.integration.gateway.payloads import NUMBER, SECRET, encode, sign, text, webhook

ALICE, BOB = "US.1001", "US.1002"


async def test_the_challenge_is_answered_to_the_right_token_only(gateway: Gateway, emulators: Emulators) -> None:
    assert await emulators.whatsapp.verify_webhook()
    wrong = {"hub.mode": "subscribe", "hub.challenge": "7", "hub.verify_token": "é"}
    assert (await gateway.get("/webhook", **wrong))[0] == 403
    assert (await gateway.get("/webhook"))[0] == 403


async def test_a_text_is_accepted_with_all_that_identifies_its_sender(gateway: Gateway, kernel: FakeKernel) -> None:
    contact = {
        "profile": {"name": "Ann"},
        "wa_id": "15550001",
        "user_id": ALICE,
        "parent_user_id": "US.ENT.9",
    }
    message = text(ALICE, "héllo", "wamid.1", **{"from": "15550001", "context": {"id": "wamid.0"}})

    assert await gateway.post(webhook(message, contacts=[contact])) == 200

    (request,) = kernel.messages
    assert request.user_id == f"whatsapp:{ALICE}"
    assert request.payload.text == "héllo"
    assert request.payload.quoted_message_id == "wamid.0"
    assert request.payload.sent_at.seconds == 1749416383
    assert (request.message_id, request.address) == ("wamid.1", NUMBER)
    assert request.reply_mode == messages_pb2.REPLY_MODE_OUTBOX
    assert [(alias.user_id, alias.strength) for alias in request.aliases] == [
        (f"whatsapp:{ALICE}", identity_pb2.ALIAS_STRENGTH_STRONG),
        ("whatsapp:15550001", identity_pb2.ALIAS_STRENGTH_WEAK),
        ("whatsapp:US.ENT.9", identity_pb2.ALIAS_STRENGTH_STRONG),
    ]


async def test_no_header_of_a_call_names_its_sender(start_gateway: Start, kernel: FakeKernel) -> None:
    kernel.serves_streams = False
    gateway: Gateway = await start_gateway()
    assert await gateway.post(webhook(text(ALICE, "hi", "wamid.1"))) == 200
    assert set().union(*kernel.metadata) <= {"authorization", "user-agent", "grpc-accept-encoding"}


@pytest.mark.parametrize("secrets", [f"{SECRET},{'n' * 32}", f" older , {SECRET} "])
async def test_while_the_app_secret_is_rotated_either_signs(
    start_gateway: Start, kernel: FakeKernel, secrets: str
) -> None:
    gateway: Gateway = await start_gateway(whatsapp_app_secret=secrets)
    assert await gateway.post(webhook(text(ALICE, "hi", "wamid.1"))) == 200
    raw = encode(webhook(text(ALICE, "forged", "wamid.2")))
    for forged in (secrets, "", "other", f"{SECRET},"):
        signature = hmac.new(forged.encode(), raw, hashlib.sha256).hexdigest()
        assert await gateway.post_raw(raw, {"X-Hub-Signature-256": f"sha256={signature}"}) == 401
    assert [message.message_id for message in kernel.messages] == ["wamid.1"]


async def test_a_batch_of_many_people_is_accepted_in_each_persons_order(gateway: Gateway, kernel: FakeKernel) -> None:
    people = [f"US.{number}" for number in range(2000, 2200)]
    messages = [text(who, str(turn), f"wamid.{who}.{turn}") for turn in range(3) for who in people]
    kernel.gates["HandleMessage"] = asyncio.Event()
    posted = asyncio.create_task(gateway.post(webhook(*messages)))
    await kernel.until(lambda: kernel.under_way == len(people))
    kernel.gates["HandleMessage"].set()

    assert await posted == 200
    assert all(kernel.texts_of(f"whatsapp:{who}") == ["0", "1", "2"] for who in people)


async def test_unaccepted_messages_are_delivered_again_and_accepted_ones_not_duplicated(
    gateway: Gateway, kernel: FakeKernel
) -> None:
    batch = webhook(
        text(ALICE, "a1", "wamid.a1"),
        text(BOB, "b1", "wamid.b1"),
        text(ALICE, "a2", "wamid.a2"),
        text(BOB, "b2", "wamid.b2"),
    )
    kernel.refusals["HandleMessage"] = lambda request: (
        (code_pb2.RESOURCE_EXHAUSTED, "TOO_MANY_PENDING") if request.payload.text == "b1" else None
    )
    assert await gateway.post(batch) == 503
    # Bob's second message must not overtake the first.
    assert kernel.texts_of(f"whatsapp:{ALICE}") == ["a1", "a2"]
    assert kernel.texts_of(f"whatsapp:{BOB}") == []

    kernel.refusals.clear()
    assert await gateway.post(batch) == 200
    assert kernel.texts_of(f"whatsapp:{ALICE}") == ["a1", "a2"]
    assert kernel.texts_of(f"whatsapp:{BOB}") == ["b1", "b2"]
    assert await gateway.count('messages_total{outcome="duplicate"}') == 2


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (code_pb2.PERMISSION_DENIED, "USER_NOT_ALLOWED"),
        (code_pb2.ALREADY_EXISTS, "MESSAGE_ID_REUSED"),
        (code_pb2.FAILED_PRECONDITION, "IDENTITY_CONFLICT"),
    ],
)
async def test_a_message_with_a_final_refusal_is_dropped_and_its_siblings_accepted(
    gateway: Gateway, kernel: FakeKernel, caplog: pytest.LogCaptureFixture, code: int, reason: str
) -> None:
    kernel.refusals["HandleMessage"] = lambda request: (
        (code, reason) if request.payload.text == "secret words" else None
    )
    batch = webhook(text(ALICE, "secret words", "wamid.a1"), text(ALICE, "next", "wamid.a2"))
    assert await gateway.post(batch) == 200
    assert kernel.texts_of(f"whatsapp:{ALICE}") == ["next"]
    assert await gateway.count(f'quarantined_total{{reason="{reason.lower()}"}}') == 1
    assert reason.lower() in caplog.text
    for private in ("secret words", ALICE, "wamid.a1"):
        assert private not in caplog.text


async def test_a_webhook_waits_for_an_unavailable_kernel_and_is_then_refused(
    start_gateway: Start, running_kernel: Running, kernel: FakeKernel
) -> None:
    gateway = await start_gateway(accept_seconds=1)
    assert await gateway.get("/readyz") == (200, "ok")
    await kernel.until(lambda: kernel.pulls)
    await running_kernel.stop()
    assert await gateway.post(webhook(text(ALICE, "hello", "wamid.1"))) == 503
    assert (await gateway.get("/readyz"))[0] == 503
    assert (await gateway.get("/healthz"))[0] == 200

    await running_kernel.start()
    await kernel.until(lambda: len(kernel.pulls) == 2)
    assert await gateway.post(webhook(text(ALICE, "hello", "wamid.1"))) == 200
    assert kernel.texts_of(f"whatsapp:{ALICE}") == ["hello"]


async def test_a_short_absence_goes_unnoticed(gateway: Gateway, running_kernel: Running, kernel: FakeKernel) -> None:
    await running_kernel.stop()
    posted = asyncio.create_task(gateway.post(webhook(text(ALICE, "hello", "wamid.1"))))
    await running_kernel.start()
    assert await posted == 200
    assert kernel.texts_of(f"whatsapp:{ALICE}") == ["hello"]


async def test_statuses_are_reported_after_the_messages(gateway: Gateway, kernel: FakeKernel) -> None:
    failed = {"id": "wamid.r", "status": "failed", "timestamp": "1749416390", "errors": [{"code": 131026}]}
    statuses = [failed | {"biz_opaque_callback_data": "rp_1/1/2"}, {"id": "wamid.s", "status": "deleted"}]
    assert await gateway.post(webhook(text(ALICE, "hi", "wamid.1"), statuses=statuses)) == 200
    (receipt,) = kernel.receipts
    assert (str(receipt.part), receipt.channel_message_id) == ("rp_1/1/2", "wamid.r")
    assert (receipt.outcome, receipt.error_code) == ("failed", "131026")
    assert receipt.occurred_at == 1749416390
    assert kernel.calls.index("HandleMessage") < kernel.calls.index("ReportReceipts")


async def test_statuses_that_cannot_be_reported_are_asked_for_again(gateway: Gateway, kernel: FakeKernel) -> None:
    kernel.refusals["ReportReceipts"] = lambda _: (code_pb2.INTERNAL, "INTERNAL")
    read = webhook(statuses=[{"id": "wamid.r", "status": "read", "timestamp": "1"}])
    assert await gateway.post(read) == 503
    kernel.refusals.clear()
    assert await gateway.post(read) == 200
    assert [receipt.outcome for receipt in kernel.receipts] == ["read"]


async def test_a_refused_message_does_not_delay_statuses(gateway: Gateway, kernel: FakeKernel) -> None:
    kernel.refusals["HandleMessage"] = lambda _: (code_pb2.RESOURCE_EXHAUSTED, "TOO_MANY_PENDING")
    batch = webhook(text(ALICE, "hi", "wamid.1"), statuses=[{"id": "wamid.r", "status": "read"}])
    assert await gateway.post(batch) == 503
    assert [receipt.channel_message_id for receipt in kernel.receipts] == ["wamid.r"]
    kernel.refusals.clear()
    assert await gateway.post(batch) == 200
    assert kernel.texts_of(f"whatsapp:{ALICE}") == ["hi"]


async def test_more_statuses_than_fit_in_one_call_are_split(gateway: Gateway, kernel: FakeKernel) -> None:
    statuses = [{"id": f"wamid.{number}", "status": "sent"} for number in range(2500)]
    assert await gateway.post(webhook(statuses=statuses)) == 200
    assert [receipt.channel_message_id for receipt in kernel.receipts] == [status["id"] for status in statuses]
    assert kernel.calls.count("ReportReceipts") == 3


async def test_a_changed_id_is_linked(gateway: Gateway, kernel: FakeKernel) -> None:
    change = {"type": "user_changed_user_id", "user_id": "US.2", "previous_user_id": "US.1", "body": "US.3"}
    notice = {"id": "wamid.n", "timestamp": "1", "type": "system", "system": change}
    assert await gateway.post(webhook(notice)) == 200
    (link,) = kernel.links
    assert (link.previous.user_id, link.current.user_id) == ("whatsapp:US.1", "whatsapp:US.2")


async def test_a_service_that_cannot_link_yet_gets_the_rest_and_an_alert(
    gateway: Gateway, kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    kernel.refusals["LinkIdentity"] = lambda _: (code_pb2.UNIMPLEMENTED, "")
    change = {"type": "user_changed_user_id", "user_id": "US.2", "previous_user_id": "US.1"}
    notice = {"id": "wamid.n", "timestamp": "1", "type": "system", "system": change}
    assert await gateway.post(webhook(notice, text("US.2", "hi", "wamid.1"))) == 200
    assert kernel.texts_of("whatsapp:US.2") == ["hi"]
    assert "alert: a person's new id was not linked" in caplog.text


async def test_three_megabytes_are_accepted_and_five_refused(gateway: Gateway, kernel: FakeKernel) -> None:
    padding = [{"id": f"wamid.{number}", "status": "warning", "x": "y" * 1000} for number in range(3000)]
    big = encode(webhook(text(ALICE, "hi", "wamid.1"), statuses=padding))
    assert len(big) > 3_000_000
    assert await gateway.post(big) == 200
    assert kernel.texts_of(f"whatsapp:{ALICE}") == ["hi"]
    assert await gateway.post(big + b" " * 2_000_000) == 413


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"]" * 9, b'{"a": NaN}', b'"' * 99, b"{}}", b'{"a": 1e9999}{'],
)
async def test_a_body_that_is_not_json_is_a_bad_request(gateway: Gateway, kernel: FakeKernel, raw: bytes) -> None:
    assert await gateway.post(raw) == 400
    assert kernel.messages == []


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        [],
        "text",
        {"id": 5},
        {"id": "wamid.x"},
        {"id": "wamid.x", "from": ["1"], "type": "text"},
        {
            "id": "wamid.x",
            "from_user_id": "US.7",
            "group_id": "g",
            "type": "text",
            "text": {"body": "to a group"},
        },
        "DEEP",
    ],
)
async def test_odd_items_do_not_cost_their_siblings(gateway: Gateway, kernel: FakeKernel, odd: object) -> None:
    raw = encode(webhook(text(ALICE, "one", "wamid.1"), odd, text(BOB, "two", "wamid.2")))
    raw = raw.replace(b'"DEEP"', b'{"a":' * 50_000 + b"1" + b"}" * 50_000)
    assert await gateway.post(raw) == 200
    assert [message.payload.text for message in kernel.messages] == ["one", "two"]


async def test_json_of_another_shape_is_accepted_and_dropped(gateway: Gateway, kernel: FakeKernel) -> None:
    bodies: list[object] = [
        [],
        "x",
        7,
        None,
        {},
        {"entry": 1},
        {"entry": [1, {"changes": [1, {"field": "messages"}]}]},
    ]
    for body in bodies:
        assert await gateway.post(encode(body)) == 200
    assert kernel.messages == []


async def test_a_body_that_is_cut_in_an_emoji_is_served(gateway: Gateway, kernel: FakeKernel) -> None:
    contact = {"profile": {"name": "CUT"}, "user_id": ALICE}
    raw = encode(webhook(text(ALICE, "hi CUT", "wamid.1"), contacts=[contact])).replace(b"CUT", b"\\ud83d")
    assert await gateway.post(raw) == 200
    assert kernel.texts_of(f"whatsapp:{ALICE}") == ["hi ?"]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        "sha256=00",
        "sha1=abc",
        "garbage",
        "sha256=é",
        "sha256=" + "é" * 64,
        "sha256=" + "0" * 64,
    ],
)
async def test_an_unsigned_body_is_not_even_read(gateway: Gateway, kernel: FakeKernel, header: str | None) -> None:
    raw = encode(webhook(text(ALICE, "hi", "wamid.1")))
    assert await gateway.post_raw(raw, {} if header is None else {"X-Hub-Signature-256": header}) == 401
    assert kernel.messages == []


async def test_the_signature_is_checked_against_the_received_bytes(gateway: Gateway, kernel: FakeKernel) -> None:
    raw = b" " + encode(webhook(text(ALICE, "me@x", "wamid.1"))).replace(b"@", b"\\u0040")
    assert await gateway.post_raw(raw, sign(json.dumps(json.loads(raw)).encode())) == 401
    assert await gateway.post_raw(raw, sign(raw)) == 200
    assert kernel.texts_of(f"whatsapp:{ALICE}") == ["me@x"]
    assert SECRET not in str(kernel.metadata)


async def test_a_message_to_a_foreign_number_is_dropped(gateway: Gateway, kernel: FakeKernel) -> None:
    assert await gateway.post(webhook(text(ALICE, "hi", "wamid.1"), number="999")) == 200
    assert kernel.messages == []
    assert await gateway.count('quarantined_total{reason="number_foreign"}') == 1


async def test_a_webhook_alone_marks_nothing_as_read(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators
) -> None:
    alice = emulators.whatsapp.add_phone("Alice")
    emulators.whatsapp.webhooks.copies = 2
    sent = [await alice.send(text) for text in ("one", "two")]
    assert [message.message_id for message in kernel.messages] == [message.id for message in sent]
    kernel.show_typing(NUMBER, f"whatsapp:{alice.user_id}", sent[1].id)
    await emulators.effects.wait_for(lambda effect: effect.kind == "graph_read")
    reads = emulators.effects.all("graph_read")
    assert [(read.key, read.detail["typing"]) for read in reads] == [(sent[1].id, True)]


async def test_a_read_receipt_that_fails_is_counted_only(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators
) -> None:
    emulators.whatsapp.graph.before.fail(status=500)
    alice = emulators.whatsapp.add_phone("Alice")
    for said in ("one", "two"):
        message = await alice.send(said)
        kernel.show_typing(NUMBER, f"whatsapp:{alice.user_id}", message.id)
    await emulators.effects.wait_for(lambda effect: effect.kind == "graph_read")
    assert [message.payload.text for message in kernel.messages] == ["one", "two"]
    assert await gateway.count('typing_total{outcome="failed"}') == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "nonsense"])
async def test_a_body_with_a_wrong_charset_is_not_an_internal_error(
    gateway: Gateway, kernel: FakeKernel, encoding: str
) -> None:
    raw = encode(webhook(text(ALICE, "hi", "wamid.1")))
    status = await gateway.post_raw(raw, sign(raw) | {"Content-Encoding": encoding})
    assert 200 <= status < 500


async def test_concurrent_copies_of_webhooks_are_serialised_per_person(gateway: Gateway, kernel: FakeKernel) -> None:
    """All webhooks are held and then released together, as by a restart of the service."""
    kernel.gates["HandleMessage"] = asyncio.Event()
    bodies = [webhook(text(who, "hi", f"wamid.{who}")) for who in (ALICE, BOB) for _ in range(5)]
    posts = [asyncio.create_task(gateway.post(body)) for body in bodies]
    await kernel.until(lambda: kernel.under_way == 2)
    kernel.gates["HandleMessage"].set()
    assert await asyncio.gather(*posts) == [200] * 10
    assert kernel.most_under_way == 2
    assert await gateway.count('messages_total{outcome="duplicate"}') == 8
