"""The lines of the run on stdout, which may be lost: a closed terminal or pipe, a full disk."""

import errno
import os
import signal
import sys
from contextlib import suppress
from typing import Final

_READER_ENDED: Final = (errno.EPIPE, errno.EIO)


class Output:
    """Prints lines. The first one that cannot be written ends this process as SIGTERM does, and no later one fails."""

    def __init__(self) -> None:
        self.has_failed = False
        """It was lost otherwise than with its reader."""

    def say(self, line: str) -> None:
        try:
            print(line, flush=True)
        except OSError as problem:
            _discard()
            self.has_failed = problem.errno not in _READER_ENDED
            if self.has_failed:
                with suppress(OSError):  # stderr may go to the same disk
                    print(f"The output cannot be written: {problem.strerror}. Ending …", file=sys.stderr, flush=True)
            signal.raise_signal(signal.SIGTERM)


def _discard() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


OUTPUT: Final = Output()
"""That of this process."""
say: Final = OUTPUT.say
