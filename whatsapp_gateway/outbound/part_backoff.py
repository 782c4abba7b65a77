"""Counts how often WhatsApp rejected a part as too many messages to one person, for exponential backoff."""

from collections import OrderedDict
from typing import Final

MOST_REMEMBERED: Final = 10_000


class PartBackoff:
    """Rejections by the part's callback id, as far as this process remembers."""

    def __init__(self) -> None:
        self._refused: OrderedDict[str, tuple[int, str]] = OrderedDict()

    def count_refusal(self, callback_id: str, wamid: str = "") -> int:
        """Count one more rejection; return the number of earlier ones. Repeats of a status, which has a wamid, count
        once.
        """
        if not callback_id:
            return 0
        times, told_of = self._refused.pop(callback_id, (0, ""))
        if not wamid or wamid != told_of:
            times += 1
        self._refused[callback_id] = times, wamid
        if len(self._refused) > MOST_REMEMBERED:
            self._refused.popitem(last=False)
        return times - 1
