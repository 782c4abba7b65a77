"""Answers that come as events, over HTTP, from a vendor that cuts, stalls and fails in the middle."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from emulators.openai.stream import ODDITIES
from emulators.openai.turns import Cut, ErrorEvent, Failed, Incomplete, Refused, Text, ToolCall
from kernel_service.errors import VendorUnavailable
from kernel_service.models import openai_client
from kernel_service.models.openai_client import OpenAIClient
from kernel_service.models.openai_responses import OpenAIResponses
from kernel_service.models.openai_stream import StreamedResponse
from kernel_service.ports.model import FILTERED, ModelRejectedError, UnusableAnswerError
from serving.listening import Address, http_served
from tests.unit.models.test_openai_responses import asking, client, emulators, model, responses
from tests.unlimited_queue import unlimited_queue

if TYPE_CHECKING:
    from emulators.app import Emulators
    from kernel_service.models.openai_model import OpenAIModel

__all__ = ["client", "emulators", "model", "responses"]

STORY = "Once upon a time there was a kernel that streamed all it said."


class Listener:
    """Keeps what it is told; `heard` is set by the first piece."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.heard = asyncio.Event()

    def __call__(self, piece: str) -> None:
        self.pieces.append(piece)
        self.heard.set()

    @property
    def text(self) -> str:
        return "".join(self.pieces)


async def test_text_comes_in_pieces_and_the_answer_is_as_if_unstreamed(
    emulators: Emulators, model: OpenAIModel
) -> None:
    emulators.openai.script([STORY])
    listener = Listener()
    answer = await model.answer(asking(model, "a story"), listener)
    assert len(listener.pieces) > 1
    assert listener.text == answer.text == STORY
    assert answer.items[-1]["type"] == "message"
    assert answer.usage.input_tokens > 0 < answer.usage.output_tokens


async def test_without_a_listener_nothing_is_streamed(emulators: Emulators, model: OpenAIModel) -> None:
    await model.answer(asking(model, "Hello"))
    assert "stream" not in emulators.openai.requests[0].body


async def test_pieces_come_before_the_answer_is_complete(emulators: Emulators, model: OpenAIModel) -> None:
    emulators.openai.script([STORY])
    stall = emulators.openai.stall("Once upon")
    listener = Listener()
    asked = asyncio.create_task(model.answer(asking(model, "a story"), listener))
    await stall.reached.wait()
    await listener.heard.wait()
    assert STORY.startswith(listener.text)
    assert not asked.done()
    stall.release()
    assert (await asked).text == STORY


async def test_several_texts_are_separated_as_in_the_answer(emulators: Emulators, model: OpenAIModel) -> None:
    emulators.openai.script([[Text("First."), Text("Second.")]])
    listener = Listener()
    answer = await model.answer(asking(model, "two"), listener)
    assert listener.text == answer.text == "First.\n\nSecond."


