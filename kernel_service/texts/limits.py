"""The sentences for a person who has to wait, or who has reached a limit."""

from __future__ import annotations

import math
from typing import Final

STILL_TRYING: Final = (
    "A service that I need for this does not respond right now. I keep trying and will answer as soon as I can; you "
    'don\'t need to ask again. Write "stop" to cancel.'
)
WAITED_TOO_LONG: Final = (
    "I could not answer that: a service that I need was unavailable for too long. Please ask again."
)


def busy(seconds: float) -> str:
    """For a person whose turn has to wait for about `seconds`."""
    return f"I'm busy right now. You don't need to ask again: I will answer in about {_rounded(seconds)}."


def budget_spent(seconds: float) -> str:
    """For a person whose request is not done: there are no tokens left for about `seconds`."""
    return f"Today's limit is reached, so I can't do that now. Please ask again in about {_rounded(seconds)}."


def last_reply(seconds: float) -> str:
    """The end of a day's last reply. The next one is possible after about `seconds`."""
    return f"This is my last message for today. Please write again in about {_rounded(seconds)}."


def last_question(seconds: float) -> str:
    """The end of a day's last reply, which has buttons: they still work."""
    return (
        "This is my last message for today, but its buttons still work. "
        f"Otherwise please write again in about {_rounded(seconds)}."
    )


def last_fixed_reply(seconds: float) -> str:
    """The end of a day's last reply of those that no model writes. Questions are still answered."""
    return f"I won't answer messages like this one again for about {_rounded(seconds)}. I still answer your questions."


def _rounded(seconds: float) -> str:
    """Rather too long than too short: in steps of 5 seconds, then minutes, then hours."""
    if seconds <= 90:  # noqa: PLR2004
        return f"{5 * max(1, math.ceil(seconds / 5))} seconds"
    if seconds <= 90 * 60:
        return f"{math.ceil(seconds / 60)} minutes"
    return f"{math.ceil(seconds / 3600)} hours"
