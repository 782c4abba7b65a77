from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from emulators.app import Emulators
from emulators.openai.turns import Cut, Failed, Incomplete, Refused, Text, ToolCall
from kernel_service.errors import Busy, VendorUnavailable
from kernel_service.models.openai_chat import OpenAIChat
from kernel_service.models.openai_client import OpenAIClient
from kernel_service.models.openai_responses import OpenAIResponses
from kernel_service.ports import payloads
from kernel_service.ports.model import ModelRejectedError, ModelRequest, ToolSchema, UnusableAnswerError, UserInput
from kernel_service.rate_limits.current_tenant import as_tenant
from tests.unlimited_queue import unlimited_queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kernel_service.models.openai_model import OpenAIModel

CLOCK = ToolSchema(
    "clock", "Tell the time.", {"type": "object", "properties": {"zone": {"type": "string"}}, "required": []}
)


@pytest.fixture
async def emulators() -> AsyncIterator[Emulators]:
    async with Emulators.start() as running:
        yield running


@pytest.fixture
async def client(emulators: Emulators) -> AsyncIterator[OpenAIClient]:
    client = OpenAIClient("sk-emulated", emulators.openai.base_url, queue=unlimited_queue("model"), timeout=30)
    yield client
    await client.close()


@pytest.fixture(params=[OpenAIResponses, OpenAIChat])
def model(client: OpenAIClient, request: pytest.FixtureRequest) -> OpenAIModel:
    """Both endpoints keep the same promises."""
    model: OpenAIModel = request.param(client, "gpt-6-luna")
    return model


@pytest.fixture
def responses(client: OpenAIClient) -> OpenAIResponses:
    return OpenAIResponses(client, "gpt-6-luna")


def asking(model: OpenAIModel, *texts: str, items: list[dict[str, Any]] | None = None) -> ModelRequest:
    heard = [model.user_item(UserInput(payloads.Payload(payloads.Text(text)))) for text in texts]
    return ModelRequest("Be brief.", [orjson.dumps(item) for item in [*(items or []), *heard]], [CLOCK], "k" * 32, 500)


def items_of(request: ModelRequest) -> list[dict[str, Any]]:
    return [orjson.loads(item) for item in request.items]


async def test_text_and_what_is_sent(emulators: Emulators, responses: OpenAIResponses) -> None:
    emulators.openai.script(["Good morning."])
    answer = await responses.answer(asking(responses, "Hello"))
    assert (answer.text, answer.calls, answer.refusal, answer.cut) == ("Good morning.", [], "", False)
    assert answer.usage.model_calls == 1
    assert answer.usage.input_tokens > 0 < answer.usage.output_tokens
    body = emulators.openai.requests[0].body
    assert body["store"] is False
    assert body["include"] == ["reasoning.encrypted_content"]
    assert body["safety_identifier"] == body["prompt_cache_key"] == "k" * 32
    assert body["max_output_tokens"] == 500
    assert body["tools"][0]["strict"] is False


@pytest.mark.parametrize("watched", [False, True])
async def test_compressed_answers(emulators: Emulators, model: OpenAIModel, watched: bool) -> None:
    emulators.openai.compresses = True
    emulators.openai.script(["Good morning. " * 50])
    heard: list[str] = []
    answer = await model.answer(asking(model, "Hello"), heard.append if watched else None)
    assert answer.text.startswith("Good morning.")
    assert "".join(heard) == (answer.text if watched else "")
    assert "gzip" in emulators.openai.requests[0].headers["Accept-Encoding"]


async def test_items_go_back_verbatim(emulators: Emulators, responses: OpenAIResponses) -> None:
    emulators.openai.script([ToolCall("clock", {"zone": "UTC"}), "It is noon."])
    first = asking(responses, "What time is it?")
    asked = await responses.answer(first)
    assert [item["type"] for item in asked.items] == ["reasoning", "function_call"]
    (call,) = asked.calls
    assert (call.name, call.arguments) == ("clock", {"zone": "UTC"})
    assert responses.call_of(asked.items[-1]) == call
    told = [*items_of(first), *asked.items, responses.result_item(call.call_id, "12:00")]
    answer = await responses.answer(asking(responses, items=told))
    assert answer.text == "It is noon."
    assert emulators.openai.requests[1].body["input"][1:3] == asked.items


async def test_the_vendor_accepts_texts_attributed_to_the_model(emulators: Emulators, model: OpenAIModel) -> None:
    emulators.openai.script(["Yes."])
    told = [*items_of(asking(model, "Do it")), model.said_item("Something went wrong.")]
    assert (await model.answer(asking(model, "Did it work?", items=told))).text == "Yes."


