"""The body of a request to OpenAI's Responses API, joined from JSON that is already encoded.

Sources: openai 3.54 (`types/responses/response_create_params.py`), platform.openai.com/docs/api-reference/responses.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from kernel_service.models.body import Body, Places
from kernel_service.models.openai_files import REFERENCE, REFERS, shown
from kernel_service.models.openai_refusals import TOOLS
from kernel_service.ports.media import ReadAs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from kernel_service.ports.model import ModelFile, ModelRequest, ToolSchema

OPTIONAL: Final = (
    "reasoning", "include", "prompt_cache_key", "safety_identifier", "max_output_tokens", "context_management",
    "stream",
)  # fmt: skip
"""The optional parameters. `stream` is refused where only verified organisations may have a model stream.
`store` is not among them: left out, the vendor would keep what people say."""
LEAST_OUTPUT_TOKENS: Final = 16
"""The smallest max_output_tokens that the vendor accepts."""

MOST_KEPT_TOOLS: Final = 256
"""Encoded tools that are cached, since many people have the same ones: 4 MB at most, mostly 0.3 MB."""
LEAST_COMPACT_TOKENS: Final = 1000
"""The smallest compact_threshold that the vendor accepts."""
OF_A_REQUEST: Final = ("max_output_tokens", "context_management", "stream")
"""The parameters that differ between the requests of a person. They follow the input, so that requests begin alike."""


def parameters(request: ModelRequest, model: str, *, effort: str, stream: bool) -> dict[str, Any]:
    """All parameters but the tools and the input."""
    chosen: dict[str, Any] = {
        "model": model,
        "instructions": request.instructions,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "safety_identifier": request.person_key,
        "prompt_cache_key": request.person_key,
    }
    if effort:
        chosen["reasoning"] = {"effort": effort}
    chosen["max_output_tokens"] = max(LEAST_OUTPUT_TOKENS, request.max_output_tokens)
    if request.compact_at:
        threshold = max(LEAST_COMPACT_TOKENS, request.compact_at)
        chosen["context_management"] = [{"type": "compaction", "compact_threshold": threshold}]
    if stream:
        chosen["stream"] = True
    return chosen


def body_of(request: ModelRequest, chosen: dict[str, Any], lacks: AbstractSet[str] = frozenset()) -> Body:
    """The request with these parameters. Only items that refer to a file are decoded."""
    offered = () if TOOLS in lacks else request.tools
    tools = b',"tools":[%b]' % b",".join(map(_tool, offered)) if offered else b""
    constant, rest = chosen.copy(), {}
    for name in OF_A_REQUEST:
        if name in constant:
            rest[name] = constant.pop(name)
    start = b'%b%b,"input":[' % (orjson.dumps(constant)[:-1], tools)
    end = b"],%b" % orjson.dumps(rest)[1:] if rest else b"]}"
    whole = _joined(start, request.items, end)
    if REFERS not in whole:
        return Body([whole])
    places = Places()
    items = [_with_file(item, request.files, lacks, places) if REFERS in item else item for item in request.items]
    return places.body(_joined(start, items, end))


def _joined(start: bytes, items: Sequence[bytes], end: bytes) -> bytes:
    """The items with commas between them. They are copied once, since a copy of a long history costs much."""
    parts = [start, *[b","] * (2 * len(items) - 1), end]
    parts[1:-1:2] = items
    return b"".join(parts)


@lru_cache(maxsize=MOST_KEPT_TOOLS)
def _tool(tool: ToolSchema) -> bytes:
    # Vendors' schemas seldom fulfil the rules of strict mode.
    named = {"type": "function", "strict": False, "name": tool.name, "description": tool.description}
    return b'%b,"parameters":%b}' % (orjson.dumps(named)[:-1], tool.parameters_json)


# --- files ------------------------------------------------------------------------------------------------------------


def _with_file(item: bytes, files: Mapping[str, ModelFile | str], lacks: AbstractSet[str], places: Places) -> bytes:
    """The item to send: each available file at its placeholder, a sentence for any other."""
    data = orjson.loads(item)
    parts = data.get("content")
    if data.get("role") != "user" or not isinstance(parts, list) or parts[-1]["type"] != REFERENCE:
        return item
    return orjson.dumps(data | {"content": [*parts[:-1], _part(shown(parts[-1]["media_id"], files, lacks), places)]})


def _part(file: ModelFile | str, places: Places) -> dict[str, Any]:
    if isinstance(file, str):
        return {"type": "input_text", "text": file}
    if file.read_as is ReadAs.SEE:
        return {"type": "input_image", "image_url": places.data_url(file)}
    return {"type": "input_file", "filename": file.filename, "file_data": places.data_url(file)}
