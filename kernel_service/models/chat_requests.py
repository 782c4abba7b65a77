"""The body of a request to a Chat Completions endpoint.

Sources: openai 3.54 (`types/chat`), the servers' own documents.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from kernel_service.models.body import Places
from kernel_service.models.chat_messages import instructed, messages_of, text_part
from kernel_service.models.openai_files import REFERENCE, shown
from kernel_service.models.openai_refusals import TOOLS
from kernel_service.models.openai_requests import MOST_KEPT_TOOLS
from kernel_service.ports.media import ReadAs

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from kernel_service.models.body import Body
    from kernel_service.ports.model import ModelFile, ModelRequest, ToolSchema

LIMITS: Final = ("max_tokens", "max_completion_tokens")
"""The names of the limit, in the order in which they are tried: Ollama and llama-cpp-python ignore the second in
silence, while OpenAI refuses the first for its newer models."""
OPTIONAL: Final = (
    "stream_options", "stream", "reasoning_effort", "reasoning_content", "reasoning", "prompt_cache_key",
    "safety_identifier", *LIMITS, "store",
)  # fmt: skip
"""The optional parameters. A server that does not know `store` stores nothing."""


def parameters(request: ModelRequest, model: str, *, effort: str, stream: bool) -> dict[str, Any]:
    """All parameters but the tools and the messages. The limit has both of its names."""
    chosen: dict[str, Any] = {
        "model": model,
        "store": False,
        "safety_identifier": request.person_key,
        "prompt_cache_key": request.person_key,
        **dict.fromkeys(LIMITS, request.max_output_tokens),
    }
    if effort:
        chosen["reasoning_effort"] = effort
    if stream:
        chosen |= {"stream": True, "stream_options": {"include_usage": True}}
    return chosen


def body_of(request: ModelRequest, chosen: dict[str, Any], lacks: AbstractSet[str]) -> Body:
    """The request with these parameters, without combinations that the endpoint refuses."""
    without = {LIMITS[1]} if LIMITS[0] in chosen else set()
    if "stream" not in chosen:
        without.add("stream_options")
    chosen = {name: value for name, value in chosen.items() if name not in without}
    places = Places()

    def part(given: dict[str, Any]) -> dict[str, Any]:
        if given.get("type") != REFERENCE:
            return text_part(given.get("text", ""))
        return _file_part(shown(given["media_id"], request.files, lacks), places)

    told = messages_of(map(orjson.loads, request.items), part, lacks)
    messages = instructed(told, request.instructions, lacks)
    offered = () if TOOLS in lacks else request.tools
    tools = b',"tools":[%b]' % b",".join(map(_tool, offered)) if offered else b""
    return places.body(b'%b%b,"messages":%b}' % (orjson.dumps(chosen)[:-1], tools, orjson.dumps(messages)))


def _file_part(file: ModelFile | str, places: Places) -> dict[str, Any]:
    if isinstance(file, str):
        return text_part(file)
    url = places.data_url(file)
    if file.read_as is ReadAs.SEE:
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"filename": file.filename, "file_data": url}}


@lru_cache(maxsize=MOST_KEPT_TOOLS)
def _tool(tool: ToolSchema) -> bytes:
    named = orjson.dumps({"name": tool.name, "description": tool.description})
    return b'{"type":"function","function":%b,"parameters":%b}}' % (named[:-1], tool.parameters_json)