@pytest.mark.parametrize("arguments", ["{", "[1]", '"zone"'])
async def test_arguments_that_are_no_object(emulators: Emulators, model: OpenAIModel, arguments: str) -> None:
    emulators.openai.script([ToolCall("clock", arguments)])
    answer = await model.answer(asking(model, "What time is it?"))
    assert answer.calls[0].arguments is None


async def test_refusal(emulators: Emulators, model: OpenAIModel) -> None:
    emulators.openai.script([Refused("I will not.")])
    answer = await model.answer(asking(model, "Do harm."))
    assert (answer.refusal, answer.text) == ("I will not.", "")


async def test_cut_answer(emulators: Emulators, model: OpenAIModel) -> None:
    emulators.openai.script([[Text("First."), Incomplete("Once upon")]])
    answer = await model.answer(asking(model, "Tell a tale."))
    assert (answer.text, answer.cut) == ("First.\n\nOnce upon", True)


async def test_a_filtered_answer_is_a_refusal(emulators: Emulators, model: OpenAIModel) -> None:
    emulators.openai.script([Incomplete("", reason="content_filter")])
    answer = await model.answer(asking(model, "Do harm."))
    assert answer.refusal
    assert not answer.cut


async def test_reasoning_that_led_nowhere_is_left_out(emulators: Emulators, responses: OpenAIResponses) -> None:
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}
    cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    emulators.openai.fail(200, body=orjson.dumps({**cut, "output": [reasoning]}).decode())
    answer = await responses.answer(asking(responses, "Think."))
    assert (answer.items, answer.cut, answer.usage.tokens) == ([], True, 0)


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (401, "model_rejects_key"),
        (403, "model_rejects_key"),
        (404, "model_unavailable"),
        (500, "model_unavailable"),
        (503, "model_unavailable"),
        (0, "model_unavailable"),
    ],
)
async def test_an_unavailable_vendor(emulators: Emulators, model: OpenAIModel, status: int, problem: str) -> None:
    emulators.openai.fail(status, retry_after=7 if status else None)
    with pytest.raises(VendorUnavailable) as caught:
        await model.answer(asking(model, "Hello"))
    assert caught.value.problem == problem
    assert caught.value.retry_after == (7 if status else None)
    assert len(emulators.openai.requests) == 1, "it must not retry by itself"
    assert (await model.answer(asking(model, "Hello"))).text, "it must recover"


async def test_a_vendor_who_names_a_time_is_left_alone_by_everybody(emulators: Emulators, model: OpenAIModel) -> None:
    emulators.openai.fail(429, retry_after=7)
    for person in ("p_1", "p_2"):
        with as_tenant(person), pytest.raises(Busy) as caught:
            await model.answer(asking(model, "Hello"))
        assert caught.value.problem == "model_busy"
        assert caught.value.retry_after == pytest.approx(7, abs=0.5)
    assert len(emulators.openai.requests) == 1


async def test_a_vendor_who_names_no_time_is_asked_again_when_the_turn_likes(
    emulators: Emulators, model: OpenAIModel
) -> None:
    emulators.openai.fail(429)
    with pytest.raises(VendorUnavailable) as caught:
        await model.answer(asking(model, "Hello"))
    assert (caught.value.problem, caught.value.retry_after) == ("model_busy", None)
    assert (await model.answer(asking(model, "Hello"))).text


async def test_a_wrong_key(emulators: Emulators) -> None:
    client = OpenAIClient("sk-other", emulators.openai.base_url, queue=unlimited_queue("model"))
    model = OpenAIResponses(client, "gpt-6-luna")
    with pytest.raises(VendorUnavailable) as caught:
        await model.answer(asking(model, "Hello"))
    await client.close()
    assert caught.value.problem == "model_rejects_key"


async def test_a_vendor_that_is_away() -> None:
    client = OpenAIClient("sk-emulated", "http://127.0.0.1:1/v1", queue=unlimited_queue("model"))
    model = OpenAIResponses(client, "gpt-6-luna")
    with pytest.raises(VendorUnavailable) as caught:
        await model.answer(asking(model, "Hello"))
    await client.close()
    assert caught.value.problem == "model_unavailable"


async def test_a_slow_vendor(emulators: Emulators) -> None:
    client = OpenAIClient("sk-emulated", emulators.openai.base_url, queue=unlimited_queue("model"), timeout=0.05)
    model = OpenAIResponses(client, "gpt-6-luna")
    hold = emulators.openai.hold()
    with pytest.raises(VendorUnavailable) as caught:
        await model.answer(asking(model, "Hello"))
    hold.release()
    await client.close()
    assert caught.value.problem == "model_unavailable"


async def test_nonsense_is_no_absence(emulators: Emulators, model: OpenAIModel) -> None:
    emulators.openai.fail(200, body="<html>")
    with pytest.raises(UnusableAnswerError):
        await model.answer(asking(model, "Hello"))


