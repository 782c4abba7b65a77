"""Builds the model, the transcription and the voice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.models.openai_chat import OpenAIChat
from kernel_service.models.openai_client import OpenAIClient
from kernel_service.models.openai_responses import OpenAIResponses
from kernel_service.models.openai_speech import OpenAISpeech
from kernel_service.models.openai_transcriptions import OpenAITranscriptions
from kernel_service.turns.replies.speech import Speech

if TYPE_CHECKING:
    from kernel_service.config import Settings
    from kernel_service.models.openai_model import OpenAIModel
    from kernel_service.wiring.foundation import Foundation


def build_model(settings: Settings, openai: OpenAIClient) -> OpenAIModel:
    endpoint = OpenAIChat if settings.openai_api == "chat" else OpenAIResponses
    return endpoint(openai, settings.openai_model, effort=settings.openai_reasoning_effort)


def build_transcriptions(base: Foundation, openai: OpenAIClient) -> OpenAITranscriptions:
    """Elsewhere it has its own client, since an outage of one server does not affect the other."""
    settings = base.settings
    server = settings.transcription_server()
    if server != (settings.openai_api_key.get_secret_value(), settings.openai_base_url):
        openai = OpenAIClient(*server, queue=openai.queue, latencies=openai.latencies)
        base.stack.push_async_callback(openai.close)
    return OpenAITranscriptions(
        openai, settings.openai_transcribe_model, tokens_per_second=settings.kernel_tokens_per_audio_second
    )


def build_speech(base: Foundation, openai: OpenAIClient) -> Speech | None:
    """None: voice answers are off."""
    settings = base.settings
    if not settings.openai_speech_model:
        return None
    speaker = OpenAISpeech(openai, settings.openai_speech_model, settings.openai_speech_voice)
    return Speech(speaker, base.clock, tokens_per_second=settings.kernel_tokens_per_audio_second)
