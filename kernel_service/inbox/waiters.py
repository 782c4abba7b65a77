"""Callers that wait for the turn that answers their message."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kernel_service.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kernel_service.ports.turns import Turn


class Waiters:
    """Waiters by the message's number in the inbox. One message may have several (a repeated call)."""

    def __init__(self) -> None:
        self._futures: defaultdict[int, list[asyncio.Future[None]]] = defaultdict(list)

    @contextmanager
    def waiting(self, seq: int) -> Iterator[asyncio.Future[None]]:
        """A future that is done when the message's turn ends. Enter this before reading the store, to miss no end."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._futures[seq].append(future)
        try:
            yield future
        finally:
            self._futures[seq].remove(future)
            if not self._futures[seq]:
                del self._futures[seq]

    def turn_ended(self, turn: Turn) -> None:
        for message in turn.messages:
            self._release(message.seq)

    def taken_back(self, seqs: Iterable[int]) -> None:
        """These messages ended without a turn."""
        for seq in seqs:
            self._release(seq)

    def _release(self, seq: int) -> None:
        for future in self._futures.get(seq, ()):
            if not future.done():
                future.set_result(None)

    def close(self) -> None:
        """End all waits. The messages stay accepted, and a repeated call waits in another process."""
        for futures in self._futures.values():
            for future in futures:
                if not future.done():
                    future.set_exception(
                        Unavailable("DRAINING", "this service is ending; repeat the call, the message is kept")
                    )
