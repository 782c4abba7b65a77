"""The OpenAI emulator: /openai/v1/responses with its compact, and /openai/v1/chat/completions.

It is stateless; the model is scripted or rule-based, and the same on both endpoints.
"""

import random
from collections.abc import Callable, Container, Iterable
from typing import Any

import orjson
from aiohttp import web

from emulators.config import Config
from emulators.control import match_of
from emulators.effects import Effects
from emulators.faults import Call, Match, drop, every
from emulators.openai import chat_completions, chat_server, checks, load_rule, obedient_model, rule_model, stream
from emulators.openai.chat_input import as_responses
from emulators.openai.conversation import Conversation, read
from emulators.openai.errors import no_scope, no_such_model, of_status, refused
from emulators.openai.files import SeenFile, seen_files, without_files
from emulators.openai.responses import REASONING_TOKENS, Maker, tokens
from emulators.openai.seal import Sealer, unreadable
from emulators.openai.speech import sound
from emulators.openai.stream import Pace, Stall, encoded, encoded_chunk, error_event, events, odd_events, text_of
from emulators.openai.tool_checks import refusal_of
from emulators.openai.transcriptions import FORM, read_form, transcript
from emulators.openai.turns import Cut, ErrorEvent, Output, Script, ToolCall, Turn, from_json
from emulators.openai.wire import (
    AllowedTools,
    ChosenFunction,
    CompactionItem,
    CreateRequest,
    Item,
    ReasoningItem,
)
from emulators.vendor import RefusedError, Vendor

TRANSCRIPTIONS = "/audio/transcriptions"
_FAILING = {"rejected": 400, "failing": 500}
MODELS = ("gpt-6.2-sol", "gpt-6-luna", "gpt-transcribe", "gpt-4o-mini-tts")
"""The models that GET /models lists. Calls take other names, too, unless withdraw() names them."""


