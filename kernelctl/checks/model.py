"""The model's server: OpenAI, or another one that speaks its wire.

`answer` costs one answer of at most 16 tokens: quota, tool calls and the endpoint show in no other way. The other
checks are free.

Sources: platform.openai.com/docs/api-reference/models, …/guides/error-codes; the texts of Ollama ("does not support
tools") and vLLM ("--enable-auto-tool-choice") for servers without tool calls.
"""

from __future__ import annotations

from difflib import get_close_matches
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from kernelctl.checks.http import Reply, Unreachable
from kernelctl.checks.json_fields import object_in, objects_in
from kernelctl.checks.results import Result, Skipped, error, note, ok, warning
from kernelctl.checks.vendor import check_configured, unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernelctl.checks.http import Http
    from kernelctl.checks.setup import Setup

TOKENS: Final = 16
"""The least that OpenAI takes as max_output_tokens."""
_NO_ANSWERS: Final = "No message is answered: people are told that the assistant is unavailable."
_NO_VOICE: Final = "Voice messages are not understood."
_TEXT_ONLY: Final = "Answers to voice messages come as text alone."
_KEYS_PAGE: Final = "platform.openai.com > API keys (or your server's own keys)"
_ABSENT: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
"""The answers of a server to a path that it does not have."""
_PAYMENT: Final = frozenset({"insufficient_quota", "insufficient_credits", "billing_hard_limit_reached"})
_TOOL: Final = {
    "name": "note",
    "description": "Note a word.",
    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
}


class Server:
    """A base URL with its key. `setting` names the base URL."""

    def __init__(self, http: Http, setting: str, base_url: str, key: str, key_setting: str) -> None:
        self.http = http
        self.setting = setting
        self.key_setting = key_setting
        self.base = base_url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {key}"}

    async def get(self, path: str) -> Reply:
        return await self.http.get(f"{self.base}{path}", headers=self.headers)

    async def post(self, path: str, body: Any) -> Reply:
        return await self.http.post(f"{self.base}{path}", headers=self.headers, body=body)


def _model_server(setup: Setup, http: Http) -> Server:
    check_configured(setup, "OpenAI")
    return Server(http, "OPENAI_BASE_URL", setup.get("OPENAI_BASE_URL"), setup.get("OPENAI_API_KEY"), "OPENAI_API_KEY")


def _transcription_server(setup: Setup, http: Http) -> Server:
    check_configured(setup, "OpenAI")
    own, key = setup.get("OPENAI_TRANSCRIBE_BASE_URL"), setup.get("OPENAI_TRANSCRIBE_API_KEY")
    setting = "OPENAI_TRANSCRIBE_BASE_URL" if own else "OPENAI_BASE_URL"
    key_setting = "OPENAI_TRANSCRIBE_API_KEY" if key else "OPENAI_API_KEY"
    return Server(http, setting, own or setup.get("OPENAI_BASE_URL"), key or setup.get("OPENAI_API_KEY"), key_setting)


async def key_and_model(setup: Setup, http: Http) -> Sequence[Result]:
    server = _model_server(setup, http)
    model = setup.get("OPENAI_MODEL")
    return await _known_model(server, "OPENAI_MODEL", model, _NO_ANSWERS, is_asked=setup.calls_model)


async def answer(setup: Setup, http: Http) -> Sequence[Result]:
    """One request with a tool: the endpoint, the quota and tool calls."""
    if not setup.calls_model:
        raise Skipped("no model is called (--no-model-call)")
    server, model = _model_server(setup, http), setup.get("OPENAI_MODEL")
    is_chat = setup.get("OPENAI_API") == "chat"
    path = "/chat/completions" if is_chat else "/responses"
    try:
        known = await server.get(f"/models/{model}")
        is_bad_key = known.status == HTTPStatus.UNAUTHORIZED and not _is_restricted(known)
        if is_bad_key or _code(known) == "model_not_found":
            raise Skipped("see the finding of the model")
        reply = await (_chat(server, model) if is_chat else server.post(path, _responses_body(model)))
        if _is_unknown(reply, model):
            return [_no_such_model("OPENAI_MODEL", model, await _listed(server), _NO_ANSWERS)]
    except Unreachable:
        raise Skipped("see the finding of the model") from None
    if reply.status != HTTPStatus.OK:
        return [_no_answer(setup, reply, path)]
    if flaw := _flaw(reply, is_chat=is_chat):
        fix = "Correct OPENAI_BASE_URL, which usually ends with /v1, or OPENAI_API, or the server."
        return [error(f"the model's server answers {path} with {flaw}", why=_NO_ANSWERS, fix=fix)]
    return [ok(f"the model answers at {path} and takes tools")]


