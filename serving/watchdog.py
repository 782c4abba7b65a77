"""Ends a process whose event loop hangs, so that its supervisor restarts it.

A thread of the process watches the loop. The loop also sends a heartbeat each second to a supervisor
(`serving.supervise`, systemd), which can kill even a stopped process (SIGSTOP). The protocol is systemd's: `WATCHDOG=1`
to NOTIFY_SOCKET, see sd_notify(3).
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import socket
import threading
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from serving.beats import BEAT_SECONDS, HUNG, Beats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

logger = logging.getLogger(__name__)

_STDERR: Final = 2
_LOG_SECONDS: Final = 2.0


@asynccontextmanager
async def watched(seconds: float, end: Callable[[float], None] | None = None) -> AsyncIterator[None]:
    """End the process once its loop has not run for `seconds`; 0: never. Enter it in the loop to be watched."""
    faulthandler.enable(_STDERR)  # on a supervisor's SIGABRT the log says where each thread is
    beats = Beats(seconds, time.monotonic())
    stop = threading.Event()
    beating = asyncio.create_task(_beat(beats), name="watchdog")
    if seconds:
        threading.Thread(target=_watch, args=(beats, stop, end or end_process), name="watchdog", daemon=True).start()
    try:
        yield
    finally:
        stop.set()
        beating.cancel()


async def _beat(beats: Beats) -> None:
    supervisor = os.environ.get("NOTIFY_SOCKET", "")
    message = f"WATCHDOG=1\nWATCHDOG_USEC={beats.seconds * 1_000_000:.0f}".encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.setblocking(False)
        while True:
            beats.beat(time.monotonic())
            if supervisor:
                with suppress(OSError):  # the supervisor has ended, or its socket is full
                    notify.sendto(message, supervisor.replace("@", "\0", 1))
            await asyncio.sleep(BEAT_SECONDS)


def _watch(beats: Beats, stop: threading.Event, end: Callable[[float], None]) -> None:
    while not stop.wait(BEAT_SECONDS):
        if beats.missing(time.monotonic()):
            end(beats.seconds)
            return


def end_process(seconds: float) -> None:
    """Log the file, line and function of each thread, without any values, and end the process."""
    # A loop may hang because no process reads its log. The timer ends the process even if logging blocks.
    last = threading.Timer(_LOG_SECONDS, os._exit, [HUNG])
    last.daemon = True
    last.start()
    logger.critical("the event loop has not run for %.0f s: this process ends; its threads are here:", seconds)
    faulthandler.dump_traceback(_STDERR)
    os._exit(HUNG)
