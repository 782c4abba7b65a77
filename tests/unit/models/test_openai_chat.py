"""Chat Completions of OpenAI and of servers that differ from it, each in the form in which it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from emulators.openai.chat_completions import ODDITIES
from emulators.openai.chat_server import LACKS
from emulators.openai.turns import Incomplete, Output, Text, ToolCall, Turn
from kernel_service.errors import VendorUnavailable
from kernel_service.models.body import Body
from kernel_service.models.chat_answers import read_completion
from kernel_service.models.chat_stream import StreamedCompletion
from kernel_service.models.openai_chat import OpenAIChat
from kernel_service.models.openai_files import MOST_TEXT_BYTES
from kernel_service.models.openai_responses import OpenAIResponses
from kernel_service.ports.media import ReadAs
from kernel_service.ports.model import FILTERED, ModelRejectedError, ModelRequest, UnusableAnswerError, UserInput
from kernel_service.ports.payloads import Document, Image, Payload
from tests.integration.files import pdf, png
from tests.unit.models.test_files import a_file
from tests.unit.models.test_openai_responses import CLOCK, asking, client, emulators, items_of

if TYPE_CHECKING:
    from emulators.app import Emulators
    from kernel_service.models.openai_client import OpenAIClient
    from kernel_service.ports.model import ModelAnswer

__all__ = ["client", "emulators"]

ZONES = [("clock", {"zone": "UTC"}), ("clock", {"zone": "CET"})]
BOTH: list[str | Output | Turn] = [
    [Text("Let me look."), ToolCall("clock", {"zone": "UTC"}), ToolCall("clock", {"zone": "CET"})],
    "Noon.",
]


WRITTEN = {"calls_as_json", "calls_in_tags", "calls_in_xml"}
"""They tell a watcher the call as text, before it is known to be one."""


@pytest.fixture
def chat(client: OpenAIClient) -> OpenAIChat:
    return OpenAIChat(client, "gpt-6-luna")


async def test_the_body_of_a_request(emulators: Emulators, chat: OpenAIChat) -> None:
    await chat.answer(asking(chat, "Hello"))
    body = emulators.openai.requests[0].body
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    assert body["store"] is False
    assert body["safety_identifier"] == body["prompt_cache_key"] == "k" * 32
    assert body["max_tokens"] == 500
    assert body["tools"][0]["function"]["name"] == "clock"
    assert not {"max_completion_tokens", "stream", "stream_options", "reasoning_effort"} & body.keys()


# --- answers of servers that differ -----------------------------------------------------------------------------------


async def told(chat: OpenAIChat, *, watched: bool, items: list[dict[str, Any]] | None = None) -> ModelAnswer:
    """The streamed text may not differ from the answer's."""
    heard: list[str] = []
    answer = await chat.answer(asking(chat, "Time?", items=items), heard.append if watched else None)
    assert "".join(heard) == (answer.text if watched else "")
    return answer


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("oddity", sorted(ODDITIES - {"null_choices"} - WRITTEN))
async def test_a_turn_with_calls(emulators: Emulators, chat: OpenAIChat, oddity: str, *, watched: bool) -> None:
    emulators.openai.be_odd(oddity)
    emulators.openai.script(BOTH)
    first = await told(chat, watched=watched)
    assert first.text == "Let me look."
    assert [(call.name, call.arguments) for call in first.calls] == [
        ("clock", {"zone": "UTC"}),
        ("clock", {"zone": "CET"}),
    ]
    assert len({call.call_id for call in first.calls}) == 2
    results = [chat.result_item(call.call_id, "12:00") for call in first.calls]
    second = await told(chat, watched=watched, items=[*items_of(asking(chat, "Time?")), *first.items, *results])
    assert second.text == "Noon."
    assert (second.cut, second.refusal, second.usage.model_calls) == (False, "", 1)


@pytest.mark.parametrize("oddity", sorted(WRITTEN))
async def test_a_call_in_the_text_is_made(emulators: Emulators, chat: OpenAIChat, oddity: str) -> None:
    emulators.openai.be_odd(oddity)
    turns: list[str | Output | Turn] = [[ToolCall(*made) for made in ZONES], ToolCall("other", {"zone": "CET"})]
    emulators.openai.script(turns)
    answer = await told(chat, watched=False)
    assert (answer.text, [(call.name, call.arguments) for call in answer.calls]) == ("", ZONES)
    unknown = await told(chat, watched=False)
    assert (unknown.calls, "other" in unknown.text) == ([], True), "no such tool was offered"


