"""The OpenAI emulator driven by OpenAI's own client: answers, streams, tools, scripts, faults."""

import asyncio
import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import Response

from emulators.app import Emulators
from emulators.openai.turns import Cut, Failed, Incomplete, Refused, Text, ToolCall

SEALED: list[Any] = ["reasoning.encrypted_content"]
LIST_TASKS: Any = {
    "type": "function",
    "name": "ASANA_LIST_TASKS",
    "parameters": {"type": "object", "properties": {}},
}
CONNECT: Any = {
    "type": "function",
    "name": "connect",
    "parameters": {"type": "object", "properties": {"toolkit": {"type": "string"}}, "required": ["toolkit"]},
}
SEARCH: Any = {
    "type": "function",
    "name": "search_tools",
    "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


class Chat:
    """One person's history, kept as a service keeps it: output items are sent again verbatim."""

    def __init__(
        self, client: AsyncOpenAI, person: str = "person-1", tools: list[dict[str, Any]] | None = None
    ) -> None:
        self.client, self.person, self.tools = client, person, tools or []
        self.items: list[Any] = []

    async def ask(self, *new: Any, **more: Any) -> Response:
        self.items.extend(user(item) if isinstance(item, str) else item for item in new)
        body = {"input": self.items, "tools": self.tools}
        response: Response = await self.client.responses.create(
            model="gpt-6.2-sol",
            store=False,
            include=SEALED,
            safety_identifier=self.person,
            extra_body=body,
            **more,
        )
        self.items.extend(item.to_dict() for item in response.output)
        return response

    async def answer_calls(self, response: Response, output: str) -> Response:
        calls = [item for item in response.output if item.type == "function_call"]
        return await self.ask(
            *({"type": "function_call_output", "call_id": call.call_id, "output": output} for call in calls)
        )


def calls(response: Response) -> list[tuple[str, str]]:
    return [(item.name, item.arguments) for item in response.output if item.type == "function_call"]


async def test_an_answer_echoes_only_its_own_history(client: AsyncOpenAI) -> None:
    alice, bob = Chat(client, "alice"), Chat(client, "bob")
    first = await alice.ask("the code word is heron")
    await bob.ask("hello there")
    second = await bob.ask("hello again")
    assert first.output_text.startswith("You said: “the code word is heron” (message 1 of our chat")
    assert "message 2 of our chat" in second.output_text
    assert "heron" not in second.output_text


async def test_different_histories_have_different_digests(client: AsyncOpenAI) -> None:
    one, other = Chat(client), Chat(client)
    await one.ask("a")
    await other.ask("b")
    assert (await one.ask("same")).output_text != (await other.ask("same")).output_text


async def test_it_remembers_names_and_words_from_the_history(client: AsyncOpenAI) -> None:
    chat = Chat(client)
    assert "have not told" in (await chat.ask("what is my name?")).output_text
    assert "Nice to meet you, Ada" in (await chat.ask("my name is Ada")).output_text
    assert (await chat.ask("what's my name")).output_text == "Your name is Ada."
    assert "2. “my name is Ada”" in (await chat.ask("what did I say")).output_text


async def test_a_name_in_words_of_others_is_not_that_of_the_person(client: AsyncOpenAI) -> None:
    chat = Chat(client)
    await chat.ask("my name is Ada")
    await chat.ask("[Forwarded by the person; another person wrote the following.]\nHi, my name is Eve.")
    assert (await chat.ask("what's my name")).output_text == "Your name is Ada."
    assert "Eve" not in (await chat.ask("what did I say")).output_text


async def test_a_response_satisfies_the_sdk_strictly(client: AsyncOpenAI) -> None:
    raw = await client.responses.with_raw_response.create(
        model="gpt-6.2-sol", input="hello", tools=[CONNECT], include=SEALED, reasoning={"summary": "auto"}
    )
    response = Response.model_validate_json(raw.text, strict=True)
    assert response.status == "completed"
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.id.startswith("resp_")
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert raw.headers["x-request-id"].startswith("req_")
    assert not response.model_extra


async def test_a_request_leads_by_search_and_connect_to_the_tool(client: AsyncOpenAI) -> None:
    chat = Chat(client, tools=[SEARCH, CONNECT])
    searched = await chat.ask("show my tasks")
    assert calls(searched)[0][0] == "search_tools"
    connecting = await chat.answer_calls(searched, '{"tools": []}')
    assert calls(connecting) == [("connect", '{"toolkit":"asana","remaining":"show my tasks"}')]
    told = await chat.answer_calls(connecting, '{"sent": "a button", "url": "https://example.com/lk_1"}')
    assert told.output_text == "Please connect Asana with the button."
    chat.tools = [SEARCH, CONNECT, LIST_TASKS]
    listing = await chat.ask("[Asana is connected now. This waited for it:]\n- show my tasks")
    assert calls(listing) == [("ASANA_LIST_TASKS", "{}")]
    listed = await chat.answer_calls(listing, '{"data": {"data": [{"name": "Buy milk"}, {"name": "Call Bo"}]}}')
    assert listed.output_text == "I found:\n• Buy milk\n• Call Bo"


async def test_a_tool_that_says_not_connected_leads_to_connect(client: AsyncOpenAI) -> None:
    chat = Chat(client, tools=[CONNECT, LIST_TASKS])
    connecting = await chat.answer_calls(await chat.ask("list my tasks"), '{"error": "asana is not connected"}')
    assert calls(connecting) == [("connect", '{"toolkit":"asana","remaining":"list my tasks"}')]
    told = await chat.answer_calls(connecting, "A button goes to the person.")
    assert told.output_text == "Please connect Asana with the button."


@pytest.mark.parametrize(
    ("asked", "output"),
    [
        ("list my tasks", '{"data": {"data": [{"name": "The printer is not connected"}]}}'),
        ("disconnect asana", "asana is not connected."),
    ],
)
async def test_words_about_connections_alone_lead_to_no_connect(client: AsyncOpenAI, asked: str, output: str) -> None:
    chat = Chat(client, tools=[CONNECT, LIST_TASKS, {**CONNECT, "name": "disconnect"}])
    told = await chat.answer_calls(await chat.ask(asked), output)
    assert not calls(told)
    assert "not connected" in told.output_text


async def test_a_new_link_is_for_the_toolkit_that_was_to_be_connected_last(client: AsyncOpenAI) -> None:
    chat = Chat(client, tools=[CONNECT])
    await chat.answer_calls(await chat.ask("list my tasks"), "A button goes to the person.")
    asked = await chat.ask("I need a new link, please")
    assert calls(asked) == [("connect", '{"toolkit":"asana","remaining":"","new_link":true}')]
    told = await chat.answer_calls(asked, "They have given their consent already. A button goes to the person.")
    assert told.output_text == "Please send me the code that the page shows, to connect Asana."
    assert calls(await chat.ask("a new link for my gmail"))[0][1].startswith('{"toolkit":"gmail"')


async def test_a_search_serves_every_request_of_a_burst(client: AsyncOpenAI) -> None:
    chat = Chat(client, tools=[SEARCH])
    searched = await chat.ask("my mails", "list my tasks")
    assert [name for name, _ in calls(searched)] == ["search_tools", "search_tools"]
    chat.tools = [SEARCH, LIST_TASKS, {**LIST_TASKS, "name": "GMAIL_FETCH_EMAILS"}]
    found = await chat.answer_calls(searched, '{"found": []}')
    assert [name for name, _ in calls(found)] == ["GMAIL_FETCH_EMAILS", "ASANA_LIST_TASKS"]


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("A button “Connect Asana” goes to the person.", "Please connect Asana with the button."),
        ('{"url": "https://connect.example/link/lk_1"}', "Please connect Asana with the button."),
        ("asana is connected already.", "Asana is already connected."),
        ("asana cannot be connected: not allowed here.", "That did not work: asana cannot be connected"),
        ('{"error": {"message": "see https://x.example/y"}}', "That did not work: see [link]"),
    ],
)
async def test_the_answer_of_connect_is_reported_without_links(client: AsyncOpenAI, output: str, words: str) -> None:
    chat = Chat(client, tools=[CONNECT])
    told = await chat.answer_calls(await chat.ask("connect my asana"), output)
    assert told.output_text.startswith(words)


