"""A turn against a real store: what is journaled when, and what happens after a cut at each point."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service import texts
from kernel_service.errors import VendorUnavailable
from kernel_service.kernels.kernel import Kernel
from kernel_service.kernels.store import CallRecord, HistoryItem, TurnStatus
from kernel_service.messages import Link, Message, ReplyMode, Usage
from kernel_service.storage.sealing import MasterKeys
from kernel_service.storage.store import open_store
from kernel_service.turns.limits import Limits
from kernel_service.turns.model import FunctionCall, ModelAnswer, ModelRejectedError, ToolSchema
from kernel_service.turns.runner import TurnRunner
from kernel_service.turns.tools import ToolResult
from kernel_service.turns.turn import NOT_DONE, OUTCOME_UNKNOWN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from kernel_service.storage.sql_store import SqlStore
    from kernel_service.turns.model import ModelRequest
    from kernel_service.turns.tools import Person, Tool


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Model:
    """Says what it was told to say, in order; keeps what it was shown."""

    origin = "test:1"

    def __init__(self) -> None:
        self.says: list[ModelAnswer | Exception] = []
        self.shown: list[list[dict[str, Any]]] = []

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        self.shown.append(list(request.items))
        said = self.says.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    def user_item(self, content: dict[str, Any]) -> dict[str, Any]:
        return {"type": "message", "role": "user", "content": content.get("text", "")}

    def call_of(self, item: dict[str, Any]) -> FunctionCall:
        return FunctionCall(item["call_id"], item["name"], {})

    def result_item(self, call_id: str, output: str) -> dict[str, Any]:
        return {"type": "function_call_output", "call_id": call_id, "output": output}


class FakeTool:
    timeout = 5.0

    def __init__(self, name: str, *, read_only: bool, result: ToolResult | Exception | None = None) -> None:
        self.schema = ToolSchema(name, name, {"type": "object", "properties": {}})
        self.read_only = read_only
        self.result = result or ToolResult(f"{name} done")
        self.calls = 0

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        self.calls += 1
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


class Toolbox:
    def __init__(self, *tools: FakeTool) -> None:
        self.tools = list(tools)

    async def tools_for(self, person: Person) -> list[Tool]:
        return list(self.tools)


def says(text: str) -> ModelAnswer:
    return ModelAnswer([{"type": "message", "content": text}], text, Usage(input_tokens=10, output_tokens=5))


def calls(*names: str) -> ModelAnswer:
    items = [{"type": "function_call", "call_id": f"c_{name}", "name": name} for name in names]
    return ModelAnswer(
        items, "", Usage(input_tokens=10, output_tokens=5), [FunctionCall(f"c_{n}", n, {}) for n in names]
    )


class Scene:
    """One person with one message, a model, two tools."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.clock = Clock()
        self.model = Model()
        self.look = FakeTool("look", read_only=True)
        self.act = FakeTool("act", read_only=False)
        self.ended: list[str] = []
        self.limits = Limits(steps=4)
        self.person_id = ""
        self.seq = 0

    async def hear(self, text: str = "do it", number: int = 1) -> None:
        message = Message("chat:1", f"m{number}", {"text": text}, reply_mode=ReplyMode.INLINE)
        accepted = await self.store.accept(message, now=self.clock(), max_pending=10)
        self.person_id, self.seq = accepted.person_id, accepted.seq

    async def activated(self) -> Kernel:
        return Kernel(await self.store.activate(self.person_id, owner="k"), self.clock())

    async def run(self, kernel: Kernel | None = None) -> float | None:
        runner = TurnRunner(
            store=self.store,
            model=self.model,
            toolbox=Toolbox(self.look, self.act),
            limits=self.limits,
            instructions="",
            debounce=0,
            clock=self.clock,
            ended=lambda turn: self.ended.append(turn.id),
            replies_ready=lambda channel: None,
        )
        return await runner.run_next(kernel or await self.activated())

    async def told(self) -> list[str]:
        answer = await self.store.answer_of(self.person_id, self.seq)
        return [stored.reply.text for stored in answer.replies]

    async def history(self) -> list[HistoryItem]:
        return (await self.store.activate(self.person_id, owner="reader")).history


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    keys = MasterKeys.parse(f"k1:{base64.b64encode(os.urandom(32)).decode()}")
    store = await open_store(f"sqlite:///{tmp_path}/kernel.db", keys)
    yield Scene(store)
    await store.close()


