"""`python -m kernel_service`: reads the settings, serves until SIGTERM or SIGINT, drains; a second signal ends it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop
from pydantic import ValidationError

from kernel_service.config import Settings, problems
from kernel_service.errors import KernelError
from kernel_service.loading import load_server
from kernel_service.process_memory import return_freed
from serving.logs import refuse, set_up
from serving.one_line import one_line
from serving.version import VERSION
from serving.watchdog import watched


class CannotStart(Exception):
    """A port in use, an unavailable or foreign database, a missing package or tool. The text names it."""


def main() -> None:
    set_up("kernel_service")
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
    one_line("asyncio")
    _import_from_the_working_folder()
    try:
        uvloop.run(_run(Settings()))
    except ValidationError as error:
        refuse("kernel_service", problems(error))
    except CannotStart as error:
        refuse("kernel_service", [str(error)])


def _import_from_the_working_folder() -> None:
    """Find the modules of KERNEL_TOOLS there: `python -m` does so, the command `kernel-service` alone would not."""
    if not sys.flags.safe_path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))


async def _run(settings: Settings) -> None:
    logging.getLogger("kernel_service").info("kernel service %s", VERSION)
    try:
        server = load_server()  # imported late, so that a wrong setting is reported at once
    except ImportError as error:
        raise CannotStart(f"a package is missing or broken: {error}; install requirements.txt again") from error
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, _signalled, stop)
    async with watched(settings.kernel_watchdog_seconds), AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(server.serve(settings))
        except (ValueError, OSError, RuntimeError, KernelError) as error:
            raise CannotStart(str(error)) from error
        # Objects loaded by now live until the end: garbage collections need not visit them and pause the process.
        gc.freeze()
        return_freed()
        await stop.wait()


def _signalled(stop: asyncio.Event) -> None:
    if stop.is_set():
        os._exit(130)
    stop.set()


if __name__ == "__main__":
    main()
