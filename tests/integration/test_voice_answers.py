"""Voice messages answered with voice, from WhatsApp's webhook to the vendor and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulators.faults import matching
from kernel_service.opus import is_opus
from tests.integration.files import VOICE
from tests.integration.test_made_files import received
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from emulators.whatsapp.phones import Phone

SPEECH = matching(path="/audio/speech")


async def speak(phone: Phone) -> None:
    await phone.send_file("audio", VOICE, "audio/ogg; codecs=opus", voice=True)


async def test_a_voice_message_is_answered_by_text_and_voice(tmp_path: Path) -> None:
    async with whole_world(tmp_path, openai_speech_model="gpt-4o-mini-tts") as world:
        alice = world.phone("Alice")
        await speak(alice)
        text, voice = [await alice.wait_for_message(timeout=20) for _ in range(2)]
        assert "(voice) A recording" in text.text
        assert (voice.kind, voice.content["audio"]["voice"]) == ("audio", True)
        assert is_opus(received(world, voice))
        await world.ask(alice, "Thank you")
        assert [call.path for call in world.emulators.openai.requests].count("/audio/speech") == 1
        world.emulators.openai.fail(404, match=SPEECH)
        await speak(alice)
        assert "(voice) A recording" in (await alice.wait_for_message(timeout=20)).text
        assert (await world.ask(alice, "Thank you")).kind == "text"
