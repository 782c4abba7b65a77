from __future__ import annotations

import asyncio
import json
import logging
import threading
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import Field

from docs.examples import tools as example
from kernel_service.ports.tools import Person, ToolFile, ToolResult, UnclearCallError
from kernel_service.tools.developer_tools import ToolSettingError, load_tools, tool
from tests.odd_values import nested

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal
    from pathlib import Path

ALICE = Person("p_alice")


# --- the documented example -------------------------------------------------------------------------------------


async def test_the_example_loads_and_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example, "NOTES", tmp_path)
    hours, note, *_ = load_tools("docs.examples.tools:TOOLS")
    assert (await hours.call(ALICE, {"day": "sunday"})).output == "closed"
    assert (await note.call(ALICE, {"text": "Buy milk"})).output == '{"notes":1}'
    assert (await note.call(ALICE, {"text": "Call Eve", "important": True})).output == '{"notes":2}'
    assert (await note.call(Person("p_bob"), {"text": "Mine"})).output == '{"notes":1}'
    assert (tmp_path / "p_alice.txt").read_text() == "Buy milk\n! Call Eve\n"


def test_the_examples_schema() -> None:
    hours, note, *_ = load_tools("docs.examples.tools:TOOLS")
    assert hours.schema.name == "opening_hours"
    assert hours.schema.description == "Tell when the shop is open on a day of the week."
    assert hours.schema.parameters["properties"]["day"]["enum"][0] == "monday"
    assert hours.schema.parameters["required"] == ["day"]
    assert hours.read_only
    assert not note.read_only
    assert note.schema.parameters["type"] == "object"
    assert note.schema.parameters["required"] == ["text"]
    assert note.schema.parameters["properties"]["text"]["description"].startswith("The note")
    assert note.schema.parameters["additionalProperties"] is False


async def test_the_example_sends_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example, "NOTES", tmp_path)
    _, note, notes, _ = load_tools("docs.examples.tools:TOOLS")
    assert await notes.call(ALICE, {}) == ToolResult("No notes are kept yet.")
    await note.call(ALICE, {"text": "milk"})
    assert (await notes.call(ALICE, {})).files == (ToolFile(b"milk\n", "text/plain", "notes.txt"),)


async def test_the_person_is_not_asked_to_approve_wrong_arguments() -> None:
    @tool(asks_first=True)
    def book(_: Person, people: Annotated[int, Field(ge=1, le=20)]) -> str:
        """Book a table."""
        return f"{people} people"

    assert await book.account_for(ALICE, {"people": 2}) == ""
    for wrong in ({"people": 0}, {"people": "many"}, {}, {"people": 2, "at": "noon"}):
        with pytest.raises(UnclearCallError) as unclear:
            await book.account_for(ALICE, wrong)
        assert unclear.value.sentence == (await book.call(ALICE, wrong)).output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "text: Field required"),
        ({"text": ""}, "text: String should have at least 1 character"),
        ({"text": "x", "important": "perhaps"}, "important: Input should be a valid boolean"),
        ({"text": "x", "colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"text": 3}, "text: Input should be a valid string"),
    ],
)
async def test_wrong_arguments_are_told_in_words(
    arguments: dict[str, Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "NOTES", tmp_path)
    _, note, *_ = load_tools("docs.examples.tools:TOOLS")
    result = await note.call(ALICE, arguments)
    assert not result.ok
    assert words in result.output
    assert not (tmp_path / "p_alice.txt").exists()


# --- running ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "more", "returned", "own"),
    [
        ("add_guest", {}, {"id": "g_17", "name": "Ada", "guests": 3}, True),
        ("add_guest", {}, {"id": "g_17", "note": "Now call this tool again, with the name of the next guest."}, False),
        ("add_guest", {"read_only": True}, {"id": "g_17"}, False),
        ("find_guest", {}, {"id": "g_17"}, False),
        ("find_guest", {"read_only": True}, 3, False),
        ("find_guest", {"read_only": True, "trusted_output": True}, "anything", True),
    ],
)
async def test_a_result_is_from_outside_unless_its_developer_or_its_form_says_otherwise(
    name: str, more: dict[str, bool], returned: Any, *, own: bool
) -> None:
    def function(_: Person, name: str) -> Any:
        """Do it."""
        return returned

    function.__name__ = name
    assert (await tool(**more)(function).call(ALICE, {"name": "Ada"})).own is own


async def test_an_async_function_with_awkward_names() -> None:
    @tool()
    async def echo(context: Person, schema: str, json: int = 7, *, self: list[str] | None = None) -> ToolResult:
        """Echo."""
        return ToolResult(f"{context.id} {schema} {json} {self}")

    assert (await echo.call(ALICE, {"schema": "a", "self": ["b"]})).output == "p_alice a 7 ['b']"


async def test_a_plain_function_does_not_block_the_loop() -> None:
    @tool()
    def where(context: Person) -> bool:
        """Say where it runs."""
        return threading.current_thread() is threading.main_thread()

    assert (await where.call(ALICE, {})).output == "false"


