"""Notices as texts: sends this node's notices to the others, and calls the handlers of those that it receives."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from kernel_service.ports.notices import NodeNotice, NoticeKind
from kernel_service.rate_limits.wait_histogram import WaitHistogram

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.notices import NoticeTransport

log = logging.getLogger(__name__)


class NoticeBoard:
    """Fills `Notices`. `transport` is None if no other process can use the database."""

    def __init__(self, transport: NoticeTransport | None, clock: Callable[[], float] = time.time) -> None:
        self._transport = transport
        self._clock = clock
        self.sent: Counter[NoticeKind] = Counter()
        self.received: Counter[NoticeKind] = Counter()
        self.lag = WaitHistogram()
        """Seconds from the sender's clock to this node's."""
        self.interruptions = 0
        """How often notices may have been lost."""
        self._handlers: defaultdict[NoticeKind, list[Callable[[NodeNotice], None]]] = defaultdict(list)
        self._missed: list[Callable[[], None]] = []

    @property
    def dropped(self) -> int:
        """How many notices this node could not send."""
        return self._transport.dropped if self._transport is not None else 0

    def begin(self, me: str) -> None:
        """Receive from now on, as this node. All handlers are registered."""
        if self._transport is not None:
            self._transport.receive(me, self._receive, self._missed_all)

    def send(self, node_id: str, notice: NodeNotice) -> None:
        if self._transport is not None:
            self.sent[notice.kind] += 1
            self._transport.send(node_id, _text(notice, self._clock()))

    def send_to_all(self, notice: NodeNotice) -> None:
        self.send("", notice)

    def on(self, kind: NoticeKind, handler: Callable[[NodeNotice], None]) -> None:
        self._handlers[kind].append(handler)

    def on_missed(self, handler: Callable[[], None]) -> None:
        self._missed.append(handler)

    def _receive(self, text: str) -> None:
        parsed = _parsed(text)
        if parsed is None:  # by a newer release
            return
        notice, sent_at = parsed
        self.received[notice.kind] += 1
        self.lag.note(max(0.0, self._clock() - sent_at))
        for handler in self._handlers[notice.kind]:
            try:
                handler(notice)
            except Exception:
                log.exception("handler of a notice failed kind=%s", notice.kind)

    def _missed_all(self) -> None:
        self.interruptions += 1
        for handler in self._missed:
            try:
                handler()
            except Exception:
                log.exception("handler of missed notices failed")


def _text(notice: NodeNotice, now: float) -> str:
    values = [notice.kind, notice.subject, notice.numbers, notice.detail, round(now, 3)]
    return json.dumps(values, separators=(",", ":"))


def _parsed(text: str) -> tuple[NodeNotice, float] | None:
    """The notice, and when it was sent by its sender's clock."""
    try:
        kind, subject, numbers, detail, sent_at = json.loads(text)
        return NodeNotice(NoticeKind(kind), str(subject), tuple(numbers), str(detail)), float(sent_at)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
