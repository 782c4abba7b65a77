"""The emulators serve only requests for their own host, with the content type that the vendor accepts."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from emulators.app import Emulators
from emulators.config import Config
from emulators.own_hosts import OwnHosts

PAGES = ["/", "/effects", "/graph/v26.0/1/messages", "/openai/v1/models", "/composio/api/v3.1/toolkits", "/no/such"]
CHANGES = ["/control/openai/clear", "/control/whatsapp/clear", "/effects", "/phones"]


@pytest.fixture
async def http(emulators: Emulators) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(emulators.url) as session:
        yield session


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "evil.example:8090",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "0.0.0.0",
        ),
        *("", ":80", "[::1", "evil.example@127.0.0.1", "127.0.0.1@evil.example", "api.openai.com", "emulators.example"),
    ],
)
async def test_a_foreign_host_is_refused(http: aiohttp.ClientSession, path: str, host: str) -> None:
    async with http.get(path, headers={"Host": host}) as answer:
        assert answer.status in {400, 421}
        assert "phone" not in await answer.text()


async def test_a_request_without_a_host_or_with_two_is_refused(emulators: Emulators) -> None:
    port = urlsplit(emulators.url).port
    for lines in (b"", b"Host: localhost\r\nHost: evil.example\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /effects HTTP/1.1\r\n" + lines + b"Connection: close\r\n\r\n")
        status = await reader.readline()
        assert status.split()[1] in {b"400", b"421"}
        writer.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:80", "a.localhost", "127.9.9.9:1"])
async def test_the_names_of_this_machine_are_accepted(http: aiohttp.ClientSession, host: str) -> None:
    async with http.get("/effects", headers={"Host": host}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("listen", "host", "served"),
    [
        ("127.0.0.1:0", "demo.example", True),
        ("127.0.0.1:0", "emulators:8090", True),
        ("127.0.0.1:0", "10.0.0.7", False),
        ("0.0.0.0:0", "10.0.0.7:8090", True),
        ("[::]:0", "[fd00::7]:8090", True),
        ("0.0.0.0:0", "evil.example", False),
        ("my-machine:0", "my-machine", True),
    ],
)
async def test_only_the_given_further_names_are_accepted(listen: str, host: str, *, served: bool) -> None:
    config = Config(
        emulators_listen=listen, emulators_hosts=" Emulators, other", emulators_public_url="http://demo.example"
    )
    hosts = OwnHosts(config.emulators_listen, [config.emulators_public_url], config.hosts)
    assert hosts.is_own(host) is served


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize(
    "headers",
    [
        *({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}, {"Origin": ""}),
        *({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none of them"}),
    ],
    ids=str,
)
async def test_a_page_of_another_site_changes_nothing(
    http: aiohttp.ClientSession, emulators: Emulators, path: str, headers: dict[str, str]
) -> None:
    async with http.post(path, json={"kind": "planted", "label": "Mallory"}, headers=headers) as answer:
        assert answer.status == 403
    assert not emulators.effects.all("planted")


async def test_the_own_page_and_a_program_may_write(http: aiohttp.ClientSession, emulators: Emulators) -> None:
    own: list[dict[str, str]] = [{"Origin": emulators.url}, {"Sec-Fetch-Site": "same-origin", "Origin": "null"}, {}]
    for headers in own:
        async with http.post("/control/openai/clear", json={}, headers=headers) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("path", ["/control/openai/clear", "/effects"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_form_cannot_operate_a_switch(http: aiohttp.ClientSession, path: str, kind: str) -> None:
    async with http.post(path, data=b'{"kind": "planted"}', headers={"Content-Type": kind}) as answer:
        assert answer.status == 415


WRONG = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "application/jsonp", ""]


async def answered(http: aiohttp.ClientSession, path: str, kind: str, **headers: str) -> tuple[int, Any]:
    async with http.post(path, data=b"{}", headers={"Content-Type": kind, **headers}) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize("kind", [*WRONG, "application/json; charset=utf-8"])
async def test_openai_accepts_only_json(http: aiohttp.ClientSession, emulators: Emulators, kind: str) -> None:
    key = {"Authorization": f"Bearer {emulators.config.openai_api_key}"}
    status, body = await answered(http, "/openai/v1/responses", kind, **key)
    assert status == 400
    assert body["error"]["code"] == "unsupported_content_type"
    assert body["error"]["type"] == "invalid_request_error"
    assert "This API method only accepts 'application/json' requests" in body["error"]["message"]
    assert not emulators.openai.requests


@pytest.mark.parametrize("kind", WRONG)
async def test_composio_accepts_only_json(http: aiohttp.ClientSession, emulators: Emulators, kind: str) -> None:
    key = {"x-api-key": emulators.config.composio_api_key}
    status, body = await answered(http, "/composio/api/v3.1/tool_router/session", kind, **key)
    assert (status, body["error"]["slug"]) == (415, "HTTP_UnsupportedMediaType")


@pytest.mark.parametrize("kind", WRONG)
async def test_graph_sees_no_parameter_in_a_body_without_json(
    http: aiohttp.ClientSession, emulators: Emulators, kind: str
) -> None:
    key = {"Authorization": f"Bearer {emulators.config.whatsapp_access_token}"}
    path = f"/graph/v26.0/{emulators.config.whatsapp_phone_number_id}/messages"
    status, body = await answered(http, path, kind, **key)
    assert (status, body["error"]["code"]) == (400, 100)
    assert body["error"]["message"] == "(#100) The parameter messaging_product is required."


async def test_transcriptions_accept_only_forms(http: aiohttp.ClientSession, emulators: Emulators) -> None:
    key = {"Authorization": f"Bearer {emulators.config.openai_api_key}"}
    status, body = await answered(http, "/openai/v1/audio/transcriptions", "application/json", **key)
    assert (status, body["error"]["message"]) == (400, "Could not parse multipart form")