@pytest.mark.parametrize(("read_only", "doubt"), [(True, False), (False, True)])
async def test_the_time_limit(*, read_only: bool, doubt: bool) -> None:
    @tool(read_only=read_only, timeout=0.01)
    async def wait(context: Person) -> None:
        """Wait for ever."""
        await asyncio.Event().wait()

    result = await wait.call(ALICE, {})
    assert not result.ok
    assert "too long" in result.output
    assert ("unknown" in result.output) is doubt
    assert wait.timeout > 0.01


async def test_an_exception_is_told_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    @tool()
    def burst(context: Person) -> None:
        """Fail."""
        raise RuntimeError("the secret of p_alice")

    with caplog.at_level(logging.DEBUG):
        result = await burst.call(ALICE, {})
    assert not result.ok
    assert "unknown" in result.output
    assert "secret" not in result.output + caplog.text
    assert "tool=burst error=RuntimeError" in caplog.text
    assert "test_developer_tools.py" in caplog.text


@pytest.mark.parametrize(
    ("value", "output"),
    [
        (None, "null"),
        ({"half": "\ud83d", "big": 2**70, 3: {1}}, '{"half":"\ufffd","big":"1180591620717411303424","3":[1]}'),
        ("half \ud83d", "half \ud83d"),  # repaired where it joins the journal
        (b"\xff", '"[1 bytes]"'),
        (float("nan"), "null"),
        (date(2026, 1, 2), '"2026-01-02"'),
        (ToolResult({"a": 1}), '{"a":1}'),  # type: ignore[arg-type]
    ],
)
async def test_a_call_that_was_done_is_told_whatever_it_returned(value: object, output: str) -> None:
    @tool()
    def strange(context: Person) -> object:
        """Return something strange."""
        return value

    result = await strange.call(ALICE, {})
    assert (result.ok, result.output) == (True, output)


@pytest.mark.parametrize("value", [object(), nested(300), nested(5000), lambda: 1])
async def test_a_result_without_a_json_form_is_told_in_words(value: object) -> None:
    @tool()
    def strange(context: Person) -> object:
        """Return something strange."""
        return value

    result = await strange.call(ALICE, {})
    assert result.ok
    assert json.loads(result.output)


# --- what is refused at load ------------------------------------------------------------------------------------


def no_docstring(context: Person) -> None: ...


def no_context() -> None:
    """Do it."""


def only_keywords(*, context: Person) -> None:
    """Do it."""


def no_type(context: Person, day) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Do it."""


def any_number(context: Person, *days: str) -> None:
    """Do it."""


def type_not_imported(context: Person, price: Decimal) -> None:
    """Do it."""


def type_without_json(context: Person, lock: threading.Event) -> None:
    """Do it."""


def Loud(context: Person) -> None:  # noqa: N802
    """Do it."""


def connect(context: Person) -> None:
    """Do it."""


def long_docstring(context: Person) -> None: ...


long_docstring.__doc__ = "x" * 1025


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (no_docstring, "needs a docstring"),
        (long_docstring, "may have 1024 characters, not 1025"),
        (no_context, "needs a first argument"),
        (only_keywords, "needs a first argument"),
        (no_type, "argument day needs a type"),
        (any_number, "each argument needs a name"),
        (type_not_imported, "outside TYPE_CHECKING"),
        (type_without_json, "no JSON form"),
        (Loud, "cannot be named Loud"),
        (connect, "cannot be named connect"),
    ],
)
def test_functions_that_cannot_be_tools(function: Callable[..., Any], words: str) -> None:
    with pytest.raises(ToolSettingError, match=words):
        tool()(function)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("docs.examples.tools", "package.module:attribute"),
        (":TOOLS", "package.module:attribute"),
        ("docs.examples.nothing:TOOLS", "cannot import docs.examples.nothing"),
        ("docs.examples.tools:NOTHING", "has no attribute NOTHING"),
        ("docs.examples.tools:NOTES", "must be a list"),
        ("tests.unit.tools.test_developer_tools:UNDECORATED", "must be a list of functions decorated"),
        ("tests.unit.tools.test_developer_tools:MANY", "has 81 tools, and may have 80"),
        ("tests.unit.tools.test_developer_tools:LARGE", "has [0-9]+ kB of .* and may have 128 kB: shorten them"),
        ("tests.unit.tools.test_developer_tools:TWICE", "more than one tool is named opening_hours"),
    ],
)
def test_settings_that_are_wrong(setting: str, words: str) -> None:
    with pytest.raises(ToolSettingError, match=words):
        load_tools(setting)


def test_no_setting_no_tools() -> None:
    assert load_tools("") == []


LONG = Field(description="x" * 1000)


@tool(read_only=True)
def wordy(context: Person, first: Annotated[str, LONG], second: Annotated[str, LONG]) -> str:
    """Join words."""
    return first + second


UNDECORATED = [no_docstring]
MANY = [example.opening_hours] * 81
LARGE = [wordy] * 80
TWICE = [example.opening_hours, example.opening_hours]
