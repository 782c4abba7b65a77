"""Parts that were too much for their person: each is sent later and later, whichever way WhatsApp says so."""

from collections import OrderedDict
from typing import Final

MOST_REMEMBERED: Final = 10_000


class PartBackoff:
    """How often each part was refused, as far as this process remembers; parts by their callback ids."""

    def __init__(self) -> None:
        self._refused: OrderedDict[str, tuple[int, str]] = OrderedDict()

    def before(self, callback_id: str, wamid: str = "") -> int:
        """How often it was refused before this. A status, which names a wamid, counts once, however often it comes."""
        if not callback_id:
            return 0
        times, told_of = self._refused.pop(callback_id, (0, ""))
        if not wamid or wamid != told_of:
            times += 1
        self._refused[callback_id] = times, wamid
        if len(self._refused) > MOST_REMEMBERED:
            self._refused.popitem(last=False)
        return times - 1
