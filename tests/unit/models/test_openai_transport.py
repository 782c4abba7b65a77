"""Servers, gateways and proxies that answer otherwise than OpenAI does, over real sockets."""

from __future__ import annotations

import asyncio
import base64
import gzip
import zlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote

import orjson
import pytest
from yarl import URL

from kernel_service.errors import VendorUnavailable
from kernel_service.models import openai_transport
from kernel_service.models.body import Body
from kernel_service.models.openai_answers import read_answer
from kernel_service.models.openai_client import OpenAIClient
from kernel_service.models.openai_stream import StreamedResponse
from kernel_service.models.openai_transport import MOST_ANSWER_BYTES
from kernel_service.ports.media import ReadAs
from kernel_service.ports.model import CONTEXT_TOO_LONG, ModelFile, ModelRejectedError, UnusableAnswerError
from kernel_service.proxies import proxy_of
from tests.http_proxy import HttpProxy
from tests.ports import free_port
from tests.unit.models.raw_server import ANSWER, RawServer, response
from tests.unlimited_queue import unlimited_queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

QUESTION = Body([orjson.dumps({"model": "m", "input": "hello"})])


@asynccontextmanager
async def asking(url: str, timeout: float = 10) -> AsyncIterator[OpenAIClient]:
    client = OpenAIClient("sk-key", url, queue=unlimited_queue("model"), timeout=timeout)
    try:
        yield client
    finally:
        await client.close()


async def asked(server: RawServer, timeout: float = 10) -> str:
    async with server.serving(), asking(server.url, timeout) as client:
        return read_answer(await client.post("/responses", QUESTION), QUESTION).text


async def lost(server: RawServer, timeout: float = 10) -> VendorUnavailable:
    with pytest.raises(VendorUnavailable) as caught:
        await asked(server, timeout)
    return caught.value


# --- what is sent -----------------------------------------------------------------------------------------------------


async def test_the_headers_of_the_vendors_client_but_its_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj_1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "api-key: azure")
    server = RawServer([response()])
    assert await asked(server) == "Hi"
    [request] = server.requests
    assert request.target == "/v1/responses"
    expected = {
        "authorization": "Bearer sk-key",
        "openai-organization": "org-1",
        "openai-project": "proj_1",
        "api-key": "azure",
        "content-type": "application/json",
        "content-length": str(len(request.body)),
    }
    assert expected.items() <= request.headers.items()
    assert request.headers["user-agent"].startswith("AsyncOpenAI/Python")
    assert not [name for name in request.headers if "stainless" in name]


async def test_a_header_of_the_environment_replaces_the_same_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    custom = "authorization: Bearer other\nUSER-AGENT: mine\ncontent-type: text/plain\nx-blank:  a \r"
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", custom)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1\n")
    server = RawServer([response()])
    assert await asked(server) == "Hi"
    [request] = server.requests
    lines = [line.lower() for line in request.lines]
    for name, value in {
        "authorization": "Bearer other",
        "user-agent": "mine",
        "content-type": "application/json",
        "x-blank": "a",
        "openai-organization": "org-1",
    }.items():
        assert [line for line in lines if line.startswith(f"{name}:")] == [f"{name}: {value}".lower()]


@pytest.mark.parametrize("slash", ["", "/"])
async def test_the_query_of_the_base_url_stays(slash: str) -> None:
    async with (
        RawServer([response()]).serving() as server,
        asking(f"{server.url}{slash}?api-version=2026-1&x=%2F") as client,
    ):
        await client.post("/responses", QUESTION)
    assert server.requests[0].target in (
        "/v1/responses?api-version=2026-1&x=/",
        "/v1/responses?api-version=2026-1&x=%2F",
    )


@pytest.mark.parametrize("given", ["clerk:secret", "clerk", ":secret", "cl%40erk:p%3Aw"])
async def test_a_user_in_the_base_url_is_for_the_gateway(given: str) -> None:
    async with (
        RawServer([response()]).serving() as server,
        asking(server.url.replace("://", f"://{given}@")) as client,
    ):
        await client.post("/responses", QUESTION)
    user, _, password = given.partition(":")
    expected = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    assert server.requests[0].headers["authorization"] == f"Basic {expected}"