@pytest.mark.parametrize(
    ("deltas", "told"),
    [
        (["\ud83d", "\ude00 hi"], ["\U0001f600 hi"]),
        (["hi \ud83d", "\ude00", "\ud83d", "\ude01"], ["hi ", "\U0001f600", "\U0001f601"]),
        (["\ud83d", "\ud83d\ude00"], ["\ufffd\U0001f600"]),
        (["\ude00", "a"], ["\ufffd", "a"]),
        (["a\ud83d"], ["a"]),
    ],
)
def test_a_character_that_is_cut_in_two_is_told_whole(deltas: list[str], told: list[str]) -> None:
    listener = Listener()
    response = StreamedResponse(listener)
    for delta in deltas:
        response.take({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": delta})
    assert listener.pieces == told


def test_half_a_character_at_the_end_of_a_part_does_not_join_the_next_part() -> None:
    response = StreamedResponse(listener := Listener())
    for number, delta in enumerate(["a\ud83d", "\ude00b"]):
        response.take({"type": "response.output_text.delta", "output_index": number, "delta": delta})
    assert listener.text == "a\ufffd\n\n\ufffdb"


async def test_a_part_without_text_adds_no_separator(emulators: Emulators, model: OpenAIModel) -> None:
    emulators.openai.script([[Text("First."), Text(""), Text("Second.")]])
    listener = Listener()
    answer = await model.answer(asking(model, "two"), listener)
    assert listener.text == answer.text == "First.\n\nSecond."


async def test_calls_and_refusals_are_not_told_as_text(emulators: Emulators, model: OpenAIModel) -> None:
    emulators.openai.script([[Text("Let me look."), ToolCall("clock", {"zone": "UTC"})], Refused("I will not.")])
    listener = Listener()
    answer = await model.answer(asking(model, "time"), listener)
    assert [call.name for call in answer.calls] == ["clock"]
    assert listener.text == "Let me look."
    refused = await model.answer(asking(model, "evil"), quiet := Listener())
    assert (refused.refusal, quiet.text) == ("I will not.", "")


async def test_an_answer_that_ends_early_says_why(emulators: Emulators, model: OpenAIModel) -> None:
    emulators.openai.script([Incomplete("half a"), Incomplete("", "content_filter")])
    assert (await model.answer(asking(model, "x"), Listener())).cut
    assert (await model.answer(asking(model, "x"), Listener())).refusal == FILTERED


@pytest.mark.parametrize("quietly", [False, True])
async def test_a_stream_that_breaks_off_is_an_absent_vendor(
    emulators: Emulators, model: OpenAIModel, quietly: bool
) -> None:
    emulators.openai.script([Cut(STORY, quietly=quietly)])
    listener = Listener()
    with pytest.raises(VendorUnavailable) as away:
        await model.answer(asking(model, "a story"), listener)
    assert (away.value.problem, away.value.unanswered) == ("model_unavailable", True)
    assert listener.text
    assert STORY.startswith(listener.text)


async def test_a_stream_that_stalls_ends_with_the_requests_time(emulators: Emulators) -> None:
    client = OpenAIClient("sk-emulated", emulators.openai.base_url, queue=unlimited_queue("model"), timeout=0.3)
    emulators.openai.script([STORY])
    emulators.openai.stall("Once upon")
    listener = Listener()
    responses = OpenAIResponses(client, "gpt-6-luna")
    with pytest.raises(VendorUnavailable):
        await responses.answer(asking(responses, "a story"), listener)
    assert listener.text
    await client.close()


@pytest.mark.parametrize("output", [ErrorEvent("Half", code="server_error"), Failed("broke")])
async def test_a_failure_in_the_stream_means_what_it_means_in_a_response(
    emulators: Emulators, model: OpenAIModel, output: ErrorEvent | Failed
) -> None:
    emulators.openai.script([output])
    with pytest.raises(VendorUnavailable) as away:
        await model.answer(asking(model, "x"), Listener())
    assert away.value.problem == "model_unavailable"


async def test_a_rejection_in_the_stream_is_final(emulators: Emulators, model: OpenAIModel) -> None:
    emulators.openai.script([ErrorEvent("", "too long", "context_length_exceeded")])
    with pytest.raises(ModelRejectedError, match="context_length_exceeded"):
        await model.answer(asking(model, "x"), Listener())


async def test_an_account_without_streaming_is_answered_in_one_piece(emulators: Emulators, model: OpenAIModel) -> None:
    told = (
        '{"error": {"message": "Your organization must be verified to stream this model.", '
        '"type": "invalid_request_error", "param": "stream", "code": "unsupported_value"}}'
    )
    emulators.openai.fail(400, body=told)
    emulators.openai.script([STORY, STORY])
    for _ in range(2):
        listener = Listener()
        assert (await model.answer(asking(model, "a story"), listener)).text == STORY
        assert listener.pieces == []
    assert ["stream" in request.body for request in emulators.openai.requests] == [True, False, False]


# --- servers that speak the wire in part ------------------------------------------------------------------------------

MESSAGE = '{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi","annotations":[]}]}'
DELTA = 'data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hi"}\n\n'
DONE = f'data: {{"type":"response.output_item.done","output_index":0,"item":{MESSAGE}}}\n\n'
WHOLE = f'data: {{"type":"response.completed","response":{{"status":"completed","output":[{MESSAGE}]}}}}\n\n'


async def answered(
    body: str | bytes, content_type: str = "text/event-stream", *, stays_open: bool = False
) -> tuple[str, str]:
    """The streamed text and the answer when a server sends these bytes."""

    over = asyncio.Event()

    async def create(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        await response.write(body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass"))
        if stays_open:
            await over.wait()
        await response.write_eof()
        return response

    app = web.Application()
    app.router.add_post("/v1/responses", create)
    async with http_served(app, "TEST_LISTEN", Address("127.0.0.1", 0)) as port:
        client = OpenAIClient("k", f"http://127.0.0.1:{port}/v1", queue=unlimited_queue("model"), timeout=10)
        responses = OpenAIResponses(client, "m")
        listener = Listener()
        try:
            answer = await responses.answer(asking(responses, "x"), listener)
        finally:
            over.set()
            await client.close()
    return listener.text, answer.text


@pytest.mark.parametrize(
    "body",
    [
        WHOLE,
        DELTA + DONE + WHOLE + "data: [DONE]\n\n",
        DELTA + DONE + 'data: {"type":"response.completed","response":{"status":"completed","output":[]}}\n\n',
        DELTA + DONE + 'data: {"type":"response.completed","response":{"status":"completed"}}\n\n',
        ": ping\n\n" + DELTA + 'data: {"type":"response.odd"}\n\ndata: 7\n\n' + WHOLE.replace("\n", "\r\n"),
        DELTA + WHOLE + "data: {not json}\n\n",
    ],
)
async def test_events_of_many_kinds_of_servers_are_understood(body: str) -> None:
    said, answer = await answered(body)
    assert answer == "Hi"
    assert said in {"Hi", ""}


async def test_an_answer_in_one_piece_to_a_stream_request_is_understood() -> None:
    whole = f'{{"status":"completed","output":[{MESSAGE}]}}'
    assert await answered(whole, "application/json") == ("", "Hi")


async def test_a_server_that_keeps_the_stream_open_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_client, "REST_SECONDS", 0.05)
    assert await answered(DELTA + WHOLE, stays_open=True) == ("Hi", "Hi")


@pytest.mark.parametrize("body", [DELTA + "data: {half\n\n", "data: " + "[" * 100_000 + "\n\n", "data: \xff\n\n"])
async def test_events_that_are_no_json_are_no_answer(body: str) -> None:
    with pytest.raises(UnusableAnswerError):
        await answered(body)


@pytest.mark.parametrize("rest", ["", "да", "дa"], ids=["between", "in a letter", "after a letter"])
async def test_a_stream_that_ends_anywhere_is_an_absent_vendor(rest: str) -> None:
    ends = f'{DELTA}data: {{"type":"response.output_text.delta","delta":"{rest}'.encode()
    with pytest.raises(VendorUnavailable):
        await answered(ends[:-1])


@pytest.mark.parametrize("delta", [None, 7, ["a"], ""])
def test_a_delta_that_is_no_text_is_passed_over(delta: Any) -> None:
    streamed = StreamedResponse(listener := Listener())
    assert not streamed.take({"type": "response.output_text.delta", "delta": delta})
    assert listener.pieces == []


def test_text_that_cannot_be_stored_is_repaired_in_the_stream() -> None:
    streamed = StreamedResponse(listener := Listener())
    streamed.take({"type": "response.output_text.delta", "delta": "a\0b\ud83d"})
    streamed.take({"type": "response.completed", "response": {"output": [{"text": "\ud83d\0"}]}})
    assert listener.text == "a\ufffdb\ufffd"
    assert streamed.response == {"output": [{"text": "\ufffd\ufffd"}]}


@pytest.mark.parametrize("oddity", sorted(ODDITIES | {"always_streams", "plain_stream"}))
@pytest.mark.parametrize("watched", [False, True])
async def test_streams_of_servers_that_differ(
    emulators: Emulators, responses: OpenAIResponses, oddity: str, *, watched: bool
) -> None:
    emulators.openai.be_odd(oddity)
    emulators.openai.script([[ToolCall("clock", {"zone": "UTC"})], "Noon."])
    for text, calls in (("", 1), ("Noon.", 0)):
        heard: list[str] = []
        answer = await responses.answer(asking(responses, "Time?"), heard.append if watched else None)
        assert (answer.text, len(answer.calls), "".join(heard)) == (text, calls, text if watched else "")