async def test_a_question_about_connections_is_not_a_connected_event(client: AsyncOpenAI) -> None:
    assert "You said" in (await Chat(client).ask("what is connected?")).output_text


async def test_a_burst_of_requests_becomes_several_calls(client: AsyncOpenAI) -> None:
    create = {**LIST_TASKS, "name": "ASANA_CREATE_TASK"}
    response = await Chat(client, tools=[create]).ask("add a task Buy milk", "create task: Call Bo")
    assert calls(response) == [
        ("ASANA_CREATE_TASK", '{"name":"Buy milk"}'),
        ("ASANA_CREATE_TASK", '{"name":"Call Bo"}'),
    ]


async def test_any_offered_tool_can_be_asked_for_by_name(client: AsyncOpenAI) -> None:
    dice = {**LIST_TASKS, "name": "roll_dice"}
    chat = Chat(client, tools=[dice])
    rolled = await chat.ask('use roll_dice with {"sides": 6}')
    assert calls(rolled) == [("roll_dice", '{"sides": 6}')]
    assert "roll_dice says: 4" in (await chat.answer_calls(rolled, "4")).output_text


async def test_tool_choice_is_respected(client: AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": "gpt-6-luna", "input": "list my tasks", "tools": [LIST_TASKS, CONNECT]}
    none = await client.responses.create(**asked, tool_choice="none")
    forced = await client.responses.create(**asked, tool_choice={"type": "function", "name": "connect"})
    assert calls(none) == []
    assert calls(forced) == [("connect", '{"toolkit":"asana","remaining":"list my tasks"}')]


async def test_streamed_events_are_complete_and_numbered(client: AsyncOpenAI) -> None:
    stream = await client.responses.create(
        model="gpt-6.2-sol", input="my mails", stream=True, tools=[], reasoning={"summary": "auto"}
    )
    events = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [events[0].type, events[1].type] == ["response.created", "response.in_progress"]
    final = events[-1]
    assert final.type == "response.completed"
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert deltas == final.response.output_text
    assert any(event.type == "response.reasoning_summary_text.done" for event in events)
    for event in events:
        type(event).model_validate_json(event.to_json(use_api_names=True), strict=True)


async def test_the_sdk_stream_helper_accumulates_calls_and_refusals(client: AsyncOpenAI, emulators: Emulators) -> None:
    emulators.openai.script([[ToolCall("connect", {"toolkit": "asana"}), Refused("I will not.")]])
    async with client.responses.stream(model="gpt-6.2-sol", input="x", tools=[CONNECT]) as stream:
        seen = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert calls(final) == [("connect", '{"toolkit":"asana"}')]
    assert final.output[-1].to_dict()["content"] == [{"type": "refusal", "refusal": "I will not."}]
    assert "response.refusal.done" in seen
    assert "response.function_call_arguments.done" in seen


async def test_scripted_turns_are_used_once_and_by_match(client: AsyncOpenAI, emulators: Emulators) -> None:
    emulators.openai.script(["for bob"], match=lambda call: call.person == "bob")
    emulators.openai.script([Text("first"), [Text("second")]])
    alice, bob = Chat(client, "alice"), Chat(client, "bob")
    texts = [(await chat.ask("x")).output_text for chat in (alice, bob, alice)]
    assert texts == ["first", "for bob", "second"]
    assert "You said" in (await bob.ask("x")).output_text


async def test_incomplete_and_failed_responses(client: AsyncOpenAI, emulators: Emulators) -> None:
    emulators.openai.script([Incomplete("half a"), Failed("broke"), Incomplete("", "content_filter")])
    ask: dict[str, Any] = {"model": "gpt-6.2-sol", "input": "x"}
    incomplete = await client.responses.create(**ask)
    assert (incomplete.status, incomplete.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    failed = await client.responses.create(**ask)
    assert (failed.status, failed.error.message, failed.output) == ("failed", "broke", [])
    stream = await client.responses.create(**ask, stream=True)
    assert [event.type async for event in stream][-1] == "response.incomplete"


async def test_a_small_output_limit_cuts_the_answer(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model="gpt-6.2-sol", input="long " * 50, max_output_tokens=16)
    assert response.status == "incomplete"
    assert len(response.output_text) == 32


async def test_a_cut_connection_reaches_the_client(client: AsyncOpenAI, emulators: Emulators) -> None:
    emulators.openai.script([Cut("a text that never ends"), Cut()])
    stream = await client.responses.create(model="gpt-6.2-sol", input="x", stream=True)
    seen: list[str] = []
    with pytest.raises(openai.APIConnectionError):  # noqa: PT012
        async for event in stream:
            seen.append(event.type)  # noqa: PERF401 - a comprehension would lose the events before the break
    assert "response.output_item.added" in seen
    assert "response.completed" not in seen
    with pytest.raises(openai.APIConnectionError):
        await client.responses.create(model="gpt-6.2-sol", input="x")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, openai.AuthenticationError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (0, openai.APIConnectionError),
    ],
)
async def test_injected_failures(
    client: AsyncOpenAI, emulators: Emulators, status: int, error: type[Exception]
) -> None:
    emulators.openai.fail(status)
    with pytest.raises(error):
        await client.responses.create(model="gpt-6.2-sol", input="x")
    assert (await client.responses.create(model="gpt-6.2-sol", input="x")).status == "completed"


