"""/audio/speech: checks the request as OpenAI does, and answers silence of the length that the text takes.

Source: openai 3.54, types/audio/speech_create_params.py.
"""

from typing import Final, Literal

from pydantic import Field

from emulators.openai.opus import silence
from emulators.openai.wire import Strict

MODELS: Final = ("gpt-4o-mini-tts", "tts-1", "tts-1-hd")
CHARS_PER_SECOND: Final = 15
_COMMENT_CHARS: Final = 100


class CustomVoice(Strict):
    id: str


class SpeechRequest(Strict):
    input: str = Field(min_length=1, max_length=4096)
    model: str
    voice: (
        Literal[
            "alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer", "verse", "marin",
            "cedar",
        ]
        | CustomVoice
    )  # fmt: skip
    instructions: str | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] | None = None
    speed: float | None = Field(default=None, ge=0.25, le=4)
    stream_format: Literal["sse", "audio"] | None = None


def sound(request: SpeechRequest) -> bytes:
    """The beginning of the text is in the recording as a comment, so that a test can read it there."""
    return silence(len(request.input) / CHARS_PER_SECOND, request.input[:_COMMENT_CHARS])
