"""The speech endpoint of the OpenAI emulator, with the vendor's own client."""

from typing import Any

import pytest
from openai import APIStatusError, AsyncOpenAI


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"input": "x" * 4097}, "string too long"),
        ({"input": ""}, "Invalid 'input'"),
        ({"model": "tts-9"}, "does not exist"),
        ({"voice": "nobody"}, "Invalid"),
        ({"response_format": "mp3"}, "'opus' only"),
        ({"speed": 9.0}, "speed"),
    ],
)
async def test_a_text_that_cannot_be_said_is_refused(client: AsyncOpenAI, more: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "Hi", "response_format": "opus"}
    assert (await client.audio.speech.create(**given)).content.startswith(b"OggS")
    with pytest.raises(APIStatusError) as refused:
        await client.audio.speech.create(**given | more)
    assert words in str(refused.value)
