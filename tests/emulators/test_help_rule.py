"""The rule-based model says what it can do, in words that work."""

import re

import pytest

from emulators.openai import help_rule, rule_model
from emulators.openai.conversation import Conversation
from emulators.openai.turns import Text, ToolCall
from emulators.openai.wire import FunctionCall

TOOLS = [
    *("connect", "disconnect", "search_tools", "create_schedule", "list_schedules", "delete_schedule"),
    *("create_trigger", "delete_trigger", "remember", "forget_fact", "book_table"),
]


def reply(text: str, tools: list[str] | None = None) -> str:
    conversation = Conversation()
    conversation.hear(text)
    [said] = rule_model.answer(conversation, TOOLS if tools is None else tools)
    assert isinstance(said, Text)
    return said.text


@pytest.mark.parametrize(
    "text",
    [
        *("what can you do?", "What can you do", "so what else can you do for me", "help", "Help!", "/help", "/start"),
        *("menu", "commands", "what should I ask?", "how does this work", "can you help me?", "who are you?", "?"),
        *("hi", "Hi!", "hey there", "hello", "Good morning", "hola", "👋", "hello again", "hi, assistant"),
    ],
)
def test_a_question_or_a_greeting_is_told_the_requests_that_work(text: str) -> None:
    assert "“remind me in 10 minutes to stretch”" in reply(text)


@pytest.mark.parametrize("text", ["the sky is blue", "write a poem", "hi, my dog is ill", "helpful is what you are"])
def test_an_unknown_request_is_shown_the_way_to_help(text: str) -> None:
    heard, hint = reply(text).splitlines()
    assert heard.startswith(f"You said: “{text}” (message 1 of our chat, history ")
    assert hint == "Write “help” to see what I can do."


def test_help_names_only_what_the_offered_tools_can_do() -> None:
    told = reply("help", ["remember"])
    assert "remember that I drink tea" in told
    assert not re.search("remind|task|mail|table", told)


def test_every_request_that_help_names_is_understood() -> None:
    requests = re.findall("“([^”]+)”", reply("help"))
    assert len(requests) > 12
    for request in requests:
        conversation = Conversation(time="Thursday, 2026-11-26 at 17:55 UTC")
        conversation.hear(request)
        [first, *_] = rule_model.answer(conversation, TOOLS)
        understood = isinstance(first, ToolCall) or (isinstance(first, Text) and help_rule.HINT not in first.text)
        assert understood, request


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("book a table for two at 19:00", {"people": 2, "at": "19:00"}),
        ("Please book us a table for 4 people on Friday at 8 pm.", {"people": 4, "at": "Friday at 8 pm"}),
        ("book a table for many at noon", {"people": "many", "at": "noon"}),
    ],
)
def test_the_demos_own_tool(text: str, arguments: dict[str, object]) -> None:
    conversation = Conversation()
    conversation.hear(text)
    assert rule_model.answer(conversation, TOOLS) == [ToolCall("book_table", arguments)]
    assert help_rule.HINT in reply(text, [])


def test_one_answer_covers_a_question_beside_a_request() -> None:
    """Two messages that arrive while a service is away are answered in one turn."""
    made = (FunctionCall(type="function_call", call_id="c_1", name="remember", arguments="{}"), "The fact is kept")
    said = ["my name is Ada", "what is my name?", "remember that I drink tea"]
    conversation = Conversation(said=said, new=2, results=[made], made=[made])
    [text] = rule_model.answer(conversation, TOOLS)
    assert text == Text("I remember that.\nYour name is Ada.")
