"""An HTTP application on a public port: it decompresses no bodies, and no request writes a traceback."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import hdrs, web

from serving.one_line import one_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from aiohttp.typedefs import Middleware

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

IDLE_SECONDS: Final = 75.0
"""How long a connection without a complete request stays open. Most proxies close theirs after 60."""
LINGERING_SECONDS: Final = 2.0
"""How long the rest of a body is read after the answer, so that the sender sees the answer."""

_PLAIN: Final = {hdrs.CONTENT_ENCODING: frozenset({"", "identity"}), hdrs.TRANSFER_ENCODING: frozenset({"", "chunked"})}


def public_app(middlewares: Iterable[Middleware] = (), *, client_max_size: int = 1024 * 1024) -> web.Application:
    """`client_max_size` bounds bodies, in bytes. These arguments override those of a runner."""
    return web.Application(
        middlewares=[_refuse_packed, *middlewares],
        client_max_size=client_max_size,
        handler_args={
            "auto_decompress": False,
            "access_log": None,
            "logger": one_line("serving.http"),
            "keepalive_timeout": IDLE_SECONDS,
            "lingering_time": LINGERING_SECONDS,
        },
    )


def is_packed(headers: Mapping[str, str]) -> bool:
    """Whether the body is compressed. A few compressed bytes from a stranger may become gigabytes."""
    return any(
        encoding.strip().lower() not in plain
        for name, plain in _PLAIN.items()
        if name in headers
        for encoding in headers[name].split(",")
    )


@web.middleware
def _refuse_packed(request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
    """Answer 415 before any of the body is read."""
    headers = request.headers
    if (hdrs.CONTENT_ENCODING in headers or hdrs.TRANSFER_ENCODING in headers) and is_packed(headers):
        return _refused()
    return handler(request)


async def _refused() -> web.Response:
    refused = web.Response(status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE, text="send the body as it is, not packed\n")
    refused.force_close()
    return refused