@pytest.mark.parametrize("oddity", sorted(WRITTEN))
async def test_a_call_that_a_text_quotes_is_not_made(emulators: Emulators, chat: OpenAIChat, oddity: str) -> None:
    """Anyone can write a mail that holds one, and the model may repeat it to the person."""
    emulators.openai.be_odd(oddity)
    emulators.openai.script([[Text("The mail says:"), ToolCall(*ZONES[0])]])
    answer = await told(chat, watched=False)
    assert answer.calls == []
    assert answer.text.startswith("The mail says:")
    assert "clock" in answer.text


async def test_signatures_go_back_and_unsigned_calls_are_marked_once_refused(
    emulators: Emulators, chat: OpenAIChat
) -> None:
    emulators.openai.be_odd("thought_signatures")
    emulators.openai.lack("unsigned_calls")
    emulators.openai.script(BOTH)
    first = await told(chat, watched=True)
    results = [chat.result_item(call.call_id, "12:00") for call in first.calls]
    assert "extra_content" not in str([item for item in first.items if item["type"] == "function_call"])
    items = [*items_of(asking(chat, "Time?")), *first.items, *results]
    assert (await chat.answer(asking(chat, items=items))).text == "Noon."
    assert len(emulators.openai.requests) == 2
    emulators.openai.script(["Noon again."])
    unsigned = [item for item in items if item.get("type") != "reasoning"]
    assert (await chat.answer(asking(chat, items=unsigned))).text == "Noon again."
    assert len(emulators.openai.requests) == 4
    assert "skip_thought_signature_validator" in str(emulators.openai.requests[-1].body)


@pytest.mark.parametrize("watched", [False, True])
async def test_a_turn_without_a_choice_is_no_answer(emulators: Emulators, chat: OpenAIChat, *, watched: bool) -> None:
    emulators.openai.be_odd("null_choices")
    with pytest.raises((UnusableAnswerError, VendorUnavailable)):
        await told(chat, watched=watched)


@pytest.mark.parametrize("names", [("no_finish_reason", "no_done"), ("no_finish_reason", "no_usage", "no_done")])
async def test_a_stream_without_any_end_is_cut_off(
    emulators: Emulators, chat: OpenAIChat, names: tuple[str, ...]
) -> None:
    emulators.openai.be_odd(*names)
    with pytest.raises(VendorUnavailable):
        await told(chat, watched=True)


async def test_reasoning_goes_back_until_a_server_refuses_it(emulators: Emulators, chat: OpenAIChat) -> None:
    emulators.openai.be_odd("reasoning_content")
    emulators.openai.script([*BOTH, "Noon."])
    first = await told(chat, watched=False)
    assert next(item["type"] for item in first.items) == "reasoning"
    results = [chat.result_item(call.call_id, "12:00") for call in first.calls]
    items = [*items_of(asking(chat, "Time?")), *first.items, *results]
    await told(chat, watched=False, items=items)
    emulators.openai.lack("reasoning_content")
    await told(chat, watched=False, items=items)
    sent = ["reasoning_content" in str(request.body) for request in emulators.openai.requests]
    assert sent == [False, True, True, False]


async def test_a_call_that_was_cut_is_not_made(emulators: Emulators, chat: OpenAIChat) -> None:
    emulators.openai.script([[ToolCall("clock", '{"zone": "U'), Incomplete()]])
    answer = await told(chat, watched=True)
    assert answer.cut
    assert answer.calls[0].arguments is None


