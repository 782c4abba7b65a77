"""Files that tools make: stored before the result is journaled, sent with the answer, and only named to the model."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.ports.media import CHUNK_BYTES, PERSON_BYTES
from kernel_service.ports.tools import ToolFile, ToolResult
from kernel_service.turns.calls import tool_files
from tests.unit.turns.scene import calls, says

if TYPE_CHECKING:
    from kernel_service.ports.messages import ReplyFile
    from tests.unit.turns.scene import Scene

CHART = ToolFile(b"\x89PNG" + bytes(CHUNK_BYTES), "image/png", "chart.png")
GOES = "[The person gets chart.png with your answer.]"
LARGE = ToolFile(bytes(tool_files.MOST_BYTES + 1), "text/plain")


def told_to_model(scene: Scene) -> list[str]:
    return [item["output"] for item in scene.model.shown[-1] if item.get("type") == "function_call_output"]


async def bytes_of(scene: Scene, file: ReplyFile) -> bytes:
    count = await scene.store.made_files.chunks("chat", file.id)
    return b"".join([await scene.store.files.chunk(file.id, number) for number in range(count)])


async def test_file_is_sent_with_the_answer(scene: Scene) -> None:
    await scene.hear("draw it")
    scene.look.result = ToolResult("drawn", files=(CHART,))
    scene.model.says = [calls("look"), says("Here it is.")]
    await scene.run()
    assert told_to_model(scene) == [f"drawn\n{GOES}"]
    [reply] = await scene.replies()
    [file] = reply.media
    assert (reply.text, file.mime_type, file.filename, file.size) == (
        "Here it is.",
        "image/png",
        "chart.png",
        len(CHART.data),
    )
    assert file.sha256 == hashlib.sha256(CHART.data).hexdigest()
    assert await bytes_of(scene, file) == CHART.data
    await scene.hear("thanks", number=2)
    scene.model.says = [says("You are welcome.")]
    await scene.run()
    assert [reply.media for reply in await scene.replies()] == [()], "once"
    assert not any("media_id" in str(item) or file.id in str(item) for item in scene.model.shown[-1])


async def test_file_survives_an_interruption(scene: Scene) -> None:
    await scene.hear()
    scene.act.result = ToolResult("done", files=(CHART,))
    scene.model.says = [calls("act"), OSError("cut")]
    await scene.run()
    scene.model.says = [says("Here it is.")]
    scene.clock.now += 100
    await scene.run()
    [reply] = await scene.replies()
    assert await bytes_of(scene, reply.media[0]) == CHART.data
    assert scene.act.calls == 1


@pytest.mark.parametrize(
    ("files", "kept", "told"),
    [
        ((LARGE,), 0, [tool_files.TOO_LARGE.format(name="the file")]),
        ((CHART,) * 11, 10, [*[GOES] * 10, tool_files.TOO_MANY.format(name="chart.png")]),
    ],
)
async def test_model_is_told_of_a_file_that_cannot_be_sent(
    scene: Scene, files: Any, kept: int, told: list[str]
) -> None:
    await scene.hear()
    scene.look.result = ToolResult("ok", files=files)
    scene.model.says = [calls("look"), says("Well.")]
    await scene.run()
    assert told_to_model(scene) == ["\n".join(["ok", *told])]
    assert len((await scene.replies())[0].media) == kept


async def test_model_is_told_of_a_lack_of_room(scene: Scene) -> None:
    await scene.hear()
    kernel = await scene.activated()
    turn: Any = await scene.store.turns.next_turn(scene.person_id, kernel.epoch, now=scene.clock(), debounce=0)
    await scene.store.made_files.keep(scene.person_id, turn.messages[0], PERSON_BYTES, now=scene.clock())
    scene.look.result = ToolResult("ok", files=(CHART,))
    scene.model.says = [calls("look"), says("Well.")]
    await scene.run(kernel)
    assert told_to_model(scene) == [f"ok\n{tool_files.NO_ROOM.format(name='chart.png')}"]


@pytest.mark.parametrize(
    ("data", "mime_type", "filename"),
    [
        (b"", "image/png", "a.png"),
        (b"x", "png", "a.png"),
        (b"x", "image/png; charset=utf-8", ""),
        (b"x", "image/png", "../a.png"),
        (b"x", "image/png", "a\n.png"),
        (b"x", "image/png", "a" * 101),
    ],
)
def test_invalid_files_are_refused(data: bytes, mime_type: str, filename: str) -> None:
    with pytest.raises(ValueError, match=r"file|MIME"):
        ToolFile(data, mime_type, filename)