def _is_unknown(reply: Reply, model: str) -> bool:
    """Whether the server says that it has no such model. Other 404s are about the path."""
    is_named = _code(reply) == "model_not_found" or model in _message(reply)
    return reply.status == HTTPStatus.NOT_FOUND and is_named


def _flaw(reply: Reply, *, is_chat: bool) -> str:
    """The fault in the form of an answer with status 200; empty: there is none."""
    whole = reply.json
    if not isinstance(whole, dict):
        return "a web page" if reply.text.lstrip().startswith("<") else "something else than a JSON object"
    if is_chat and any(object_in(choice, "message") for choice in objects_in(whole, "choices")):
        return ""
    if not is_chat and isinstance(whole.get("output"), list):
        return ""
    if whole.get("error"):
        return f"status 200 and an error: {_message(reply)[:160]}"
    return "an object without `choices[0].message`" if is_chat else "an object without a list as its `output`"


def _responses_body(model: str) -> dict[str, Any]:
    body = {"model": model, "input": "Say OK.", "max_output_tokens": TOKENS, "store": False}
    return {**body, "tools": [{"type": "function", "strict": False, **_TOOL}]}


async def _chat(server: Server, model: str) -> Reply:
    """Ollama ignores the second name of the limit, and OpenAI refuses the first."""
    body = {"model": model, "messages": [{"role": "user", "content": "Say OK."}]}
    body |= {"tools": [{"type": "function", "function": _TOOL}]}
    reply = await server.post("/chat/completions", {**body, "max_tokens": TOKENS})
    if reply.status == HTTPStatus.BAD_REQUEST and "max_tokens" in reply.text:
        return await server.post("/chat/completions", {**body, "max_completion_tokens": TOKENS})
    return reply


def _no_answer(setup: Setup, reply: Reply, path: str) -> Result:
    """The first of the reasons that the answer shows."""
    return (
        _of_the_key(reply)
        or _of_the_server(reply, path)
        or _of_the_tools(setup, reply)
        or error(
            f"the model's server refuses a plain request (status {reply.status}): {_message(reply)[:160]}",
            why=_NO_ANSWERS,
            fix="Correct what its message names.",
        )
    )


def _of_the_key(reply: Reply) -> Result | None:
    if _is_restricted(reply):
        fix = f"Give the key write access to model capabilities: {_KEYS_PAGE}."
        return error("the key of OPENAI_API_KEY may not ask the model", why=_NO_ANSWERS, fix=fix)
    if _code(reply) in _PAYMENT or reply.status == HTTPStatus.PAYMENT_REQUIRED:
        fix = "Add credit or raise the limit: platform.openai.com > Settings > Billing and Limits."
        return error("the account of OPENAI_API_KEY has no quota left", why=_NO_ANSWERS, fix=fix)
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        fix = "Lower KERNEL_MODEL_PER_MINUTE below the account's limit, or ask for a higher limit."
        text = "the model's server refuses requests because of its rate limit"
        return warning(text, why="Answers are late.", fix=fix)
    return None


def _of_the_server(reply: Reply, path: str) -> Result | None:
    if reply.status in _ABSENT:
        other = "OPENAI_API=chat" if path == "/responses" else "OPENAI_API=responses"
        fix = f"Set {other}, if the server speaks that, or correct OPENAI_BASE_URL, which usually ends with /v1."
        return error(f"the model's server has no endpoint {path}", why=_NO_ANSWERS, fix=fix)
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        fix = "Try again in a few minutes. status.openai.com shows OpenAI's outages."
        return error(f"the model's server fails (status {reply.status})", why=_NO_ANSWERS, fix=fix)
    return None


def _of_the_tools(setup: Setup, reply: Reply) -> Result | None:
    if "tool" not in _message(reply).lower():
        return None
    return warning(
        f"the model {setup.get('OPENAI_MODEL')} takes no tools at this server",
        why="The assistant cannot use connected accounts, reminders or tools of your own.",
        fix="Choose a model with tool calls, or turn them on at the server (vLLM: --enable-auto-tool-choice).",
    )


async def transcription(setup: Setup, http: Http) -> Sequence[Result]:
    """Whether the model and the endpoint exist. Nothing is transcribed: the request has no file."""
    server, model = _transcription_server(setup, http), setup.get("OPENAI_TRANSCRIBE_MODEL")
    path, fix = "/audio/transcriptions", "Set OPENAI_TRANSCRIBE_BASE_URL and its key to a server that transcribes."
    try:
        if await _lacks(server, path):
            return [warning(f"the server of {server.setting} does not transcribe", why=_NO_VOICE, fix=fix)]
    except Unreachable as problem:
        return [unreachable(server.setting, problem, _NO_VOICE)]
    return await _known_model(server, "OPENAI_TRANSCRIBE_MODEL", model, _NO_VOICE)


