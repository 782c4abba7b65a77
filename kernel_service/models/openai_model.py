"""A model on OpenAI's wire. Its history items have the form of the Responses API, whichever endpoint answers.

So a chat continues when an operator changes the endpoint.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final

import orjson

from kernel_service.errors import VendorUnavailable
from kernel_service.models.openai_answers import call_of
from kernel_service.models.openai_files import as_text, reference
from kernel_service.models.openai_refusals import FILES, lacking, may_repeat, unsupported
from kernel_service.models.person_said import in_words
from kernel_service.ports.model import Model, ModelRejectedError, UnusableAnswerError
from kernel_service.ports.payloads import Payload
from kernel_service.token_counts import MOST_PER_CHARACTER, cut

if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Set as AbstractSet

    from kernel_service.models.body import Body
    from kernel_service.models.openai_client import OpenAIClient
    from kernel_service.models.openai_stream import StreamedAnswer
    from kernel_service.ports.model import FunctionCall, ModelAnswer, ModelRequest, TextListener, UserInput

log = logging.getLogger(__name__)

_EVENT_FIELDS: Final = (b"data:", b"event:", b":")
"""How a stream of events begins; a colon begins a comment."""


class OpenAIModel(Model):
    """One for the whole process; its owner closes the client. A subclass knows one endpoint."""

    vendor: ClassVar[str]
    """The first part of the origin."""
    path: ClassVar[str]
    optional: ClassVar[Collection[str]]
    """The parameters that are left out where a server refuses them."""

    def __init__(self, client: OpenAIClient, model: str, *, effort: str = "") -> None:
        """`effort` is how much the model is to reason; empty: the vendor's default."""
        self._client = client
        self._model = model
        self._effort = effort
        self._left_out: set[str] = set()

    @cached_property
    def origin(self) -> str:
        return f"{self.vendor}:{self._model}"

    @property
    def compacts(self) -> bool:
        return False

    # --- an answer --------------------------------------------------------------------------------------------------

    @staticmethod
    @abstractmethod
    def parameters(request: ModelRequest, model: str, *, effort: str, stream: bool) -> dict[str, Any]:
        """All parameters but the tools and the conversation."""

    @staticmethod
    @abstractmethod
    def body(request: ModelRequest, chosen: dict[str, Any], lacks: AbstractSet[str]) -> Body:
        """The request with these parameters. `lacks` are things of LACKS that the server does not accept."""

    @abstractmethod
    def streamed(self, listener: TextListener) -> StreamedAnswer: ...

    @staticmethod
    @abstractmethod
    def read(raw: bytes | dict[str, Any], body: Body) -> ModelAnswer:
        """As openai_answers.read_answer."""

    async def answer(self, request: ModelRequest, listener: TextListener | None = None) -> ModelAnswer:
        try:
            raw, body = await self._asked(request, listener)
            answer = self._read(raw, body)
        except UnusableAnswerError as nonsense:
            self._client.flaws[nonsense.flaw] += 1
            self._client.queue.record_cost(nonsense.usage.tokens)
            raise
        self._client.queue.record_cost(answer.usage.tokens)
        if answer.flaw:
            self._client.flaws[answer.flaw] += 1
        self.learn(request, body, answer)
        return answer

    def _read(self, raw: bytes | dict[str, Any], body: Body) -> ModelAnswer:
        """As read(). A vendor that reports an outage with HTTP 200 is as away as any other."""
        outages = self._client.outages
        try:
            answer = self.read(raw, body)
        except VendorUnavailable as away:
            outages.met(away.problem)
            raise
        if outages.lasting:
            outages.over()
        return answer

    def learn(self, request: ModelRequest, body: Body, answer: ModelAnswer) -> None:
        """Learn from the answer to this body what the server lacks."""

    async def _asked(self, request: ModelRequest, listener: TextListener | None) -> tuple[bytes | dict[str, Any], Body]:
        """The response, and the body that it answers.

        A part that the server refuses once is left out of all later requests, since the server refuses it for all
        people. If the refusal may repeat words of this conversation, the part is left out of this request alone.
        """
        left_out_here: set[str] = set()
        while True:
            lacks = self._left_out | left_out_here
            chosen = self.parameters(request, self._model, effort=self._effort, stream=listener is not None)
            for name in lacks:
                chosen.pop(name, None)
            if FILES in lacks:
                request = replace(request, files=await as_text(request.files))
            body = self.body(request, chosen, lacks)
            try:
                return await self._sent(body, listener if "stream" in chosen else None), body
            except ModelRejectedError as rejected:
                names = self._refused(rejected, lacks)
                if not names:
                    raise
                if may_repeat(rejected, names, request.items):
                    left_out_here |= names
                    continue
                log.warning("model takes no %s: left out until this process ends", " and no ".join(sorted(names)))
                self._left_out |= names

    def _refused(self, rejected: ModelRejectedError, left_out: AbstractSet[str]) -> AbstractSet[str]:
        """The parts to leave out because of this refusal; empty: it concerns nothing that is still sent."""
        if lacks := lacking(rejected.code):
            return lacks - left_out
        return {unsupported(rejected, [name for name in self.optional if name not in left_out])} - {""}

    async def _sent(self, body: Body, listener: TextListener | None) -> bytes | dict[str, Any]:
        """Servers also send events that were not asked for, or under another type."""
        streamed = None if listener is None else self.streamed(listener)
        whole: bytes | None = (
            await self._client.post(self.path, body)
            if streamed is None
            else await self._client.stream(self.path, body, streamed)
        )
        if whole is not None and not whole[:64].lstrip().startswith(_EVENT_FIELDS):
            return whole
        streamed = streamed or self.streamed(_tell_nobody)
        if whole is not None:
            await self._client.replay(whole, streamed)
        return streamed.response

    # --- items of the history ---------------------------------------------------------------------------------------

    def user_item(self, given: UserInput) -> dict[str, Any]:
        texts = in_words(given), given.time
        parts: list[dict[str, Any]] = [{"type": "input_text", "text": text} for text in texts if text]
        if isinstance(given.said, Payload) and (file := given.said.file):
            parts += reference(file)
        return {"type": "message", "role": "user", "content": parts}

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
        if isinstance(output := item.get("output"), str):
            short = cut(output, most, note)
            return item if short is output else item | {"output": short}
        content = item.get("content")
        if not isinstance(content, list):
            return item
        for part in content:
            if "text" in part and len(part["text"]) * MOST_PER_CHARACTER > most:
                return item | {"content": [_shortened(part, most, note) for part in content]}
        return item


def _tell_nobody(_: str) -> None:
    """Listens to an answer that no channel watches."""


def _shortened(part: dict[str, Any], most: int, note: str) -> dict[str, Any]:
    return part | {"text": cut(part["text"], most, note)} if "text" in part else part
