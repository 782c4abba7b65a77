"""The text of an answer, streamed over gRPC from the emulated vendor's stream."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from kernel.v1 import messages_pb2

from emulators.openai.turns import Cut, ErrorEvent, Incomplete, Text, ToolCall
from tests.integration.world import TELEGRAM_TOKEN, bearer, whole_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.world import World

STORY = "Once upon a time there was a kernel, and it told every word as it came."


class Screen:
    """A reader of one message's stream. `texts` holds every state that it showed."""

    def __init__(self, world: World, text: str, message_id: str, user_id: str = "telegram:42") -> None:
        message = messages_pb2.HandleMessageRequest(
            user_id=user_id, message_id=message_id, payload=messages_pb2.Payload(text=text)
        )
        self.stream: Any = world.stub.StreamMessage(
            messages_pb2.StreamMessageRequest(message=message), metadata=bearer(TELEGRAM_TOKEN), timeout=60
        )
        self.text = ""
        self.texts: list[str] = []
        self.names: list[str] = []
        self.completed: messages_pb2.HandleMessageResponse | None = None
        self.changed = asyncio.Condition()

    async def read(self) -> Screen:
        async for event in self.stream:
            name = event.WhichOneof("event")
            self.names.append(name)
            if name == "text_delta":
                self.text += event.text_delta.text
            elif name == "text_reset":
                self.text = ""
            elif name == "completed":
                self.completed = event.completed
            self.texts.append(self.text)
            async with self.changed:
                self.changed.notify_all()
        return self

    async def begins(self) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: self.names)

    async def shows(self, text: str) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: text in self.text)

    @property
    def replies(self) -> list[str]:
        assert self.completed is not None
        return [reply.text for reply in self.completed.replies]


@asynccontextmanager
async def watching(
    world: World, text: str, message_id: str = "m1", user_id: str = "telegram:42"
) -> AsyncIterator[Screen]:
    """Read the stream inside the block, and to its end afterwards."""
    screen = Screen(world, text, message_id, user_id)
    reading = asyncio.create_task(screen.read())
    try:
        yield screen
        await reading
    finally:
        reading.cancel()


async def test_words_are_shown_while_the_model_speaks(world: World) -> None:
    world.emulators.openai.script([STORY])
    stall = world.emulators.openai.stall("Once upon")
    async with watching(world, "a story") as screen:
        await screen.shows("Once upon")
        assert STORY.startswith(screen.text)
        assert screen.text != STORY
        stall.release()
    assert screen.text == STORY == screen.replies[0]
    assert "text_reset" not in screen.names
    assert screen.names[-1] == "completed"


async def test_an_unwatched_turn_is_not_streamed(world: World) -> None:
    await world.tell("telegram:42", "hello", "m1")
    assert "stream" not in world.emulators.openai.requests[-1].body


@pytest.mark.parametrize("broken", [Cut(STORY), Cut(STORY, quietly=True), ErrorEvent(STORY)])
async def test_text_of_a_broken_attempt_is_retracted(world: World, broken: Cut | ErrorEvent) -> None:
    world.emulators.openai.script([broken, "Another answer."])
    stall = world.emulators.openai.stall("Once upon")
    async with watching(world, "a story") as screen:
        await screen.shows("Once upon")
        stall.release()
    assert any(text and STORY.startswith(text) for text in screen.texts)
    assert screen.names.count("text_reset") == 1
    assert screen.text == "Another answer." == screen.replies[0]


async def test_text_before_a_call_is_retracted(world: World) -> None:
    world.emulators.openai.script(
        [[Text("Let me look for a way."), ToolCall("connect", {"toolkit": "asana"})], "Tap it."]
    )
    stall = world.emulators.openai.stall("Let me look")
    async with watching(world, "connect asana") as screen:
        await screen.shows("Let me look")
        stall.release()
    assert screen.names.index("text_reset") < screen.names.index("tool_started")
    assert screen.text == "Tap it." == screen.replies[0]


async def test_a_joining_message_retracts_the_text_streamed_before(world: World) -> None:
    world.emulators.openai.script([STORY, "To both."])
    world.emulators.openai.stall("Once upon")
    async with watching(world, "first", "m1") as first:
        await first.shows("Once upon")
        async with watching(world, "second", "m2") as second:
            pass
    assert (first.text, second.text) == ("", "To both.")
    assert second.replies[0] == "To both."


async def test_a_stop_retracts_the_streamed_text(world: World) -> None:
    world.emulators.openai.script([STORY])
    world.emulators.openai.stall("Once upon")
    async with watching(world, "a story", "m1") as story:
        await story.shows("Once upon")
        await world.tell("telegram:42", "stop", "m2")
    assert story.text == ""
    assert story.completed is not None
    assert story.completed.status == messages_pb2.MESSAGE_STATUS_STOPPED


async def test_an_answer_that_is_cut_off_ends_as_the_reply_does(world: World) -> None:
    world.emulators.openai.script([Incomplete(STORY)])
    async with watching(world, "a story") as screen:
        pass
    assert screen.text == screen.replies[0]
    assert screen.text.startswith(STORY)


async def test_filtered_text_is_retracted(world: World) -> None:
    world.emulators.openai.script([Incomplete("Something ba", "content_filter"), "Something good."])
    async with watching(world, "a story") as screen:
        pass
    assert screen.text in {"", screen.replies[0]}


async def test_two_people_see_their_own_words_alone(world: World) -> None:
    async with (
        watching(world, "my name is Ada", user_id="telegram:1") as ada,
        watching(world, "my name is Bob", user_id="telegram:2") as bob,
    ):
        pass
    for screen, name, other in ((ada, "Ada", "Bob"), (bob, "Bob", "Ada")):
        assert screen.text == screen.replies[0]
        assert name in screen.text
        assert not any(other in text for text in screen.texts)


async def test_a_repeated_call_in_mid_stream_sees_all_from_the_beginning(world: World) -> None:
    world.emulators.openai.script([STORY])
    stall = world.emulators.openai.stall("Once upon")
    async with watching(world, "a story") as screen:
        await screen.shows("Once upon")
        async with watching(world, "a story") as again:
            await again.begins()
            stall.release()
    assert screen.text == again.text == STORY


async def test_a_reader_who_reads_nothing_delays_no_one(world: World) -> None:
    long = "word " * 8_000
    world.emulators.openai.script([long])
    screen = Screen(world, "a very long story", "m1")
    ended = await world.tell("telegram:42", "a very long story", "m1")
    assert ended.replies[0].text == long.strip()
    assert (await screen.read()).text == long.strip()


async def test_a_kernel_that_ends_in_mid_sentence_shows_the_answer_when_it_is_back(tmp_path: Path) -> None:
    async with whole_world(tmp_path) as world:
        world.emulators.openai.script([STORY, "After the restart."])
        world.emulators.openai.stall("Once upon")
        screen = Screen(world, "a story", "m1")
        reading = asyncio.create_task(screen.read())
        await screen.shows("Once upon")
        await world.stop_kernel()
        await asyncio.wait([reading])
        await world.start_kernel()
        async with watching(world, "a story", "m1") as again:
            pass
        assert again.replies == ["After the restart."]
        assert again.text in {"", "After the restart."}
