"""Counts the events of Composio that were not taken, and logs some of them."""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from serving.one_line import LineLimit

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

TOO_LARGE: Final = "too_large"
STALLED: Final = "stalled"
WRONG_SIGNATURE: Final = "wrong_signature"
_REMEDIES: Final = {
    TOO_LARGE: "its news is lost; let the trigger bring less, for example no attachments",
    STALLED: "its body did not come in time; look at the proxy in front of the connect pages",
    WRONG_SIGNATURE: "compare COMPOSIO_WEBHOOK_SECRET with the project's webhook, unless a stranger sent it",
}


class RefusedEvents:
    """Of requests that carry the headers of Composio's signature. Others come from strangers.

    `now` is a monotonic clock.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[str] = Counter()
        self._now = now
        self._lines: defaultdict[str, LineLimit] = defaultdict(LineLimit)

    def note(self, reason: str, size: int | None = None) -> None:
        """`size` is that of the body in bytes; None: it is not known. Nothing of the body is logged."""
        self.counts[reason] += 1
        dropped = self._lines[reason].admit(self._now())
        if dropped is not None:
            log.warning(
                "event of Composio refused reason=%s bytes=%s more_since_the_last_line=%d: %s",
                reason,
                "unknown" if size is None else size,
                dropped,
                _REMEDIES[reason],
            )
