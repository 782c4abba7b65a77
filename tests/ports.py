"""Ports for processes that must be told theirs before they start."""

import secrets
import socket

_FIRST, _COUNT = 10_000, 20_000  # below those that the system hands out to connections, which would take it meanwhile


def free_port() -> int:
    while True:
        port = _FIRST + secrets.randbelow(_COUNT)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
