"""A vendor without transcription, or one that hangs: the person is told, and the rest is answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from emulators.faults import matching
from kernel_service import texts
from tests.integration.files import VOICE

if TYPE_CHECKING:
    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World

HEARING = matching(path="/audio/transcriptions")


async def speak(phone: Phone) -> None:
    await phone.send_file("audio", VOICE, "audio/ogg; codecs=opus", voice=True)


async def told(phone: Phone, *words: str) -> list[str]:
    """The texts on the phone, once they contain all of these words."""
    while not all(any(word in message.text for message in phone.received) for word in words):
        await phone.wait_for_message(timeout=20)
    return [message.text for message in phone.received]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, '{"detail": "Not Found"}'),
        (404, "404 page not found"),
        (405, '{"detail": "Method Not Allowed"}'),
        (501, None),
        (400, '{"error": {"message": "The model `gpt-transcribe` does not exist", "code": "model_not_found"}}'),
    ],
)
async def test_a_note_and_three_texts_without_any_transcription(world: World, status: int, body: str | None) -> None:
    world.emulators.openai.fail(status, times=1000, body=body, match=HEARING)
    alice = world.phone("Alice")
    await speak(alice)
    assert "heard" in (await alice.wait_for_message(timeout=20)).text
    for word in ("one", "two", "three"):
        assert word in (await world.ask(alice, word)).text
    asked = len([call for call in world.emulators.openai.requests if HEARING(call)])
    await speak(alice)
    await alice.wait_for_message(timeout=20)
    assert len([call for call in world.emulators.openai.requests if HEARING(call)]) == asked == 1
    assert "hello" in (await world.ask(world.phone("Bob"), "hello")).text


async def test_a_note_and_three_texts_at_once(world: World) -> None:
    world.emulators.openai.fail(404, times=1000, body="", match=HEARING)
    alice = world.phone("Alice")
    await speak(alice)
    for word in ("one", "two", "three"):
        await alice.send(word)
    received = await told(alice, "one", "two", "three", "heard")
    said = "\n".join(received)
    assert said.index("one") < said.index("two") < said.index("three")


async def test_a_lasting_failure_is_not_waited_for_indefinitely(world: World) -> None:
    world.emulators.openai.fail(500, times=1000, match=HEARING)
    alice = world.phone("Alice")
    started = world.wall()
    await speak(alice)
    await asyncio.sleep(0)
    world.wall = lambda: started + 130.0
    await alice.send("one")
    assert "one" in (await told(alice, "one"))[-1]


async def test_a_vendor_that_hangs_on_a_note_causes_only_a_short_delay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernel_service.turns.files.transcription.LONGEST_WAIT_SECONDS", 0.5)
    monkeypatch.setattr("kernel_service.turns.files.transcription.LAST_TRY_SECONDS", 0.1)
    hold = world.emulators.openai.hold(HEARING)
    alice = world.phone("Alice")
    await speak(alice)
    await hold.reached.wait()
    await alice.send("one")
    await told(alice, "one", "heard")
    await alice.send("two")
    await told(alice, "two")
    hold.release()


async def test_the_note_is_unheard_after_a_restart_too(world: World) -> None:
    world.emulators.openai.fail(404, times=1000, body="", match=HEARING)
    world.emulators.openai.fail(503, times=2, match=matching(path="/responses"))
    alice = world.phone("Alice")
    await speak(alice)
    await world.stop_kernel()
    await world.start_kernel()
    await alice.wait_for_message(timeout=30)
    assert "one" in (await world.ask(alice, "one")).text


def test_the_sentences_say_what_to_do() -> None:
    assert "write" in texts.attachments.unopened("audio", "unheard")
