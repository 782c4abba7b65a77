"""Senders are never mixed up: the identities that the gateway sends to the kernel service, and its alerts."""

import asyncio
from typing import Any

import pytest
from google.rpc import code_pb2
from kernel.v1 import identity_pb2

from emulators.app import Emulators
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.fake_kernel import FakeKernel
from tests.integration.gateway.payloads import text, webhook

ALICE, BOB = "US.1001", "US.1002"


def notice(old_phone: str = "", **system: Any) -> dict[str, Any]:
    sender = {"from": old_phone} if old_phone else {}
    return {"id": "wamid.n", "timestamp": "1", "type": "system", "system": system} | sender


def contact(**ids: str) -> dict[str, Any]:
    return {"profile": {"name": "Sam"}} | ids


async def test_contacts_in_any_order_and_equal_names_never_mix_people(gateway: Gateway, kernel: FakeKernel) -> None:
    contacts = [contact(wa_id="15550002", user_id=BOB), contact(wa_id="15550001", user_id=ALICE)]
    for order in (contacts, contacts[::-1]):
        messages = [text("", f"from {who}", f"wamid.{who}", **{"from": who}) for who in ("15550001", "15550002")]
        assert await gateway.post(webhook(*messages, contacts=order)) == 200
    assert kernel.texts_of(f"whatsapp:{ALICE}") == ["from 15550001"]
    assert kernel.texts_of(f"whatsapp:{BOB}") == ["from 15550002"]


async def test_messages_under_both_ids_of_a_changed_person_keep_their_own_sender(
    gateway: Gateway, kernel: FakeKernel
) -> None:
    contacts = [contact(wa_id="15550001", user_id=who) for who in ("US.O", "US.N")]
    messages = [text(who, f"as {who}", f"wamid.{who}", **{"from": "15550001"}) for who in ("US.O", "US.N")]
    assert await gateway.post(webhook(*messages, contacts=contacts)) == 200
    assert kernel.texts_of("whatsapp:US.O") == ["as US.O"]
    assert kernel.texts_of("whatsapp:US.N") == ["as US.N"]


async def test_a_person_without_a_phone_is_known_by_a_business_scoped_id(gateway: Gateway, kernel: FakeKernel) -> None:
    hidden = contact(user_id=ALICE, parent_user_id="US.ENT.9")
    assert await gateway.post(webhook(text(ALICE, "hi", "wamid.1"), contacts=[hidden])) == 200
    (request,) = kernel.messages
    assert [alias.user_id for alias in request.aliases] == [f"whatsapp:{ALICE}", "whatsapp:US.ENT.9"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (text(ALICE, "hi", "wamid.x", **{"from": "15550001"}), "sender_contradicted"),
        (text("", "hi", "wamid.x"), "sender_missing"),
        (text("default_user", "hi", "wamid.x"), "sender_unreadable"),
        (text(ALICE, "hi", "wamid.x", group_id="g"), "group"),
    ],
)
async def test_a_message_with_an_uncertain_sender_is_dropped_permanently(
    gateway: Gateway, kernel: FakeKernel, caplog: pytest.LogCaptureFixture, message: dict[str, Any], reason: str
) -> None:
    others = contact(wa_id="15550001", user_id=BOB)
    assert await gateway.post(webhook(message, text(BOB, "good", "wamid.2"), contacts=[others])) == 200
    assert [request.payload.text for request in kernel.messages] == ["good"]
    assert await gateway.count(f'quarantined_total{{reason="{reason}"}}') == 1
    alerts = await gateway.count(f'alerts_total{{reason="{reason}"}}')
    assert alerts == (1 if reason == "sender_contradicted" else 0)
    assert ("alert: ids that belong to different people" in caplog.text) == bool(alerts)
    for private in ("wamid.x", "15550001", ALICE, BOB):
        assert private not in caplog.text


