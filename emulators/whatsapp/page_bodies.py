"""Reads what the page posts: JSON objects."""

import json
from typing import Any

from aiohttp import web

from emulators.control import require_json


async def posted(request: web.Request) -> dict[str, Any]:
    require_json(request)
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="send a JSON object")
    return body


def text_in(body: dict[str, Any], name: str, longest: int) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > longest:
        raise web.HTTPBadRequest(text=f"{name}: must be a text of at most {longest} characters")
    return value.strip()


def number_in(body: dict[str, Any], name: str) -> float:
    value = body.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise web.HTTPBadRequest(text=f"{name}: must be a number")
    return value
