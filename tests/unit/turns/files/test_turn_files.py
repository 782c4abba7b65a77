"""The files of a turn: transcribed once, shown during the turn, and described in words if they cannot be shown."""

from __future__ import annotations

from typing import Any

import pytest

from kernel_service import texts
from kernel_service.errors import VendorUnavailable
from kernel_service.ports.media import FileProblem
from kernel_service.ports.messages import Message, ReplyMode
from kernel_service.ports.model import ModelFile, ModelRejectedError
from kernel_service.ports.payloads import Audio, File, Image, Payload, Video
from tests.integration.files import VOICE, png
from tests.unit.turns.scene import Scene, calls, says


async def receive(scene: Scene, kind: type[File], data: bytes, mime_type: str, number: int = 1, **more: Any) -> None:
    payload = Payload(kind(mime_type, data=data, voice=True), **more)
    message = Message("chat:1", f"m{number}", payload, reply_mode=ReplyMode.INLINE)
    accepted = await scene.store.inbox.accept(message, now=scene.clock(), max_pending=10)
    scene.person_id, scene.seq = accepted.person_id, accepted.seq


async def shown(scene: Scene, request: int) -> list[bytes | str]:
    """The bytes of each file of a request, or the words instead of it."""
    files = scene.model.files[request].values()
    return [
        b"".join([chunk async for chunk in file.chunks()]) if isinstance(file, ModelFile) else file for file in files
    ]


async def test_a_file_is_shown_in_every_request_of_its_turn_and_in_no_later_one(scene: Scene) -> None:
    await receive(scene, Image, png(), "image/png")
    scene.model.says = [calls("look"), says("a dot"), says("as I said")]
    await scene.run()
    assert [await shown(scene, number) for number in (0, 1)] == [[png()], [png()]]
    await scene.hear("sure?", number=2)
    await scene.run()
    assert scene.model.files[2] == {}


async def test_a_turn_that_was_cut_shows_its_file_again(scene: Scene) -> None:
    await receive(scene, Image, png(), "image/png")
    scene.model.says = [calls("look"), VendorUnavailable("model_unavailable"), says("a dot")]
    await scene.run()
    scene.clock.now += 60
    await scene.run()
    assert await shown(scene, 2) == [png()]
    assert await scene.told() == ["a dot"]


async def test_a_recording_is_heard_once_however_often_the_turn_is_tried(scene: Scene) -> None:
    await receive(scene, Audio, VOICE, "audio/ogg")
    scene.model.hears = ["Call Eve"]
    scene.model.says = [VendorUnavailable("model_unavailable"), says("calling")]
    await scene.run()
    scene.clock.now += 60
    await scene.run()
    assert scene.model.heard == [VOICE]
    assert await scene.told() == ["calling"]
    assert await scene.store.spending.spent_today(scene.person_id, now=scene.clock()) == 7 + 15


async def test_a_transcriber_that_is_away_holds_the_turn(scene: Scene) -> None:
    await receive(scene, Audio, VOICE, "audio/ogg")
    scene.model.hears = [VendorUnavailable("model_busy"), "Call Eve"]
    scene.model.says = [says("calling")]
    await scene.run()
    assert scene.model.shown == []
    scene.clock.now += 60
    await scene.run()
    assert await scene.told() == ["calling"]


async def test_a_recording_that_cannot_be_heard_is_said(scene: Scene) -> None:
    await receive(scene, Audio, VOICE, "audio/ogg")
    scene.model.hears = [ModelRejectedError("invalid_value")]
    scene.model.says = [says("I could not hear that")]
    await scene.run()
    assert await shown(scene, 0) == [texts.attachments.FOR_MODEL["unreadable"]]


@pytest.mark.parametrize(("code", "problem"), [("invalid_file", "unreadable"), ("context_length_exceeded", "too_long")])
async def test_a_file_that_the_model_refuses_is_left_out_and_said(scene: Scene, code: str, problem: str) -> None:
    await receive(scene, Image, png(), "image/png", caption="This?")
    scene.model.says = [ModelRejectedError(code), says("I could not see it")]
    await scene.run()
    assert await shown(scene, 1) == [texts.attachments.FOR_MODEL[problem]]
    assert await scene.told() == ["I could not see it"]


async def test_a_request_that_is_refused_without_its_files_too_is_given_up(scene: Scene) -> None:
    await receive(scene, Image, png(), "image/png", caption="This?")
    scene.model.says = [ModelRejectedError("invalid_prompt"), ModelRejectedError("invalid_prompt")]
    await scene.run()
    assert await scene.told() == [texts.answers.FAILED]


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (Image("image/png", media_ref="r"), texts.attachments.unopened("image", "unavailable")),
        (Video("video/mp4", media_ref="r"), texts.attachments.unsupported("video")),
        (Audio("audio/amr", media_ref="r"), texts.attachments.unsupported("audio")),
    ],
)
async def test_with_nothing_else_to_answer_no_model_is_asked(scene: Scene, file: File, sentence: str) -> None:
    accepted = await scene.store.inbox.accept(Message("chat:1", "m1", Payload(file)), now=scene.clock(), max_pending=10)
    scene.person_id, scene.seq = accepted.person_id, accepted.seq
    scene.clock.now += 91
    await scene.run()
    assert await scene.told() == [sentence]
    assert scene.model.shown == []


async def test_the_model_is_told_of_a_file_without_a_record(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def find(_store: object, _ids: list[str]) -> dict[str, object]:
        return {}

    await receive(scene, Image, png(), "image/png", caption="What is this?")
    monkeypatch.setattr(type(scene.store.files), "find", find)
    scene.model.says = [says("please send it again")]
    await scene.run()
    assert await shown(scene, 0) == [texts.attachments.FOR_MODEL["unavailable"]]


def test_every_problem_has_its_words() -> None:
    for problem in set(FileProblem) - {FileProblem.NONE}:
        assert texts.attachments.FOR_MODEL[problem]
        assert "{" not in texts.attachments.unopened("audio", problem)
