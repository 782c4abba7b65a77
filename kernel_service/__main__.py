"""`python -m kernel_service`: reads the settings, serves until SIGTERM or SIGINT, drains; a second signal ends it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

import uvloop
from pydantic import ValidationError

from kernel_service.config import Settings, problems


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = Settings()
    except ValidationError as error:
        for problem in problems(error):
            print(f"kernel_service: {problem}", file=sys.stderr)  # noqa: T201 - before there is anybody to log to
        sys.exit(2)
    from kernel_service.server import serve  # noqa: PLC0415 - a bad setting is named without loading the vendors

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def signalled() -> None:
            if stop.is_set():
                os._exit(130)
            stop.set()

        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, signalled)
        async with serve(settings):
            await stop.wait()

    uvloop.run(run())


if __name__ == "__main__":
    main()
