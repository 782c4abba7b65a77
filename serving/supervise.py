"""`python -m serving.supervise MODULE`: runs `python -m MODULE`, and kills it when it hangs, even stopped (SIGSTOP).

It is meant as a container's first process. It passes signals on, reaps orphans, and exits with the module's exit code,
so that the container is restarted. The module's heartbeats carry the time limit (watchdog.py).
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from typing import Final

from serving.beats import BEAT_SECONDS, HUNG, Beats
from serving.logs import report, set_up

_PASSED_ON: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_ABORT_SECONDS: Final = 1.0
_BY_SIGNAL: Final = 128
_LARGEST: Final = 4096


def main() -> int:
    if len(sys.argv) != 2:  # noqa: PLR2004 - itself and the module
        sys.stderr.write(f"{__doc__}\n")
        return 2
    set_up("supervise")
    return Supervisor(sys.argv[1]).run()


class Supervisor:
    """Runs one module, once."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._beats: Beats | None = None
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.setblocking(False)
        name = f"supervise-{os.getpid()}-{os.urandom(8).hex()}"
        self._notify.bind(f"\0{name}")
        environ = os.environ | {"NOTIFY_SOCKET": f"@{name}"}
        self._wake, wakes = socket.socketpair()
        for end in (self._wake, wakes):
            end.setblocking(False)
        self._wakes = wakes  # kept open
        signal.set_wakeup_fd(wakes.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Block signals until the handlers are set: the first process of a container would ignore them.
        signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
        # A separate process group: a terminal's Ctrl-C reaches only this process, which passes it on once.
        command = [sys.executable, "-m", module]
        self._pid = os.posix_spawn(sys.executable, command, environ, setpgroup=0, setsigmask=[])
        for each in _PASSED_ON:
            signal.signal(each, lambda number, _: os.kill(self._pid, number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)

    def run(self) -> int:
        """Run the module to its end. Returns its exit code, 128 + n for signal n, or HUNG if it had to be killed."""
        while True:
            select.select([self._notify, self._wake], [], [], BEAT_SECONDS)
            self._read()
            code = self._reap()
            if code is not None:
                return code
            if self._beats is not None and self._beats.seconds and self._beats.missing(time.monotonic()):
                return self._kill(self._beats.seconds)

    def _read(self) -> None:
        for end in (self._wake, self._notify):
            try:
                while told := end.recv(_LARGEST):
                    if end is self._notify:
                        self._beaten(told.decode(errors="replace"))
            except BlockingIOError:
                pass

    def _beaten(self, told: str) -> None:
        words = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
        if words.get("WATCHDOG") != "1" or not words.get("WATCHDOG_USEC", "").isdecimal():
            return
        now = time.monotonic()
        if self._beats is None:
            self._beats = Beats(0, now)
        self._beats.seconds = int(words["WATCHDOG_USEC"]) / 1_000_000
        self._beats.beat(now)

    def _reap(self) -> int | None:
        """The module's exit code, once it has ended. Any other child is an orphan that this process adopted."""
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return None
                if pid == self._pid:
                    code = os.waitstatus_to_exitcode(status)
                    return code if code >= 0 else _BY_SIGNAL - code
        except ChildProcessError:
            return HUNG

    def _kill(self, seconds: float) -> int:
        """Send SIGABRT first: the module then logs where its threads are, unless it is stopped (SIGSTOP)."""
        report("supervise", f"{self._module} has not run for {seconds:.0f} s and is killed")
        for number in (signal.SIGABRT, signal.SIGKILL):
            os.kill(self._pid, number)
            if self._ends_within(_ABORT_SECONDS):
                break
        return HUNG

    def _ends_within(self, seconds: float) -> bool:
        latest = time.monotonic() + seconds
        while self._reap() is None:
            if time.monotonic() > latest:
                return False
            select.select([self._wake], [], [], seconds / 10)
            self._read()
        return True


if __name__ == "__main__":
    sys.exit(main())
