"""The result for each way in which a Graph call can end."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from whatsapp_gateway.graph import errors, unanswered_sends
from whatsapp_gateway.graph.answers import MOST_BYTES
from whatsapp_gateway.graph.api import Ambiguous, GraphApi, Refused, Sent, Uploaded
from whatsapp_gateway.graph.errors import Remedy
from whatsapp_gateway.graph.number_circuit_breaker import (
    SILENCES_TO_OPEN,
    SILENT_SECONDS,
    TRIAL_SECONDS,
    NumberCircuitBreaker,
)
from whatsapp_gateway.graph.pacing import Pacing
from whatsapp_gateway.graph.retry_policy import CIRCUIT_OPEN_SECONDS
from whatsapp_gateway.graph.unanswered_sends import MOST_UNANSWERED
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.outbox import File

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[..., Awaitable[GraphApi]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers: list[TestServer] = []
    async with aiohttp.ClientSession() as session:

        async def start(
            answer: Answer, pacing: Pacing | None = None, now: Callable[[], float] = time.monotonic
        ) -> GraphApi:
            app = web.Application()
            app.router.add_post("/v26.0/42/{what:messages|media}", answer)
            servers.append(TestServer(app))
            await servers[-1].start_server()
            return graph_at(session, str(servers[-1].make_url("")).rstrip("/"), pacing or Pacing(0), now)

        yield start
        for server in servers:
            await server.close()


def graph_at(session: aiohttp.ClientSession, url: str, pacing: Pacing, now: Callable[[], float]) -> GraphApi:
    return GraphApi(session, url, "v26.0", "token", pacing=pacing, circuit_breaker=NumberCircuitBreaker(Metrics(), now))


def answering(status: int, body: Any, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(
            status=status, text=text, headers={name.replace("_", "-"): each for name, each in headers.items()}
        )

    return answer


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"messages": [{"id": "wamid.1"}]}, Sent("wamid.1")),
        (200, {"messages": []}, Ambiguous("answer_unreadable")),
        (200, "<html>", Ambiguous("answer_unreadable")),
        (400, {"error": {"code": 131009}}, Refused("131009", Remedy.GIVE_UP)),
        (500, {"error": {"code": 131000}}, Refused("131000", Remedy.RETRY)),
        (500, "oops", Refused("http_500", Remedy.RETRY)),
        (502, {"error": {"code": 2}}, Refused("2", Remedy.RETRY)),
        (504, "<html>", Ambiguous("http_504")),
        (429, "", Refused("http_429", Remedy.RETRY)),
        (401, {"error": {"code": 190}}, Refused("190", Remedy.OPEN_CIRCUIT)),
        (202, "", Ambiguous("answer_unreadable")),
        (302, "", Refused("http_302", Remedy.OPEN_CIRCUIT)),
        (400, "<html>", Refused("http_400", Remedy.OPEN_CIRCUIT)),
        (400, {"error": "odd"}, Refused("http_400", Remedy.OPEN_CIRCUIT)),
        (400, {"error": {"code": True}}, Refused("http_400", Remedy.OPEN_CIRCUIT)),
        (400, {"error": {"code": 1}}, Refused("1", Remedy.RETRY)),
        (404, "Not Found", Refused("http_404", Remedy.OPEN_CIRCUIT)),
        (408, "", Refused("http_408", Remedy.RETRY)),
    ],
)
async def test_an_answer(serve: Serve, status: int, body: Any, expected: object) -> None:
    graph = await serve(answering(status, body))
    assert await graph.send("42", {"type": "text"}, 5) == expected


@pytest.mark.parametrize(("code", "rests"), [(130429, True), (80007, True), (131056, False), (131000, False)])
async def test_a_rate_error_pauses_the_number(serve: Serve, code: int, rests: bool) -> None:
    graph = await serve(answering(400, {"error": {"code": code}}), Pacing(80))
    assert await graph.send("42", {}, 5) == Refused(str(code), errors.remedy_for(code, 400))
    assert (getattr(await graph.send("42", {}, 0.5), "code", "") == "paced") == rests


@pytest.mark.parametrize(
    ("status", "body", "told", "wait"),
    [
        (429, {"error": {"code": 130429}}, "70", 70),
        (400, {"error": {"code": 4}}, "Wed, 21 Oct 2026 07:29:10 GMT", 70),
        (400, {"error": {"code": 80007}}, "1e999", 300),
        (503, {"error": {"code": 131016}}, "70", 70),
        (503, "<html>", "70", 70),
        (429, "", "70", 70),
    ],
)
@pytest.mark.parametrize("per_second", [0, 80])
async def test_a_number_sends_nothing_until_the_time_that_whatsapp_names(
    serve: Serve, *, per_second: float, status: int, body: Any, told: str, wait: float
) -> None:
    answer = answering(status, body, Retry_After=told, Date="Wed, 21 Oct 2026 07:28:00 GMT")
    graph = await serve(answer, Pacing(per_second))
    first, second = [await graph.send("42", {}, 5) for _ in range(2)]
    file = await graph.upload("42", File("m_1", "text/plain"), b"hello", 5)
    assert isinstance(first, Refused)
    assert (first.remedy, first.wait) == (Remedy.RETRY, wait)
    for later in (second, file):
        assert isinstance(later, Refused)
        assert (later.code, later.remedy, round(later.wait)) == ("paced", Remedy.RETRY, wait)


@pytest.mark.parametrize("told", ["soon", "nan", "-5", "-inf", "0"])
async def test_a_time_that_means_nothing_pauses_no_number(serve: Serve, told: str) -> None:
    graph = await serve(answering(503, "<html>", Retry_After=told), Pacing(80))
    assert [await graph.send("42", {}, 5) for _ in range(2)] == [Refused("http_503", Remedy.RETRY)] * 2


async def test_a_time_for_one_person_pauses_no_number(serve: Serve) -> None:
    graph = await serve(answering(429, {"error": {"code": 131056}}, Retry_After="70"), Pacing(80))
    assert [await graph.send("42", {}, 5) for _ in range(2)] == [Refused("131056", Remedy.BACK_OFF, 70)] * 2


async def test_a_file_is_sent_again_at_the_time_that_whatsapp_names(serve: Serve) -> None:
    graph = await serve(answering(503, "", Retry_After="70"))
    file = File("m_1", "text/plain")
    assert await graph.upload("42", file, b"hello", 5) == Refused("http_503", Remedy.RETRY, 70)
    paced = await graph.send("42", {}, 5)
    assert isinstance(paced, Refused)
    assert (paced.code, round(paced.wait)) == ("paced", 70)


@pytest.mark.parametrize(
    ("tried", "sent_then"),
    [(200, 2), (131047, 2), (131053, 2), (131056, 2), (100, 2), (131000, 1), (131048, 0), (190, 0)],
)
async def test_an_open_circuit_sends_nothing_until_a_trial_message_passes(
    serve: Serve, tried: int, sent_then: int
) -> None:
    now, answers = 1000.0, [131048, tried]

    async def answer(_: web.Request) -> web.Response:
        code = answers.pop(0)
        if code == 200:
            return web.json_response({"messages": [{"id": "wamid.1"}]})
        return web.json_response({"error": {"code": code}}, status=400)

    graph = await serve(answer, now=lambda: now)
    assert await graph.send("42", {}, 5) == Refused("131048", Remedy.OPEN_CIRCUIT)
    now += 100
    circuit_open = Refused("circuit_open", Remedy.RETRY, CIRCUIT_OPEN_SECONDS - 100)
    assert await graph.send("42", {}, 5) == circuit_open
    assert await graph.upload("42", File("m_1", "text/plain"), b"hello", 5) == circuit_open
    assert answers == [tried]

    now += CIRCUIT_OPEN_SECONDS - 100
    tries, waits = [await graph.send("42", {}, 5) for _ in range(2)]
    assert isinstance(waits, Refused)
    assert (tries == waits, waits.code, answers) == (False, "circuit_open", [])

    now += TRIAL_SECONDS
    answers += [200, 200]
    assert [await graph.send("42", {}, 5) for _ in range(2)].count(Sent("wamid.1")) == sent_then


async def test_the_body_and_headers_of_a_send(serve: Serve) -> None:
    seen: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.headers["Authorization"], request.content_type, await request.json()))
        return web.json_response({"success": True})

    graph = await serve(answer)
    assert await graph.mark_read("42", "wamid.1", typing=True)
    read = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.1"}
    expected = read | {"typing_indicator": {"type": "text"}}
    assert seen == [("Bearer token", "application/json", expected)]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"id": "1"}, Uploaded("1")),
        (400, {"error": {"code": 100}}, Refused("100", Remedy.GIVE_UP)),
        (413, "<html>", Refused("http_413", Remedy.GIVE_UP)),
        (404, "<html>", Refused("http_404", Remedy.OPEN_CIRCUIT)),
    ],
)
async def test_an_answer_to_a_file(serve: Serve, status: int, body: Any, expected: object) -> None:
    graph = await serve(answering(status, body))
    assert await graph.upload("42", File("m_1", "text/plain"), b"hello", 5) == expected


async def test_no_answer_in_time_is_ambiguous(serve: Serve) -> None:
    release = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    graph = await serve(answer)
    assert await graph.send("42", {}, 0.1) == Ambiguous("timeout")
    release.set()


async def test_a_connection_cut_in_mid_answer_is_ambiguous(serve: Serve) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"messages"')
        assert request.transport is not None
        request.transport.abort()
        return response

    graph = await serve(answer)
    assert await graph.send("42", {}, 5) == Ambiguous("connection_lost")


@pytest.mark.parametrize("packed", [True, False])
async def test_an_endless_answer_is_given_up_once_it_is_too_large(serve: Serve, *, packed: bool) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if packed:
            response.enable_compression(web.ContentCoding.gzip)
        await response.prepare(request)
        while True:
            await response.write(bytes(MOST_BYTES))

    graph = await serve(answer)
    async with asyncio.timeout(10):
        assert await graph.send("42", {}, 60) == Ambiguous("answer_unreadable")


async def test_a_number_that_stays_silent_pauses_until_it_answers(serve: Serve) -> None:
    now, silent, asked = 1000.0, True, 0

    async def answer(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if silent:
            await asyncio.sleep(60)
        return web.json_response({"messages": [{"id": "wamid.1"}]})

    graph = await serve(answer, now=lambda: now)
    stalled = [graph.send("42", {}, 0.1) for _ in range(SILENCES_TO_OPEN)]
    assert set(await asyncio.gather(*stalled)) == {Ambiguous("timeout")}
    paused = Refused("circuit_open", Remedy.RETRY, SILENT_SECONDS)
    assert await graph.send("42", {}, 0.1) == paused
    now += SILENT_SECONDS
    assert await graph.send("42", {}, 0.1) == Ambiguous("timeout"), "the trial"
    assert await graph.send("42", {}, 0.1) == paused
    assert asked == SILENCES_TO_OPEN + 1
    now += SILENT_SECONDS
    silent = False
    assert [await graph.send("42", {}, 5) for _ in range(3)] == [Sent("wamid.1")] * 3


async def test_of_many_sends_at_once_to_a_silent_number_half_leave_their_places(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unanswered_sends, "ANSWER_SECONDS", 0.05)
    release, asked = asyncio.Event(), 0

    async def answer(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        await release.wait()
        return web.json_response({"messages": [{"id": "wamid.1"}]})

    graph = await serve(answer)
    sends = [asyncio.create_task(graph.send("42", {}, 30)) for _ in range(2 * MOST_UNANSWERED)]
    done, hanging = await asyncio.wait(sends, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    while len(done) < MOST_UNANSWERED:
        done, hanging = await asyncio.wait(sends, timeout=0.01)
    assert {each.result() for each in done} == {Refused("unanswered", Remedy.RETRY, SILENT_SECONDS)}
    assert (asked, len(hanging)) == (MOST_UNANSWERED, MOST_UNANSWERED)
    release.set()
    assert set(await asyncio.gather(*hanging)) == {Sent("wamid.1")}
    assert await graph.send("42", {}, 5) == Sent("wamid.1")


async def test_many_sends_at_once_to_a_number_that_answers_are_sent(serve: Serve) -> None:
    graph = await serve(answering(200, {"messages": [{"id": "wamid.1"}]}))
    sends = (graph.send("42", {}, 30) for _ in range(3 * MOST_UNANSWERED))
    assert set(await asyncio.gather(*sends)) == {Sent("wamid.1")}


async def test_a_refused_connection_is_retried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with aiohttp.ClientSession() as session:
        graph = graph_at(session, f"http://127.0.0.1:{port}", Pacing(0), time.monotonic)
        assert await graph.send("42", {}, 5) == Refused("unreachable", Remedy.RETRY)
        assert not await graph.mark_read("42", "wamid.1", typing=True)