async def test_model_and_tools_until_there_is_an_answer(scene: Scene) -> None:
    await scene.hear()
    scene.model.says = [calls("look", "act"), says("both done")]
    await scene.run()
    assert await scene.told() == ["both done"]
    assert (scene.look.calls, scene.act.calls) == (1, 1)
    assert [item.kind for item in await scene.history()] == ["input", "output", "output", "result", "result", "output"]
    assert [item.get("output") for item in scene.model.shown[1][-2:]] == ["look done", "act done"]
    assert len(scene.ended) == 1


async def cut(scene: Scene, *, started: bool, name: str) -> None:
    """Leave the turn as a process leaves it that died after the model's call was stored."""
    kernel = await scene.activated()
    turn = await scene.store.next_turn(scene.person_id, kernel.epoch, now=scene.clock(), debounce=0)
    assert turn is not None
    assert not isinstance(turn, float)
    items = [
        HistoryItem("input", scene.model.user_item({"text": "do it"})),
        HistoryItem("output", calls(name).items[0], "test:1"),
    ]
    intent = CallRecord(f"c_{name}", name, scene.clock()) if started else None
    await scene.store.append(turn, kernel.epoch, items, usage=Usage(), started=intent, now=scene.clock())


async def test_a_call_that_may_have_been_made_is_not_repeated(scene: Scene) -> None:
    await scene.hear()
    await cut(scene, started=True, name="act")
    scene.model.says = [says("I looked")]
    await scene.run()
    assert scene.act.calls == 0
    assert scene.model.shown[0][-1]["output"] == OUTCOME_UNKNOWN
    assert await scene.told() == ["I looked"]


@pytest.mark.parametrize("name", ["look", "act"])
async def test_a_call_that_was_never_begun_is_made_once(scene: Scene, name: str) -> None:
    await scene.hear()
    await cut(scene, started=False, name=name)
    scene.model.says = [says("done")]
    await scene.run()
    assert scene.look.calls + scene.act.calls == 1
    assert await scene.told() == ["done"]


async def test_the_button_survives_a_cut(scene: Scene) -> None:
    await scene.hear()
    link = Link("https://connect.example/lk", "Connect Asana", 1_800_000_600.0)
    scene.look.result = ToolResult("the person gets a button", link=link)
    scene.model.says = [calls("look"), VendorUnavailable("model_unavailable", retry_after=5)]
    await scene.run()
    scene.clock.now += 60
    scene.model.says = [says("tap the button")]
    await scene.run()
    answer = await scene.store.answer_of(scene.person_id, scene.seq)
    assert [stored.reply.link for stored in answer.replies] == [link]
    assert scene.look.calls == 1
    assert "connect.example" not in str(scene.model.shown)


async def test_a_vendor_that_is_away_holds_the_turn_and_burns_nothing(scene: Scene) -> None:
    await scene.hear()
    kernel = await scene.activated()
    for hold in range(10):
        scene.model.says = [VendorUnavailable("model_busy", retry_after=7)]
        await scene.run(kernel)
        due = await scene.run(kernel)  # held: says when, asks nobody
        assert due is not None
        assert due >= scene.clock() + 7
        assert len(scene.model.shown) == hold + 1
        scene.clock.now = due
    scene.model.says = [says("at last")]
    await scene.run(kernel)
    assert await scene.told() == ["at last"]
    lease = await scene.store.lease("chat", [], limit=10, seconds=60, now=scene.clock())
    assert [each.reply.reply.text for each in lease] == [texts.STILL_TRYING]


async def test_what_the_model_refuses_for_good_is_told_and_leaves_no_trace(scene: Scene) -> None:
    await scene.hear("poison")
    scene.model.says = [ModelRejectedError("invalid_prompt")]
    kernel = await scene.activated()
    await scene.run(kernel)
    assert await scene.told() == [texts.FAILED]
    assert await scene.history() == []


