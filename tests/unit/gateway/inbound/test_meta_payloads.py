"""Every payload of Meta's webhook reference, copied from the documentation, and its expected result."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from whatsapp_gateway.inbound.updates import read_updates
from whatsapp_gateway.model.updates import (
    AccountError,
    AccountEvent,
    Alias,
    Choice,
    Contact,
    Contacts,
    Content,
    Edit,
    IdentityChange,
    Ignored,
    Location,
    Malformed,
    Media,
    Message,
    Reaction,
    Referral,
    Revoke,
    Status,
    TemplateWorks,
    Text,
    Unsupported,
    Update,
)

PAYLOADS = Path(__file__).parents[1] / "payloads"
NUMBER = "106540352242922"
BSUID = "whatsapp:US.13491208655302741918"
PHONE = "whatsapp:16505551234"
PARENT = "whatsapp:US.ENT.11815799212886844830"
NEW_BSUID = "whatsapp:US.29988776655443322110"
QUOTED = "wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI4MkZFM0UwMEUxRjk2NjQ5RTAA"
SHA256 = base64.b64decode("YQo0dSmgrY2S9vFM9z5VWt3mHRmgqTcLYOlYLFyJnlc=")

CONTENTS: dict[str, Content] = {
    "text": Text("Is it open on Sunday?"),
    "text_with_username": Text("Is it open on Sunday?"),
    "text_without_phone": Text("No number of mine is here."),
    "text_with_phone_only": Text("From before the new ids."),
    "text_quoting": Text("That one, please."),
    "text_forwarded": Text("Free prizes for all!"),
    "text_forwarded_often": Text("Free prizes for all!"),
    "text_about_a_product": Text("Is it in stock?"),
    "text_from_an_ad": Text("Tell me more."),
    "image": Media("image", "2754859441498128", "image/jpeg", SHA256, caption="What plant is this?"),
    "image_with_hex_hash": Media("image", "2754859441498129", "image/png", SHA256),
    "audio": Media("audio", "1908647269898587", "audio/mpeg", SHA256),
    "audio_voice": Media("audio", "1908647269898588", "audio/ogg; codecs=opus", SHA256, voice=True),
    "voice": Media("audio", "1908647269898589", "audio/ogg; codecs=opus", SHA256, voice=True),
    "video": Media("video", "1166846181421424", "video/mp4", SHA256, caption="The leak"),
    "document": Media(
        "document", "1376223850470843", "application/pdf", SHA256, filename="bill.pdf", caption="Please sum it up"
    ),
    "sticker": Media("sticker", "3257711857723018", "image/webp", SHA256),
    "location": Location(40.782910059774, -73.959075808525, "A museum", "1071 5th Ave, New York"),
    "location_pin": Location(40.782910059774, -73.959075808525),
    "contacts": Contacts(
        (
            Contact(
                "Barbara J. Johnson",
                ("+1 (650) 555-9000", "+1 (650) 555-9001"),
                ("barbara@example.org", "bj@example.org"),
                "Lucky Shrub",
            ),
        )
    ),
    "interactive_button_reply": Choice("cancel-button", "Cancel"),
    "interactive_list_reply": Choice("priority_express", "Priority Mail", "Next day to 2 days"),
    "interactive_flow_reply": Choice("flow", "Sent", form_json='{"flow_token": "AQAAA", "firstname": "Jo"}'),
    "interactive_address_reply": Choice(
        "address_message", "", form_json='{"saved_address_id":"address1","values":{"in_pin_code":"400063"}}'
    ),
    "interactive_flow_reply_of_no_object": Choice("flow", "Sent", form_json='{"response":[1,2]}'),
    "interactive_call_permission_reply": Unsupported("interactive", "call_permission_reply"),
    "interactive_with_errors": Unsupported("interactive", "error_131009"),
    "button": Choice("unsubscribe", "Unsubscribe"),
    "order": Choice(
        "order",
        "Order",
        "Gift wrapped, please",
        '{"catalog_id":"194836987003835","product_items":['
        '{"product_retailer_id":"di9ozbzfi4","quantity":2,"item_price":30,"currency":"USD"},'
        '{"product_retailer_id":"nqryix03ez","quantity":1,"item_price":25.5,"currency":"USD"}]}',
    ),
    "reaction": Reaction(QUOTED, "👍"),
    "reaction_removed": Reaction(QUOTED, ""),
    "reaction_removed_by_empty_emoji": Reaction(QUOTED, ""),
    "edit_text": Edit(QUOTED, "On Saturday, I mean"),
    "edit_caption": Edit(QUOTED, "What tree is this?"),
    "revoke": Revoke(QUOTED),
    "request_welcome": Unsupported("request_welcome"),
    "unsupported": Unsupported("poll_creation", "error_131051"),
    "unsupported_without_type": Unsupported("unsupported", "error_131051"),
    "unsupported_edit": Unsupported("edit", "error_131051"),
    "unsupported_unavailable": Unsupported("unavailable", "error_131060"),
}


def changed(previous: str, current: str, *, weak: int = 0) -> IdentityChange:
    """The first `weak` of the two are phone numbers."""
    return IdentityChange("", Alias(previous, weak < 1), Alias(current, weak < 2))


def status(state: str, code: str = "", user_ids: tuple[str, ...] = (BSUID, PHONE)) -> Status:
    return Status(QUOTED, "rp_1/1/1", state, code, 1750263773, NUMBER, user_ids)


OTHERS: dict[str, Update] = {
    "group_text": Malformed("group"),
    "system_changed_number": changed(BSUID, NEW_BSUID),
    "system_changed_number_before_bsuids": changed("whatsapp:16505551234", "whatsapp:12195555358", weak=2),
    "system_changed_number_without_previous_id": changed("whatsapp:16505551234", NEW_BSUID, weak=1),
    "system_changed_user_id": changed(BSUID, NEW_BSUID),
    "system_changed_user_id_without_previous_id": Ignored("system_unlinked"),
    "system_customer_identity_changed": Ignored("system"),
    "status_sent": status("sent"),
    "status_delivered": status("delivered", user_ids=(BSUID, PHONE, PARENT)),
    "status_read": status("read", user_ids=(BSUID, PHONE, PARENT)),
    "status_played": status("played"),
    "status_failed": status("failed", "131047"),
    "status_payment": Ignored("status"),
    "status_of_a_group": status("delivered", user_ids=()),
    "errors": AccountError("130429"),
    "field_message_template_status_update": TemplateWorks("hello", "en_US"),
    "field_account_update": AccountEvent(
        "account_update",
        "WhatsApp reports about account 102290129340398: account_update: event DISABLED_UPDATE, waba_ban_state "
        "SCHEDULE_FOR_DISABLE, waba_ban_date 2026-01-01. See WhatsApp Manager, Account alerts; a ban or restriction "
        "can be appealed there.",
        "",
    ),
    "field_smb_message_echoes": Ignored("field"),
    "field_user_preferences": Ignored("field"),
}


def payload(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def read(name: str) -> list[Update]:
    return list(read_updates(payload(name), {NUMBER}))


def read_message(name: str) -> Message:
    (update,) = read(name)
    assert isinstance(update, Message)
    return update


def test_each_payload_has_an_expected_outcome() -> None:
    assert {file.stem for file in PAYLOADS.glob("*.json")} == {*CONTENTS, *OTHERS, "batch"}


@pytest.mark.parametrize("name", CONTENTS)
def test_a_message_of_the_reference_is_parsed(name: str) -> None:
    message = read_message(name)
    assert message.content == CONTENTS[name]
    assert message.number == NUMBER
    assert message.sent_at == 1749416383
    phone_only = name == "text_with_phone_only"
    assert message.sender.user_id == ("whatsapp:16505551234" if phone_only else BSUID)


@pytest.mark.parametrize("name", OTHERS)
def test_payloads_without_a_message(name: str) -> None:
    (update,) = read(name)
    expected = OTHERS[name]
    if isinstance(update, AccountEvent):
        update = replace(update, key="")
    if isinstance(update, IdentityChange | Malformed):
        assert update.id.startswith("wamid.")
        update = type(update)(**{slot: getattr(update, slot) for slot in update.__slots__} | {"id": ""})
    assert update == expected


@pytest.mark.parametrize("name", CONTENTS)
def test_metadata_beside_the_content(name: str) -> None:
    message = read_message(name)
    assert message.forwarded == name.startswith("text_forwarded")
    quotes = name in {"text_quoting", "text_about_a_product", "button"} or (
        name.startswith("interactive_") and name != "interactive_with_errors"
    )
    assert message.quoted_id == (QUOTED if quotes else "")
    referrals = {
        "text_from_an_ad": Referral("ad", "Chat with us", "Summer is near.", "https://fb.me/3cr4Wqqkv"),
        "text_about_a_product": Referral("product", "nqryix03ez"),
    }
    assert message.referral == referrals.get(name)


def test_a_username_and_a_parent_id_are_not_keys() -> None:
    sender = read_message("text_with_username").sender
    assert [alias.user_id for alias in sender.aliases] == [
        BSUID,
        "whatsapp:16505551234",
        "whatsapp:US.ENT.11815799212886844830",
    ]
    assert [alias.user_id for alias in read_message("text_without_phone").sender.aliases] == [BSUID]


def test_a_batch_keeps_people_separate_and_in_order() -> None:
    first, second, read_status, third = read("batch")
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    assert isinstance(third, Message)
    assert [(each.sender.user_id, each.content) for each in (first, second, third)] == [
        (BSUID, Text("from Sheena")),
        ("whatsapp:US.20000000000000000002", Text("from Bob")),
        (BSUID, Text("and once more")),
    ]
    assert read_status == Status(QUOTED, "", "read", "", 1750263773, NUMBER, (BSUID,))
