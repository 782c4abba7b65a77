"""Logs each failure of a request or of the event loop in one line, so that strangers cannot fill the log.

A traceback of aiohttp or asyncio has 1.4 kB. Its texts repeat what was sent: addresses with nonces, tokens, coroutines
with their arguments. The line names the type of the error and where it was raised, and nothing that was received.
"""

from __future__ import annotations

import logging
import re
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_LINES: Final = 5
"""Lines of one kind in PERIOD_SECONDS."""
PERIOD_SECONDS: Final = 60.0

_WORDS: Final = re.compile(r"[A-Za-z]+(?: [a-z]+)*")
"""The words with which a library's message begins, up to the first value in it."""


class OneLine(logging.Filter):
    """Rewrites each record of its logger to one line. The next line that passes says how many were dropped."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: defaultdict[str, LineLimit] = defaultdict(LineLimit)

    def filter(self, record: logging.LogRecord) -> bool:
        kind = _kind(record)
        dropped = self._kinds[kind].admit(self._clock())
        if dropped is None:
            return False
        record.msg, record.args = (kind if not dropped else f"{kind} ({dropped} more since the last line)"), ()
        record.exc_info = record.exc_text = record.stack_info = None
        return True


class LineLimit:
    """Counts the lines of one kind in the current period, and those that were dropped since the last line."""

    def __init__(self) -> None:
        self._began = float("-inf")
        self._lines = 0
        self._dropped = 0

    def admit(self, now: float) -> int | None:
        """None if no line may be written now; otherwise the number of lines dropped before this one."""
        if now - self._began >= PERIOD_SECONDS:
            self._began, self._lines = now, 0
        if self._lines == MOST_LINES:
            self._dropped += 1
            return None
        self._lines += 1
        dropped, self._dropped = self._dropped, 0
        return dropped


def _kind(record: logging.LogRecord) -> str:
    """The line to log, as `Error handling request: RuntimeError at app.py:91`: one kind for each place in the code."""
    words = _WORDS.match(str(record.msg))
    told = words[0].removesuffix(" from") if words else "error"
    error = record.exc_info[1] if record.exc_info else None
    return told if error is None else f"{told}: {type(error).__name__}{_place(error)}"


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


def one_line(name: str) -> logging.Logger:
    """The logger of this name, which writes one line for each record."""
    logger = logging.getLogger(name)
    if not any(isinstance(each, OneLine) for each in logger.filters):
        logger.addFilter(OneLine())
    return logger
