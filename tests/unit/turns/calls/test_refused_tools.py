"""A tool that the model's vendor refuses is left out, and the turn is answered."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kernel_service.ports.model import ModelRejectedError, ToolSchema
from kernel_service.ports.tools import ToolResult
from kernel_service.turns.calls.refused_tools import (
    KEPT_SECONDS,
    MOST_COUNTED,
    MOST_OFFERED,
    OfferedTools,
    RefusedTools,
)
from tests.clock import Clock
from tests.unit.turns.scene import FakeTool, calls, says

if TYPE_CHECKING:
    from tests.unit.turns.scene import Scene

BAD = "invalid_function_parameters"


def schema(name: str, description: str = "") -> ToolSchema:
    return ToolSchema(name, description, {"type": "object", "properties": {}})


TOOLS = [schema(name) for name in ("one", "two", "three", "four")]


def offered(refused: RefusedTools) -> OfferedTools:
    tools = OfferedTools(refused)
    tools.of(TOOLS)
    return tools


def names(tools: OfferedTools) -> list[str]:
    return [each.name for each in tools.of(TOOLS)]


@pytest.mark.parametrize(
    "rejected",
    [
        ModelRejectedError(BAD, param="tools[2].parameters"),
        ModelRejectedError(BAD, param="tools[2].function.parameters"),
        ModelRejectedError("string_above_max_length", param="tools[2].function.description"),
        ModelRejectedError("invalid_value", param="tools[2].name", message="Invalid 'tools[2].name'"),
        ModelRejectedError("http_400", message="Invalid schema for function 'three': array schema missing items."),
        ModelRejectedError("http_400", message="Invalid 'tools[2].function.description': string too long."),
    ],
)
def test_tool_named_by_the_vendor_is_left_out_of_all_turns(rejected: ModelRejectedError) -> None:
    refused = RefusedTools(Clock())
    tools = offered(refused)
    assert tools.leave_out(rejected)
    assert names(tools) == names(OfferedTools(refused)) == ["one", "two", "four"]
    assert refused.counts == {"three": 1}


@pytest.mark.parametrize(
    "message",
    [
        "litellm.BadRequestError: OpenAIException - Invalid schema for function 'three': x",
        "* GenerateContentRequest.tools[0].function_declarations[2].parameters: should be non-empty",
        "tools.2.custom.input_schema: input_schema does not support oneOf",
        "Error: they said: Invalid schema for function 'three'",
    ],
)
def test_tool_named_only_in_a_sentence_is_left_out_of_one_turn(message: str) -> None:
    """A vendor's sentence may repeat words of a person, who must not remove a tool from others."""
    refused = RefusedTools(Clock())
    tools = offered(refused)
    assert tools.leave_out(ModelRejectedError("http_400", message=message))
    assert names(tools) == ["one", "two", "four"]
    assert names(OfferedTools(refused)) == ["one", "two", "three", "four"]


@pytest.mark.parametrize(
    "rejected",
    [
        ModelRejectedError("content_policy_violation", message="The prompt was refused."),
        ModelRejectedError("http_400", param="input[2]", message="No tool output found for function call call_1."),
        ModelRejectedError("context_length_exceeded", message="tools and input are too long"),
    ],
)
def test_unrelated_refusal_keeps_all_tools(rejected: ModelRejectedError) -> None:
    tools = offered(RefusedTools(Clock()))
    assert not tools.leave_out(rejected)
    assert len(names(tools)) == 4


@pytest.mark.parametrize(
    ("rejected", "left"),
    [
        (
            ModelRejectedError("array_above_max_length", param="tools", message="maximum length 3, but got 4"),
            [3, 2, 1, 0],
        ),
        (ModelRejectedError("array_above_max_length", param="tools", message="maximum length 128"), [3, 2, 1, 0]),
        (ModelRejectedError("http_400", param="tools"), [2, 1, 0]),
        (ModelRejectedError(BAD, message="Invalid function parameters."), [2, 1, 0]),
        (ModelRejectedError("http_400", param="tools[9].parameters", message="function 'unheard_of'"), [2, 1, 0]),
    ],
)
def test_without_a_named_tool_the_last_ones_are_left_out_first(rejected: ModelRejectedError, left: list[int]) -> None:
    tools = offered(RefusedTools(Clock()))
    seen = []
    while tools.leave_out(rejected):
        seen.append(len(names(tools)))
    assert seen == left


