"""Texts as voice messages over HTTP, and the meaning of each refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service.errors import VendorUnavailable
from kernel_service.models.openai_client import OpenAIClient
from kernel_service.models.openai_speech import MOST_CHARS, OpenAISpeech
from kernel_service.opus import seconds_of
from kernel_service.ports.model import SPEECH_FAILED, ModelRejectedError, UnusableAnswerError
from tests.unit.models.test_openai_responses import asking, client, emulators, responses
from tests.unlimited_queue import unlimited_queue

if TYPE_CHECKING:
    from emulators.app import Emulators
    from kernel_service.models.openai_responses import OpenAIResponses

__all__ = ["client", "emulators", "responses"]


@pytest.fixture
def speech(client: OpenAIClient) -> OpenAISpeech:
    return OpenAISpeech(client, "gpt-4o-mini-tts", "alloy")


async def test_a_text_becomes_a_sound(emulators: Emulators, speech: OpenAISpeech) -> None:
    assert seconds_of(await speech.speak("Hello. " * 15)) == pytest.approx(7)
    assert emulators.openai.requests[0].body["response_format"] == "opus"


async def test_no_text_is_longer_than_the_vendor_takes(speech: OpenAISpeech) -> None:
    assert await speech.speak("x" * (MOST_CHARS + 1))


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (400, None, ModelRejectedError),
        (413, None, ModelRejectedError),
        (422, "<html>", ModelRejectedError),
        (401, None, VendorUnavailable),
        (404, None, VendorUnavailable),
        (405, "", VendorUnavailable),
        (429, None, VendorUnavailable),
        (500, None, VendorUnavailable),
        (302, None, VendorUnavailable),
        (0, None, VendorUnavailable),
        (200, "<html>", UnusableAnswerError),
        (200, '{"error": "x"}', UnusableAnswerError),
        (200, "", UnusableAnswerError),
        (200, "ID3 an mp3", UnusableAnswerError),
    ],
)
async def test_a_refusal_concerns_voices_alone(  # noqa: PLR0917 - the table's columns
    emulators: Emulators,
    speech: OpenAISpeech,
    responses: OpenAIResponses,
    status: int,
    body: str | None,
    meaning: type[Exception],
) -> None:
    emulators.openai.fail(status, body=body, retry_after=60)
    with pytest.raises(meaning):
        await speech.speak("Hello")
    assert (await responses.answer(asking(responses, "Hello"))).text


@pytest.mark.parametrize(
    ("status", "problem"),
    [(500, SPEECH_FAILED), (504, SPEECH_FAILED), (0, SPEECH_FAILED), (404, "speech_unavailable"),
     (401, "speech_unavailable"), (429, "speech_unavailable"), (501, "speech_unavailable")],
)  # fmt: skip
async def test_a_refusal_concerns_one_text_or_all(
    emulators: Emulators, speech: OpenAISpeech, status: int, problem: str
) -> None:
    emulators.openai.fail(status)
    with pytest.raises(VendorUnavailable) as away:
        await speech.speak("Hello")
    assert away.value.problem == problem


async def test_a_stalling_vendor_is_not_waited_for(emulators: Emulators) -> None:
    client = OpenAIClient("sk-emulated", emulators.openai.base_url, queue=unlimited_queue("model"), timeout=0.05)
    hold = emulators.openai.hold()
    with pytest.raises(VendorUnavailable) as away:
        await OpenAISpeech(client, "gpt-4o-mini-tts", "alloy").speak("Hello")
    assert away.value.unanswered
    hold.release()
    await client.close()