async def test_no_cookie_of_one_answer_reaches_the_next_request() -> None:
    async with (
        RawServer([response(ANSWER, "Set-Cookie: who=ann; Path=/")]).serving() as server,
        asking(server.url) as client,
    ):
        for _ in range(2):
            await client.post("/responses", QUESTION)
    assert "cookie" not in server.requests[1].headers


async def test_a_redirect_is_not_followed() -> None:
    async with RawServer([response()]).serving() as elsewhere:
        moved = response(b"", f"Location: {elsewhere.url}/responses", status="307 Temporary Redirect")
        away = await lost(RawServer([moved]))
    assert (away.problem, elsewhere.requests) == ("model_moved", [])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_recording_is_not_carried_along_a_redirect(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "api-key: secret")
    async with RawServer([response(b'{"text": "Hi"}')]).serving() as elsewhere:
        moved = response(b"", f"Location: {elsewhere.url}/audio/transcriptions", status=f"{status} Moved")
        async with RawServer([moved]).serving() as server, asking(server.url) as client:
            with pytest.raises(VendorUnavailable):
                await client.transcribe("m", ("a.ogg", b"voice", "audio/ogg"))
    assert elsewhere.requests == []


# --- connections ------------------------------------------------------------------------------------------------------


async def test_requests_share_a_connection() -> None:
    async with RawServer([response()]).serving() as server, asking(server.url) as client:
        for _ in range(3):
            await client.post("/responses", QUESTION)
    assert server.connections == 1


async def test_a_connection_that_the_server_closed_is_not_used_again() -> None:
    async with RawServer([response()], closes=True).serving() as server, asking(server.url) as client:
        for _ in range(3):
            assert await client.post("/responses", QUESTION) == ANSWER
            await server.closed.wait()
            await asyncio.sleep(0)
            server.closed.clear()
    assert server.connections == 3


async def test_a_server_that_hangs_up_on_a_request_is_not_asked_twice() -> None:
    away = await lost(server := RawServer([None]))
    assert (away.problem, away.unanswered, len(server.requests)) == ("model_unavailable", True, 1)


async def test_a_server_that_hangs_up_on_a_used_connection_is_not_asked_twice() -> None:
    async with RawServer([response(), None, response()]).serving() as server, asking(server.url) as client:
        await client.post("/responses", QUESTION)
        with pytest.raises(VendorUnavailable) as caught:
            await client.post("/responses", QUESTION)
        assert caught.value.unanswered
        assert len(server.requests) == 2
        assert await client.post("/responses", QUESTION) == ANSWER


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_request_without_a_connection_was_never_sent(scheme: str) -> None:
    async with asking(f"{scheme}://127.0.0.1:{free_port()}/v1") as client:
        with pytest.raises(VendorUnavailable) as caught:
            await client.post("/responses", QUESTION)
    assert not caught.value.unanswered


