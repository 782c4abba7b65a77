from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from emulators.faults import matching
from kernelctl.checks.results import Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.unit.kernelctl.vendors import Vendors

QUOTA = {"error": {"message": "You exceeded your current quota.", "type": "insufficient_quota", "code": "insufficient_quota"}}  # fmt: skip  # noqa: E501
NO_TOOLS = {"error": {"message": "llama2 does not support tools", "type": "api_error", "code": None}}


def setting(name: str, value: str) -> Callable[[Vendors], None]:
    return lambda real: real.values.update({name: value})


def refusing(status: int, body: dict[str, Any] | None = None, path: str = "/responses") -> Callable[[Vendors], None]:
    text = None if body is None else json.dumps(body)
    return lambda real: real.emulators.openai.fail(status, body=text, match=matching(path=path))


def without(*paths: str) -> Callable[[Vendors], None]:
    return lambda real: real.emulators.openai.without.update(paths)


def forbidding(path: str) -> Callable[[Vendors], None]:
    return lambda real: real.emulators.openai.forbidden.add(path)


async def test_a_healthy_model_costs_one_short_answer(real: Vendors) -> None:
    real.values["OPENAI_SPEECH_MODEL"] = "gpt-4o-mini-tts"
    assert {result.status for result in await real.check("model")} == {Status.OK}
    asked = [call for call in real.emulators.openai.requests if call.method == "POST"]
    [paid] = [call for call in asked if call.path == "/responses"]
    assert paid.body["max_output_tokens"] == 16
    assert paid.body["store"] is False
    assert real.emulators.effects.all("transcription") == real.emulators.effects.all("speech") == []


async def test_a_chat_server_is_asked_in_its_own_way(real: Vendors) -> None:
    real.values["OPENAI_API"] = "chat"
    real.emulators.openai.without.add("/responses")
    assert [result.status for result in await real.check("model.answer")] == [Status.OK]


async def test_the_limit_has_the_name_that_the_server_takes(real: Vendors) -> None:
    real.values["OPENAI_API"] = "chat"
    real.emulators.openai.lack("max_tokens")
    assert [result.status for result in await real.check("model.answer")] == [Status.OK]


@pytest.mark.parametrize("lack", ["tools", "tool_parser"])
async def test_a_server_without_tools_is_a_warning(real: Vendors, lack: str) -> None:
    real.values["OPENAI_API"] = "chat"
    real.emulators.openai.lack(lack)
    found = await real.finding("model.answer")
    assert (found.status, "takes no tools" in found.text) == (Status.WARNING, True)


@pytest.mark.parametrize(
    ("check", "fault", "text", "fix"),
    [
        ("model", setting("OPENAI_API_KEY", "sk-other"), "OPENAI_API_KEY is not valid", "API keys"),
        ("model", setting("OPENAI_MODEL", "gpt-6.2-soll"), "does not exist", "gpt-6.2-sol"),
        ("model", setting("OPENAI_BASE_URL", "http://127.0.0.1:9/v1"), "refuses the connection", "host and port"),
        ("model", setting("OPENAI_BASE_URL", "http://no.invalid/v1"), "does not resolve", "DNS record"),
        ("answer", refusing(403), "may not ask the model", "model capabilities"),
        ("answer", forbidding("/responses"), "may not ask the model", "write access"),
        ("answer", refusing(429, QUOTA), "no quota left", "Billing"),
        ("answer", refusing(402), "no quota left", "Billing"),
        ("answer", refusing(429), "rate limit", "KERNEL_MODEL_PER_MINUTE"),
        ("answer", refusing(400, NO_TOOLS), "takes no tools", "--enable-auto-tool-choice"),
        ("answer", refusing(500), "fails (status 500)", "status.openai.com"),
        ("answer", refusing(400, {"error": {"message": "no"}}), "refuses a plain request", "message"),
        ("answer", without("/responses"), "no endpoint /responses", "OPENAI_API=chat"),
        ("transcription", without("/audio/transcriptions"), "does not transcribe", "OPENAI_TRANSCRIBE_BASE_URL"),
        ("transcription", setting("OPENAI_TRANSCRIBE_MODEL", "whisper-9"), "does not exist", "OPENAI_TRANSCRIBE_MODEL"),
        ("transcription", setting("OPENAI_TRANSCRIBE_API_KEY", "k"), "OPENAI_TRANSCRIBE_API_KEY is not valid", "keys"),
        ("transcription", setting("OPENAI_TRANSCRIBE_BASE_URL", "http://127.0.0.1:9"), "OPENAI_TRANSCRIBE_BASE_URL refuses", "host"),  # noqa: E501
        ("speech", setting("OPENAI_SPEECH_MODEL", "tts-9"), "does not exist", "OPENAI_SPEECH_MODEL"),
    ],
)  # fmt: skip
async def test_a_fault_of_the_model_is_found(
    real: Vendors, check: str, fault: Callable[[Vendors], None], text: str, fix: str
) -> None:
    fault(real)
    found = await real.finding(f"model.{check}")
    assert text in found.text
    assert fix in found.fix