async def test_a_failure_may_have_a_retry_time_or_an_invalid_body(client: AsyncOpenAI, emulators: Emulators) -> None:
    emulators.openai.fail(429, retry_after=7)
    with pytest.raises(openai.RateLimitError) as limited:
        await client.responses.create(model="gpt-6.2-sol", input="x")
    assert limited.value.response.headers["retry-after"] == "7"
    emulators.openai.fail(200, body="<html>")
    with pytest.raises(json.JSONDecodeError):  # the SDK raises it for a body that is not JSON
        await client.responses.create(model="gpt-6.2-sol", input="x")


async def test_a_held_call_waits_while_others_continue(client: AsyncOpenAI, emulators: Emulators) -> None:
    hold = emulators.openai.hold(lambda call: call.person == "slow")
    slow = asyncio.create_task(Chat(client, "slow").ask("x"))
    await asyncio.wait_for(hold.reached.wait(), 30)
    assert (await Chat(client, "quick").ask("x")).status == "completed"
    assert not emulators.effects.all("model_call", person="slow")
    hold.release()
    assert (await slow).status == "completed"


async def test_compaction_keeps_what_the_person_said(client: AsyncOpenAI, emulators: Emulators) -> None:
    chat = Chat(client)
    await chat.ask("my name is Ada")
    compacted = await client.responses.compact(model="gpt-6.2-sol", input=chat.items)
    assert [item.type for item in compacted.output] == ["message", "compaction"]
    chat.items = [item.to_dict(warnings=False) for item in compacted.output]
    assert (await chat.ask("what is my name")).output_text == "Your name is Ada."
    assert len(emulators.effects.all("model_compaction")) == 1