def test_repeated_refusals_of_single_tools_withhold_all() -> None:
    tools, asked = OfferedTools(RefusedTools(Clock())), 0
    many = [schema(f"t{number}") for number in range(128)]
    while tools.of(many) and tools.leave_out(ModelRejectedError(BAD, param="tools[0].parameters")):
        asked += 1
    assert asked < 20


async def test_newest_found_tools_stay_within_the_tool_limit(scene: Scene) -> None:
    scene.look.result = ToolResult("found", found=tuple(FakeTool(f"found{n}", read_only=True) for n in range(200)))
    await scene.hear()
    scene.model.says = [calls("look"), says("Many.")]
    await scene.run()
    assert len(scene.model.offered[1]) == MOST_OFFERED
    assert scene.model.offered[1][:2] == ["look", "act"]
    assert scene.model.offered[1][-1] == "found199"


async def test_newest_found_tools_stay_within_the_byte_limit(scene: Scene) -> None:
    found = [FakeTool(f"found{n}", read_only=True) for n in range(20)]
    for each in found:
        each.schema = replace(each.schema, description="x" * 30_000)
    scene.look.result = ToolResult("found", found=tuple(found))
    await scene.hear()
    scene.model.says = [calls("look"), says("Many.")]
    await scene.run()
    assert scene.model.offered[1] == ["look", "act", *(f"found{n}" for n in range(12, 20))]


def test_refused_tool_returns_after_a_change_or_a_day() -> None:
    clock = Clock()
    refused = RefusedTools(clock)
    assert offered(refused).leave_out(ModelRejectedError(BAD, param="tools[0].parameters"))
    assert OfferedTools(refused).of([schema("one")]) == []
    assert OfferedTools(refused).of([schema("one", "mended")])
    clock.now += KEPT_SECONDS
    assert OfferedTools(refused).of([schema("one")])


def test_offered_tools_stay_within_the_request_limit() -> None:
    many = [schema(f"t{number}") for number in range(200)]
    assert OfferedTools(RefusedTools(Clock())).of(many) == many[:MOST_OFFERED]


def test_refused_tools_and_counters_are_bounded() -> None:
    refused = RefusedTools(Clock())
    for number in range(5000):
        refused.add(schema(f"t{number}"))
        refused.count(f"t{number}")
    assert len(refused.counts) == MOST_COUNTED + 1
    assert len(refused._until) <= 1000


async def test_turn_is_answered_without_the_refused_tool(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    await scene.hear()
    scene.model.says = [ModelRejectedError(BAD, param="tools[1].parameters", message="secret"), says("Here you are.")]
    with caplog.at_level(logging.ERROR):
        await scene.run()
    assert await scene.told() == ["Here you are."]
    assert scene.model.offered == [["look", "act"], ["look"]]
    assert "tool=act" in caplog.text
    assert "secret" not in caplog.text


async def test_turn_is_answered_if_every_tool_is_refused(scene: Scene) -> None:
    await scene.hear()
    scene.model.says = [*[ModelRejectedError(BAD, param="tools[0].parameters")] * 2, says("Without any.")]
    await scene.run()
    assert await scene.told() == ["Without any."]


async def test_endless_refusals_end_the_turn(scene: Scene) -> None:
    await scene.hear()
    scene.model.says = [ModelRejectedError(BAD, param="tools[0].parameters")] * 10
    await scene.run()
    assert len(scene.model.says) >= 5
    assert len(await scene.told()) == 1