async def test_ids_of_two_people_in_one_message_are_final_and_an_alert(
    gateway: Gateway, kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    kernel.refusals["HandleMessage"] = lambda _: (code_pb2.FAILED_PRECONDITION, "IDENTITY_CONFLICT")
    assert await gateway.post(webhook(text(ALICE, "hi", "wamid.1"))) == 200
    assert await gateway.count('quarantined_total{reason="identity_conflict"}') == 1
    assert await gateway.count('alerts_total{reason="identity_conflict"}') == 1
    assert "alert: ids that belong to different people" in caplog.text


LINKS = {
    "a new phone": (
        notice("15550001", type="user_changed_number", wa_id="15550002", user_id="US.N", previous_user_id="US.O"),
        ("whatsapp:US.O", identity_pb2.ALIAS_STRENGTH_STRONG, "whatsapp:US.N", identity_pb2.ALIAS_STRENGTH_STRONG),
    ),
    "a new phone, without the id before": (
        notice("15550001", type="user_changed_number", wa_id="15550002", user_id="US.N"),
        ("whatsapp:15550001", identity_pb2.ALIAS_STRENGTH_WEAK, "whatsapp:US.N", identity_pb2.ALIAS_STRENGTH_STRONG),
    ),
    "a new phone, before there were ids": (
        notice("15550001", type="user_changed_number", wa_id="15550002"),
        ("whatsapp:15550001", identity_pb2.ALIAS_STRENGTH_WEAK, "whatsapp:15550002", identity_pb2.ALIAS_STRENGTH_WEAK),
    ),
    "a new phone, in the words of old": (
        notice("15550001", type="customer_changed_number", new_wa_id="15550002"),
        ("whatsapp:15550001", identity_pb2.ALIAS_STRENGTH_WEAK, "whatsapp:15550002", identity_pb2.ALIAS_STRENGTH_WEAK),
    ),
    "a new id": (
        notice(type="user_changed_user_id", user_id="US.N", previous_user_id="US.O", body="US.X"),
        ("whatsapp:US.O", identity_pb2.ALIAS_STRENGTH_STRONG, "whatsapp:US.N", identity_pb2.ALIAS_STRENGTH_STRONG),
    ),
    "a new id, with the new one as the sender": (
        notice("US.N", type="user_changed_user_id", user_id="US.N", previous_user_id="US.O"),
        ("whatsapp:US.O", identity_pb2.ALIAS_STRENGTH_STRONG, "whatsapp:US.N", identity_pb2.ALIAS_STRENGTH_STRONG),
    ),
    "a new parent id alone": (
        notice(type="user_changed_user_id", parent_user_id="US.ENT.N", previous_parent_user_id="US.ENT.O"),
        (
            "whatsapp:US.ENT.O",
            identity_pb2.ALIAS_STRENGTH_STRONG,
            "whatsapp:US.ENT.N",
            identity_pb2.ALIAS_STRENGTH_STRONG,
        ),
    ),
}


@pytest.mark.parametrize(("told", "linked"), LINKS.values(), ids=LINKS.keys())
async def test_a_change_of_identity_is_linked(
    gateway: Gateway, kernel: FakeKernel, told: dict[str, Any], linked: tuple[str, int, str, int]
) -> None:
    assert await gateway.post(webhook(told)) == 200
    assert await gateway.post(webhook(told)) == 200
    for link in kernel.links:
        previous, current = link.previous, link.current
        assert (previous.user_id, previous.strength, current.user_id, current.strength) == linked
    assert len(kernel.links) == 2
    assert await gateway.count('messages_total{outcome="linked"}') == 2


@pytest.mark.parametrize(
    "told",
    [
        notice(type="user_changed_user_id", user_id="US.N"),
        notice(type="user_changed_number", user_id="US.N", body="15550001"),
        notice("US.N", type="user_changed_number", wa_id="15550002"),
    ],
)
async def test_an_untrusted_change_links_no_one_and_is_counted(
    gateway: Gateway, kernel: FakeKernel, told: dict[str, Any]
) -> None:
    assert await gateway.post(webhook(told)) == 200
    assert kernel.links == []
    assert await gateway.count('ignored_total{kind="system_unlinked"}') == 1


async def test_a_change_is_linked_before_messages_under_the_new_id_and_retried_after_a_refusal(
    gateway: Gateway, kernel: FakeKernel
) -> None:
    told = notice(type="user_changed_user_id", user_id="US.N", previous_user_id="US.O")
    kernel.refusals["LinkIdentity"] = lambda _: (code_pb2.UNAVAILABLE, "STORE_UNAVAILABLE")
    batch = webhook(told, text("US.N", "hi", "wamid.1"))
    assert await gateway.post(batch) == 503
    assert kernel.messages == []
    kernel.refusals.clear()
    assert await gateway.post(batch) == 200
    assert kernel.texts_of("whatsapp:US.N") == ["hi"]
    assert kernel.calls.index("LinkIdentity") < kernel.calls.index("HandleMessage")


def became(before: str, after: str) -> dict[str, Any]:
    return notice(type="user_changed_user_id", user_id=after, previous_user_id=before)


async def test_changes_of_one_person_stay_in_order_also_after_a_retry(gateway: Gateway, kernel: FakeKernel) -> None:
    kernel.gates["LinkIdentity"] = asyncio.Event()
    said = [text(who, "hi", f"wamid.{who}") for who in ("US.A", "US.B", "US.C", "US.X")]
    posting = asyncio.create_task(gateway.post(webhook(became("US.A", "US.B"), became("US.B", "US.C"), *said)))
    await kernel.until(lambda: kernel.messages and "LinkIdentity" in kernel.calls)  # the stranger's message
    assert kernel.calls.count("LinkIdentity") == 1
    kernel.refusals["LinkIdentity"] = lambda link: (
        (code_pb2.UNAVAILABLE, "STORE_UNAVAILABLE") if link.previous.user_id == "whatsapp:US.A" else None
    )
    kernel.gates.pop("LinkIdentity").set()
    assert await posting == 503
    assert (kernel.links, [request.user_id for request in kernel.messages]) == ([], ["whatsapp:US.X"])
    kernel.refusals.clear()
    assert await gateway.post(webhook(became("US.A", "US.B"), became("US.B", "US.C"), *said)) == 200
    assert [link.previous.user_id for link in kernel.links] == ["whatsapp:US.A", "whatsapp:US.B"]
    assert [request.user_id for request in kernel.messages[1:]] == ["whatsapp:US.A", "whatsapp:US.B", "whatsapp:US.C"]


async def test_two_people_who_stay_apart_are_an_alert(
    gateway: Gateway, kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    kernel.link_outcome = identity_pb2.LINK_OUTCOME_KEPT_APART
    told = notice(type="user_changed_user_id", user_id="US.N", previous_user_id="US.O")
    assert await gateway.post(webhook(told)) == 200
    assert await gateway.count('alerts_total{reason="kept_apart"}') == 1
    assert "alert: a person's old and new id" in caplog.text


async def test_an_account_fault_in_a_status_is_an_alert_too(gateway: Gateway, kernel: FakeKernel) -> None:
    failures = [131042, 131026, 131000, "131031", "x", "²", True, None]
    statuses = [{"id": f"wamid.{code}", "status": "failed", "errors": [{"code": code}]} for code in failures]
    assert await gateway.post(webhook(statuses=statuses)) == 200
    assert len(kernel.receipts) == len(failures)
    assert await gateway.count('alerts_total{reason="account"}') == 1
    assert await gateway.count('graph_operator_errors_total{code="131042"}') == 1
    assert await gateway.count('graph_operator_errors_total{code="131031"}') == 1


async def test_an_account_error_in_a_status_opens_the_circuit(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators
) -> None:
    alice = emulators.whatsapp.add_phone("Alice")
    await alice.send("hi")
    failed = {"id": "wamid.1", "status": "failed", "errors": [{"code": 131048}]}
    assert await gateway.post(webhook(statuses=[failed])) == 200
    kernel.lease("hi", user_id=f"whatsapp:{alice.user_id}")
    await kernel.until(lambda: kernel.acks)
    assert (kernel.acks[0].error_code, kernel.acks[0].retry_after > 200) == ("circuit_open", True)
    assert emulators.effects.all("graph_send") == []


async def test_a_fault_of_the_account_is_an_alert(
    gateway: Gateway, kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    assert await gateway.post(webhook(errors=[{"code": 131031, "title": "locked"}])) == 200
    assert await gateway.count('alerts_total{reason="account"}') == 1
    assert "alert: WhatsApp reports error 131031" in caplog.text
