"""The names of the tools that searches have found, as the model was told them.

They stay offered while the model is shown that search. Otherwise the list of tools, with which each request begins,
would change with each search and again after its turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from kernel_service.kernels.outline import RESULTS, holds_any
from kernel_service.storable import from_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel_service.turns.context.transcript import Transcript

FOUND: Final = "found"
"""The field of a search's output that lists the tools."""
_BEGINS: Final = orjson.dumps(f'{{"{FOUND}":')[:-1]
"""The beginning of such an output within an encoded item."""


def found_tools(transcript: Transcript) -> list[str]:
    """Each name once, the first found first. Any tool may imitate a search, so a name proves nothing."""
    has_results = holds_any(transcript.ended.outline, RESULTS) or any(
        item.kind == "result" for item in transcript.items
    )
    return list(dict.fromkeys(_names(transcript))) if has_results else []


def _names(transcript: Transcript) -> Iterator[str]:
    for line in transcript.ended.lines():
        if _BEGINS in line:
            yield from _listed(orjson.loads(line))
    for item in transcript.items:
        if item.kind == "result":
            yield from _listed(item.data)


def _listed(item: dict[str, Any]) -> Iterator[str]:
    output = item.get("output")
    try:
        value = from_json(output) if isinstance(output, str) else None
    except ValueError:
        return
    listed = value.get(FOUND) if isinstance(value, dict) else None
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict) and isinstance(each.get("name"), str):
            yield each["name"]
