"""python -m whatsapp_gateway: serve until SIGTERM or SIGINT, then finish open work; a second signal ends it."""

import asyncio
import gc
import logging
import os
import signal
from typing import Final

import uvloop
from pydantic import ValidationError

from serving.listening import CannotListenError, http_served
from serving.logs import refuse, set_up
from serving.one_line import one_line
from serving.version import VERSION
from serving.watchdog import watched
from whatsapp_gateway.app import build_app
from whatsapp_gateway.config import Settings, problems

logger = logging.getLogger("whatsapp_gateway")

_INTERRUPTED: Final = 130
SHUTDOWN_SECONDS: Final = 10
"""For webhooks in progress; their own limit is shorter."""


class CannotStart(Exception):
    """A port in use, or an unusable proxy: the text names it."""


def main() -> None:
    set_up("whatsapp_gateway")
    one_line("asyncio")
    try:
        uvloop.run(_run(Settings()))
    except ValidationError as invalid:
        refuse("whatsapp_gateway", problems(invalid))
    except CannotStart as problem:
        refuse("whatsapp_gateway", [str(problem)])


async def _run(settings: Settings) -> None:
    logger.info("WhatsApp gateway %s", VERSION)
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, _signalled, stop)
    try:
        app = await build_app(settings)
    except ValueError as problem:
        raise CannotStart(str(problem)) from problem
    try:
        served = http_served(app, "GATEWAY_LISTEN", settings.gateway_listen, shutdown_seconds=SHUTDOWN_SECONDS)
        async with watched(settings.gateway_watchdog_seconds), served as port:
            logger.info("serving WhatsApp's webhook on %s", settings.gateway_listen._replace(port=port))
            gc.freeze()  # all of this lasts: collections need not visit it
            await stop.wait()
    except CannotListenError as problem:
        raise CannotStart(str(problem)) from problem


def _signalled(stop: asyncio.Event) -> None:
    if stop.is_set():
        os._exit(_INTERRUPTED)
    stop.set()


if __name__ == "__main__":
    main()
