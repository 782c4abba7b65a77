"""The model's port on Chat Completions, for servers that speak nothing else.

Sources: openai 3.54 (`types/chat`), platform.openai.com/docs/api-reference/chat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kernel_service.models.chat_answers import read_completion
from kernel_service.models.chat_requests import OPTIONAL, body_of, parameters
from kernel_service.models.chat_stream import StreamedCompletion
from kernel_service.models.openai_model import OpenAIModel

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from kernel_service.models.body import Body
    from kernel_service.models.openai_stream import StreamedAnswer
    from kernel_service.ports.model import ModelAnswer, ModelRequest, TextListener


class OpenAIChat(OpenAIModel):
    """OPENAI_API=chat. Its origin differs, since neither endpoint takes the other's reasoning."""

    vendor = "openai-chat"
    path = "/chat/completions"
    optional = OPTIONAL

    def parameters(self, request: ModelRequest, *, stream: bool) -> dict[str, Any]:
        return parameters(request, self._model, effort=self._effort, stream=stream)

    def body(self, request: ModelRequest, chosen: dict[str, Any], lacks: AbstractSet[str]) -> Body:
        return body_of(request, chosen, lacks)

    def streamed(self, listener: TextListener) -> StreamedAnswer:
        return StreamedCompletion(listener)

    def read(self, raw: bytes | dict[str, Any], body: Body) -> ModelAnswer:
        return read_completion(raw, body)