@pytest.mark.parametrize(
    ("api", "body", "text"),
    [
        ("responses", "<html>Welcome</html>", "/responses with a web page"),
        ("responses", "OK", "something else than a JSON object"),
        ("responses", '{"choices": []}', "without a list as its `output`"),
        ("responses", '{"error": {"code": 402, "message": "no credit"}}', "status 200 and an error: no credit"),
        ("chat", '{"error": "Unexpected endpoint or method."}', "status 200 and an error: Unexpected endpoint"),
        ("chat", '{"choices": null}', "without `choices[0].message`"),
        ("chat", '{"choices": [{"message": null}]}', "without `choices[0].message`"),
    ],
)
async def test_an_answer_of_the_wrong_form_is_found(real: Vendors, api: str, body: str, text: str) -> None:
    real.values["OPENAI_API"] = api
    real.emulators.openai.fail(200, body=body, match=lambda call: call.method == "POST")
    found = await real.finding("model.answer")
    assert text in found.text
    assert "OPENAI_BASE_URL" in found.fix


async def test_a_server_that_does_not_speak_is_found(real: Vendors) -> None:
    real.values["OPENAI_SPEECH_MODEL"] = "gpt-4o-mini-tts"
    real.emulators.openai.without.add("/audio/speech")
    assert "does not speak" in (await real.finding("model.speech")).text


async def test_a_model_that_was_withdrawn_is_one_finding(real: Vendors) -> None:
    real.emulators.openai.withdraw("gpt-6.2-sol")
    assert "does not exist" in (await real.finding("model.model", "model.answer")).text


@pytest.mark.parametrize(
    "fault",
    [without("/models"), *(refusing(status, path="/models") for status in (404, 405, 429, 500, 501, 503))],
    ids=["absent", "404", "405", "429", "500", "501", "503"],
)
async def test_a_model_that_answers_is_no_finding_however_models_are_described(
    real: Vendors, fault: Callable[[Vendors], None]
) -> None:
    for _ in range(3):
        fault(real)
    results = await real.check("model.model", "model.answer")
    assert {result.status for result in results} <= {Status.OK, Status.NOTE}
    assert results[-1].status is Status.OK


async def test_a_server_that_answers_for_a_model_that_it_does_not_list_has_no_finding(real: Vendors) -> None:
    """As llama.cpp does."""
    async with any_model(lists=["llama-3.gguf"]) as url:
        real.values |= {"OPENAI_BASE_URL": url, "OPENAI_API": "chat", "OPENAI_MODEL": "my-model"}
        results = await real.check("model.model", "model.answer")
        assert [result.status for result in results] == [Status.NOTE, Status.OK]
        assert "does not exist" in (await real.finding("model.model", calls_model=False)).text


@pytest.mark.parametrize(
    "words", ["model 'llama-4' not found, try pulling it first", "The model `llama-4` does not exist."]
)
async def test_a_server_that_refuses_a_model_that_it_does_not_list_has_one_finding(real: Vendors, words: str) -> None:
    """As Ollama and vLLM do."""
    async with any_model(lists=["llama-3"], refuses=words) as url:
        real.values |= {"OPENAI_BASE_URL": url, "OPENAI_API": "chat", "OPENAI_MODEL": "llama-4"}
        found = await real.finding("model.model", "model.answer")
    assert "llama-4 of OPENAI_MODEL does not exist" in found.text
    assert "Similar ones are llama-3." in found.fix


@asynccontextmanager
async def any_model(lists: list[str], refuses: str = "") -> AsyncIterator[str]:
    """A chat server that knows no single models: its base URL."""

    async def chat(_: web.Request) -> web.Response:
        if refuses:
            return web.json_response({"error": {"message": refuses, "type": "api_error", "code": None}}, status=404)
        return web.json_response({"choices": [{"message": {"content": "OK"}}]})

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": name} for name in lists]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_get("/v1/models", models)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1"))


async def test_a_server_without_a_list_of_models_is_a_note(real: Vendors) -> None:
    real.emulators.openai.without.add("/models")
    [result] = await real.check("model.model")
    assert result.status is Status.NOTE


async def test_a_key_that_may_not_read_models_is_no_finding_if_the_model_answers(real: Vendors) -> None:
    real.emulators.openai.forbidden.add("/models")
    results = await real.check("model.model", "model.answer")
    assert [result.status for result in results] == [Status.NOTE, Status.OK]


async def test_a_server_cannot_write_to_the_terminal(real: Vendors) -> None:
    refusing(400, {"error": {"message": "\x1b[2Jall is \x07well\n"}})(real)
    assert (await real.finding("model.answer")).text.isprintable()


async def test_the_costly_check_can_be_left_out(real: Vendors) -> None:
    [result] = await real.check("model.answer", calls_model=False)
    assert result.status is Status.SKIPPED
    assert real.emulators.openai.requests == []
