"""The model, and what it hears and says."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from kernel_service import insecure
from kernel_service.settings.concern import checked_base, checked_vendor_key
from kernel_service.settings.listening import Listening
from serving.ranges import Range


class Model(Listening):
    """The model."""

    openai_api_key: SecretStr
    """The key of the model's vendor."""
    openai_base_url: str = "https://api.openai.com/v1"
    """The address of the model's server."""
    openai_api: Literal["responses", "chat"] = "responses"
    """The endpoint of the model: `chat` is for servers that speak Chat Completions only, see
    docs/how-to/model-server.md."""
    openai_model: str = "gpt-6.2-sol"
    """The name of the model."""
    openai_max_output_tokens: Annotated[int, Range(16, 10_000_000)] = 25_000
    """The maximum of one answer in tokens, reasoning included. It is doubled for one retry if reasoning has used all of
    it."""
    openai_compact_tokens: Annotated[int, Range(1000, 100_000_000)] = 60_000
    """Above this number of tokens, by the vendor's count, the earlier conversation is compacted: the model keeps the
    essence of it."""
    openai_compact_turns: Annotated[int, Range(0, 1_000_000)] = 50
    """The conversation is also compacted after this number of turns, so that a message of a long chat costs about as
    much as one of a short chat. 0: by tokens alone."""
    openai_reasoning_effort: str = Field("", pattern=r"^[a-z]*$")
    """How much the model reasons, as `low`. Unset: the vendor decides."""
    openai_transcribe_model: str = "gpt-transcribe"
    """The model that transcribes voice messages."""
    openai_transcribe_base_url: str = ""
    """The server that transcribes, if it is not the model's. Set `OPENAI_TRANSCRIBE_API_KEY` as well: otherwise this
    server receives the model's key."""
    openai_transcribe_api_key: SecretStr = SecretStr("")
    """The key of the server that transcribes. Unset: `OPENAI_API_KEY`."""
    openai_speech_model: str = ""
    """The model that speaks, as `gpt-4o-mini-tts`: it answers voice messages with voice beside the text, and counts in
    usage and budgets. Unset: answers are text alone."""
    openai_speech_voice: str = "alloy"
    """The voice of `OPENAI_SPEECH_MODEL`."""

    @field_validator("openai_api_key", "openai_transcribe_api_key")
    @classmethod
    def _is_vendor_key(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        key = checked_vendor_key(value.get_secret_value())
        insecure.check_vendor_key(key, info)
        return SecretStr(key)

    @field_validator("openai_base_url", "openai_transcribe_base_url")
    @classmethod
    def _is_base(cls, value: str, info: ValidationInfo) -> str:
        return checked_base(value, cls.model_fields[str(info.field_name)].default)

    def transcription_server(self) -> tuple[str, str]:
        """The key and the address of the server that transcribes."""
        key = self.openai_transcribe_api_key.get_secret_value() or self.openai_api_key.get_secret_value()
        return key, self.openai_transcribe_base_url or self.openai_base_url
