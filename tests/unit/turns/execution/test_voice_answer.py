"""Voice messages are answered with voice beside the text, and with text alone whatever fails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from emulators.openai.opus import silence
from kernel_service.errors import Busy, VendorUnavailable
from kernel_service.ports.messages import Message, ReplyMode, Usage
from kernel_service.ports.model import SPEECH_FAILED, ModelRejectedError, UnusableAnswerError
from kernel_service.ports.payloads import Audio, Payload, Text
from kernel_service.turns.limits import TurnLimits
from kernel_service.turns.replies import speech
from kernel_service.turns.replies.speech import REST_SECONDS, Speech
from tests.unit.turns.scene import says

if TYPE_CHECKING:
    from kernel_service.ports.messages import Reply
    from kernel_service.ports.payloads import Content
    from tests.unit.turns.scene import Scene

SOUND = silence(3, "x")


class Speaker:
    """Gives the scripted sound or error each time. `gate`: it waits for this first."""

    def __init__(self, *gives: bytes | Exception) -> None:
        self.gives = list(gives)
        self.said: list[str] = []
        self.gate: asyncio.Event | None = None
        self.asked = asyncio.Event()

    async def speak(self, text: str) -> bytes:
        self.said.append(text)
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        given = self.gives.pop(0)
        if isinstance(given, Exception):
            raise given
        return given


NOTE = Audio("audio/ogg", voice=True, data=b"OggS voice")


async def answered(scene: Scene, voice: Speech | None, content: Content = NOTE, number: int = 1) -> list[Reply]:
    message = Message("chat:1", f"m{number}", Payload(content), reply_mode=ReplyMode.INLINE)
    accepted = await scene.store.inbox.accept(message, now=scene.clock(), max_pending=10)
    scene.person_id, scene.seq = accepted.person_id, accepted.seq
    scene.model.hears.append("What is the time?")
    scene.model.says.append(says("It is **noon**."))
    await scene.runner(speech=voice).run_next(await scene.activated())
    return await scene.replies()


def of(scene: Scene, speaker: Speaker) -> Speech:
    return Speech(speaker, scene.clock, tokens_per_second=20)


async def test_the_voice_goes_beside_the_text(scene: Scene) -> None:
    speaker = Speaker(SOUND)
    (reply,) = await answered(scene, of(scene, speaker))
    assert reply.text == "It is **noon**."
    assert speaker.said == ["It is noon."]
    (voice,) = reply.media
    assert (voice.voice, voice.mime_type, voice.size) == (True, "audio/ogg", len(SOUND))
    assert await scene.store.made_files.chunks("chat", voice.id) == 1


async def test_its_length_counts_in_usage(scene: Scene) -> None:
    await answered(scene, None)
    silent = (await scene.store.inbox.answer_of(scene.person_id, scene.seq)).usage
    await answered(scene, of(scene, Speaker(SOUND)), number=2)
    spoken = (await scene.store.inbox.answer_of(scene.person_id, scene.seq)).usage
    assert spoken.output_tokens - silent.output_tokens == 3 * 20 + 1
    assert spoken.model_calls - silent.model_calls == 1


@pytest.mark.parametrize("content", [Text("What is the time?"), Audio("audio/mpeg", data=b"a song")])
async def test_other_messages_are_answered_by_text(scene: Scene, content: Content) -> None:
    speaker = Speaker(SOUND)
    (reply,) = await answered(scene, of(scene, speaker), content)
    assert (speaker.said, reply.media) == ([], ())


FAILURES = [
    VendorUnavailable("speech_unavailable"),
    VendorUnavailable(SPEECH_FAILED),
    Busy("model_busy", 3),
    ModelRejectedError("http_400"),
    UnusableAnswerError(Usage(model_calls=1), "not_opus"),
]


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_failure_leaves_the_text(scene: Scene, failure: Exception) -> None:
    (reply,) = await answered(scene, of(scene, Speaker(failure)))
    assert (reply.text, reply.media) == ("It is **noon**.", ())


@pytest.mark.parametrize(("failure", "asked"), list(zip(FAILURES, [1, 1, 2, 2, 2], strict=True)))
async def test_only_an_absent_vendor_is_left_alone(scene: Scene, failure: Exception, asked: int) -> None:
    speaker = Speaker(failure, SOUND, SOUND)
    voice = of(scene, speaker)
    await answered(scene, voice)
    await answered(scene, voice, number=2)
    assert len(speaker.said) == asked
    scene.clock.now += REST_SECONDS
    (reply,) = await answered(scene, voice, number=3)
    assert reply.media


async def test_a_clock_that_is_set_back_does_not_prolong_the_rest(scene: Scene) -> None:
    voice = of(scene, Speaker(VendorUnavailable("speech_unavailable")))
    await answered(scene, voice)
    assert voice.is_at_rest(scene.person_id)
    scene.clock.now -= 3600
    assert not voice.is_at_rest(scene.person_id)


async def test_a_vendor_that_hangs_delays_the_text_for_a_limited_time(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "LONGEST_WAIT_SECONDS", 0.02)
    speaker = Speaker(SOUND)
    speaker.gate = asyncio.Event()
    voice = of(scene, speaker)
    (reply,) = await answered(scene, voice)
    assert (reply.text, reply.media, voice.is_at_rest(scene.person_id)) == ("It is **noon**.", (), True)
    assert not voice.is_at_rest("p_other")


async def test_a_spent_budget_leaves_the_text(scene: Scene) -> None:
    scene.limits = TurnLimits(steps=4, daily_tokens_per_person=10)
    speaker = Speaker(SOUND)
    (reply,) = await answered(scene, of(scene, speaker))
    assert (speaker.said, reply.text, reply.media) == ([], "It is **noon**.", ())


async def test_words_that_cannot_be_said_need_no_voice(scene: Scene) -> None:
    speaker = Speaker(SOUND)
    scene.model.says.append(says("https://example.org"))
    (reply,) = await answered(scene, of(scene, speaker))
    assert (speaker.said, reply.media) == ([], ())


async def test_a_restart_while_it_speaks_answers_once(scene: Scene) -> None:
    speaker = Speaker(SOUND)
    speaker.gate = asyncio.Event()
    speaking = asyncio.create_task(answered(scene, of(scene, speaker)))
    await speaker.asked.wait()
    speaking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speaking
    scene.model.hears.append("What is the time?")
    scene.model.says.append(says("It is noon."))
    await scene.runner(speech=of(scene, Speaker(SOUND))).run_next(await scene.activated())
    (reply,) = await scene.replies()
    assert [file.voice for file in reply.media] == [True]
