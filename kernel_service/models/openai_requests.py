"""The body of a request to OpenAI's Responses API, joined from JSON that is already encoded.

Sources: openai 3.54 (`types/responses/response_create_params.py`), platform.openai.com/docs/api-reference/responses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from kernel_service.models.body import Places
from kernel_service.ports.media import ReadAs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kernel_service.models.body import Body
    from kernel_service.ports.model import ModelFile, ModelRequest, ToolSchema
    from kernel_service.ports.payloads import File

LEAST_OUTPUT_TOKENS: Final = 16
"""The smallest max_output_tokens that the vendor accepts."""


def parameters(request: ModelRequest, model: str, *, effort: str, stream: bool) -> dict[str, Any]:
    """All parameters but the tools and the input."""
    chosen: dict[str, Any] = {
        "model": model,
        "instructions": request.instructions,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": max(LEAST_OUTPUT_TOKENS, request.max_output_tokens),
        "safety_identifier": request.person_key,
        "prompt_cache_key": request.person_key,
    }
    if effort:
        chosen["reasoning"] = {"effort": effort}
    if stream:
        chosen["stream"] = True
    return chosen


def body_of(request: ModelRequest, chosen: dict[str, Any]) -> Body:
    """The request with these parameters. Only items that refer to a file are decoded."""
    places = Places()
    tools = b',"tools":[%b]' % b",".join(map(_tool, request.tools)) if request.tools else b""
    start = b'%b%b,"input":[' % (orjson.dumps(chosen)[:-1], tools)
    whole = _joined(start, request.items, b"]}")
    if _REFERS in whole:
        items = [_shown(item, request.files, places) if _REFERS in item else item for item in request.items]
        whole = _joined(start, items, b"]}")
    return places.body(whole)


def _joined(start: bytes, items: Sequence[bytes], end: bytes) -> bytes:
    """The items with commas between them. They are copied once, since a copy of a long history costs much."""
    parts = [start, *[b","] * (2 * len(items) - 1), end]
    parts[1:-1:2] = items
    return b"".join(parts)


def _tool(tool: ToolSchema) -> bytes:
    # Vendors' schemas seldom meet what strict mode asks for.
    named = {"type": "function", "strict": False, "name": tool.name, "description": tool.description}
    return b'%b,"parameters":%b}' % (orjson.dumps(named)[:-1], tool.parameters_json)


# --- files ------------------------------------------------------------------------------------------------------------

_REFERENCE: Final = "media"
"""The type of a part of ours: in the history it stands for a file, and never leaves as it is."""
_GONE: Final = "[The file itself is not at hand any more.]"


def reference(file: File | None) -> list[dict[str, Any]]:
    """The file, if the model is to be shown it; what was heard is there in words."""
    if file is None or not file.media_id or file.transcript is not None:
        return []
    return [{"type": _REFERENCE, "media_id": file.media_id}]


_REFERS: Final = orjson.dumps({"type": _REFERENCE, "media_id": ""})[: -len('"}')]
"""The beginning of a reference as it is kept. Within a text each quotation mark has a backslash, so no words match."""


def _shown(item: bytes, files: Mapping[str, ModelFile | str], places: Places) -> bytes:
    """The item as it is sent: each available file at its placeholder, any other in words."""
    data = orjson.loads(item)
    parts = data.get("content")
    if data.get("role") != "user" or not isinstance(parts, list) or parts[-1]["type"] != _REFERENCE:
        return item
    return orjson.dumps(data | {"content": [*parts[:-1], _part(files.get(parts[-1]["media_id"], _GONE), places)]})


def _part(file: ModelFile | str, places: Places) -> dict[str, Any]:
    if isinstance(file, str):
        return {"type": "input_text", "text": file}
    if file.read_as is ReadAs.SEE:
        return {"type": "input_image", "image_url": places.data_url(file)}
    return {"type": "input_file", "filename": file.filename, "file_data": places.data_url(file)}
