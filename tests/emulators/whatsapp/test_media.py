"""Files: announced by id, fetched with the bearer token, expired after their time; uploaded and sent."""

import base64
import hashlib
from typing import Any

import aiohttp
import pytest

from emulators.app import Emulators
from emulators.openai.opus import silence
from emulators.whatsapp.app import WhatsApp
from emulators.whatsapp.media import ADDRESS_SECONDS, RECEIVED_SECONDS, UPLOADED_SECONDS
from tests.clock import Clock
from tests.emulators.whatsapp.fakes import AUTHORIZATION, NUMBER, Gateway, Graph

PICTURE = b"\x89PNG\r\n\x1a\n and so on"


async def get(graph: Graph, url: str, token: str = AUTHORIZATION) -> tuple[int, bytes]:
    headers = {"Authorization": token} if token else {}
    async with graph.session.get(url, headers=headers) as response:
        return response.status, await response.read()


async def where(graph: Graph, media_id: str) -> dict[str, Any]:
    async with graph.session.get(
        f"{graph.base}/graph/v26.0/{media_id}", headers={"Authorization": AUTHORIZATION}
    ) as response:
        found: dict[str, Any] = await response.json()
        return found


async def upload(graph: Graph, data: bytes, mime_type: str = "image/png", **fields: str) -> tuple[int, dict[str, Any]]:
    form = aiohttp.FormData({"messaging_product": "whatsapp", "type": mime_type} | fields)
    form.add_field("file", data, filename="a", content_type=mime_type)
    url = f"{graph.base}/graph/v26.0/{NUMBER}/media"
    async with graph.session.post(url, data=form, headers={"Authorization": AUTHORIZATION}) as response:
        return response.status, await response.json()


async def test_a_picture_is_announced_and_fetched(
    graph: Graph, gateway: Gateway, emulators: Emulators, whatsapp: WhatsApp
) -> None:
    alice = whatsapp.add_phone("Alice")
    await alice.send_file("image", PICTURE, "image/png", caption="What is it?")
    (message,) = gateway.messages()
    told = message["image"]
    digest = hashlib.sha256(PICTURE).digest()
    assert (message["type"], told["mime_type"], told["caption"]) == ("image", "image/png", "What is it?")
    assert base64.b64decode(told["sha256"]) == digest
    found = await where(graph, told["id"])
    assert (found["mime_type"], found["file_size"], found["sha256"]) == ("image/png", len(PICTURE), digest.hex())
    assert await get(graph, found["url"]) == (200, PICTURE)
    assert [effect.key for effect in emulators.effects.all("media_downloaded")] == [told["id"]]


async def test_the_address_of_a_file_has_the_host_of_the_request(graph: Graph, whatsapp: WhatsApp) -> None:
    """In containers, services use another host name than browsers."""
    message = await whatsapp.add_phone("Alice").send_file("image", PICTURE, "image/png")
    assert message.file
    url = f"{graph.base}/graph/v26.0/{message.file.id}"
    headers = {"Authorization": AUTHORIZATION, "Host": "emulators:8090"}
    async with graph.session.get(url, headers=headers) as response:
        assert (await response.json())["url"].startswith("http://emulators:8090/attachments/")


async def test_the_bytes_need_the_bearer_and_expire_in_five_minutes(
    graph: Graph, clock: Clock, whatsapp: WhatsApp
) -> None:
    message = await whatsapp.add_phone("Alice").send_file("document", b"%PDF", "application/pdf", filename="a.pdf")
    assert message.file
    url = (await where(graph, message.file.id))["url"]
    assert (await get(graph, url, ""))[0] == 401
    assert (await get(graph, url, "Bearer wrong"))[0] == 401
    clock.now += ADDRESS_SECONDS
    assert (await get(graph, url))[0] == 404
    again = (await where(graph, message.file.id))["url"]
    assert again != url
    assert await get(graph, again) == (200, b"%PDF")


async def test_an_id_expires_in_seven_days(graph: Graph, clock: Clock, whatsapp: WhatsApp) -> None:
    message = await whatsapp.add_phone("Alice").send_file("audio", b"OggS", "audio/ogg; codecs=opus", voice=True)
    assert message.file
    clock.now += RECEIVED_SECONDS
    assert (await where(graph, message.file.id))["error"]["error_subcode"] == 33


async def test_a_fetch_fails_on_request(graph: Graph, whatsapp: WhatsApp) -> None:
    message = await whatsapp.add_phone("Alice").send_file("image", PICTURE, "image/png")
    assert message.file
    whatsapp.media.faults.fail(503, match=lambda call: call.path.startswith("/attachments"))
    url = (await where(graph, message.file.id))["url"]
    assert [(await get(graph, url))[0] for _ in range(2)] == [503, 200]


async def test_an_uploaded_file_is_sent_by_its_id(
    graph: Graph, clock: Clock, emulators: Emulators, whatsapp: WhatsApp
) -> None:
    alice = whatsapp.add_phone("Alice")
    await alice.send("hi")
    _, uploaded = await upload(graph, PICTURE)
    image = {"type": "image", "image": {"id": uploaded["id"], "caption": "Look"}}
    to = {"messaging_product": "whatsapp", "recipient": alice.user_id}
    assert (await graph.post(to | image))[0] == 200
    (shown,) = alice.received
    assert shown.file
    assert (shown.text, shown.file.id) == ("Look", uploaded["id"])
    async with graph.session.get(f"{emulators.url}/phones/files/{uploaded['id']}") as response:
        assert (response.content_type, await response.read()) == ("image/png", PICTURE)
        assert response.headers["Content-Security-Policy"] == "sandbox"
    wrong = {"type": "audio", "audio": {"id": uploaded["id"]}}
    assert (await graph.post(to | wrong))[1]["error"]["code"] == 131053
    clock.now += UPLOADED_SECONDS
    assert (await graph.post(to | image))[1]["error"]["code"] == 131009


async def test_a_voice_message_is_opus_in_ogg(graph: Graph, whatsapp: WhatsApp) -> None:
    alice = whatsapp.add_phone("Alice")
    await alice.send("hi")
    for data, status in ((b"ID3 an mp3", 400), (silence(1), 200)):
        _, uploaded = await upload(graph, data, "audio/ogg")
        sent = {"messaging_product": "whatsapp", "recipient": alice.user_id, "type": "audio"}
        assert (await graph.post(sent | {"audio": {"id": uploaded["id"], "voice": True}}))[0] == status


@pytest.mark.parametrize(
    ("size", "mime_type", "fields", "code"),
    [
        (5 * 1024 * 1024 + 1, "image/png", {}, 131053),
        (500 * 1024 + 1, "image/webp", {}, 131053),
        (1, "image/png", {"messaging_product": "sms"}, 100),
        (1, "application/zip", {}, 100),
        (1, "text/csv", {}, 100),
    ],
)
async def test_an_upload_is_refused(graph: Graph, size: int, mime_type: str, fields: dict[str, str], code: int) -> None:
    status, answer = await upload(graph, bytes(size), mime_type, **fields)
    assert (status, answer["error"]["code"]) == (400, code)


async def test_a_deleted_file_is_gone(graph: Graph) -> None:
    _, uploaded = await upload(graph, PICTURE)
    url = f"{graph.base}/graph/v26.0/{uploaded['id']}"
    async with graph.session.delete(url, headers={"Authorization": AUTHORIZATION}) as response:
        assert await response.json() == {"success": True}
    assert "error" in await where(graph, uploaded["id"])
