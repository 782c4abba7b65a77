"""The model's rows of docs/reference/vendors.md in the whole product: each refused message is answered.

After each the kernel service restarts, and the next message is answered.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import pytest

from emulators.openai.turns import Failed, Incomplete, Nothing, Refused, Text, ToolCall
from kernel_service import texts
from tests.integration.files import png
from tests.integration.test_conversation import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulators.openai.app import OpenAI
    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World

ANSWERED = "hello, here I am"


class Row(NamedTuple):
    """`fault` is injected before the person writes. The answer begins with `told`; `asks` counts the model calls."""

    name: str
    fault: Callable[[OpenAI], None]
    told: str = ANSWERED
    asks: int = 2


def error(
    status: int, message: str = "no", code: Any = None, param: str | None = None, times: int = 1, **more: Any
) -> Any:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}
    return lambda openai: openai.fail(status, times, body=orjson.dumps(body).decode(), **more)


def answers(raw: str, times: int = 1) -> Any:
    return lambda openai: openai.fail(200, times, body=raw)


def output(*items: Any, **more: Any) -> Any:
    return answers(orjson.dumps({"status": "completed", "output": list(items), **more}).decode())


def says(*turns: Any) -> Any:
    return lambda openai: openai.script(turns)


def message(content: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": content}


def reason(tokens: int) -> Any:
    return lambda openai: openai.reason(tokens)


HALF = '{"output": [{"type": "message", "content": [{"type": "output_text", "text": "half \\ud83d \\u0000"}]}]}'
ROWS = [
    Row("reasoning", lambda openai: openai.change_organisation("other"), asks=1),
    Row("reasoning", error(400, "Item 'rs_1' of type 'reasoning' was provided without its required following item.")),
    Row("reasoning", error(404, "Item with id 'rs_1' not found.", param="input")),
    Row("too-long", error(400, "Your input exceeds the context window", "context_length_exceeded", "input")),
    Row("too-long", error(400, "This model's maximum context length is 8192 tokens.", 400)),
    Row("too-long", error(413)),
    Row("too-long", error(429, "Request too large for m on tokens per min (TPM): Limit 1, Requested 2.", "rate_limit")),
    Row("too-long", lambda openai: setattr(openai, "context_window", 1), texts.answers.TOO_MUCH_AT_ONCE, asks=3),
    Row("parameter", error(400, "Unrecognized request argument supplied: prompt_cache_key")),
    Row("parameter", error(422, "Extra inputs are not permitted", param="safety_identifier")),
    Row("lacks", error(400, "registry.ollama.ai/library/gemma:2b does not support tools")),
    Row("no-compaction", error(400, "Unknown parameter: 'context_management'.", "unknown_parameter")),
    Row("poison", error(400, "flagged", "invalid_prompt", times=2), texts.answers.FAILED),
    Row("poison", error(400, "flagged", "content_filter")),
    Row("poison", error(403, "Your input was flagged", 403)),
    Row("poison", error(418)),
    Row("key", error(401, "Incorrect API key provided.", "invalid_api_key")),
    Row("unpaid", error(402, "Insufficient credits", "insufficient_credits")),
    Row("unpaid", error(429, "You exceeded your current quota", "insufficient_quota")),
    Row("unpaid", error(400, "Billing hard limit has been reached", "billing_hard_limit_reached")),
    Row("no-model", error(404, "The model `x` does not exist", "model_not_found")),
    Row("no-model", error(400, "The requested model 'x' does not exist.", "model_not_found", "model")),
    Row("moved", error(301)),
    Row("moved", error(307)),
    Row("rate", error(429, retry_after=1)),
    Row("busy", error(429)),
    *(Row("away", error(status)) for status in (0, 404, 408, 409, 500, 501, 503, 529)),
    Row("away", says(Failed(), Text(ANSWERED))),
    Row("failed", says(Failed(code="invalid_prompt"), Failed(code="invalid_prompt")), texts.answers.FAILED),
    Row("failed", answers('{"error": {"code": 402, "message": "Insufficient credits"}}')),
    Row("repaired", answers(HALF), "half", asks=1),
    Row("repaired", output(message("plain"), {"type": "web_search_call"}, usage="?", status=None), "plain", asks=1),
    Row("repaired", output({"type": "function_call", "name": "search_tools", "arguments": {"query": "x"}})),
    Row("repaired", output({"type": "function_call", "name": "nothing_like_it", "call_id": None, "arguments": None})),
    Row("nonsense", answers("<html>We will be back</html>", times=2), asks=3),
    Row("nonsense", answers('{"status": "completed", "output": [{"type": "mess')),
    Row("nonsense", answers('{"status": "completed", "output": {}}')),
    Row("empty", says(Nothing(reasoning=False))),
    Row("empty", says(Nothing(), Nothing()), texts.answers.NO_ANSWER),
    Row("empty", output(message([{"type": "output_text", "text": "\u200b \n", "annotations": []}]))),
    Row("thought", reason(30_000)),
    Row("thought", reason(60_000), texts.answers.NO_ANSWER_IN_TIME),
    Row("cut", says([Text("Once"), Incomplete(" upon")]), "Once", asks=1),
    Row("declined", says(Refused("I will not.")), texts.answers.REFUSED, asks=1),
    Row("declined", says(Incomplete("", "content_filter")), "hello", asks=2),
    Row("declined", says(*[Incomplete("", "content_filter")] * 2), texts.answers.REFUSED, asks=2),
]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.name}-{number}" for number, row in enumerate(ROWS)])
async def test_a_refusal_of_the_model_never_outlives_the_message(world: World, row: Row) -> None:
    alice, openai = world.phone("Alice"), world.emulators.openai
    assert "hello" in (await world.ask(alice, "hello there")).text
    openai.requests.clear()
    row.fault(openai)
    openai.script([ANSWERED] * 5)
    told = await alice_is_told(world, alice)
    assert told.startswith(row.told)
    assert len(openai.requests) == row.asks
    await world.stop_kernel()
    openai.clear()
    await world.start_kernel()
    assert "hello" in (await world.ask(alice, "hello again")).text
    assert len(alice.received) == 3


async def alice_is_told(world: World, alice: Phone) -> str:
    return (await world.ask(alice, "do it")).text


def test_each_row_is_described_and_tried() -> None:
    described = (Path(__file__).parents[2] / "docs/reference/vendors.md").read_text().partition("## Transcription")[0]
    names = re.findall(r"^\| ([a-z-]+) \|", described, re.MULTILINE)
    tried = {row.name for row in ROWS} | {"tool", "file", "bad-compaction", "generation"}  # those have separate tests
    assert set(names) - {"row"} == tried


async def test_a_file_that_the_model_refuses_is_reported(world: World) -> None:
    alice, openai = world.phone("Alice"), world.emulators.openai
    error(400, "The image data does not represent a valid image.", "invalid_image_format")(openai)
    await alice.send_file("image", png(1), "image/png", caption="what is this?")
    assert "it could not be read" in (await alice.wait_for_message(timeout=60)).text


async def test_a_key_of_another_organisation_costs_nothing_between_turns(world: World) -> None:
    alice, openai = world.phone("Alice"), world.emulators.openai
    await world.ask(alice, "my name is Ada")
    openai.change_organisation("other")
    openai.requests.clear()
    for _ in range(3):
        assert "Ada" in (await world.ask(alice, "what is my name?")).text
        await world.evict(alice)
    assert len(openai.requests) == 3
    assert "reasoning" not in str([request.body["input"] for request in openai.requests])


async def test_a_long_history_is_halved_once_and_its_beginning_stays(world: World) -> None:
    alice, openai = world.phone("Alice"), world.emulators.openai
    for number in range(8):
        await world.ask(alice, f"{number} " + "remember this " * 100)
    whole = openai.requests[-1].body["input"]
    openai.context_window = len(orjson.dumps(openai.requests[-1].body)) // 4
    openai.requests.clear()
    assert "hello" in (await world.ask(alice, "hello there")).text
    first = openai.requests[-1].body["input"]
    assert len(openai.requests) == 2
    assert len(first) < 0.7 * len(whole)
    await world.stop_kernel()
    await world.start_kernel()
    for _ in range(2):
        assert "hello" in (await world.ask(alice, "hello there")).text
        assert openai.requests[-1].body["input"][: len(first)] == first
    assert len(openai.requests) == 4


async def test_large_results_within_a_turn_are_cut_and_the_turn_keeps_its_work(world: World) -> None:
    alice, openai = world.phone("Alice"), world.emulators.openai
    await connect(world, alice)
    await alice.send("ready?")
    await alice.wait_for_message(timeout=60)
    tools = [tool["name"] for tool in openai.requests[-1].body["tools"]]
    listing = next(name for name in tools if "LIST" in name and "TASKS" in name)
    openai.script([ToolCall(listing, {}), ToolCall(listing, {}), ToolCall(listing, {})])
    size = len(orjson.dumps(openai.requests[-1].body)) // 4
    openai.context_window = size + 300
    openai.requests.clear()
    answer = await world.ask(alice, "do it")
    assert answer.text
    assert not answer.text.startswith((texts.answers.FAILED, texts.answers.TOO_MUCH_AT_ONCE))
    executed = [call for call in world.emulators.composio.requests if call.path.endswith("/execute")]
    assert len(executed) == 3, "no call is made twice"


async def test_an_account_without_credit_alerts_once_and_is_measured(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob, openai = world.phone("Alice"), world.phone("Bob"), world.emulators.openai
    error(402, "Insufficient credits", "insufficient_credits", times=3)(openai)
    await alice.send("hello there")
    await bob.send("hello there")
    while 'kernel_model_outage{problem="model_unpaid"} 1.0' not in await world.metrics():
        pass
    for phone in (alice, bob):
        assert "hello" in (await phone.wait_for_message(timeout=60)).text
    assert [record.message for record in caplog.records if "alert: model_unpaid" in record.message].__len__() == 1
    assert 'kernel_model_outage{problem="model_unpaid"} 0.0' in await world.metrics()
