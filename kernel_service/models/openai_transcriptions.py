"""Recordings in words, by OpenAI's transcription. The vendor's client needs the whole recording in memory.

Sources: openai 3.54 (`types/audio`), platform.openai.com/docs/guides/speech-to-text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernel_service.models.byte_budget import ByteBudget
from kernel_service.ports.model import Transcriber

if TYPE_CHECKING:
    from kernel_service.models.openai_client import OpenAIClient
    from kernel_service.ports.messages import Usage
    from kernel_service.ports.model import ModelFile

BUDGET_BYTES: Final = 32 * 1024 * 1024
"""Bytes of all recordings in transcription: two of the largest, or hundreds of voice notes."""


class OpenAITranscriptions(Transcriber):
    """`tokens_per_second` are the tokens for which a second counts if the vendor bills by the second."""

    def __init__(self, client: OpenAIClient, model: str, *, tokens_per_second: int = 0) -> None:
        self._client = client
        self._model = model
        self._tokens_per_second = tokens_per_second
        self._budget = ByteBudget(BUDGET_BYTES)

    async def transcribe(self, recording: ModelFile) -> tuple[str, Usage]:
        async with self._budget.taken(recording.size):
            data = b"".join([chunk async for chunk in recording.chunks()])
            transcript = await self._client.transcribe(self._model, (recording.filename, data, recording.mime_type))
        return transcript.text, transcript.cost(self._tokens_per_second)
