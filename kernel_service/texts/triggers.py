"""The sentences about events that people want to be told of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_QUOTED: Final = 100
"""Characters of a request."""


def watched(account: str, request: str) -> str:
    """After a trigger was created. `request` is the person's."""
    return f"I watch your {account} account for this: “{request}”."


def whenever(name: str, account: str) -> str:
    """`name`: the vendor's name of the kind of event."""
    return f"on news in your {account} account ({name})"


def limited(count: int) -> str:
    """Once a day."""
    return (
        f"I have looked at news from your accounts {count} times today, so I keep further news until tomorrow. "
        "If it is too much, ask me what I watch, and tell me what to stop."
    )


def lost(name: str, toolkit: str) -> str:
    """`name`: the vendor's name of the kind of event."""
    return (
        f"I can no longer watch your {toolkit} account for “{name}”. If you still want to be told, ask me to set it up "
        "again."
    )


def ended(requests: Sequence[str]) -> str:
    """Of the triggers of an account that is no longer connected; empty: it had none."""
    if not requests:
        return ""
    return f"So I no longer watch it for this: {', '.join(map(_quoted, requests))}. Ask me again once it is connected."


def not_told(request: str, why: str) -> str:
    """Events came that the assistant cannot look at. `why` is a sentence."""
    return f"Something came for {_quoted(request)}, but I cannot look at it. {why}"


def _quoted(request: str) -> str:
    """The beginning, on one line."""
    words = " ".join(request.split())
    return f"“{words if len(words) <= MOST_QUOTED else f'{words[:MOST_QUOTED].rstrip()} …'}”"
