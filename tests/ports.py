"""Ports for processes that must be told theirs before they start."""

import os
import random
import socket

_FIRST, _COUNT = 10_000, 20_000  # below those that the system hands out to connections, which would take it meanwhile


def _shuffled() -> list[int]:
    """The ports of this process: those of the tests that run beside it are others."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = list(range(_FIRST + worker, _FIRST + _COUNT, workers))
    random.shuffle(ports)
    return ports


_ports = _shuffled()


def free_port() -> int:
    """One that nobody listens on; no test of this run is given the same one soon."""
    while True:
        port = _ports.pop()
        _ports.insert(0, port)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