def completion(choice: object, **more: object) -> bytes:
    return orjson.dumps({"choices": [choice], **more})


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"message": {"content": "Hi"}}, "Hi"),
        ({"message": {"content": ["Hi", {"text": "you"}, {"type": "reasoning", "text": "hm"}]}}, "Hi\n\nyou"),
        ({"message": {"content": {"type": "text", "text": "Hi"}}}, "Hi"),
        ({"message": {"content": None}}, ""),
        ({"message": {}}, ""),
        ({"message": {"content": "", "tool_calls": None, "refusal": None}, "finish_reason": 7}, ""),
        ({"message": {"content": "Hi", "tool_calls": [7, {}, {"function": None}, {"function": {"name": ""}}]}}, "Hi"),
        ({"message": {"content": "Hi\0\ud83d"[:3], "tool_calls": {}}}, "Hi\ufffd"),
    ],
)  # fmt: skip
def test_messages_of_any_shape(choice: object, text: str) -> None:
    answer = read_completion(completion(choice, usage=["x"]), Body([b""]))
    assert (answer.text, answer.calls, answer.usage.tokens) == (text, [], 0)


def test_the_call_of_before_there_were_tools() -> None:
    message = {"content": None, "function_call": {"name": "clock", "arguments": '{"zone":"UTC"}'}}
    (call,) = read_completion(completion({"message": message}), Body([b""])).calls
    assert (call.name, call.arguments) == ("clock", {"zone": "UTC"})


@pytest.mark.parametrize(
    ("reason", "cut", "refusal"),
    [("stop", False, ""), ("length", True, ""), ("model_length", True, ""), ("content_filter", False, FILTERED)],
)
def test_why_an_answer_ends(reason: str, cut: bool, refusal: str) -> None:
    answer = read_completion(completion({"message": {"content": "Hi"}, "finish_reason": reason}), Body([b""]))
    assert (answer.cut, answer.refusal) == (cut, refusal)


@pytest.mark.parametrize(
    ("body", "meaning"),
    [
        (b"<html>", UnusableAnswerError),
        (b"[]", UnusableAnswerError),
        (b'{"choices": []}', UnusableAnswerError),
        (b'{"choices": null}', UnusableAnswerError),
        (b'{"choices": [7], "usage": {"prompt_tokens": 3}}', UnusableAnswerError),
        (b'{"error": {"code": 502, "message": "down"}}', VendorUnavailable),
        (b'{"object": "error", "choices": [{"error": {"code": 502, "message": "down"}}]}', VendorUnavailable),
        (completion({"message": {"content": "Ha"}, "finish_reason": "error"}), VendorUnavailable),
        (
            completion({"message": {"content": "Ha"}, "finish_reason": "insufficient_system_resource"}),
            VendorUnavailable,
        ),
        (b'{"error": {"code": "context_length_exceeded", "message": "x"}}', ModelRejectedError),
    ],
)
def test_bodies_that_are_no_answer(body: bytes, meaning: type[Exception]) -> None:
    with pytest.raises(meaning):
        read_completion(body, Body([b""]))


@pytest.mark.parametrize(
    ("body", "flaw"),
    [
        (b"<html>", "html"),
        (b"[]", "no_object"),
        (b"{}", "no_choices"),
        (b'{"output": []}', "no_choices"),
        (b'{"choices": null}', "choices_null"),
        (b'{"choices": {}}', "choices_of_wrong_type"),
        (b'{"choices": []}', "choices_empty"),
        (b'{"choices": [7]}', "choice_of_wrong_type"),
        (b'{"choices": [{"text": "Hi"}]}', "no_message"),
        (b'{"choices": [{"message": null}]}', "message_null"),
        (b'{"choices": [{"message": "Hi"}]}', "message_of_wrong_type"),
    ],
)
def test_an_unusable_completion_names_its_flaw(body: bytes, flaw: str) -> None:
    with pytest.raises(UnusableAnswerError) as caught:
        read_completion(body, Body([b""]))
    assert caught.value.flaw == flaw


@pytest.mark.parametrize(
    ("message", "flaw"),
    [
        ({"content": 7}, "content_of_wrong_type"),
        ({"content": {"value": "Hi"}}, "content_of_wrong_type"),
        ({"content": None}, "no_content"),
        ({"content": "", "reasoning": "Hm"}, "reasoning_alone"),
        ({"content": " \n"}, "blank_text"),
        ({"content": "Hi"}, ""),
    ],
)
def test_an_empty_completion_names_its_contents(message: dict[str, Any], flaw: str) -> None:
    assert read_completion(completion({"message": message}), Body([b""])).flaw == flaw


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 3}, (7, 0, 3, 0)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "prompt_cache_hit_tokens": 5}, (7, 5, 3, 0)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4},
          "completion_tokens_details": {"reasoning_tokens": 2}}, (7, 4, 3, 2)),
        ({"prompt_tokens": None, "completion_tokens": "3"}, (0, 0, 3, 0)),
        (None, (0, 0, 0, 0)),
    ],
)  # fmt: skip
def test_usage_in_the_forms_of_servers(usage: object, counts: tuple[int, ...]) -> None:
    spent = read_completion(completion({"message": {"content": "Hi"}}, usage=usage), Body([b""])).usage
    told = spent.input_tokens, spent.cached_input_tokens, spent.output_tokens, spent.reasoning_tokens
    assert told == counts


