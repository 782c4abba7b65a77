"""Events of a turn, for the watchers of its messages. Nothing is kept for later watchers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from kernel_service.ports.approvals import ApprovalPrompt
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

    @property
    def key(self) -> str:
        """It identifies the need."""
        return self.link.url


@dataclass(frozen=True, slots=True)
class ApprovalNeeded:
    """The person must approve these calls, by id and tool, together; `expires_at` is in epoch seconds."""

    calls: tuple[tuple[str, str], ...]
    choices: tuple[ReplyChoice, ...]
    expires_at: float

    @classmethod
    def of(cls, prompt: ApprovalPrompt) -> ApprovalNeeded:
        calls = tuple((approval.call_id, approval.tool) for approval in prompt.approvals)
        return cls(calls, prompt.choices, prompt.expires_at)

    @property
    def key(self) -> str:
        """It identifies the need."""
        return self.choices[0].id


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class TextReset:
    """The text so far is not a part of the answer."""


Need = ConnectNeeded | ApprovalNeeded
Event = Merged | ToolStarted | ToolFinished | Need
TextEvent = TextDelta | TextReset


class LiveText:
    """A text that grows or starts over. All watchers share it, and each continues from its own position.

    `starts` changes when the text begins and when it is withdrawn.
    """

    def __init__(self) -> None:
        self.starts = 0
        self.pieces: list[str] = []

    @property
    def shown(self) -> str:
        return "".join(self.pieces)

    def add(self, text: str) -> None:
        self.starts += not self.pieces
        self.pieces.append(text)

    def start_over(self) -> bool:
        """Start over. Returns whether there was text to withdraw."""
        if not self.pieces:
            return False
        self.starts += 1
        self.pieces = []
        return True


_News = tuple[LiveText, int]
"""A text, and the value of its `starts` at that time."""


class Watcher:
    """Receives the events of one message, and reads them at its own pace.

    Text does not queue up: a slow reader gets all text since its last read in one delta. `end` ends the reading.
    """

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event | _News | None] = asyncio.Queue()
        self._newest: _News | None = None
        self._read: _News | None = None
        self._place = 0

    def tell(self, event: Event) -> None:
        self._newest = None
        self._queue.put_nowait(event)

    def show(self, text: LiveText) -> None:
        """The text has grown, or started over."""
        news = text, text.starts
        if news != self._newest:
            self._newest = news
            self._queue.put_nowait(news)

    def end(self) -> None:
        self._queue.put_nowait(None)

    async def events(self) -> AsyncIterator[Event | TextEvent]:
        while (event := await self._queue.get()) is not None:
            if isinstance(event, tuple):
                for change in self._changes(event):
                    yield change
            else:
                yield event

    def _changes(self, news: _News) -> list[TextEvent]:
        """The changes since the last read. A text that has started over since has another entry in the queue."""
        changes: list[TextEvent] = []
        if news == self._newest:
            self._newest = None
        if news != self._read:
            if self._place:
                changes.append(TextReset())
            self._read, self._place = news, 0
        text, starts = news
        if starts == text.starts:
            if more := "".join(text.pieces[self._place :]):
                changes.append(TextDelta(more))
            self._place = len(text.pieces)
        return changes


class Progress:
    """Watchers by the message's number in the inbox. One message may have several (a repeated call)."""

    def __init__(self) -> None:
        self._watchers: defaultdict[int, list[Watcher]] = defaultdict(list)

    @contextmanager
    def watching(self, seq: int) -> Iterator[Watcher]:
        """Watch the later events of the message's turns, and the complete text of the current answer."""
        watcher = Watcher()
        self._watchers[seq].append(watcher)
        try:
            yield watcher
        finally:
            self._watchers[seq].remove(watcher)
            if not self._watchers[seq]:
                del self._watchers[seq]

    def tell(self, turn: Turn, event: Event) -> None:
        if self._watchers:
            for message in turn.messages:
                for watcher in self._watchers.get(message.seq, ()):
                    watcher.tell(event)

    def is_watched(self, turn: Turn) -> bool:
        """Whether the message that the turn's replies answer has a watcher."""
        return turn.messages[-1].seq in self._watchers

    def show(self, turn: Turn, text: LiveText) -> None:
        """Show the text to the watchers of the message that the turn's replies answer, and to no other watchers."""
        for watcher in self._watchers.get(turn.messages[-1].seq, ()):
            watcher.show(text)
