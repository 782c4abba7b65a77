"""The sentences about schedules: reminders, what runs at a time, and what is paused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

STOP: Final = "Stop this reminder"
"""The button of a reminder. WhatsApp allows 20 characters."""
STOPPED: Final = "This reminder is stopped: it does not come again."
RESUME: Final = "Resume"
UNREADABLE: Final = "You asked me for a reminder now, but I can no longer read what it was about. I'm sorry."
NOTHING_PAUSED: Final = "Nothing is paused: everything runs as it was set."
MOST_LISTED: Final = 10
MOST_QUOTED: Final = 100
"""Characters of a request."""


_LATE: Final = "\n\n(This was due "


def late(request: str, due: str) -> str:
    """A reminder, or another reply of a run, that comes late. `due`: when it was due, in words."""
    return f"{request}{_LATE}{due}.)"


def stopped(reminder: str) -> str:
    """After the button of a reminder, which may be an old one. `reminder`: what it said; empty: no longer known."""
    request = reminder.partition(_LATE)[0]
    return f"Stopped: “{_quoted(request)}” does not come again." if request else STOPPED


def paused(requests: Sequence[str]) -> str:
    """For a person who writes after a silence: what they asked for is paused."""
    return (
        "I had not heard from you for a while, so I paused this:\n\n"
        f"{_listed(requests)}\n\n"
        f'Tap "{RESUME}" if you still want it, or tell me to delete it.'
    )


def stay(schedules: Sequence[tuple[str, str]]) -> str:
    """For a person who is in another time zone now: each schedule that keeps its own, by its request and its words."""
    listed = [f"- “{_quoted(request)}”: {words}" for request, words in schedules[:MOST_LISTED]]
    listed += [f"- and {len(schedules) - MOST_LISTED} more"] if len(schedules) > MOST_LISTED else []
    lines = "\n".join(listed)
    keeps, it = ("These keep their", "they") if len(schedules) > 1 else ("This keeps its", "it")
    return f"{keeps} time zone:\n\n{lines}\n\nTell me if {it} should follow you."


def resumed(requests: Sequence[str]) -> str:
    """After the button that resumes what was paused."""
    return f"I resumed this:\n\n{_listed(requests)}"


def not_done(request: str, why: str) -> str:
    """For a person who did not ask for anything just now: a scheduled request was not done."""
    return f"It was time for “{_quoted(request)}”, but it is not done. {why}"


def _listed(requests: Sequence[str]) -> str:
    listed = [f"- {_quoted(request)}" for request in requests[:MOST_LISTED]]
    if len(requests) > MOST_LISTED:
        listed.append(f"- and {len(requests) - MOST_LISTED} more")
    return "\n".join(listed)


def _quoted(request: str) -> str:
    """The beginning of a request, on one line."""
    words = " ".join(request.split()) or "something that I can no longer read"
    return words if len(words) <= MOST_QUOTED else f"{words[:MOST_QUOTED].rstrip()} …"
