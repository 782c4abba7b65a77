"""Ports for processes whose port must be known before they start."""

import os
import random
import socket

_FIRST, _COUNT = 10_000, 20_000  # below the system's ephemeral ports, which a connection could occupy meanwhile


def _shuffled() -> list[int]:
    """The ports of this process. Test processes that run in parallel have other ones."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = list(range(_FIRST + worker, _FIRST + _COUNT, workers))
    random.shuffle(ports)
    return ports


_ports = _shuffled()


def free_port() -> int:
    """A port on which no process listens. No test of this run gets the same one soon."""
    while True:
        port = _ports.pop()
        _ports.insert(0, port)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
