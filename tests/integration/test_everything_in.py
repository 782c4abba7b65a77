"""Every kind of content on WhatsApp gets an answer: from the model if it can read it, otherwise an honest sentence."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emulators.whatsapp.media import RECEIVED_SECONDS
from kernel_service import texts
from tests.integration.files import JPEG, VOICE, pdf, png, shown

if TYPE_CHECKING:
    from tests.integration.world import World

PAYLOADS = Path(__file__).parents[1] / "unit/gateway/payloads"


FILES = {
    "image": JPEG,
    "image_with_hex_hash": png(),
    "audio": b"ID3" + VOICE,
    "audio_voice": VOICE,
    "voice": VOICE,
    "document": pdf("Rent for May"),
}
"""The bytes behind the payloads whose file reaches the model."""


def content_of(world: World, name: str) -> tuple[str, Any, dict[str, Any]]:
    """The kind and content of a payload of Meta's reference, and the fields next to them. Its file exists."""
    value = json.loads((PAYLOADS / f"{name}.json").read_text())["entry"][0]["changes"][0]["value"]
    (message,) = value["messages"]
    kind = message["type"]
    beside = {key: message[key] for key in ("context", "referral", "errors") if key in message}
    content = message.get(kind)
    if name in FILES:
        file = world.emulators.whatsapp.files.keep(FILES[name], content["mime_type"], RECEIVED_SECONDS)
        in_hex = re.fullmatch("[0-9a-f]{64}", content["sha256"])
        content |= {"id": file.id, "sha256": file.digest.hex() if in_hex else file.sha256}
    return kind, content, beside


HEARD = {
    "text_quoting": "[This answers an earlier message of the chat.]\nThat one, please.",
    "text_forwarded": "[Forwarded by the person; another person wrote the following.]\nFree prizes for all!",
    "text_from_an_ad": "[The person came by this ad: Chat with us, Summer is near., https://fb.me/3cr4Wqqkv]",
    "text_about_a_product": "[The person came by this product: nqryix03ez]",
    "image": "What plant is this?",
    "image_with_hex_hash": "[The person sent an image.]",
    "audio": "[The person sent a voice or sound message.]\nIt says: A recording of",
    "audio_voice": "(voice) A recording of",
    "voice": "(voice) A recording of",
    "video": "[The person sent a video, which cannot be opened.]\nThe leak",
    "document": "[The person sent a file named bill.pdf.]\nPlease sum it up",
    "location": "[The person sent a place: A museum, 1071 5th Ave, New York, latitude and longitude 40.78",
    "contacts": "[The person sent address cards:]\nBarbara J. Johnson, Lucky Shrub, +1 (650) 555-9000",
    "interactive_button_reply": "Cancel",
    "interactive_list_reply": "Priority Mail\nNext day to 2 days",
    "interactive_flow_reply": '"firstname": "Jo"',
    "interactive_flow_reply_of_no_object": '{"response":[1,2]}',
    "button": "Unsubscribe",
    "order": "Order\nGift wrapped, please",
    "edit_text": "[The person changed an earlier message; it now reads:]\nOn Saturday, I mean",
}
TOLD = {
    "sticker": texts.attachments.unsupported("sticker"),
    "interactive_with_errors": texts.attachments.unsupported("interactive"),
    "unsupported": texts.attachments.unsupported("poll_creation"),
    "unsupported_without_type": texts.attachments.unsupported("unsupported"),
    "unsupported_edit": texts.attachments.unsupported("edit"),
    "unsupported_unavailable": texts.attachments.unsupported("unavailable"),
    "request_welcome": texts.attachments.unsupported("request_welcome"),
}


@pytest.mark.parametrize("name", HEARD)
async def test_content_that_the_model_can_read_reaches_it(world: World, name: str) -> None:
    alice = world.phone("Alice")
    kind, content, beside = content_of(world, name)
    await alice.send_as(kind, content, **beside)
    await alice.wait_for_message(timeout=20)
    heard = json.dumps(world.emulators.openai.requests[-1].body, ensure_ascii=False)
    assert json.dumps(HEARD[name], ensure_ascii=False).strip('"') in heard


@pytest.mark.parametrize("name", FILES)
async def test_a_file_of_the_reference_reaches_the_model_whole(world: World, name: str) -> None:
    alice = world.phone("Alice")
    kind, content, beside = content_of(world, name)
    await alice.send_as(kind, content, **beside)
    await alice.wait_for_message(timeout=20)
    assert shown(world) == [hashlib.sha256(FILES[name]).hexdigest()]


@pytest.mark.parametrize("name", TOLD)
async def test_unreadable_content_is_reported_honestly(world: World, name: str) -> None:
    alice = world.phone("Alice")
    kind, content, beside = content_of(world, name)
    await alice.send_as(kind, content, **beside)
    assert (await alice.wait_for_message(timeout=20)).text == TOLD[name]
    assert world.emulators.openai.requests == []


@pytest.mark.parametrize("kind", ["text", "reaction", "location", "revoke"])
async def test_broken_content_is_reported_too(world: World, kind: str) -> None:
    alice = world.phone("Alice")
    await alice.send_as(kind, {"odd": True})
    assert (await alice.wait_for_message(timeout=20)).text == texts.attachments.unsupported(kind)


async def test_an_overlong_text_is_reported_and_not_lost(world: World) -> None:
    alice = world.phone("Alice")
    await alice.send("x" * 70_000)
    assert (await alice.wait_for_message(timeout=20)).text == texts.attachments.unsupported("text_too_long")


LONG = "N" * 20_000
TOO_LONG = {
    "contacts": [
        {"name": {"formatted_name": LONG}, "phones": [{"phone": "1" * 500}] * 30, "org": {"company": LONG}}
        for _ in range(70)
    ],
    "location": {"latitude": 48.2, "longitude": 16.4, "name": LONG, "address": LONG},
    "button": {"payload": "yes", "text": LONG},
}


@pytest.mark.parametrize("kind", TOO_LONG)
async def test_overlong_content_is_cut_and_answered(world: World, kind: str) -> None:
    alice = world.phone("Alice")
    await alice.send_as(kind, TOO_LONG[kind])
    assert await alice.wait_for_message(timeout=20)
    asked = str(world.emulators.openai.requests[-1].body)
    assert "NNN" in asked
    assert "N" * 1025 not in asked


async def test_a_reaction_and_a_revoke_get_no_answer(world: World) -> None:
    alice = world.phone("Alice")
    answer = await world.ask(alice, "hello")
    await alice.react_to(answer, "👍")
    await alice.send_as("revoke", {"original_message_id": alice.messages[0].id})
    await world.ask(alice, "and now?")
    assert len(alice.received) == 2