class OpenAI(Vendor):
    """Tests write turns with script(), inject faults with fail() and hold(), and read `requests`.

    `refused_tools` maps names of tools that are refused with any schema to the form of the refusal
    (see tool_checks.refusal_of).

    Effects: model_call and model_compaction (person: the safety_identifier), and foreign_content when sealed
    content of one person comes back in a request of another.
    """

    base = "/openai/v1"

    def __init__(
        self,
        config: Config,
        effects: Effects,
        url: str,
        *,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self._maker = Maker(Sealer(config.openai_api_key), REASONING_TOKENS, clock, rng)
        super().__init__(lambda: self._maker.id("req", 32))
        self.base_url = f"{url}{self.base}"
        self.refused_tools: dict[str, str] = {}
        self.context_window = config.emulators_context_window
        self._context_window = self.context_window
        self.compaction = "on"
        """`on`; `refused` or `dropped`, as a server that does not know `context_management`; `unreadable`: it refuses
        each compaction that it made; `rejected` (400) or `failing` (500): it fails where a compaction is due."""
        self._key = config.openai_api_key
        self._effects = effects
        self.models = set(MODELS)
        self.without: set[str] = set()
        """Paths that this server does not have, as `/responses` at a server that speaks Chat Completions only."""
        self.forbidden: set[str] = set()
        """Paths, with those below them, that a restricted key may not call."""
        self.odd: set[str] = set()
        self.lacks: set[str] = set()
        self._withdrawn: set[str] = set()
        self._script = Script()
        self._obeys = False
        self._pace = Pace()

    def script(self, turns: Iterable[str | Output | Turn], match: Match = every) -> None:
        """Write the model's next turns. The rule-based model answers calls that match none."""
        self._script.write(turns, match)

    def change_organisation(self, name: str) -> None:
        """Move the key to another organisation: content that was sealed before can no longer be opened."""
        self._maker.sealer = Sealer(f"{self._key} {name}")

    def obey(self, *, obeys: bool = True) -> None:
        """Whether the rule-based model obeys every instruction anywhere in its input (see obedient_model)."""
        self._obeys = obeys

    def reason(self, tokens: int) -> None:
        """The number of reasoning tokens that each answer uses before its first word."""
        self._maker.reasoning_tokens = tokens

    def pace(self, seconds: float) -> None:
        """The time that a stream takes for each piece of 16 characters."""
        self._pace.seconds = seconds

    def stall(self, after: str) -> Stall:
        """Pause streams after they have sent the text `after`."""
        stall = Stall(after)
        self._pace.stalls.append(stall)
        return stall

    def be_odd(self, *names: str) -> None:
        """Answer as lesser servers do, in the ways of chat_completions.ODDITIES, and on /responses stream.ODDITIES."""
        _check_known(names, chat_completions.ODDITIES | stream.ODDITIES)
        self.odd.update(names)

    def lack(self, *names: str) -> None:
        """Refuse on the chat endpoint what such servers do not take, of chat_server.LACKS."""
        _check_known(names, chat_server.LACKS)
        self.lacks.update(names)

    def fail_as(self, name: str, times: int = 1) -> None:
        """Answer the next requests with one of chat_server.FAILURES."""
        status, told = chat_server.FAILURES[name]
        body = told if isinstance(told, str) else orjson.dumps(told).decode()
        self.fail(status, times, body=body, match=lambda call: call.path in {"/responses", "/chat/completions"})

    def withdraw(self, model: str) -> None:
        """The project has no access to this model any more."""
        self.models.discard(model)
        self._withdrawn.add(model)

    def clear(self) -> None:
        """Remove all scripted turns, faults and holds."""
        self.context_window = self._context_window
        self.models = set(MODELS)
        self._withdrawn.clear()
        self.without.clear()
        self.forbidden.clear()
        self.odd.clear()
        self.lacks.clear()
        self.compaction = "on"
        self.reason(REASONING_TOKENS)
        self.obey(obeys=False)
        self._script.clear()
        self._pace.clear()
        super().clear()

    def mount(self, app: web.Application) -> None:
        app.router.add_get(f"{self.base}/models", self.serving(self._list_models))
        app.router.add_get(f"{self.base}/models/{{model}}", self.serving(self._model))
        app.router.add_post(f"{self.base}/responses", self.serving(self._create))
        app.router.add_post(f"{self.base}/chat/completions", self.serving(self._complete))
        app.router.add_post(f"{self.base}/responses/compact", self.serving(self._compact))
        app.router.add_post(f"{self.base}{TRANSCRIPTIONS}", self.serving(self._transcribe))
        app.router.add_post(f"{self.base}/audio/speech", self.serving(self._speak))
        app.router.add_route("*", f"{self.base}/{{path:.*}}", self.serving(_unknown))
        control = self.control()
        control.add("script", lambda body: self.script(map(from_json, body["turns"]), match_of(body)))
        control.add("change_organisation", lambda body: self.change_organisation(str(body["name"])))
        control.add("obey", lambda body: self.obey(obeys=bool(body.get("obeys", True))))
        control.add("reason", lambda body: self.reason(int(body["tokens"])))
        control.add("pace", lambda body: self.pace(float(body["seconds"])))
        control.add("odd", lambda body: self.be_odd(*body["names"]))
        control.add("fail_as", lambda body: self.fail_as(str(body["name"]), int(body.get("times", 1))))
        control.add("lack", lambda body: self.lack(*body["names"]))
        control.add("context_window", lambda body: setattr(self, "context_window", int(body["tokens"])))
        control.add("withdraw", lambda body: self.withdraw(str(body["model"])))
        control.add("forbid", lambda body: self.forbidden.update(body["paths"]))
        control.add("without", lambda body: self.without.update(body["paths"]))
        control.add("compaction", lambda body: setattr(self, "compaction", str(body["is"])))
        control.mount(app, "openai")

    def check_key(self, request: web.Request) -> None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not key:
            raise refused(
                "You didn't provide an API key. You need to provide your API key in an Authorization header "
                "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
                status=401,
            )
        if key != self._key:
            raise refused(
                f"Incorrect API key provided: {key[:3]}***. You can find your API key at "
                "https://platform.openai.com/account/api-keys.",
                status=401,
                code="invalid_api_key",
            )

    def person(self, path: str, body: Any) -> str:  # noqa: ARG002
        return str(body.get("safety_identifier") or "") if body else ""

    def refusal(self, status: int) -> RefusedError:
        return of_status(status)

    def check_content_type(self, request: web.Request) -> None:
        """Refuse other content types, and parameters too (https://github.com/openai/openai-openapi/issues/194)."""
        given = request.headers.get("Content-Type", "")
        if given != "application/json":
            raise refused(
                f"Unsupported content type: '{given}'. This API method only accepts 'application/json' requests, but "
                f"you specified the header 'Content-Type: {given}'. Please try again with a supported content type.",
                code="unsupported_content_type",
            )

    def bad_body(self) -> RefusedError:
        return refused(
            "We could not parse the JSON body of your request. The OpenAI API expects a JSON payload, "
            "but what was sent was not valid JSON."
        )

    async def read_body(self, request: web.Request) -> Any:
        """Refuse a path that the server does not have, and a model that the project may not use."""
        path = request.path.removeprefix(self.base)
        if _is_below(path, self.without):
            raise RefusedError("Not Found", 404, {"detail": "Not Found"})
        if _is_below(path, self.forbidden):
            raise no_scope(path)
        body = await (self._form(request) if path == TRANSCRIPTIONS else super().read_body(request))
        if isinstance(body, dict) and body.get("model") in self._withdrawn:
            raise no_such_model(str(body["model"]))
        return body

    async def _form(self, request: web.Request) -> Any:
        """A kept form has the digest of its file in place of the bytes, which are dropped with the request."""
        if request.content_type != "multipart/form-data":
            raise refused("Could not parse multipart form")
        form = request[FORM] = await read_form(request)
        return form.as_json()

    async def _list_models(self, _: web.Request, __: Call) -> web.Response:
        return self.respond({"object": "list", "data": [self._described(model) for model in sorted(self.models)]})

    async def _model(self, http: web.Request, _: Call) -> web.Response:
        model = http.match_info["model"]
        if model not in self.models:
            raise no_such_model(model)
        return self.respond(self._described(model))

    def _described(self, model: str) -> dict[str, Any]:
        return {"id": model, "object": "model", "created": 1_780_000_000, "owned_by": "system"}

    async def _create(self, http: web.Request, call: Call) -> web.StreamResponse:
        response, turn = self._answered(call, call.body)
        if not self._streams(call.body.get("stream")):
            return drop(http) if _cut(turn) else self.respond(response)
        told = list(events(response))
        if response["status"] == "completed":
            told = odd_events(told, self.odd)
        if any(isinstance(output, ErrorEvent) for output in turn):
            told[-1] = error_event(response) | {"sequence_number": len(told) - 1}
        return await self._streamed(http, turn, told, text_of, encoded)

    async def _complete(self, http: web.Request, call: Call) -> web.StreamResponse:
        """Answer on the chat endpoint. A failure before the first word has an HTTP status there."""
        chat_server.check(call.body, self.lacks)
        request = checks.chat_request(call.body)
        with checks.in_words_of_chat():
            response, turn = self._answered(call, as_responses(request))
        error = response["error"]
        if error and not (request.stream and any(isinstance(output, ErrorEvent) for output in turn)):
            status = 500 if error["code"] == "server_error" else 400
            raise refused(error["message"], status=status, kind=error["code"], code=error["code"])
        whole = chat_completions.completion(response, self.odd)
        if not self._streams(request.stream):
            return drop(http) if _cut(turn) else self.respond(whole)
        include_usage = bool(request.stream_options and request.stream_options.include_usage)
        told = list(chat_completions.chunks(whole, self.odd, include_usage=include_usage))
        if error:
            told[-1] = {"error": error}
        return await self._streamed(http, turn, told, chat_completions.text_of, encoded_chunk)

    def _answered(self, call: Call, body: dict[str, Any]) -> tuple[dict[str, Any], Turn]:
        """The finished Response to a body in the form of /responses, and the turn in it."""
        request, items = checks.create_request(self._known(body))
        self._check_offered(request)
        files = seen_files(items)
        unsealed, transformations = self._unsealed(items, call.person, request.model)
        input_tokens = self._fitting(body)
        conversation = read(items, unsealed, files)
        turn = self._script.next(call) or self._rule_turn(request, body, conversation, list(files.values()))
        response = self._maker.response(request, turn, input_tokens)
        response["input_transformations"] = transformations or None
        self._compact_within(request, response, conversation, input_tokens)
        self._record(request, call, conversation, response, list(files.values()))
        return response, turn

    def _streams(self, asked: object) -> bool:
        return bool(asked) or "always_streams" in self.odd

    async def _streamed(
        self,
        http: web.Request,
        turn: Turn,
        told: list[dict[str, Any]],
        added: Callable[[dict[str, Any]], str],
        written: Callable[[dict[str, Any]], bytes],
    ) -> web.StreamResponse:
        plain = "plain_stream" in self.odd
        kind = "application/json" if plain else "text/event-stream; charset=utf-8"
        answer = web.StreamResponse(headers={"Content-Type": kind})
        if self.compresses:
            answer.enable_compression()
        await answer.prepare(http)
        cut = _cut(turn)
        async for event in self._pace.paced(told[: len(told) // 2] if cut else told, added):
            if "keep_alive" in self.odd:
                await answer.write(b": keep-alive\n\n")
            await answer.write(written(event))
        if cut and not cut.quietly:
            drop(http)
            return answer
        if written is encoded_chunk and not cut and "no_done" not in self.odd:
            await answer.write(b"data: [DONE]\n\n")
        await answer.write_eof()
        return answer

    async def _compact(self, _: web.Request, call: Call) -> web.Response:
        request, items = checks.compact_request(call.body)
        self._unsealed(items, "", request.model)
        compacted = self._maker.compacted(items, request.model, self._fitting(call.body))
        self._effects.record(
            "model_compaction", person=request.prompt_cache_key or "", key=compacted["id"], items=len(items)
        )
        return self.respond(compacted)

    async def _transcribe(self, http: web.Request, call: Call) -> web.Response:
        answer = transcript(http[FORM])
        self._effects.record("transcription", model=call.body["model"], **call.body["file"])
        return self.respond(answer)

    async def _speak(self, _: web.Request, call: Call) -> web.Response:
        request = checks.speech_request(call.body)
        self._effects.record("speech", model=request.model, voice=str(request.voice), chars=len(request.input))
        return web.Response(body=sound(request), content_type="audio/opus")

    def _check_offered(self, request: CreateRequest) -> None:
        for number, tool in enumerate(request.tools or []):
            if form := self.refused_tools.get(tool.name):
                raise refusal_of(tool.name, number, form)

    def _known(self, body: dict[str, Any]) -> dict[str, Any]:
        """The parameters that this server knows. It refuses `context_management`, or drops it without a word."""
        if self.compaction not in {"refused", "dropped"} or "context_management" not in body:
            return body
        if self.compaction == "refused":
            name = "context_management"
            raise refused(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
        return {name: value for name, value in body.items() if name != "context_management"}

    def _unsealed(
        self, items: list[Item], person: str, model: str
    ) -> tuple[dict[str, dict[str, Any]], list[dict[str, str]]]:
        """The content of the sealed items, and the removals of reasoning that belongs to other people.

        A compaction of another person or model is refused.
        """
        contents = {}
        removed = []
        for item in items:
            if not isinstance(item, ReasoningItem | CompactionItem) or not item.encrypted_content:
                continue
            content = contents[item.encrypted_content] = self._maker.sealer.open(item.encrypted_content)
            foreign = person and content["person"] not in ("", person)
            if foreign:
                self._effects.record("foreign_content", person=person, key=item.id or "", owner=content["person"])
                removal = {"id": item.id or "", "action": "removed", "reason": "end_user_mismatch"}
                removed.append({**removal, "type": "reasoning"})
            refuses = self.compaction == "unreadable" or foreign or content.get("model", model) != model
            if isinstance(item, CompactionItem) and refuses:
                raise unreadable(item.encrypted_content)
        return contents, removed

    def _fitting(self, body: dict[str, Any]) -> int:
        """The number of tokens of a request. Refuses a request that exceeds the context window."""
        size = tokens([body.get("instructions"), body.get("tools"), without_files(body["input"])])
        if size > self.context_window:
            raise refused(
                "Your input exceeds the context window of this model. Please adjust your input and try again.",
                param="input",
                code="context_length_exceeded",
            )
        return size

    def _compact_within(
        self, request: CreateRequest, response: dict[str, Any], conversation: Conversation, size: int
    ) -> None:
        """Put a compaction before the output if the request passes its own threshold."""
        for rule in request.context_management or []:
            if rule.compact_threshold is not None and size > rule.compact_threshold:
                if self.compaction in _FAILING:
                    raise refused("Compaction failed.", status=_FAILING[self.compaction], kind="server_error")
                person = request.safety_identifier or ""
                item = self._maker.compaction(person, request.model, conversation.carried)
                response["output"].insert(0, item)
                self._effects.record("model_compaction", person=person, key=item["id"], items=len(request.input or []))
                return

    def _rule_turn(
        self, request: CreateRequest, body: dict[str, Any], conversation: Conversation, files: list[SeenFile]
    ) -> Turn:
        if not self._obeys:
            return _rule_turn(request, conversation)
        offered = [tool.name for tool in request.tools or []]
        obeyed = obedient_model.orders(body, files, conversation.said, offered)
        said = obedient_model.sayings(body, files, conversation.said)
        return obeyed or obedient_model.answer(_rule_turn(request, conversation), said)

    def _record(
        self,
        request: CreateRequest,
        call: Call,
        conversation: Conversation,
        response: dict[str, Any],
        files: list[SeenFile],
    ) -> None:
        self._effects.record(
            "model_call",
            person=call.person,
            key=response["id"],
            model=request.model,
            store=request.store is not False,
            stream=bool(request.stream),
            prompt_cache_key=request.prompt_cache_key,
            said=len(conversation.said),
            text="\n".join(conversation.unanswered),
            load_of=load_rule.people(conversation),
            tools=[tool.name for tool in request.tools or []],
            status=response["status"],
            output=[item["type"] for item in response["output"]],
            results=[(each.call_id, each.name) for each, _ in conversation.results],
            files=[{"name": file.filename, "size": len(file.data), "sha256": file.sha256} for file in files],
        )


def _rule_turn(request: CreateRequest, conversation: Conversation) -> Turn:
    """The rule-based model's turn, which respects tool_choice."""
    offered = [tool.name for tool in request.tools or []]
    choice = request.tool_choice
    if choice == "none":
        offered = []
    elif isinstance(choice, ChosenFunction):
        offered = [choice.name]
    elif isinstance(choice, AllowedTools):
        offered = [str(tool.get("name")) for tool in choice.tools]
    conversation.instructions = request.instructions or ""
    turn = rule_model.answer(conversation, offered)
    forced = choice == "required" or isinstance(choice, ChosenFunction)
    if forced and not any(isinstance(output, ToolCall) for output in turn):
        return [ToolCall(offered[0], {})]
    return turn


async def _unknown(_: web.Request, call: Call) -> web.StreamResponse:
    raise refused(f"Invalid URL ({call.method} /v1{call.path})", status=404)


def _check_known(names: Iterable[str], known: Container[str]) -> None:
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"unknown: {', '.join(unknown)}")


def _is_below(path: str, others: Iterable[str]) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in others)


def _cut(turn: Turn) -> Cut | None:
    return next((output for output in turn if isinstance(output, Cut)), None)
