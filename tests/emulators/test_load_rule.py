"""The rule of load-test messages: each token is named once, and each task created once, also after unknown outcomes."""

import orjson
import pytest

from emulators.openai import load_rule, rule_model
from emulators.openai.conversation import Conversation
from emulators.openai.turns import Text, ToolCall, Turn
from emulators.openai.wire import FunctionCall

TOOLS = ("connect", "ASANA_LIST_TASKS", "ASANA_CREATE_TASK")
UNKNOWN = "The outcome is unknown: the call may or may not have been done. Look before you repeat it."
CREATE = ToolCall("ASANA_CREATE_TASK", '{"name":"p1m2"}')
LIST = ToolCall("ASANA_LIST_TASKS", '{"limit":100}')


def made(call: ToolCall, output: str) -> tuple[FunctionCall, str]:
    return FunctionCall(type="function_call", call_id="c", name=call.name, arguments=str(call.arguments)), output


def task(name: str) -> str:
    return orjson.dumps({"data": {"gid": "1", "name": name}}).decode()


def tasks(*names: str) -> str:
    return orjson.dumps({"data": [{"gid": "1", "name": name} for name in names]}).decode()


def asked(*said: str, results: tuple[tuple[FunctionCall, str], ...] = ()) -> Turn:
    conversation = Conversation(said=list(said), new=len(said), results=list(results), made=list(results))
    return rule_model.answer(conversation, TOOLS)


def test_every_unanswered_message_is_named() -> None:
    assert asked("load p1m1", "load p1m2") == [Text("Answer to p1m1, p1m2.")]


def test_answered_messages_are_not_named_again() -> None:
    conversation = Conversation(said=["load p1m1", "load p1m2"], new=1)
    assert rule_model.answer(conversation, TOOLS) == [Text("Answer to p1m2.")]


def test_a_long_answer_has_three_messages_with_the_token_in_each() -> None:
    [told] = asked("load long p1m1")
    assert isinstance(told, Text)
    assert 2 * 4096 < len(told.text) < 3 * 4096
    assert told.text.count("p1m1") == 10


def test_other_messages_are_left_to_the_other_rules() -> None:
    assert load_rule.answer(Conversation(said=["download p1m1", "load", "load p1"], new=3), list(TOOLS)) is None


def test_each_task_is_created_before_the_answer() -> None:
    assert asked("load p1m1", "load task p1m2", "load task p1m12") == [
        CREATE,
        ToolCall("ASANA_CREATE_TASK", '{"name":"p1m12"}'),
    ]
    results = (made(CREATE, task("p1m2")),)
    assert asked("load task p1m2", results=results) == [Text("Answer to p1m2.")]


def test_without_the_tools_there_is_still_an_answer() -> None:
    assert rule_model.answer(Conversation(said=["load task p1m2"], new=1), ["connect"]) == [Text("Answer to p1m2.")]


@pytest.mark.parametrize("doubt", [UNKNOWN, "The tool failed.", '{"error":"no"}', task("p1m12")])
def test_after_an_unknown_outcome_it_lists_the_tasks(doubt: str) -> None:
    assert asked("load task p1m2", results=(made(CREATE, doubt),)) == [LIST]


def test_a_found_task_is_not_created_again() -> None:
    results = (made(CREATE, UNKNOWN), made(LIST, tasks("Review", "p1m2")))
    assert asked("load task p1m2", results=results) == [Text("Answer to p1m2.")]


def test_a_missing_task_is_created_again() -> None:
    results = (made(CREATE, UNKNOWN), made(LIST, tasks("Review", "p1m12")))
    assert asked("load task p1m2", results=results) == [CREATE]


def test_a_failed_or_earlier_list_does_not_count() -> None:
    assert asked("load task p1m2", results=(made(CREATE, UNKNOWN), made(LIST, "The tool failed."))) == [LIST]
    results = (made(LIST, tasks("Review")), made(CREATE, UNKNOWN))
    assert asked("load task p1m2", results=results) == [LIST]


def test_it_names_the_people_whose_tokens_a_request_contains() -> None:
    conversation = Conversation(said=["load p1m1", "hello"], made=[made(LIST, tasks("Review", "p2m2"))])
    assert load_rule.people(conversation) == ["p1", "p2"]


def test_a_person_who_has_to_connect_first_is_answered_afterwards() -> None:
    said = Conversation(said=["load need p1m2"], new=1)
    request = ToolCall("connect", {"toolkit": "asana", "remaining": "load need p1m2"})
    assert load_rule.answer(said, ["connect"]) == [request]
    resumed = Conversation(said=["[Asana is connected now.]\n- load need p1m2"], new=1)
    assert load_rule.answer(resumed, list(TOOLS)) == [CREATE]
