"""The model's port on OpenAI's Responses API: stateless, output items kept as they came.

Sources: openai 3.54 (`types/responses`), platform.openai.com/docs/api-reference/responses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kernel_service.models.openai_answers import read_answer
from kernel_service.models.openai_model import OpenAIModel
from kernel_service.models.openai_requests import OPTIONAL, body_of, parameters
from kernel_service.models.openai_stream import StreamedResponse

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from kernel_service.models.body import Body
    from kernel_service.models.openai_stream import StreamedAnswer
    from kernel_service.ports.model import ModelAnswer, ModelRequest, TextListener


class OpenAIResponses(OpenAIModel):
    """OPENAI_API=responses."""

    vendor = "openai"
    path = "/responses"
    optional = OPTIONAL

    def parameters(self, request: ModelRequest, *, stream: bool) -> dict[str, Any]:
        return parameters(request, self._model, effort=self._effort, stream=stream)

    def body(self, request: ModelRequest, chosen: dict[str, Any], lacks: AbstractSet[str]) -> Body:
        return body_of(request, chosen, lacks)

    def streamed(self, listener: TextListener) -> StreamedAnswer:
        return StreamedResponse(listener)

    def read(self, raw: bytes | dict[str, Any], body: Body) -> ModelAnswer:
        return read_answer(raw, body)