@pytest.mark.parametrize(
    "event",
    [7, None, {}, {"choices": None}, {"choices": [7]}, {"choices": [{"delta": None}]}, {"usage": None},
     {"choices": [{"delta": {"content": 7, "tool_calls": [7, {"function": 7}]}}]}, {"choices": [{"index": 1}]}],
)  # fmt: skip
def test_chunks_of_any_shape_are_passed_over(event: object) -> None:
    streamed = StreamedCompletion(lambda _: None)
    assert not streamed.take(event)
    streamed.take({"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]})
    assert read_completion(streamed.response, Body([b""])).text == "Hi"


@pytest.mark.parametrize("more", [{"id": "call__0_clock"}, {}])
def test_a_name_that_comes_with_each_piece_of_a_call(more: dict[str, Any]) -> None:
    """As llama-cpp-python 0.3.36 sends it."""
    streamed = StreamedCompletion(lambda _: None)
    for piece in ("{", ' "zone": "UTC', '" }', " "):
        made = {"index": 0, **more, "type": "function", "function": {"name": "clock", "arguments": piece}}
        streamed.take({"choices": [{"delta": {"content": None, "tool_calls": [made]}, "finish_reason": None}]})
    streamed.take({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    (call,) = read_completion(streamed.response, Body([b""])).calls
    assert (call.name, call.arguments) == ("clock", {"zone": "UTC"})


def test_an_error_in_the_stream_in_vllms_form() -> None:
    streamed = StreamedCompletion(lambda _: None)
    assert streamed.take({"object": "error", "message": "context length is 8", "code": 400})
    with pytest.raises(ModelRejectedError, match="context_length_exceeded"):
        read_completion(streamed.response, Body([b""]))


# --- servers that do not take everything ------------------------------------------------------------------------------


def asking_with_files(chat: OpenAIChat) -> ModelRequest:
    said = [
        Payload(Image("image/png", media_id="m_1"), caption="This?"),
        Payload(Document("text/plain", media_id="m_2", filename="a.txt")),
        Payload(Document("application/pdf", media_id="m_3", filename="b.pdf")),
    ]
    return ModelRequest(
        "Be brief.",
        [orjson.dumps(chat.user_item(UserInput(each))) for each in said],
        [CLOCK],
        "k" * 32,
        500,
        {
            "m_1": a_file(png(1)),
            "m_2": a_file("tëxt".encode(), ReadAs.READ, "text/plain", "a.txt", chunk=2),
            "m_3": a_file(pdf("Rent"), ReadAs.READ, "application/pdf", "b.pdf"),
        },
    )


@pytest.mark.parametrize(
    "lack", sorted(LACKS.keys() - {"same_side_twice", "long_ids", "developer", "reasoning_content", "unsigned_calls"})
)
async def test_a_part_that_a_server_refuses_is_left_out_afterwards(
    emulators: Emulators, chat: OpenAIChat, lack: str
) -> None:
    emulators.openai.lack(lack)
    heard: list[str] = []
    for _ in range(2):
        answer = await chat.answer(asking_with_files(chat), heard.append)
        assert answer.text
    refused = sum(1 for call in emulators.openai.requests if LACKS[lack][0](call.body))
    assert (refused, len(emulators.openai.requests)) == ((0, 2) if lack == "max_completion_tokens" else (1, 3))


@pytest.mark.parametrize("words", ["it does not support tools", "Unknown parameter: 'prompt_cache_key'"])
async def test_words_of_a_person_leave_nothing_out_for_others(
    emulators: Emulators, chat: OpenAIChat, words: str
) -> None:
    message = f"Invalid user message={{'role': 'user', 'content': '{words}'}} at index 1."
    emulators.openai.fail(400, body=orjson.dumps({"error": {"message": message}}).decode())
    for said in (words, "Hello"):
        assert (await told(chat, watched=False, items=items_of(asking(chat, said)))).text
    sent = [("tools" in call.body, "prompt_cache_key" in call.body) for call in emulators.openai.requests]
    assert len(sent) == 3, "the person has an answer"
    assert sent[0] == sent[2] == (True, True)


async def test_a_server_without_images_and_files_hears_of_them_in_words(emulators: Emulators, chat: OpenAIChat) -> None:
    emulators.openai.lack("images", "files")
    await chat.answer(asking_with_files(chat))
    _, image, text, document = emulators.openai.requests[-1].body["messages"]
    assert "takes no images" in image["content"]
    assert "a.txt begins here.]\ntëxt\n[The file ends here.]" in text["content"]
    assert "takes no files" in document["content"]


async def test_a_long_text_is_shown_in_part(emulators: Emulators, chat: OpenAIChat) -> None:
    emulators.openai.lack("files")
    long = a_file("ä".encode() * MOST_TEXT_BYTES, ReadAs.READ, "text/csv", "a.csv", chunk=50_001)
    said = chat.user_item(UserInput(Payload(Document("text/csv", media_id="m_1", filename="a.csv"))))
    await chat.answer(ModelRequest("Be brief.", [orjson.dumps(said)], [], "k" * 32, 500, {"m_1": long}))
    content = emulators.openai.requests[-1].body["messages"][1]["content"]
    assert content.endswith("[Only the beginning of the file is shown.]")
    assert MOST_TEXT_BYTES // 2 < len(content) < MOST_TEXT_BYTES


async def test_the_strictest_templates_are_content(emulators: Emulators, chat: OpenAIChat) -> None:
    emulators.openai.lack("same_side_twice", "long_ids", "developer")
    emulators.openai.script(BOTH)
    first = await told(chat, watched=False)
    results = [chat.result_item(call.call_id, "12:00") for call in reversed(first.calls)]
    heard = items_of(asking(chat, "Hello", "Time?"))
    items = [*heard, *first.items, *results, chat.said_item("Noon."), chat.said_item("Is that all?")]
    assert (await told(chat, watched=False, items=items)).text


async def test_the_limit_that_a_server_takes_in_neither_name_is_left_out(
    emulators: Emulators, chat: OpenAIChat
) -> None:
    words = (
        "'max_tokens' or 'max_completion_tokens' is too large: 500. This model's maximum context length is 400 tokens "
        "and your request has 20 input tokens (500 > 400 - 20)."
    )
    body = orjson.dumps({"object": "error", "message": words, "type": "BadRequestError", "code": 400}).decode()
    emulators.openai.fail(400, times=2, body=body)
    assert (await told(chat, watched=False)).text
    assert not {"max_tokens", "max_completion_tokens"} & emulators.openai.requests[-1].body.keys()


# --- a change of the endpoint -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(OpenAIResponses, OpenAIChat), (OpenAIChat, OpenAIResponses)])
async def test_a_chat_continues_at_the_other_endpoint(
    emulators: Emulators, client: OpenAIClient, order: tuple[type[Any], type[Any]]
) -> None:
    emulators.openai.be_odd("reasoning_content")
    emulators.openai.script([*BOTH, *BOTH])
    items: list[dict[str, Any]] = []
    for make in (*order, order[0]):
        model = make(client, "gpt-6-luna")
        items += items_of(asking(model, "Time?"))
        answer = await model.answer(asking(model, items=items))
        while answer.calls:
            # As ended_turns keeps them: without reasoning and without ids.
            items += [
                {name: value for name, value in item.items() if name != "id"}
                for item in answer.items
                if item["type"] != "reasoning"
            ]
            items += [model.result_item(call.call_id, "12:00") for call in answer.calls]
            answer = await model.answer(asking(model, items=items))
        items.append(model.said_item(answer.text))
    assert [request.path for request in emulators.openai.requests].count("/chat/completions") >= 1
    assert "Noon." in orjson.dumps(items).decode()
