"""Reads answers of the Graph API, or of a proxy before it, up to a limit."""

from typing import Any, Final

import aiohttp
import orjson

MOST_BYTES: Final = 1024 * 1024
"""Unpacked. WhatsApp's answers have a few kilobytes."""
_PIECE_BYTES: Final = 64 * 1024


async def read_json(response: aiohttp.ClientResponse) -> Any:
    """The content of the answer; None: it is not JSON, or larger than MOST_BYTES, which ends the connection."""
    raw = bytearray()
    async for piece in response.content.iter_chunked(_PIECE_BYTES):
        raw += piece
        if len(raw) > MOST_BYTES:
            response.close()
            return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
