"""The Graph API refuses the same requests as Meta, in Meta's wording."""

from typing import Any

import pytest

from emulators.app import Emulators
from emulators.whatsapp.app import WhatsApp
from tests.emulators.whatsapp.fakes import Graph

TO = {"messaging_product": "whatsapp", "recipient": "US.1"}


def text(**changes: Any) -> dict[str, Any]:
    return TO | {"text": {"body": "hi"}} | changes


def interactive(kind: str, action: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return TO | {
        "type": "interactive",
        "interactive": {"type": kind, "body": {"text": "Choose"}, "action": action} | changes,
    }


def buttons(*replies: tuple[str, str], **changes: Any) -> dict[str, Any]:
    action = {"buttons": [{"type": "reply", "reply": {"id": id_, "title": title}} for id_, title in replies]}
    return interactive("button", action, **changes)


def rows(count: int, **row: str) -> dict[str, Any]:
    listed = [{"id": str(number), "title": f"Row {number}"} | row for number in range(count)]
    return interactive("list", {"button": "Open", "sections": [{"rows": listed}]})


def link(url: str = "https://example.org/x", label: str = "Connect") -> dict[str, Any]:
    return interactive("cta_url", {"name": "cta_url", "parameters": {"display_text": label, "url": url}})


def read(**changes: Any) -> dict[str, Any]:
    return {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.none"} | changes


ONE = ("yes", "Yes")
REFUSED = {
    "not an object": ([], 100, "messaging_product"),
    "no product": ({"recipient": "US.1", "text": {"body": "hi"}}, 100, "messaging_product"),
    "wrong product": (text(messaging_product="sms"), 131009, "messaging_product"),
    "no recipient": ({"messaging_product": "whatsapp", "text": {"body": "hi"}}, 100, "to is required"),
    "to is no number": (text(to="Alice"), 131009, "phone number"),
    "recipient is no BSUID": (text(recipient="15551234567"), 131009, "business-scoped"),
    "recipient is a number in JSON": (text(recipient=15551234567), 131009, "recipient"),
    "group": (text(recipient_type="group"), 131009, "recipient_type"),
    "unknown field": (text(priority="high"), 100, '"priority" on param "messages"'),
    "unknown field below": (text(text={"body": "hi", "bold": True}), 100, '"bold" on param "text"'),
    "unknown type": (text(type="poll"), 100, "type must be one of"),
    "type is no string": (text(type=7), 100, "type must be one of"),
    "no text": (TO, 131008, "text is required"),
    "no body": (text(text={}), 131008, "text['body'] is required"),
    "empty body": (text(text={"body": ""}), 131009, "text['body']"),
    "long body": (text(text={"body": "x" * 4097}), 100, "at most 4096"),
    "preview is no boolean": (text(text={"body": "hi", "preview_url": "yes"}), 131009, "preview_url"),
    "long callback data": (text(biz_opaque_callback_data="x" * 513), 100, "at most 512"),
    "no context id": (text(context={}), 131008, "context['message_id']"),
    "no interactive": (TO | {"type": "interactive"}, 131008, "interactive is required"),
    "unknown interactive": (interactive("carousel", {}), 131009, "Interactive type"),
    "no buttons": (buttons(), 131009, "buttons"),
    "four buttons": (buttons(*((str(n), str(n)) for n in range(4))), 131009, "buttons"),
    "long title": (buttons(("a", "x" * 21)), 131009, "at most 20"),
    "empty title": (buttons(("a", "")), 131009, "title"),
    "long id": (buttons(("x" * 257, "A")), 131009, "at most 256"),
    "duplicate id": (buttons(("a", "A"), ("a", "B")), 131009, "Duplicate id"),
    "duplicate title": (buttons(("a", "A"), ("b", "A")), 131009, "Duplicate title"),
    "long interactive body": (buttons(ONE, body={"text": "x" * 1025}), 131009, "at most 1024"),
    "long header": (buttons(ONE, header={"type": "text", "text": "x" * 61}), 131009, "at most 60"),
    "long footer": (buttons(ONE, footer={"text": "x" * 61}), 131009, "at most 60"),
    "eleven rows": (rows(11), 131009, "max allowed count: 10"),
    "no rows": (rows(0), 131009, "rows"),
    "long row title": (rows(1, title="x" * 25), 131009, "at most 24"),
    "long row description": (rows(1, description="x" * 73), 131009, "at most 72"),
    "duplicate row id": (rows(2, id="same"), 131009, "Duplicate row id"),
    "link to a script": (link("javascript:alert(1)"), 131009, "url"),
    "link without a host": (link("https://"), 131009, "url"),
    "long link label": (link(label="x" * 21), 131009, "at most 20"),
    "image of nothing": (TO | {"type": "image", "image": {}}, 131009, "exactly one"),
    "image by both": (
        TO | {"type": "image", "image": {"id": "1", "link": "https://a/b"}},
        131009,
        "exactly one",
    ),
    "image of an unknown id": (TO | {"type": "image", "image": {"id": "123"}}, 131009, "media id"),
    "sticker with caption": (TO | {"type": "sticker", "sticker": {"id": "1", "caption": "x"}}, 100, '"caption"'),
    "audio with caption": (TO | {"type": "audio", "audio": {"id": "1", "caption": "x"}}, 100, '"caption"'),
    "template without language": (
        TO | {"type": "template", "template": {"name": "hello"}},
        131008,
        "language",
    ),
    "reaction to nothing": (TO | {"type": "reaction", "reaction": {"emoji": "x"}}, 131008, "message_id"),
    "read of an unknown message": (read(), 131009, "message_id"),
    "read of nothing": ({"messaging_product": "whatsapp", "status": "read"}, 131008, "message_id"),
    "unknown status": (read(status="seen"), 131009, "status"),
    "unknown typing": (read(typing_indicator={"type": "audio"}), 131009, "typing_indicator"),
}


@pytest.mark.parametrize(("body", "code", "words"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_wrong_body_is_refused(graph: Graph, emulators: Emulators, body: Any, code: int, words: str) -> None:
    status, answer = await graph.post(body)
    error = answer["error"]
    assert (status, error["code"], error["type"]) == (400, code, "OAuthException")
    assert words in error["message"] + error.get("error_data", {}).get("details", "")
    assert error["message"].startswith(f"(#{code})")
    assert error["fbtrace_id"]
    assert emulators.effects.all() == []


ALLOWED = {
    "text of 4096": text(text={"body": "x" * 4096, "preview_url": False}),
    "three buttons": buttons(*(("x" * 255 + str(n), str(n) * 20) for n in range(3)), footer={"text": "x" * 60}),
    "ten rows": rows(10, description="x" * 72),
    "link": link(),
    "image by link": TO | {"type": "image", "image": {"link": "https://example.org/a.png", "caption": "x" * 1024}},
    "document": TO | {"type": "document", "document": {"link": "https://example.org/a.pdf", "filename": "a.pdf"}},
    "audio": TO | {"type": "audio", "audio": {"link": "https://example.org/a.ogg", "voice": True}},
    "video": TO | {"type": "video", "video": {"link": "https://example.org/a.mp4", "caption": "x"}},
    "sticker": TO | {"type": "sticker", "sticker": {"link": "https://example.org/a.webp"}},
    "template": TO | {"type": "template", "template": {"name": "hello", "language": {"code": "en_US"}}},
    "all the rest": text(recipient_type="individual", type="text", biz_opaque_callback_data="x" * 512),
}


@pytest.mark.parametrize("body", ALLOWED.values(), ids=ALLOWED.keys())
async def test_a_request_just_within_the_limits_is_accepted(
    graph: Graph, whatsapp: WhatsApp, body: dict[str, Any]
) -> None:
    phone = whatsapp.add_phone("Alice", bsuid="US.1")
    await phone.send("hello")
    status, answer = await graph.post(body)
    assert (status, answer.get("error")) == (200, None)
    assert phone.received[-1].id == answer["messages"][0]["id"]


@pytest.mark.parametrize("token", ["", "Bearer wrong", "emulated-access-token", "Basic emulated-access-token"])
async def test_a_caller_without_the_token_is_refused(graph: Graph, token: str) -> None:
    status, answer = await graph.post(text(), token=token)
    assert (status, answer["error"]["code"]) == (401, 190)


async def test_another_number_is_unknown(graph: Graph) -> None:
    status, answer = await graph.post(text(), path="/v26.0/999/messages")
    assert (status, answer["error"]["code"], answer["error"]["error_subcode"]) == (400, 100, 33)


@pytest.mark.parametrize("path", ["/v26.0/106540352242922/calls", "/26/106540352242922/messages"])
async def test_another_path_is_unknown(graph: Graph, path: str) -> None:
    status, answer = await graph.post(text(), path=path)
    assert (status, answer["error"]["code"]) == (400, 2500)


async def test_a_body_that_is_not_json_is_refused(graph: Graph) -> None:
    url = f"{graph.base}/graph/v26.0/106540352242922/messages"
    headers = {"Authorization": "Bearer emulated-access-token", "Content-Type": "application/json"}
    async with graph.session.post(url, data=b"{", headers=headers) as response:
        assert response.status == 400
        assert (await response.json())["error"]["code"] == 100
