"""The model's port on OpenAI's Responses API: stateless, output items kept as they came, files at their placeholders.

Sources: openai 3.54 (`types/responses`), platform.openai.com/docs/api-reference/responses.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import orjson

from kernel_service.models.body import Places
from kernel_service.models.openai_answers import call_of, read_answer
from kernel_service.models.openai_refusals import unsupported
from kernel_service.models.openai_stream import StreamedResponse
from kernel_service.models.person_said import in_words
from kernel_service.ports.media import ReadAs
from kernel_service.ports.model import Model, ModelRejectedError, UnusableAnswerError
from kernel_service.ports.payloads import Payload
from kernel_service.token_counts import cut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kernel_service.models.body import Body
    from kernel_service.models.openai_client import OpenAIClient
    from kernel_service.ports.model import FunctionCall, ModelAnswer, ModelFile, ModelRequest, TextListener, UserInput
    from kernel_service.ports.payloads import File

log = logging.getLogger(__name__)

LEAST_OUTPUT_TOKENS = 16
"""The smallest max_output_tokens that the vendor accepts."""


class OpenAIResponses(Model):
    """One for the whole process; the client stays its owner's."""

    def __init__(self, client: OpenAIClient, model: str, *, effort: str = "") -> None:
        """`effort` is how much the model is to reason; empty: as the vendor sees fit."""
        self._client = client
        self._model = model
        self._effort = effort
        self._refused: set[str] = set()

    @property
    def origin(self) -> str:
        return f"openai:{self._model}"

    async def answer(self, request: ModelRequest, listener: TextListener | None = None) -> ModelAnswer:
        taken = {name for item in request.items for name in (item.get("call_id"), item.get("id")) if name}
        raw = await self._asked(request, listener)
        try:
            answer = read_answer(raw, taken)
        except UnusableAnswerError as nonsense:
            self._client.queue.record_cost(nonsense.usage.tokens)
            raise
        self._client.queue.record_cost(answer.usage.tokens)
        return answer

    async def _asked(self, request: ModelRequest, listener: TextListener | None) -> bytes | dict[str, Any]:
        """Without what the vendor does not take, from the first refusal on: it is the same for everybody."""
        while True:
            places = Places()
            body = self._body(request, places)
            if listener is not None:
                body["stream"] = True
            for name in self._refused:
                body.pop(name, None)
            try:
                if listener is not None and "stream" in body:
                    return await self._streamed(places.json(body), listener)
                return await self._client.post("/responses", places.json(body))
            except ModelRejectedError as rejected:
                name = unsupported(rejected)
                if name not in body:
                    raise
                log.warning("model takes no %s: it is left out until this process ends", name)
                self._refused.add(name)

    async def _streamed(self, body: Body, listener: TextListener) -> bytes | dict[str, Any]:
        streamed = StreamedResponse(listener)
        whole = await self._client.stream("/responses", body, streamed.take)
        return streamed.response if whole is None else whole

    def user_item(self, given: UserInput) -> dict[str, Any]:
        parts = [{"type": "input_text", "text": text} for text in (in_words(given), given.time) if text]
        file = given.said.file if isinstance(given.said, Payload) else None
        return {"type": "message", "role": "user", "content": [*parts, *_reference(file)]}

    def said_item(self, text: str) -> dict[str, Any]:
        # The vendor refuses an assistant text without annotations, and so every request with one in its history.
        content = [{"type": "output_text", "text": text, "annotations": []}]
        return {"type": "message", "role": "assistant", "content": content}

    def call_item(self, call_id: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "function_call",
            "call_id": call_id,
            "name": name,
            "arguments": orjson.dumps(arguments).decode(),
        }

    def call_of(self, item: dict[str, Any]) -> FunctionCall:
        return call_of(item)

    def result_item(self, call_id: str, output: str) -> dict[str, Any]:
        return {"type": "function_call_output", "call_id": call_id, "output": output}

    def shortened(self, item: dict[str, Any], most: int, note: str) -> dict[str, Any]:
        if isinstance(item.get("output"), str):
            return _replaced(item, "output", cut(item["output"], most, note))
        if isinstance(item.get("content"), list):
            return item | {"content": [_shortened(part, most, note) for part in item["content"]]}
        return item

    def _body(self, request: ModelRequest, places: Places) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model,
            "instructions": request.instructions,
            "input": [_shown(item, request.files, places) for item in request.items],
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "max_output_tokens": max(LEAST_OUTPUT_TOKENS, request.max_output_tokens),
            "safety_identifier": request.person_key,
            "prompt_cache_key": request.person_key,
        }
        if self._effort:
            body["reasoning"] = {"effort": self._effort}
        if request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                    # Vendors' schemas seldom meet what strict mode asks for.
                    "strict": False,
                }
                for tool in request.tools
            ]
        return body


def _shortened(part: dict[str, Any], most: int, note: str) -> dict[str, Any]:
    return _replaced(part, "text", cut(part["text"], most, note)) if "text" in part else part


def _replaced(data: dict[str, Any], name: str, value: str) -> dict[str, Any]:
    return data if data[name] is value else data | {name: value}


# --- files ------------------------------------------------------------------------------------------------------------

_REFERENCE: Final = "media"
"""The type of a part of ours: in the history it stands for a file, and never leaves as it is."""
_GONE: Final = "[The file itself is not at hand any more.]"


def _reference(file: File | None) -> list[dict[str, Any]]:
    """The file, if the model is to be shown it; what was heard is there in words."""
    if file is None or not file.media_id or file.transcript is not None:
        return []
    return [{"type": _REFERENCE, "media_id": file.media_id}]


def _shown(item: dict[str, Any], files: Mapping[str, ModelFile | str], places: Places) -> dict[str, Any]:
    """The item as it is sent: each available file at its placeholder, any other in words."""
    parts = item.get("content")
    if item.get("role") != "user" or not isinstance(parts, list) or parts[-1]["type"] != _REFERENCE:
        return item
    return item | {"content": [*parts[:-1], _part(files.get(parts[-1]["media_id"], _GONE), places)]}


def _part(file: ModelFile | str, places: Places) -> dict[str, Any]:
    if isinstance(file, str):
        return {"type": "input_text", "text": file}
    if file.read_as is ReadAs.SEE:
        return {"type": "input_image", "image_url": places.data_url(file)}
    return {"type": "input_file", "filename": file.filename, "file_data": places.data_url(file)}
