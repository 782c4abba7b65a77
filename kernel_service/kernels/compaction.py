"""Items that stand for all items before them: the vendor's compactions, and summaries of ours.

A compaction is sealed, so only the model that made it reads it. For any other model the items before it are shown.

Source: the guide "Compaction" of OpenAI (items before the newest compaction may be dropped).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernel_service.ports.turns import COMPACTION, OUTSIDE, OWN, SUMMARY, TAINTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.turns import HistoryItem


_STANDING: Final = (COMPACTION, SUMMARY)
"""The kinds of such items."""


def replaces_earlier(kind: str, origin: str, model: str) -> bool:
    """Whether `model` (an origin) is shown this item instead of those before it.

    The summary of a merged person does not cover the items of the other person before it.
    """
    if kind == COMPACTION:
        return origin.removeprefix(TAINTED) == model
    return kind == SUMMARY and origin in (OWN, OUTSIDE)


def newest(items: Sequence[HistoryItem], model: str) -> int | None:
    """The index of the newest such item; None: there is none."""
    for place in range(len(items) - 1, -1, -1):
        item = items[place]
        if item.kind in _STANDING and replaces_earlier(item.kind, item.origin, model):
            return place
    return None
