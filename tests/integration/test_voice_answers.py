"""Voice messages answered with voice, from WhatsApp's webhook to the vendor and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emulators.faults import matching
from kernel_service.opus import is_opus
from kernel_service.turns.replies import speech
from tests.integration.files import VOICE
from tests.integration.test_made_files import received
from tests.integration.world import World, whole_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from emulators.whatsapp.phones import Phone

SPEECH = matching(path="/audio/speech")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with whole_world(tmp_path, openai_speech_model="gpt-4o-mini-tts") as world:
        yield world


async def speak(phone: Phone) -> None:
    await phone.send_file("audio", VOICE, "audio/ogg; codecs=opus", voice=True)


async def test_a_voice_message_is_answered_by_text_and_voice(world: World) -> None:
    alice = world.phone("Alice")
    await speak(alice)
    text, voice = [await alice.wait_for_message(timeout=20) for _ in range(2)]
    assert "(voice) A recording" in text.text
    assert (voice.kind, voice.content["audio"]["voice"]) == ("audio", True)
    assert is_opus(received(world, voice))
    await world.ask(alice, "Thank you")
    assert [call.path for call in world.emulators.openai.requests].count("/audio/speech") == 1


async def test_without_a_voice_the_text_goes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "LONGEST_WAIT_SECONDS", 0.05)
    hold = world.emulators.openai.hold(SPEECH)
    alice = world.phone("Alice")
    await speak(alice)
    assert "(voice) A recording" in (await alice.wait_for_message(timeout=20)).text
    hold.release()
    assert (await world.ask(alice, "Are you there?")).kind == "text"


async def test_a_restart_while_it_speaks_sends_all_once(world: World) -> None:
    alice = world.phone("Alice")
    hold = world.emulators.openai.hold(SPEECH)
    await speak(alice)
    await hold.reached.wait()
    await world.stop_kernel()
    hold.release()
    await world.start_kernel()
    text, voice = [await alice.wait_for_message(timeout=30) for _ in range(2)]
    assert (text.kind, voice.kind) == ("text", "audio")
    answer = await world.ask(alice, "Thank you")
    assert answer.kind == "text"
