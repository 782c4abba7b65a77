"""The terminal: its width, and whether it shows colour."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNWRITABLE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
WIDEST: Final = 100
"""Longer lines are hard to read."""
READER_ENDED: Final = 128 + signal.SIGPIPE


def width() -> int:
    return min(shutil.get_terminal_size((80, 24)).columns, WIDEST)


def wrapped(text: str, indent: int = 0) -> list[str]:
    """The lines of a text. URLs and settings stay whole, so that they can be copied."""
    space = " " * indent
    return textwrap.wrap(
        text, width(), initial_indent=space, subsequent_indent=space, break_long_words=False, break_on_hyphens=False
    ) or [""]


def colour() -> bool | None:
    """False: none, since NO_COLOR is set (no-color.org). None: click decides, by whether stdout is a terminal."""
    return False if os.environ.get("NO_COLOR") else None


def is_of_output(problem: OSError) -> bool:
    """Whether a write failed that names no file. `ends_with_its_reader` knows a closed pipe."""
    return problem.filename is None and problem.errno in _UNWRITABLE


def discard_output() -> None:
    """Lose what waits for stdout, so that the interpreter does not fail on it once more at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@contextmanager
def ends_with_its_reader() -> Iterator[None]:
    """Exit as if by SIGPIPE, which Python ignores, once the reader of stdout has ended."""
    try:
        yield
    except BrokenPipeError:
        discard_output()
        sys.exit(READER_ENDED)


def is_interactive() -> bool:
    """Whether a person can answer questions."""
    return sys.stdin.isatty() and sys.stdout.isatty()
