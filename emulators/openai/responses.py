"""Builds the Response object for a turn, with ids, usage and sealed reasoning as OpenAI returns them."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from emulators.openai.seal import Sealer
from emulators.openai.turns import Cut, ErrorEvent, Failed, Incomplete, Nothing, Output, Refused, Text, ToolCall, Turn
from emulators.openai.wire import CreateRequest, InputMessage, Item

REASONING_TOKENS = 8


def tokens(value: object) -> int:
    """A rough, deterministic count: four bytes of JSON are one token."""
    return max(1, len(orjson.dumps(value)) // 4)


@dataclass(slots=True)
class Maker:
    """Creates ids and objects. Clock and rng are injected, so that a test can repeat a run.

    Each answer uses `reasoning_tokens` before its first word. As at the vendor, they count towards `max_output_tokens`.
    """

    sealer: Sealer
    reasoning_tokens: int
    clock: Callable[[], float]
    rng: random.Random

    def id(self, prefix: str, size: int = 48) -> str:
        return f"{prefix}_{self.rng.getrandbits(size * 4):0{size}x}"

    def response(self, request: CreateRequest, turn: Turn, input_tokens: int) -> dict[str, Any]:
        """The finished Response, its status completed, incomplete or failed."""
        turn, cut_short = self._within(turn, request.max_output_tokens)
        person = request.safety_identifier or ""
        failed = next((output for output in turn if isinstance(output, Failed | ErrorEvent)), None)
        ended = next((output for output in turn if isinstance(output, Incomplete)), None)
        reason = ended.reason if ended else "max_output_tokens" if cut_short else None
        told = [output for output in turn if not isinstance(output, Nothing)]
        output = [] if isinstance(failed, Failed) else [self._reasoning(request, person), *map(self._item, told)]
        if any(isinstance(each, Nothing) and not each.reasoning for each in turn):
            output = output[1:]
        if reason and told:
            output[-1]["status"] = "incomplete"
        status = "failed" if failed else "incomplete" if reason else "completed"
        now = self.clock()
        return {
            "id": self.id("resp"),
            "object": "response",
            "created_at": int(now),
            "completed_at": int(now) if status == "completed" else None,
            "status": status,
            "background": False,
            "error": {"code": failed.code, "message": failed.message} if failed else None,
            "incomplete_details": {"reason": reason} if reason else None,
            **_echoed(request),
            "output": output,
            "usage": None if failed else usage(input_tokens, output, self.reasoning_tokens),
        }

    def _within(self, turn: Turn, limit: int | None) -> tuple[Turn, bool]:
        """The turn cut at the limit of output tokens, and whether it was cut. Reasoning alone may exceed the limit."""
        if limit is None:
            return turn, False
        left = (limit - self.reasoning_tokens) * 4
        if left < 0:
            return [Nothing()], True
        kept: Turn = []
        for output in turn:
            if isinstance(output, Text):
                if len(output.text) > left:
                    return [*kept, Text(output.text[:left])], True
                left -= len(output.text)
            kept.append(output)
        return kept, False

    def compaction(self, person: str, model: str, carried: dict[str, Any] | None) -> dict[str, Any]:
        """`carried` is what is kept of the replaced items; None if the person's messages stay beside it."""
        return {
            "id": self.id("cmp"),
            "type": "compaction",
            "encrypted_content": self.sealer.seal(person, model=model, carried=carried),
        }

    def compacted(self, items: list[Item], model: str, input_tokens: int) -> dict[str, Any]:
        """The answer of /responses/compact: all messages of the person, then one compaction."""
        messages = [
            {"id": self.id("msg"), "status": "completed", **item.model_dump(exclude_none=True)}
            for item in items
            if isinstance(item, InputMessage) and item.role == "user"
        ]
        output = [*map(_with_parts, messages), self.compaction("", model, None)]
        return {
            "id": self.id("resp"),
            "object": "response.compaction",
            "created_at": int(self.clock()),
            "output": output,
            "usage": usage(input_tokens, output[-1:], self.reasoning_tokens),
        }

    def _reasoning(self, request: CreateRequest, person: str) -> dict[str, Any]:
        identifier = self.id("rs")
        wants_summary = request.reasoning is not None and request.reasoning.summary
        item: dict[str, Any] = {
            "id": identifier,
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "Following the rules."}] if wants_summary else [],
        }
        if "reasoning.encrypted_content" in (request.include or []):
            item["encrypted_content"] = self.sealer.seal(person, reasoning=identifier)
        return item

    def _item(self, output: Output) -> dict[str, Any]:
        if isinstance(output, ToolCall):
            arguments = output.arguments
            return {
                "id": self.id("fc"),
                "type": "function_call",
                "status": "completed",
                "call_id": f"call_{self.id('', 24)[1:]}",
                "name": output.name,
                "arguments": arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode(),
            }
        return {
            "id": self.id("msg"),
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [_part(output)],
        }


def _with_parts(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    return {**message, "content": [{"type": "input_text", "text": content}]} if isinstance(content, str) else message


def _part(output: Output) -> dict[str, Any]:
    if isinstance(output, Refused):
        return {"type": "refusal", "refusal": output.text}
    text = output.text if isinstance(output, Text | Incomplete | Cut | ErrorEvent) else ""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def usage(input_tokens: int, output: list[dict[str, Any]], reasoning_tokens: int) -> dict[str, Any]:
    visible = [item.get("content") or item.get("arguments") for item in output if item["type"] != "reasoning"]
    output_tokens = reasoning_tokens + sum(map(tokens, visible))
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning_tokens},
        "total_tokens": input_tokens + output_tokens,
    }


def _echoed(request: CreateRequest) -> dict[str, Any]:
    """The settings that a Response repeats, with defaults for those that were not given."""
    asked = request.model_dump(exclude_none=True, by_alias=True)
    return {
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "metadata": asked.get("metadata", {}),
        "model": request.model,
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": None,
        "prompt_cache_key": request.prompt_cache_key,
        "reasoning": {"effort": "medium", "summary": None, **asked.get("reasoning", {})},
        "safety_identifier": request.safety_identifier,
        "service_tier": "default",
        "temperature": asked.get("temperature", 1.0),
        "text": {"format": {"type": "text"}, "verbosity": "medium", **asked.get("text", {})},
        "tool_choice": asked.get("tool_choice", "auto"),
        "tools": [{"strict": True, "parameters": None, **tool} for tool in asked.get("tools", [])],
        "top_logprobs": asked.get("top_logprobs", 0),
        "top_p": asked.get("top_p", 1.0),
        "truncation": asked.get("truncation", "disabled"),
        "user": request.user,
    }
