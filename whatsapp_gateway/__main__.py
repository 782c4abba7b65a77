"""python -m whatsapp_gateway: serve until SIGTERM or SIGINT, then finish open work; a second signal ends it."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

import uvloop
from pydantic import ValidationError

from serving.listening import CannotListenError, http_served
from serving.one_line import one_line
from serving.version import VERSION
from serving.watchdog import watched
from whatsapp_gateway.app import build_app
from whatsapp_gateway.config import Settings, problems

logger = logging.getLogger("whatsapp_gateway")

BAD_SETTINGS: Final = 2
_INTERRUPTED: Final = 130
SHUTDOWN_SECONDS: Final = 10
"""For webhooks in progress; their own limit is shorter."""


class CannotStart(Exception):
    """A port in use, or an unusable proxy: the text names it."""


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    one_line("asyncio")
    try:
        uvloop.run(_run(Settings()))
    except ValidationError as invalid:
        _refuse(problems(invalid))
    except CannotStart as problem:
        _refuse([str(problem)])


def _refuse(told: Sequence[str]) -> NoReturn:
    for problem in told:
        sys.stderr.write(f"whatsapp_gateway: {problem}\n")
    sys.exit(BAD_SETTINGS)


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
