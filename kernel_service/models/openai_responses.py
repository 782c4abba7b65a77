"""The model's port on OpenAI's Responses API: stateless, output items kept as they came.

Sources: openai 3.54 (`types/responses`), platform.openai.com/docs/api-reference/responses.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import orjson

from kernel_service.models.openai_answers import call_of, read_answer
from kernel_service.models.openai_refusals import unsupported
from kernel_service.models.openai_requests import body_of, parameters, reference
from kernel_service.models.openai_stream import StreamedResponse
from kernel_service.models.person_said import in_words
from kernel_service.ports.model import Model, ModelRejectedError, UnusableAnswerError
from kernel_service.ports.payloads import Payload
from kernel_service.token_counts import cut

if TYPE_CHECKING:
    from kernel_service.models.body import Body
    from kernel_service.models.openai_client import OpenAIClient
    from kernel_service.ports.model import FunctionCall, ModelAnswer, ModelRequest, TextListener, UserInput

log = logging.getLogger(__name__)


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
        raw, body = await self._asked(request, listener)
        try:
            answer = read_answer(raw, body)
        except UnusableAnswerError as nonsense:
            self._client.queue.record_cost(nonsense.usage.tokens)
            raise
        self._client.queue.record_cost(answer.usage.tokens)
        return answer

    async def _asked(self, request: ModelRequest, listener: TextListener | None) -> tuple[bytes | dict[str, Any], Body]:
        """The response, and the body that it answers.

        A parameter that the vendor refuses once is left out of all later requests: it is the same for everybody.
        """
        while True:
            chosen = parameters(request, self._model, effort=self._effort, stream=listener is not None)
            for name in self._refused:
                chosen.pop(name, None)
            body = body_of(request, chosen)
            try:
                if listener is not None and "stream" in chosen:
                    return await self._streamed(body, listener), body
                return await self._client.post("/responses", body), body
            except ModelRejectedError as rejected:
                name = unsupported(rejected)
                if name not in chosen:
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
        return {"type": "message", "role": "user", "content": [*parts, *reference(file)]}

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


def _shortened(part: dict[str, Any], most: int, note: str) -> dict[str, Any]:
    return _replaced(part, "text", cut(part["text"], most, note)) if "text" in part else part


def _replaced(data: dict[str, Any], name: str, value: str) -> dict[str, Any]:
    return data if data[name] is value else data | {name: value}
