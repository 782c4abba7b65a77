"""Texts as voice messages, by OpenAI's speech endpoint.

Sources: openai 3.54 (`types/audio`), platform.openai.com/docs/guides/text-to-speech.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from kernel_service.models.body import Body
from kernel_service.models.flaws import NOT_OPUS
from kernel_service.opus import is_opus
from kernel_service.ports.messages import Usage
from kernel_service.ports.model import Speaker, UnusableAnswerError

if TYPE_CHECKING:
    from kernel_service.models.openai_client import OpenAIClient

MOST_CHARS: Final = 4096
"""The vendor's limit of a text."""


class OpenAISpeech(Speaker):
    """Says all texts with one voice of one model."""

    def __init__(self, client: OpenAIClient, model: str, voice: str) -> None:
        self._client = client
        self._chosen = {"model": model, "voice": voice, "response_format": "opus"}

    async def speak(self, text: str) -> bytes:
        sound = await self._client.speak(Body([orjson.dumps(self._chosen | {"input": text[:MOST_CHARS]})]))
        if not is_opus(sound):
            raise UnusableAnswerError(Usage(model_calls=1), NOT_OPUS)
        return sound
