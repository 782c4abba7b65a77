"""Odd toolkits: schemas that the model's vendor refuses, and results that no database accepts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from emulators.composio.catalogue import Tool, Toolkit
from emulators.faults import matching
from emulators.openai.turns import ToolCall
from tests.integration.test_conversation import connect
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.world import World

BAD_SCHEMAS: list[Any] = [
    {"type": "object", "properties": {}, "oneOf": [{"required": ["a"]}]},
    {"type": None, "properties": {}},
    {"properties": {"a": {"type": "array"}}},
    {"type": "object", "properties": [], "required": "a"},
    {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/A"}}},
    "no schema",
    None,
]


def odd(slug: str, shown: Any = None, description: str = "Odd.") -> Tool:
    return Tool(slug, "asana", "Odd", description, (), {}, (), lambda _place, _arguments: {}, shown)


async def test_a_toolkit_with_bad_schemas_is_offered_whole(world: World) -> None:
    tools = [odd(f"ASANA_ODD_{number}", shown) for number, shown in enumerate(BAD_SCHEMAS)]
    tools += [odd("ASANA.DOTTED"), odd("ASANA_" + "LONG" * 20), odd("ASANA_WORDY", {}, "words " * 1000)]
    world.emulators.composio.catalogue.add(Toolkit("asana", "Asana", "Tasks."), *tools)
    alice = world.phone("Alice")
    await connect(world, alice)
    assert "owner" in (await world.ask(alice, "list my tasks")).text
    offered = [tool["name"] for tool in world.emulators.openai.requests[-1].body["tools"]]
    assert len([name for name in offered if name.startswith("ASANA")]) == 4 + len(tools)


async def test_a_tool_that_fills_the_context_costs_neither_memory_nor_tools(world: World) -> None:
    openai = world.emulators.openai
    openai.context_window = 200_000
    values = {f"p{n}": {"type": "string", "enum": [f"value {m} of {n}" for m in range(900)]} for n in range(100)}
    described = {f"p{n}": {"type": "string", "description": "x" * 10_000} for n in range(100)}
    tools = [odd("ASANA_HUGE", {"properties": values}), odd("ASANA_WORDY", {"properties": described})]
    world.emulators.composio.catalogue.add(Toolkit("asana", "Asana", "Tasks."), *tools)
    alice = world.phone("Alice")
    await world.ask(alice, "my name is Ada")
    await connect(world, alice)
    openai.requests.clear()
    assert "Ada" in (await world.ask(alice, "what is my name?")).text
    assert len(openai.requests) == 1
    offered = {tool["name"]: tool for tool in openai.requests[0].body["tools"]}
    assert offered["ASANA_HUGE"]["parameters"]["properties"].keys() == values.keys()
    assert "ASANA_LIST_TASKS" in offered
    assert len(json.dumps(offered)) < 100_000


async def test_tools_that_fill_the_context_together_are_searched_for(world: World) -> None:
    openai = world.emulators.openai
    openai.context_window = 200_000
    described = {f"p{n}": {"type": "string", "description": "x" * 110} for n in range(100)}
    tools = [odd(f"ASANA_LARGE_{number}", {"properties": described}) for number in range(25)]
    world.emulators.composio.catalogue.add(Toolkit("asana", "Asana", "Tasks."), *tools)
    alice = world.phone("Alice")
    await world.ask(alice, "my name is Ada")
    await connect(world, alice)
    assert "Ada" in (await world.ask(alice, "what is my name?")).text
    assert "search_tools" in [tool["name"] for tool in openai.requests[-1].body["tools"]]


@pytest.mark.parametrize("form", ["responses", "chat", "words", "gemini", "silent"])
async def test_a_tool_that_is_still_refused_is_left_out(world: World, form: str) -> None:
    alice = world.phone("Alice")
    world.emulators.openai.refused_tools = {"ASANA_COMPLETE_TASK": form, "ASANA_DELETE_TASK": form}
    await connect(world, alice)
    assert "hello" in (await world.ask(alice, "hello")).text
    assert "kernel_refused_tools_total{tool=" in await world.metrics()
    assert "hello" in (await world.ask(alice, "hello again")).text
    await world.stop_kernel()
    await world.start_kernel()
    assert "hello" in (await world.ask(alice, "hello once more")).text


async def test_a_tool_of_the_bot_s_developer_that_is_refused_is_left_out(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_tools="docs.examples.tools:TOOLS") as world:
        world.emulators.openai.refused_tools = {"opening_hours": "responses"}
        alice = world.phone("Alice")
        assert "hello" in (await world.ask(alice, "hello")).text
        before = len(world.emulators.openai.requests)
        assert "hello" in (await world.ask(alice, "hello again")).text
        assert len(world.emulators.openai.requests) == before + 1


def answer(data: str) -> str:
    return f'{{"data": {data}, "error": null, "log_id": "log_1", "result_type": "completed"}}'


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (r'{"name": "half \ud83d", "gid": "7"}', "half \ufffd"),
        (r'{"name": "a\u0000b"}', "a\ufffdb"),
        (f'{{"gid": {10**40}}}', str(10**40)),
        (f'{{"gid": {"9" * 6000}}}', "9" * 6000),
        ('{"rate": NaN, "name": "ok"}', "ok"),
        ('{"a":' * 300 + "1" + "}" * 300, "left out"),
        ("[" * 100_000 + "]" * 100_000, "left out"),
    ],
    ids=["half an emoji", "NUL", "big", "huge", "NaN", "300 levels", "100,000 levels"],
)
async def test_a_result_that_no_database_accepts_is_repaired_and_counts_as_done(
    world: World, data: str, seen: str
) -> None:
    alice = world.phone("Alice")
    await connect(world, alice)
    create = ToolCall("ASANA_CREATE_TASK", {"name": "Buy milk"})
    world.emulators.openai.script([[create], "It is done."])
    world.emulators.composio.after.fail(200, body=answer(data), match=matching(path="/execute"))
    assert (await world.ask(alice, "create it")).text == "It is done."
    output = world.emulators.openai.requests[-1].body["input"][-1]["output"]
    assert seen in output
    assert "unknown" not in output
    assert "failed" not in output
    assert json.loads(output)
    assert len(world.emulators.effects.all("tool_execution")) == 1
    assert "hello" in (await world.ask(alice, "hello")).text
    await world.evict(alice)
    assert "hello" in (await world.ask(alice, "hello again")).text