async def test_a_failed_turn_leaves_no_call_open(scene: Scene) -> None:
    await scene.hear()
    await cut(scene, started=False, name="gone")
    scene.model.says = [ModelRejectedError("context_length_exceeded")]
    await scene.run()
    results = [item.data for item in await scene.history() if item.kind == "result"]
    assert [result["call_id"] for result in results] == ["c_gone"]
    assert NOT_DONE not in str(results)  # it was answered: there is no such tool


async def test_a_turn_that_never_ends_is_ended(scene: Scene) -> None:
    await scene.hear()
    scene.model.says = [calls("look") for _ in range(scene.limits.steps)]
    for number, answer in enumerate(scene.model.says):
        assert isinstance(answer, ModelAnswer)
        answer.items[0]["call_id"] = f"c{number}"
        answer.calls[0] = FunctionCall(f"c{number}", "look", {})
    await scene.run()
    assert await scene.told() == [texts.TOO_MANY_STEPS]


async def test_a_turn_that_takes_too_long_is_ended(scene: Scene) -> None:
    await scene.hear()
    scene.limits = Limits(seconds=-1)
    await scene.run()
    assert await scene.told() == [texts.TOO_LONG]


@pytest.mark.parametrize(
    ("tool", "output"),
    [
        (FakeTool("look", read_only=True, result=RuntimeError("secret")), "The tool failed."),
        (FakeTool("look", read_only=False, result=RuntimeError("secret")), OUTCOME_UNKNOWN),
        (FakeTool("look", read_only=False, result=VendorUnavailable("tools_busy")), "Nothing was done."),
    ],
)
async def test_a_broken_tool_is_told_to_the_model_without_its_words(scene: Scene, tool: FakeTool, output: str) -> None:
    await scene.hear()
    scene.look = tool
    scene.model.says = [calls("look"), says("sorry")]
    await scene.run()
    assert output in scene.model.shown[1][-1]["output"]
    assert "secret" not in str(scene.model.shown)


async def test_answers_that_are_empty_cut_or_refused(scene: Scene) -> None:
    await scene.hear()
    scene.model.says = [ModelAnswer([], "", Usage(), refusal="no")]
    await scene.run()
    assert await scene.told() == [texts.REFUSED]
    await scene.hear(number=2)
    scene.model.says = [ModelAnswer([], "half an", Usage(), cut=True)]
    await scene.run()
    assert await scene.told() == [f"half an\n\n{texts.CUT}"]
    await scene.hear(number=3)
    scene.model.says = [ModelAnswer([], " ", Usage())]
    await scene.run()
    assert await scene.told() == [texts.NOTHING_TO_SAY]


async def test_another_model_s_reasoning_is_not_shown(scene: Scene) -> None:
    await scene.hear()
    thought = {"type": "reasoning", "id": "rs_1"}
    scene.model.says = [ModelAnswer([thought, {"type": "message"}], "one", Usage())]
    kernel = await scene.activated()
    await scene.run(kernel)
    await scene.hear(number=2)
    scene.model.says = [says("two")]
    await scene.run(kernel)
    assert thought in scene.model.shown[1]
    scene.model.origin = "test:2"
    await scene.hear(number=3)
    scene.model.says = [says("three")]
    await scene.run(kernel)
    assert thought not in scene.model.shown[2]


async def test_a_message_that_kills_its_process_again_and_again_is_given_up(scene: Scene) -> None:
    await scene.hear()
    for _ in range(scene.limits.attempts):
        kernel = await scene.activated()
        await scene.store.next_turn(scene.person_id, kernel.epoch, now=scene.clock(), debounce=0)
    await scene.run()
    assert await scene.told() == [texts.FAILED]
    turns, _, _ = await scene.store.turns(scene.person_id, limit=10, before="")
    assert [(turn.status, turn.problem) for turn in turns] == [(TurnStatus.FAILED, "too_many_attempts")]
