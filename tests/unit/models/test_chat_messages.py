"""The history as messages: the order, ids and contents that strict servers ask."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from kernel_service.models.chat_messages import call_id_of, instructed, messages_of


def heard(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def said(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def call(name: str, arguments: str = "{}") -> dict[str, Any]:
    return {"type": "function_call", "call_id": name, "name": f"do_{name}", "arguments": arguments}


def result(name: str, output: str = "done") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": name, "output": output}


def in_short(items: list[dict[str, Any]], *left_out: str) -> list[str]:
    """Each message as its role, its text and its calls."""
    told = messages_of(items, lambda part: {"type": "text", "text": part["text"]}, set(left_out))
    return [
        f"{message['role']}: {message['content']}"
        + "".join(f" +{each['function']['name']}" for each in message.get("tool_calls", ()))
        for message in told
    ]


@pytest.mark.parametrize(
    ("items", "messages"),
    [
        ([heard("a"), heard("b")], ["user: a", "user: b"]),
        ([heard("a"), said("b"), said("c")], ["user: a", "assistant: b\n\nc"]),
        (
            [heard("a"), said("b"), call("x"), call("y"), result("y", "2"), result("x", "1"), said("c")],
            ["user: a", "assistant: b +do_x +do_y", "tool: 1", "tool: 2", "assistant: c"],
        ),
        (
            [heard("a"), call("x"), result("x", "1"), call("y"), result("y", "2")],
            ["user: a", "assistant:  +do_x", "tool: 1", "assistant:  +do_y", "tool: 2"],
        ),
        (
            [heard("a"), call("x"), heard("b"), result("x", "1"), said("c")],
            ["user: a", "assistant:  +do_x", "tool: 1", "user: b", "assistant: c"],
        ),
        ([heard("a"), call("x"), said("b"), result("x", "1")], ["user: a", "assistant: b +do_x", "tool: 1"]),
        ([heard("a"), call("x")], ["user: a"]),
        ([heard("a"), result("x")], ["user: a"]),
        ([heard("a"), {"type": "compaction", "encrypted_content": "x"}, said("b")], ["user: a", "assistant: b"]),
    ],
)
def test_order(items: list[dict[str, Any]], messages: list[str]) -> None:
    assert in_short(items) == messages


def test_roles_alternate_where_a_server_asks_for_it() -> None:
    items = [heard("a"), heard("b"), said("c"), said("d"), heard("e")]
    assert in_short(items, "repeated roles") == ["user: a\n\nb", "assistant: c\n\nd", "user: e"]


@pytest.mark.parametrize(
    ("items", "messages"),
    [
        ([heard("a")], [{"role": "user", "content": "Be brief.\n\na"}]),
        ([], [{"role": "user", "content": "Be brief."}]),
        ([said("a")], [{"role": "user", "content": "Be brief."}, {"role": "assistant", "content": "a"}]),
    ],
)
def test_instructions_without_a_separate_role(items: list[dict[str, Any]], messages: list[dict[str, Any]]) -> None:
    told = messages_of(items, lambda part: {"type": "text", "text": part["text"]}, set())
    assert instructed(told, "Be brief.", {"system role"}) == messages


def test_without_tools_the_words_stay() -> None:
    items = [heard("a"), said("b"), call("x"), result("x"), said("c"), heard("d")]
    assert in_short(items, "tools") == ["user: a", "assistant: b\n\nc", "user: d"]


def test_ids_have_nine_letters_and_digits_and_stay_the_same() -> None:
    assert len(call_id_of("call_7")) == 9
    assert call_id_of("call_7").isalnum()
    assert call_id_of("call_7") == call_id_of("call_7") != call_id_of("call_8")


@pytest.mark.parametrize("written", ["{", "[1]", "", '"x"', "null"])
def test_arguments_that_no_server_parses_are_left_out(written: str) -> None:
    told = messages_of([heard("a"), call("x", written), result("x")], lambda part: part, set())
    assert told[1]["tool_calls"][0]["function"]["arguments"] == "{}"


def test_reasoning_goes_back_beside_what_it_led_to() -> None:
    items = [heard("a"), {"type": "reasoning", "id": "rs_1", "reasoning_content": "hm"}, call("x"), result("x")]
    assert messages_of(items, lambda part: part, set())[1]["reasoning_content"] == "hm"
    assert "reasoning_content" not in messages_of(items, lambda part: part, {"reasoning_content"})[1]


def test_messages_only_grow_at_their_end() -> None:
    """So that a server's cache of the beginning holds."""
    items = [heard("a"), said("b"), call("x"), result("x"), said("c"), heard("d"), said("e"), heard("f")]
    every = [messages_of(items[:count], lambda part: part, set()) for count in range(1, len(items) + 1)]
    for shorter, longer in itertools.pairwise(every):
        assert longer[: len(shorter) - 1] == shorter[:-1]
