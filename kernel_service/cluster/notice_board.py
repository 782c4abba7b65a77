"""Notices as texts: what this node tells the others, and who is called for what they tell."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from typing import TYPE_CHECKING

from kernel_service.ports.notices import Notice, NoticeKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.notices import NoticeTransport

log = logging.getLogger(__name__)


class NoticeBoard:
    """Fills `Notices`. `transport` is None if no other process can use the database."""

    def __init__(self, transport: NoticeTransport | None) -> None:
        self._transport = transport
        self._handlers: defaultdict[NoticeKind, list[Callable[[Notice], None]]] = defaultdict(list)
        self._missed: list[Callable[[], None]] = []

    def begin(self, me: str) -> None:
        """Receive from now on, as this node. All handlers are registered."""
        if self._transport is not None:
            self._transport.receive(me, self._receive, self._look)

    def tell(self, node_id: str, notice: Notice) -> None:
        if self._transport is not None:
            self._transport.send(node_id, _text(notice))

    def tell_all(self, notice: Notice) -> None:
        self.tell("", notice)

    def on(self, kind: NoticeKind, handler: Callable[[Notice], None]) -> None:
        self._handlers[kind].append(handler)

    def on_missed(self, handler: Callable[[], None]) -> None:
        self._missed.append(handler)

    def _receive(self, text: str) -> None:
        notice = _notice(text)
        if notice is None:  # of a newer release
            return
        for handler in self._handlers[notice.kind]:
            try:
                handler(notice)
            except Exception:
                log.exception("handler of a notice failed kind=%s", notice.kind)

    def _look(self) -> None:
        for handler in self._missed:
            try:
                handler()
            except Exception:
                log.exception("handler of missed notices failed")


def _text(notice: Notice) -> str:
    return json.dumps([notice.kind, notice.subject, notice.numbers, notice.detail], separators=(",", ":"))


def _notice(text: str) -> Notice | None:
    try:
        kind, subject, numbers, detail = json.loads(text)
        return Notice(NoticeKind(kind), str(subject), tuple(numbers), str(detail))
    except (ValueError, TypeError):
        return None
