"""The model's port on Chat Completions, for servers that speak nothing else.

Sources: openai 3.54 (`types/chat`), platform.openai.com/docs/api-reference/chat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.models.chat_answers import read_completion
from kernel_service.models.chat_requests import OPTIONAL, body_of, parameters
from kernel_service.models.chat_stream import StreamedCompletion
from kernel_service.models.openai_model import OpenAIModel

if TYPE_CHECKING:
    from kernel_service.models.openai_stream import StreamedAnswer
    from kernel_service.ports.model import TextListener


class OpenAIChat(OpenAIModel):
    """OPENAI_API=chat. Its origin differs, since neither endpoint accepts the other's reasoning."""

    vendor = "openai-chat"
    path = "/chat/completions"
    optional = OPTIONAL
    parameters = staticmethod(parameters)
    body = staticmethod(body_of)
    read = staticmethod(read_completion)

    def streamed(self, listener: TextListener) -> StreamedAnswer:
        return StreamedCompletion(listener)
