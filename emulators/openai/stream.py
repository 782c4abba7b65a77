"""The events that stream=true sends for a finished Response, in order, numbered from 0.

Source: openai 3.54, types/responses/response_*_event.py.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import orjson

Event = dict[str, Any]

ODDITIES = frozenset({"no_last_event", "no_output_at_the_end", "no_done_events"})
"""Ways in which servers differ from OpenAI.

OpenRouter ends some streams after the last item. New-api and 9router end them with an empty output. SGLang sends no
output_item.done for a call, and no call at the end.

Sources: moeru-ai/airi#2593, QuantumNous/new-api#4362, decolua/9router#705, sgl-project/sglang#12652."""


def odd_events(told: list[Event], odd: Container[str]) -> list[Event]:
    """The events of a response as such a server sends them."""
    *others, last = told
    calls = [item for item in last["response"]["output"] if item["type"] == "function_call"]
    if "no_output_at_the_end" in odd or ("no_done_events" in odd and calls):
        last = last | {"response": last["response"] | {"output": []}}
    if "no_done_events" in odd:
        others = [each for each in others if each["type"] != "response.output_item.done" or each["item"] not in calls]
    return others if "no_last_event" in odd else [*others, last]


def events(response: dict[str, Any]) -> Iterator[Event]:
    number = count()
    begun = {**response, "status": "in_progress", "output": [], "usage": None, "completed_at": None}
    begun |= {"error": None, "incomplete_details": None}
    told = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        *(event for index, item in enumerate(response["output"]) for event in _item(index, item)),
        {"type": f"response.{response['status']}", "response": response},
    ]
    for event in told:
        yield {**event, "sequence_number": next(number)}


def error_event(response: dict[str, Any]) -> Event:
    """The event that ends a stream when the vendor fails in the middle of it."""
    error = response["error"]
    return {"type": "error", "code": error["code"], "message": error["message"], "param": None, "sequence_number": 0}


@dataclass(slots=True)
class Stall:
    """Pauses streams after the text `after`. The first to get there sets `reached`; release() lets all continue."""

    after: str
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        self.released.set()


@dataclass(slots=True)
class Pace:
    """The timing of a stream's events: `seconds` between the pieces of a text, and stalls."""

    seconds: float = 0.0
    stalls: list[Stall] = field(default_factory=list)

    def clear(self) -> None:
        self.seconds = 0.0
        for stall in self.stalls:
            stall.release()
        self.stalls.clear()

    async def paced(self, events: Iterable[Event], text_of: Callable[[Event], str]) -> AsyncIterator[Event]:
        """`text_of` gives the text that an event adds."""
        text = ""
        for event in events:
            yield event
            if added := text_of(event):
                text += added
                await self._pause(text)

    async def _pause(self, text: str) -> None:
        if self.seconds:
            await asyncio.sleep(self.seconds)
        for stall in self.stalls:
            if stall.after in text and not stall.released.is_set():
                stall.reached.set()
                await stall.released.wait()


def text_of(event: Event) -> str:
    """The text that an event adds."""
    return str(event["delta"]) if event["type"] == "response.output_text.delta" else ""


def encoded(event: Event) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))


def encoded_chunk(chunk: Event) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(chunk)


def _item(index: int, item: dict[str, Any]) -> Iterator[Event]:
    at = {"output_index": index}
    inside = {**at, "item_id": item["id"]}
    yield {"type": "response.output_item.added", **at, "item": _opened(item)}
    if item["type"] == "message":
        for number, part in enumerate(item["content"]):
            yield from _part({**inside, "content_index": number}, part)
    elif item["type"] == "function_call":
        for delta in pieces(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", **inside, "delta": delta}
        yield {"type": "response.function_call_arguments.done", **inside, "arguments": item["arguments"]}
    elif item["type"] == "reasoning":
        for number, part in enumerate(item["summary"]):
            yield from _summary({**inside, "summary_index": number}, part)
    yield {"type": "response.output_item.done", **at, "item": item}


def _opened(item: dict[str, Any]) -> dict[str, Any]:
    """The item before its content."""
    empty: dict[str, dict[str, Any]] = {
        "message": {"content": []},
        "function_call": {"arguments": ""},
        "reasoning": {"summary": []},
    }
    opened = {**item, **empty.get(item["type"], {})}
    if "status" in opened:
        opened["status"] = "in_progress"
    return opened


def _part(at: dict[str, Any], part: dict[str, Any]) -> Iterator[Event]:
    """Send a text as output_text events, and a refusal as refusal events. Only texts have logprobs."""
    text = part["type"] == "output_text"
    field, name = ("text", "output_text") if text else ("refusal", "refusal")
    extra: dict[str, Any] = {"logprobs": []} if text else {}
    yield {"type": "response.content_part.added", **at, "part": {**part, field: ""}}
    for delta in pieces(part[field]):
        yield {"type": f"response.{name}.delta", **at, "delta": delta, **extra}
    yield {"type": f"response.{name}.done", **at, field: part[field], **extra}
    yield {"type": "response.content_part.done", **at, "part": part}


def _summary(at: dict[str, Any], part: dict[str, Any]) -> Iterator[Event]:
    yield {"type": "response.reasoning_summary_part.added", **at, "part": {**part, "text": ""}}
    yield {"type": "response.reasoning_summary_text.delta", **at, "delta": part["text"]}
    yield {"type": "response.reasoning_summary_text.done", **at, "text": part["text"]}
    yield {"type": "response.reasoning_summary_part.done", **at, "part": part}


def pieces(text: str, size: int = 16) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield text[start : start + size]
