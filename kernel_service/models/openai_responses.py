"""The model's port on OpenAI's Responses API: stateless, with output items kept unchanged.

Sources: openai 3.54 (`types/responses`), platform.openai.com/docs/api-reference/responses.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from kernel_service.models.openai_answers import read_answer
from kernel_service.models.openai_model import OpenAIModel
from kernel_service.models.openai_requests import LEAST_COMPACT_TOKENS, OPTIONAL, body_of, parameters
from kernel_service.models.openai_stream import StreamedResponse
from kernel_service.ports.turns import COMPACTION

if TYPE_CHECKING:
    from kernel_service.models.body import Body
    from kernel_service.models.openai_stream import StreamedAnswer
    from kernel_service.ports.model import ModelAnswer, ModelRequest, TextListener

log = logging.getLogger(__name__)

_PARAMETER: Final = "context_management"
_SENT: Final = b'"context_management":'
_MOST_BYTES_PER_TOKEN: Final = 12
"""Bytes of a token, for a server that reports no counts: no text has fewer tokens."""


class OpenAIResponses(OpenAIModel):
    """OPENAI_API=responses."""

    vendor = "openai"
    path = "/responses"
    optional = OPTIONAL
    parameters = staticmethod(parameters)
    body = staticmethod(body_of)
    read = staticmethod(read_answer)

    def streamed(self, listener: TextListener) -> StreamedAnswer:
        return StreamedResponse(listener)

    @property
    def compacts(self) -> bool:
        return _PARAMETER not in self._left_out

    def learn(self, request: ModelRequest, body: Body, answer: ModelAnswer) -> None:
        if _PARAMETER not in self._left_out and _ignores_compaction(request, answer) and body.holds(_SENT):
            log.warning("model does not compact: this process summarises long conversations itself")
            self._left_out.add(_PARAMETER)


def _ignores_compaction(request: ModelRequest, answer: ModelAnswer) -> bool:
    """Whether the request was long enough, by the server's own count, and the answer has no compaction."""
    if not request.compact_at or answer.says_nothing or answer.filtered:
        return False
    counted = answer.usage.input_tokens or sum(map(len, request.items)) // _MOST_BYTES_PER_TOKEN
    is_long = counted > max(LEAST_COMPACT_TOKENS, request.compact_at)
    return is_long and not any(item["type"] == COMPACTION for item in answer.items)
