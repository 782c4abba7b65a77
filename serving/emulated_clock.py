"""An emulated clock: seconds that have been let pass, in a file that all processes of a demo or a test read.

It only goes forward. A jump is seen by every process at its next look at its clock, because they map the same eight
bytes. The file outlives the processes, so that the data beside it is never newer than the time.
"""

from __future__ import annotations

import math
import mmap
import os
from typing import TYPE_CHECKING, Final

from serving.private_files import make_file, make_folder, why_unusable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOST_SECONDS: Final = 10 * 366 * 86_400.0
"""The furthest that the clock may be ahead. Dates stay within what every part can store and print."""
_SIZE: Final = 8


class EmulatedClock:
    """The first process creates the file. ValueError: the file cannot be used, and why."""

    def __init__(self, file: Path) -> None:
        try:
            make_folder(file.parent)
            make_file(file)
            self._ahead = _mapped(file)
        except OSError as problem:
            raise ValueError(f"{why_unusable(file, problem)} (KERNEL_EMULATED_CLOCK)") from None
        if not 0 <= self.ahead <= MOST_SECONDS:
            raise _foreign(file)

    @property
    def ahead(self) -> float:
        """Seconds that the clock is ahead of the real time."""
        return self._ahead[0]

    def over(self, wall: Callable[[], float]) -> Callable[[], float]:
        """The real clock, moved forward."""
        return lambda: wall() + self._ahead[0]

    def advance(self, seconds: float) -> None:
        """Let time pass. For one process only. ValueError: not forward, or too far."""
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError("time only goes forward: seconds must be a number that is not negative")
        if self.ahead + seconds > MOST_SECONDS:
            raise ValueError(f"the clock may be at most {MOST_SECONDS / 86_400:.0f} days ahead")
        self._ahead[0] += seconds


def _mapped(file: Path) -> memoryview[float]:
    """The seconds in the file."""
    with file.open("r+b") as opened:
        if os.fstat(opened.fileno()).st_size not in {0, _SIZE}:
            raise _foreign(file)
        # Two processes that create it at once write the same: zeros.
        os.ftruncate(opened.fileno(), _SIZE)
        # A machine word, so that a reader never sees half of a write.
        return memoryview(mmap.mmap(opened.fileno(), _SIZE)).cast("d")


def _foreign(file: Path) -> ValueError:
    return ValueError(f"{file} is not an emulated clock: move it away, or name a new file (KERNEL_EMULATED_CLOCK)")