async def test_a_server_without_tls_never_sees_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for more of what it takes for a request, so that the handshake never ends."""
    monkeypatch.setattr(openai_transport, "CONNECT_SECONDS", 0.1)
    async with RawServer([response()]).serving() as server, asking(server.url.replace("http", "https")) as client:
        with pytest.raises(VendorUnavailable) as caught:
            await client.post("/responses", QUESTION)
    assert (caught.value.unanswered, server.requests) == (False, [])


async def test_a_host_without_an_address_was_never_asked() -> None:
    async with asking("http://nowhere.invalid/v1") as client:
        with pytest.raises(VendorUnavailable) as caught:
            await client.post("/responses", QUESTION)
    assert not caught.value.unanswered


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

# --- answers that come otherwise --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        response(gzip.compress(ANSWER), "Content-Encoding: gzip"),
        response(zlib.compress(ANSWER), "Content-Encoding: deflate"),
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + response(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x;x=y\r\n%b\r\n0\r\nTrailer: 1\r\n\r\n"
        % (len(ANSWER), ANSWER),
        response(ANSWER, "X-Long: " + "x" * 8000),
        response(ANSWER, "Content-Type: text/html"),
        b"HTTP/1.1 200 \r\nContent-Length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER),
        response(b"\n\n  " + ANSWER + b"\r\n"),
    ],
    ids=["gzip", "deflate", "1xx", "chunked", "long header", "two types", "no reason", "blanks"],
)
async def test_an_answer_in_any_form_of_http(answer: bytes) -> None:
    assert await asked(RawServer([answer])) == "Hi"


async def test_an_answer_that_ends_with_its_connection() -> None:
    assert await asked(RawServer([b"HTTP/1.0 200 OK\r\n\r\n" + ANSWER], closes=True)) == "Hi"


@pytest.mark.parametrize(
    "answer",
    [
        response()[:-10],
        CHUNKED + b"%x\r\n%b\r\n" % (len(ANSWER), ANSWER),
        CHUNKED + b"zz\r\n" + ANSWER,
        response(ANSWER, "Content-Encoding: gzip"),
        response(gzip.compress(ANSWER)[:-20], "Content-Encoding: gzip")[:-1],
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"\x16\x03\x01\x02\x00" * 9,
        b"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n" + ANSWER,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n" + ANSWER,
    ],
    ids=["cut", "cut chunks", "bad chunks", "no gzip", "cut gzip", "cut head", "ssh", "tls", "negative", "huge header"],
)
async def test_an_answer_that_breaks_off_or_is_no_http_may_have_cost_something(answer: bytes) -> None:
    away = await lost(server := RawServer([answer], closes=True))
    assert (away.problem, away.unanswered, len(server.requests)) == ("model_unavailable", True, 1)


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"{", b"\xff\xfe", b"[" * 100_000, ANSWER + b"x"])
async def test_nonsense_is_no_answer(body: bytes) -> None:
    with pytest.raises(UnusableAnswerError):
        await asked(RawServer([response(body)]))


async def test_an_answer_without_an_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_transport, "MOST_ANSWER_BYTES", 100_000)

    async def for_ever(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n{")
        while not writer.is_closing():
            writer.write(b" " * 10_000)
            await writer.drain()

    with pytest.raises(UnusableAnswerError):
        await asked(RawServer([for_ever]))


async def test_an_answer_that_unpacks_to_too_much_is_cut_off() -> None:
    packed = gzip.compress(b" " * (MOST_ANSWER_BYTES + 1))
    assert len(packed) < 100_000
    with pytest.raises(UnusableAnswerError):
        await asked(RawServer([response(packed, "Content-Encoding: gzip")]))


async def test_a_server_that_stops_in_mid_answer_is_not_waited_for() -> None:
    over = asyncio.Event()

    async def stalls(writer: asyncio.StreamWriter) -> None:
        writer.write(response()[:-5])
        await over.wait()

    away = await lost(RawServer([stalls]), timeout=0.1)
    over.set()
    assert away.unanswered


async def test_a_request_that_is_given_up_leaves_no_connection() -> None:
    heard = asyncio.Event()

    async def stalls(writer: asyncio.StreamWriter) -> None:
        heard.set()
        await writer.wait_closed()

    async with RawServer([stalls, response()]).serving() as server, asking(server.url) as client:
        asked = asyncio.create_task(client.post("/responses", QUESTION))
        await heard.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert await client.post("/responses", QUESTION) == ANSWER
        assert server.connections == 2


# --- refusals ---------------------------------------------------------------------------------------------------------


async def test_a_refusal_counts_by_its_status_even_without_its_body() -> None:
    with pytest.raises(ModelRejectedError, match="http_422"):
        await asked(RawServer([response(b'{"error": {"message"', status="422 No")[:-5]], closes=True))


async def test_a_refusal_counts_by_its_status_even_if_its_body_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_transport, "REFUSAL_SECONDS", 0.1)
    over = asyncio.Event()

    async def stalls(writer: asyncio.StreamWriter) -> None:
        writer.write(response(b'{"error": {"message"', status="422 No")[:-5])
        await over.wait()

    with pytest.raises(ModelRejectedError, match="http_422"):
        await asked(RawServer([stalls]))
    over.set()


async def test_a_change_of_protocol_is_no_answer() -> None:
    away = await lost(RawServer([response(status="101 Switching Protocols")]))
    assert away.problem == "model_unavailable"


async def test_a_refusal_of_any_length_is_read_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_transport, "MOST_REFUSAL_BYTES", 1000)
    with pytest.raises(ModelRejectedError, match="http_422"):
        await asked(RawServer([response(b"x" * 1_000_000, status="422 No")]))


async def test_a_refusal_before_a_file_was_sent_counts() -> None:
    """The server answers after the head, and reads nothing more."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response(b"{}", status="413 Too Large"))
        await over.wait()
        writer.close()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield bytes(300_000)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    file = ModelFile(ReadAs.SEE, "image/png", "a.png", 30_000_000, chunks)
    async with asking(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1") as client:
        with pytest.raises(ModelRejectedError, match=CONTEXT_TOO_LONG):
            await client.post("/responses", Body([b'{"input":"', file, b'"}']))
    over.set()
    server.close()


@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
async def test_the_time_of_a_refusal_is_read(name: str) -> None:
    away = await lost(RawServer([response(b"busy", f"{name}: 7", status="503 Busy")]))
    assert (away.problem, away.retry_after, away.unanswered) == ("model_unavailable", 7, False)


async def test_a_gateway_that_gave_up_waiting_may_have_cost_something() -> None:
    assert (await lost(RawServer([response(b"<html>", status="504 Gateway Timeout")]))).unanswered


# --- events -----------------------------------------------------------------------------------------------------------

EVENTS = b'data: {"type":"response.completed","response":%b}\r\n\r\ndata: [DONE]\r\n\r\n' % ANSWER


def of_events(body: bytes, *headers: str) -> bytes:
    return response(body, *headers).replace(b"application/json", b"text/event-stream; charset=utf-8")


@pytest.mark.parametrize(
    "answer",
    [
        of_events(EVENTS),
        of_events(gzip.compress(EVENTS), "Content-Encoding: gzip"),
        of_events(EVENTS.replace(b"\r", b"")),
    ],
    ids=["plain", "gzip", "lf"],
)
async def test_events_in_any_form_of_http(answer: bytes) -> None:
    streamed = StreamedResponse(lambda _: None)
    async with RawServer([answer]).serving() as server, asking(server.url) as client:
        for _ in range(2):
            assert await client.stream("/responses", QUESTION, streamed) is None
    assert read_answer(streamed.response, QUESTION).text == "Hi"
    assert server.connections == 1


async def test_events_without_an_end_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_transport, "MOST_STREAM_BYTES", 100_000)
    async with RawServer([of_events(b": ping\n\n" * 100_000)]).serving() as server, asking(server.url) as client:
        with pytest.raises(UnusableAnswerError):
            await client.stream("/responses", QUESTION, StreamedResponse(lambda _: None))


