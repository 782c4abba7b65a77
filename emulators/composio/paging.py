"""Pages of a list, with Composio's cursors: the page and the limit in base64."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from emulators.composio.errors import refused

Thing = TypeVar("Thing")


def page(
    things: Sequence[Thing], cursor: str | None, limit: float, describe: Callable[[Thing], dict[str, Any]]
) -> dict[str, Any]:
    number, size = _read(cursor) if cursor else (1, int(limit))
    pages = max(1, -(-len(things) // size))
    return {
        "items": [describe(thing) for thing in things[(number - 1) * size : number * size]],
        "current_page": number,
        "total_pages": pages,
        "total_items": len(things),
        "next_cursor": _write(number + 1, size) if number < pages else None,
    }


def _write(number: int, size: int) -> str:
    return base64.b64encode(f"{number}-{size}".encode()).decode()


def _read(cursor: str) -> tuple[int, int]:
    try:
        found = re.fullmatch(r"([1-9]\d*)-([1-9]\d*)", base64.b64decode(cursor, validate=True).decode())
    except (binascii.Error, UnicodeDecodeError):
        found = None
    if found is None:
        raise refused("Invalid cursor", slug="HTTP_BadRequest", code=10400)
    return int(found[1]), int(found[2])
