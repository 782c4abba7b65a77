"""The model and the transcription on other endpoints than the usual ones, with everything in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulators.app import Emulators
from tests.integration.files import VOICE, digest
from tests.integration.world import World, whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from emulators.whatsapp.phones import Phone


async def test_a_chat_survives_each_change_of_the_endpoint(tmp_path: Path) -> None:
    """The long messages let each endpoint compact the conversation in its own way."""
    async with whole_world(tmp_path, openai_api="chat", openai_compact_tokens=1000) as world:
        world.emulators.openai.be_odd("reasoning_content", "zero_index", "whole_calls", "content_parts")
        alice = world.phone("Alice")
        await world.ask(alice, "My name is Alice")
        assert (await world.ask(alice, "List my Asana tasks")).link
        await _tell_long(world, alice)
        for endpoint in ("responses", "chat"):
            await world.stop_kernel()
            world.settings["openai_api"] = endpoint
            await world.start_kernel()
            assert "Alice" in (await world.ask(alice, "What is my name?")).text
            await _tell_long(world, alice)
            assert "Alice" in (await world.ask(alice, "What is my name?")).text
        paths = [call.path for call in world.emulators.openai.requests]
        assert {"/responses", "/chat/completions"} == set(paths)
        assert paths[-1] == "/chat/completions"


async def _tell_long(world: World, phone: Phone) -> None:
    for number in range(4):
        await world.ask(phone, f"Number {number}: {'word ' * 400}")


async def test_a_voice_note_is_heard_elsewhere_than_the_model_answers(tmp_path: Path) -> None:
    async with Emulators.start() as elsewhere:
        server = {
            "openai_transcribe_base_url": elsewhere.openai.base_url,
            "openai_transcribe_api_key": elsewhere.config.openai_api_key,
        }
        async with whole_world(tmp_path, openai_api="chat", **server) as world:
            world.emulators.openai.fail(404, times=9, match=lambda call: "audio" in call.path)
            alice = world.phone("Alice")
            await alice.send_file("audio", VOICE, "audio/ogg; codecs=opus", voice=True)
            assert f"(voice) A recording of {digest(VOICE)}" in (await alice.wait_for_message(timeout=20)).text
        assert [call.path for call in elsewhere.openai.requests] == ["/audio/transcriptions"]