# --- proxies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"https_proxy": "http://clerk:pw@proxy:3128"}, "http://clerk:pw@proxy:3128"),
        ({"HTTPS_PROXY": " proxy:3128 "}, "http://proxy:3128"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://b"}, "http://b"),
        ({"https_proxy": "http://a", "HTTPS_PROXY": "http://b", "all_proxy": "http://c"}, "http://a"),
        ({"http_proxy": "http://a"}, None),
        ({"all_proxy": "http://a"}, "http://a"),
        *(
            ({"all_proxy": "http://a", name: excepted}, None)
            for name in ("no_proxy", "NO_PROXY")
            for excepted in (
                "*",
                "api.openai.com",
                "x, openai.com",
                ".openai.com",
                "*.openai.com",
                "api.openai.com:443",
            )
        ),
        ({"all_proxy": "http://a", "no_proxy": "https://api.openai.com, x"}, None),
        ({"all_proxy": "http://a", "no_proxy": "http://api.openai.com"}, "http://a"),
        ({"all_proxy": "http://a", "no_proxy": "enai.com,api.openai.com:80,127.0.0.1"}, "http://a"),
    ],
)
def test_the_proxy_of_the_environment(environ: dict[str, str], proxy: str | None) -> None:
    found = proxy_of(URL("https://api.openai.com/v1"), environ)
    assert (found and str(found)) == proxy


@pytest.mark.parametrize("excepted", ["::1", "[::1]", "[::1]:8080", "http://[::1]"])
def test_an_address_of_version_6_without_a_proxy(excepted: str) -> None:
    assert proxy_of(URL("http://[::1]:8080/v1"), {"http_proxy": "http://a", "no_proxy": excepted}) is None


async def test_a_proxy_that_refuses_leaves_the_request_unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    async with HttpProxy({}, "clerk:password").serving() as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        async with asking("https://openai.vendor.test/v1") as client:
            with pytest.raises(VendorUnavailable) as caught:
                await client.post("/responses", QUESTION)
    assert (caught.value.problem, caught.value.unanswered, proxy.refused) == ("model_unavailable", False, 1)
