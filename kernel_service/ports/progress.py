"""What happens in a turn, for those who watch a message of it. Nothing is kept for those who come later."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel_service.ports.messages import Link, ReplyChoice
    from kernel_service.ports.turns import Turn


@dataclass(frozen=True, slots=True)
class Merged:
    """The watched message is answered together with others."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    call_id: str
    tool: str


@dataclass(frozen=True, slots=True)
class ToolFinished:
    call_id: str
    succeeded: bool


@dataclass(frozen=True, slots=True)
class ConnectNeeded:
    """The person must connect an account of this toolkit."""

    toolkit: str
    link: Link


@dataclass(frozen=True, slots=True)
class ApprovalNeeded:
    """The person must approve these calls, by id and tool, together; `expires_at` is in epoch seconds."""

    calls: tuple[tuple[str, str], ...]
    choices: tuple[ReplyChoice, ...]
    expires_at: float


Event = Merged | ToolStarted | ToolFinished | ConnectNeeded | ApprovalNeeded


class Progress:
    """By the message's number in the inbox; several may watch one (a repeated call)."""

    def __init__(self) -> None:
        self._queues: defaultdict[int, list[asyncio.Queue[Event | None]]] = defaultdict(list)

    @contextmanager
    def watching(self, seq: int) -> Iterator[asyncio.Queue[Event | None]]:
        """The events of the message's turns from here on. None is never put here: it is free to mark the end."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._queues[seq].append(queue)
        try:
            yield queue
        finally:
            self._queues[seq].remove(queue)
            if not self._queues[seq]:
                del self._queues[seq]

    def tell(self, turn: Turn, event: Event) -> None:
        if self._queues:
            for message in turn.messages:
                for queue in self._queues.get(message.seq, ()):
                    queue.put_nowait(event)
