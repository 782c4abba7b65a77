"""The vendor's answers are repaired where possible, and returned in the vendor's own form."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from kernel_service.errors import VendorUnavailable
from kernel_service.models.body import Body
from kernel_service.models.openai_answers import call_of, read_answer
from kernel_service.ports.messages import Usage
from kernel_service.ports.model import ModelAnswer, ModelRejectedError, UnusableAnswerError

REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}


def message(content: Any, **more: Any) -> dict[str, Any]:
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content, **more}


def text(said: str) -> dict[str, Any]:
    return {"type": "output_text", "text": said, "annotations": []}


def call(**more: Any) -> dict[str, Any]:
    return {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": "{}", **more}


REQUEST = Body([b"{}"])


def read(*output: Any, request: Body = REQUEST, **more: Any) -> ModelAnswer:
    return read_answer(orjson.dumps({"status": "completed", "output": list(output), **more}), request)


def test_well_formed_items_are_kept_verbatim() -> None:
    items = [REASONING, message([text("Hi")], phase="final_answer"), call(arguments='{"a": 1}')]
    answer = read(*items)
    assert answer.items == items
    assert (answer.text, answer.calls[0].arguments) == ("Hi", {"a": 1})


@pytest.mark.parametrize(
    ("raw", "flaw"),
    [
        (b"<html><body>We will be back soon</body></html>", "html"),
        (b" \n<!DOCTYPE html>", "html"),
        (b"", "empty_body"),
        (b" \n\n", "empty_body"),
        (b"null", "no_object"),
        (b"[]", "no_object"),
        (b"3", "no_object"),
        (b'"text"', "no_object"),
        (b"\xff\xfe", "not_json"),
        (b'{"status": "completed", "output": [{"type": "mess', "not_json"),
        (b"[" * 5000, "not_json"),
        (b"{}", "no_output"),
        (b'{"choices": [{"message": {"content": "Hi"}}]}', "no_output"),
        (b'{"status": "completed", "output": null}', "output_null"),
        (b'{"status": "completed", "output": {}}', "output_of_wrong_type"),
        (b'{"status": "completed", "output": "Hi"}', "output_of_wrong_type"),
        (b'{"status": "queued", "output": []}', "unfinished"),
        (b'{"status": "in_progress", "output": []}', "unfinished"),
        (b'{"status": "cancelled", "output": []}', "unfinished"),
    ],
)
def test_an_invalid_answer_is_unusable_named_and_counts_as_a_call(raw: bytes, flaw: str) -> None:
    with pytest.raises(UnusableAnswerError) as caught:
        read_answer(raw, REQUEST)
    assert (caught.value.flaw, caught.value.usage.model_calls) == (flaw, 1)


@pytest.mark.parametrize(
    ("output", "flaw"),
    [
        ([], "no_items"),
        ([REASONING], "reasoning_alone"),
        ([{"type": "web_search_call"}, 7], "unknown_items"),
        ([message(None)], "no_content"),
        ([message([])], "no_content"),
        ([message([text(" ")])], "blank_text"),
        ([message(7)], "content_of_wrong_type"),
        ([message([{"type": "output_text", "value": "Hi"}])], "content_of_wrong_type"),
        ([message([text("Hi")])], ""),
        ([call()], ""),
    ],
)
def test_an_empty_answer_names_its_contents(output: list[Any], flaw: str) -> None:
    assert read(*output).flaw == flaw


def test_an_unusable_answer_keeps_its_reported_usage() -> None:
    with pytest.raises(UnusableAnswerError) as caught:
        read_answer(b'{"output": null, "usage": {"input_tokens": 7, "output_tokens": 2}}', REQUEST)
    assert caught.value.usage == Usage(input_tokens=7, output_tokens=2, model_calls=1)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ([message([text("Hi")], status=None)], "Hi"),
        ([message("Hi")], "Hi"),
        ([message(["Hi"])], "Hi"),
        ([message([{"type": "text", "text": "Hi"}])], "Hi"),
        ([message([{"text": "Hi", "annotations": None}])], "Hi"),
        ([{"content": [text("Hi")]}], "Hi"),
        ([message([text("Hi")], role="user")], "Hi"),
        ([message(None)], ""),
        ([message([None, 3, {"type": "output_text"}, {"type": "output_text", "text": None}, {"type": "audio"}])], ""),
        ([{"type": "message"}], ""),
        ([None, 1, "x", [], {}], ""),
        ([{"type": "web_search_call", "id": "ws_1"}, {"type": "custom_tool_call", "call_id": "c", "input": "x"}], ""),
        ([{"type": ["message"]}], ""),
        ([message([text("a")]), message([text("b")], id="msg_2")], "a\n\nb"),
    ],
)
def test_messages_of_any_shape(output: list[Any], said: str) -> None:
    answer = read(*output)
    assert (answer.text, answer.calls) == (said, [])
    for item in answer.items:
        assert item["role"] == "assistant"
        assert item["content"] == [text(each) for each in ([item["content"][0]["text"]])]
        assert item.get("status", "completed") == "completed"


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        ('{"a": 1}', {"a": 1}), ({"a": 1}, {"a": 1}), (None, {}), ("{}", {}),
        ("{", None), ("[1]", None), ('"zone"', None), ("", {}), (" ", {}), ([1], None), (3, None),
        ('"{\\"a\\": 1}"', {"a": 1}),
    ],
)  # fmt: skip
def test_arguments_of_any_shape(given: Any, arguments: Any) -> None:
    answer = read(call(arguments=given))
    assert answer.calls[0].arguments == arguments
    assert isinstance(answer.items[0]["arguments"], str)
    assert call_of(answer.items[0]) == answer.calls[0]


def test_a_call_that_was_cut_short_is_not_made() -> None:
    answer = read(call(status="incomplete"), status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert answer.calls[0].arguments is None
    assert call_of(answer.items[0]).arguments is None


@pytest.mark.parametrize("call_id", [None, "", 7, {}, "x" * 65, "call_taken"])
def test_a_call_without_a_valid_unique_id_gets_one(call_id: Any) -> None:
    answer = read(call(call_id=call_id), request=Body([b'{"input":[{"type":"function_call","call_id":"call_taken"}]}']))
    assert answer.calls[0].call_id == answer.items[0]["call_id"]
    assert answer.calls[0].call_id.startswith("call_")
    assert answer.calls[0].call_id != "call_taken"


@pytest.mark.parametrize("call_id", ["call_1", {"a": 1}, None])
def test_only_calls_keep_a_call_id(call_id: Any) -> None:
    answer = read(REASONING | {"call_id": call_id}, message([text("Hi")], call_id=call_id))
    assert answer.items == [REASONING, message([text("Hi")])]


def test_each_call_of_an_answer_has_its_own_id() -> None:
    answer = read(call(call_id="call_0"), call(call_id="call_0", id="fc_2"), call(call_id="call_0", id="fc_1"))
    assert len({each.call_id for each in answer.calls}) == 3
    ids = [item["id"] for item in answer.items if "id" in item]
    assert ids == ["fc_1", "fc_2"]


@pytest.mark.parametrize("name", [None, "", 3])
def test_a_call_without_a_name_is_none(name: Any) -> None:
    assert read(call(name=name)).calls == []


def test_a_name_that_no_tool_has_can_be_sent_back() -> None:
    assert read(call(name="other.look up " + "x" * 80)).items[0]["name"] == ("other_look_up_" + "x" * 80)[:64]


@pytest.mark.parametrize(
    "output",
    [
        [REASONING],
        [REASONING, {"type": "web_search_call"}],
        [REASONING, message(None)],
        [{"type": "reasoning", "id": "rs_1", "summary": []}, message([text("Hi")])],
        [{"type": "reasoning", "summary": [], "encrypted_content": "x"}, message([text("Hi")])],
        [{"type": "reasoning", "id": "rs_1", "encrypted_content": None}, message([text("Hi")])],
    ],
)
def test_reasoning_that_the_vendor_would_not_take_back_is_left_out(output: list[Any]) -> None:
    assert all(item["type"] != "reasoning" for item in read(*output).items)


def test_a_compaction_precedes_what_it_came_with() -> None:
    """It replaces all items before it: a call must stay beside its result, and an answer in the conversation."""
    compacted = {"type": "compaction", "id": "cmp_1", "encrypted_content": "x"}
    items = read(REASONING, call(), compacted, message([text("Hi")])).items
    assert [item["type"] for item in items] == ["compaction", "reasoning", "function_call", "message"]


def test_reasoning_without_a_summary_gets_one() -> None:
    answer = read(REASONING | {"summary": None, "status": None}, message([text("Hi")]))
    assert answer.items[0] == REASONING


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (rb'"half \ud83d an emoji"', "half � an emoji"), (rb'"\ude00"', "�"), (rb'"\ud83d\ude00"', "😀"),
        (rb'"a\u0000b"', "a�b"),
    ],
)  # fmt: skip
def test_text_that_cannot_be_stored_is_repaired(raw: bytes, said: str) -> None:
    body = b'{"status": "completed", "output": [{"type": "message", "content": [{"type": "output_text", "text": %b}]}]}'
    assert read_answer(body % raw, REQUEST).text == said


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (None, 0), ([], 0), ("many", 0), (3, 0), ({"input_tokens": None, "output_tokens": None}, 0),
        ({"input_tokens": "12", "output_tokens": "x"}, 12), ({"input_tokens": -5, "output_tokens": 3}, 3),
        ({"input_tokens": 1.9, "output_tokens": True}, 2), ({"input_tokens": 1e300}, 0), ({"input_tokens": 10**12}, 0),
        ({"input_tokens": 1, "input_tokens_details": "x", "output_tokens_details": [1]}, 1),
    ],
)  # fmt: skip
def test_usage_of_any_shape(usage: Any, tokens: int) -> None:
    assert read(message("Hi"), usage=usage).usage.tokens == tokens


@pytest.mark.parametrize("status", [None, "completed", "done", 1])
def test_a_status_that_says_nothing_else_is_complete(status: Any) -> None:
    assert read(message("Hi"), status=status).text == "Hi"


@pytest.mark.parametrize("details", [None, "max_output_tokens", {}, {"reason": None}, {"reason": "other"}])
def test_an_answer_without_a_known_reason_is_not_cut(details: Any) -> None:
    assert not read(message("Hi"), status="incomplete", incomplete_details=details).cut


@pytest.mark.parametrize(
    "said", ["", " ", "\n\t", "\u200b", "\ufeff\u2060", "\u00ad", "\u3164", "\u2800", "\u202e", "\x07"]
)
def test_invisible_text_says_nothing(said: str) -> None:
    assert read(message(said)).says_nothing


@pytest.mark.parametrize("said", ["a", "👍", "…", "0", "ㅇ", "؟"])
def test_visible_text_says_something(said: str) -> None:
    assert not read(message(said)).says_nothing


def test_a_failure_told_with_200() -> None:
    with pytest.raises(VendorUnavailable):
        read_answer(b'{"status": "failed", "error": {"code": "server_error"}, "output": []}', REQUEST)
    with pytest.raises(ModelRejectedError, match="invalid_prompt"):
        read_answer(b'{"status": "failed", "error": {"code": "invalid_prompt"}, "output": []}', REQUEST)


@pytest.mark.parametrize("name", ["look<|channel|>commentary", "functions.look", "functions.look<|message|>"])
def test_tokens_at_the_name_of_a_call_are_removed(name: str) -> None:
    assert read(call(name=name)).calls[0].name == "look"
