"""`python -m local_run.lifeline MODULE`: as `python -m MODULE`, until the process that started it is gone.

However that process ends, even killed, the system closes its end of this process's stdin. No service outlives the run
and keeps its port.
"""

import os
import runpy
import signal
import sys
import threading
import time

END_SECONDS = 30
"""For an orderly end, as of a run that is told to end."""


def main() -> None:
    threading.Thread(target=_watch, daemon=True).start()
    module = sys.argv.pop(1)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _watch() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass  # no process writes
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(END_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