async def speech(setup: Setup, http: Http) -> Sequence[Result]:
    """As transcription. Nothing is spoken: the request has no text."""
    server, model = _model_server(setup, http), setup.get("OPENAI_SPEECH_MODEL")
    if not model:
        raise Skipped("OPENAI_SPEECH_MODEL is not set, so answers are text")
    fix = "Leave OPENAI_SPEECH_MODEL empty, or use a server that speaks."
    try:
        if await _lacks(server, "/audio/speech"):
            return [warning("the model's server does not speak", why=_TEXT_ONLY, fix=fix)]
    except Unreachable as problem:
        return [unreachable(server.setting, problem, _TEXT_ONLY)]
    return await _known_model(server, "OPENAI_SPEECH_MODEL", model, _TEXT_ONLY)


async def _lacks(server: Server, path: str) -> bool:
    """Whether the endpoint is missing. One that is there refuses the empty request."""
    return (await server.post(path, {})).status in _ABSENT


async def _known_model(
    server: Server, setting: str, model: str, why: str, *, is_asked: bool = False
) -> Sequence[Result]:
    """`is_asked`: another check asks the model itself. Many servers answer for models that they do not list."""
    try:
        reply = await server.get(f"/models/{model}")
        if told := _by_its_name(server, setting, model, reply, why):
            return [told]
        names = await _listed(server)
    except Unreachable as problem:
        return [unreachable(server.setting, problem, why)]
    if model in names:
        return [ok(f"the model {model} exists")]
    if _code(reply) == "model_not_found" or (names and not is_asked):
        return [_no_such_model(setting, model, names, why)]
    return [_unlisted(server, setting, model, reply) if is_asked or not _fails(reply) else _failing(server, reply, why)]


def _by_its_name(server: Server, setting: str, model: str, reply: Reply, why: str) -> Result | None:
    """The result of the request for this model alone; None: it says nothing."""
    if reply.status == HTTPStatus.OK:
        return ok(f"the model {model} exists, and the key may use it")
    if _is_restricted(reply):
        return note(f"the key of {server.key_setting} may not read models: {setting} is not checked by its name")
    if reply.status == HTTPStatus.UNAUTHORIZED:
        fix = f"Create another: {_KEYS_PAGE}."
        return error(f"the key of {server.key_setting} is not valid", why=why, fix=fix)
    return None


async def _listed(server: Server) -> list[str]:
    """The models of the server's list, since some servers know no single models; empty: it has no list."""
    return [str(each.get("id")) for each in objects_in((await server.get("/models")).json, "data")]


def _no_such_model(setting: str, model: str, names: Sequence[str], why: str) -> Result:
    similar = get_close_matches(model, names, n=3, cutoff=0.4)
    hint = f" Similar ones are {', '.join(similar)}." if similar else ""
    return error(
        f"the model {model} of {setting} does not exist, or the key may not use it",
        why=why,
        fix=f"Set {setting} to a model that the account offers.{hint}",
    )


def _unlisted(server: Server, setting: str, model: str, reply: Reply) -> Result:
    lacking = f"answers with status {reply.status} when it is asked for" if _fails(reply) else "does not list"
    return note(f"the server of {server.setting} {lacking} the model {model}: {setting} is not checked by its name")


def _failing(server: Server, reply: Reply, why: str) -> Result:
    fix = "Try again in a few minutes. status.openai.com shows OpenAI's outages."
    return warning(f"the server of {server.setting} answers with status {reply.status}", why=why, fix=fix)


def _fails(reply: Reply) -> bool:
    """Whether the server is busy or out of order. A path that it does not have is no failure."""
    is_fault = reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status == HTTPStatus.TOO_MANY_REQUESTS
    return is_fault and reply.status not in _ABSENT


def _is_restricted(reply: Reply) -> bool:
    """Whether the key is valid, and lacks the permission: OpenAI says so with 401, other servers with 403."""
    is_scope = reply.status == HTTPStatus.UNAUTHORIZED and "missing scopes" in _message(reply).lower()
    return is_scope or reply.status == HTTPStatus.FORBIDDEN


def _error(reply: Reply) -> dict[str, Any]:
    return object_in(reply.json, "error")


def _code(reply: Reply) -> str:
    problem = _error(reply)
    return str(problem.get("code") or problem.get("type") or "")


def _message(reply: Reply) -> str:
    told = reply.json.get("error") if isinstance(reply.json, dict) else None
    return str(_error(reply).get("message") or (told if isinstance(told, str) else "") or reply.text).strip()