async def test_a_broken_connection(emulators: Emulators, model: OpenAIModel) -> None:
    emulators.openai.script([Cut("Half")])
    with pytest.raises(VendorUnavailable):
        await model.answer(asking(model, "Hello"))


async def test_a_failure_that_passes(emulators: Emulators, model: OpenAIModel) -> None:
    emulators.openai.script([Failed()])
    with pytest.raises(VendorUnavailable):
        await model.answer(asking(model, "Hello"))


async def test_a_permanent_failure_is_rejected(emulators: Emulators, model: OpenAIModel) -> None:
    emulators.openai.script([Failed(code="invalid_prompt")])
    with pytest.raises(ModelRejectedError, match="invalid_prompt"):
        await model.answer(asking(model, "Hello"))


async def test_a_request_that_is_never_accepted(emulators: Emulators, model: OpenAIModel) -> None:
    emulators.openai.context_window = 1
    with pytest.raises(ModelRejectedError, match="context_length_exceeded"):
        await model.answer(asking(model, "Hello"))


async def test_a_refusal_without_a_code(emulators: Emulators, model: OpenAIModel) -> None:
    emulators.openai.fail(422, body="<html>")
    with pytest.raises(ModelRejectedError, match="http_422"):
        await model.answer(asking(model, "Hello"))


async def test_a_refusal_names_what_it_refuses(emulators: Emulators, model: OpenAIModel) -> None:
    broken = ToolSchema("broken", "", {"type": "array"})
    request = asking(model, "Hello")
    with pytest.raises(ModelRejectedError) as caught:
        await model.answer(ModelRequest(request.instructions, request.items, [CLOCK, broken], "k" * 32, 500))
    assert caught.value.code == "invalid_function_parameters"
    assert caught.value.param.startswith("tools[1].")
    assert "broken" in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        '{"error": {"code": 400, "param": {"a": 1}, "message": ["x"]}}', '{"error": "no"}', "[1]", "null", "<html>",
        '{"error": {"code": "what they said: +49 170", "param": "input\\nx", "message": null}}',
    ],
)  # fmt: skip
async def test_a_refusal_of_any_shape_has_a_code(emulators: Emulators, model: OpenAIModel, body: str) -> None:
    emulators.openai.fail(400, body=body)
    with pytest.raises(ModelRejectedError) as caught:
        await model.answer(asking(model, "Hello"))
    assert (caught.value.code, caught.value.param) == ("http_400", "")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("prompt_cache_key", "Unrecognized request argument supplied: prompt_cache_key"),
        ("safety_identifier", "Unknown parameter: 'safety_identifier'."),
        ("include", "Encrypted content is not supported with this model."),
        ("max_output_tokens", "`max_output_tokens` is too large: 500. This model supports at most 100."),
        ("reasoning", "Unsupported parameter: 'reasoning.effort' is not supported with this model."),
    ],
)
async def test_a_parameter_that_the_server_refuses_is_left_out_afterwards(
    emulators: Emulators, name: str, message: str
) -> None:
    client = OpenAIClient("sk-emulated", emulators.openai.base_url, queue=unlimited_queue("model"))
    model = OpenAIResponses(client, "gpt-6-luna", effort="low")
    emulators.openai.fail(400, body=orjson.dumps({"error": {"message": message}}).decode())
    for _ in range(2):
        assert (await model.answer(asking(model, "Hello"))).text
    await client.close()
    sent = [name in request.body for request in emulators.openai.requests]
    assert sent == [True, False, False]
    assert all(request.body["store"] is False for request in emulators.openai.requests)


async def test_words_of_a_person_do_not_end_the_compaction_for_others(
    emulators: Emulators, responses: OpenAIResponses
) -> None:
    words = "Unknown parameter: 'context_management'"
    message = f"Invalid user message={{'role': 'user', 'content': \"{words}\"}} at index 1."
    emulators.openai.fail(400, body=orjson.dumps({"error": {"message": message}}).decode())
    await responses.answer(replace(asking(responses, words, "word " * 4000), compact_at=1000))
    assert ["context_management" in call.body for call in emulators.openai.requests] == [True, False]
    assert responses.compacts


async def test_a_parameter_that_is_refused_for_ever_ends(emulators: Emulators, model: OpenAIModel) -> None:
    emulators.openai.fail(400, times=9, body='{"error": {"message": "Unknown", "param": "safety_identifier"}}')
    with pytest.raises(ModelRejectedError):
        await model.answer(asking(model, "Hello"))
    assert len(emulators.openai.requests) == 2


async def test_the_effort_is_sent_where_it_is_set(emulators: Emulators, responses: OpenAIResponses) -> None:
    await responses.answer(asking(responses, "Hello"))
    assert "reasoning" not in emulators.openai.requests[0].body


async def test_the_origin_names_vendor_and_model(responses: OpenAIResponses) -> None:
    assert responses.origin == "openai:gpt-6-luna"
