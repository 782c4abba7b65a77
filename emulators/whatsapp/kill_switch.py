"""The line to the local run, which kills a service on request and starts it again."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any

from serving.cancellation import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable


class KillSwitch:
    """`services` are those that can be killed; `down` those that are on their way back.

    `killed(service)` and `restarted(service, seconds)` are called as the local run tells of it. The file descriptor is
    that of a socket which only this process inherits; without one there is nothing to kill.
    """

    def __init__(self, descriptor: int | None) -> None:
        self.services: list[str] = []
        self.down: set[str] = set()
        self.changed: Callable[[], None] = lambda: None
        self.killed: Callable[[str], None] = lambda _: None
        self.restarted: Callable[[str, float], None] = lambda _service, _seconds: None
        self._descriptor = descriptor
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen to the local run, unless this has begun already."""
        if self._descriptor is not None and self._task is None:
            self._task = asyncio.create_task(self._listen(self._descriptor))

    def kill(self, service: str) -> None:
        """Ask for it. Raises LookupError if there is no such service, or if it is down already."""
        if service not in self.services or self._writer is None:
            raise LookupError("there is no such service to kill")
        if service in self.down:
            raise LookupError("it is down already")
        self._writer.write(json.dumps({"kill": service}).encode() + b"\n")

    async def close(self) -> None:
        if self._task is not None:
            await cancel_and_wait(self._task)

    async def _listen(self, descriptor: int) -> None:
        reader, self._writer = await asyncio.open_connection(sock=socket.socket(fileno=descriptor))
        try:
            async for line in reader:
                self._hear(json.loads(line))
        finally:
            self._writer.close()
            self.services = []
            self.changed()

    def _hear(self, event: dict[str, Any]) -> None:
        if "services" in event:
            self.services = event["services"]
            self.changed()
        elif "killed" in event:
            self.down.add(event["service"])
            self.killed(event["service"])
        else:
            self.down.discard(event["service"])
            self.restarted(event["service"], event["seconds"])