async def test_compaction_within_a_response_replaces_all_before_it(client: AsyncOpenAI) -> None:
    chat = Chat(client)
    await chat.ask("my name is Ada")
    rule = [{"type": "compaction", "compact_threshold": 1000}]
    response = await chat.ask("x" * 5000, context_management=rule)
    assert response.output[0].type == "compaction"
    chat.items = [item.to_dict() for item in response.output]
    assert (await chat.ask("what is my name")).output_text == "Your name is Ada."


async def test_sealed_content_of_another_person_is_recorded(client: AsyncOpenAI, emulators: Emulators) -> None:
    alice, bob = Chat(client, "alice"), Chat(client, "bob")
    await alice.ask("hello")
    bob.items = alice.items
    response = await bob.ask("hello")
    assert response.input_transformations is not None
    assert response.input_transformations[0].reason == "end_user_mismatch"
    [effect] = emulators.effects.all("foreign_content")
    assert (effect.person, effect.detail["owner"]) == ("bob", "alice")


async def test_each_model_call_is_an_effect(client: AsyncOpenAI, emulators: Emulators) -> None:
    await Chat(client, "alice").ask("hello", "you")
    [effect] = emulators.effects.all("model_call")
    assert (effect.number, effect.person, effect.detail["text"]) == (1, "alice", "hello\nyou")
    assert effect.detail["store"] is False
    assert len(emulators.openai.requests) == 1
