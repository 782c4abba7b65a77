"""The sentences about what the assistant remembers, for the person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

NOTHING: Final = "I remember nothing about you beyond this chat. You can tell me things to remember, such as your name."
FORGOTTEN: Final = "I do not keep that any more."
"""Also true of a number that no fact has."""
_HOW_TO_FORGET: Final = (
    'Write "forget fact 1" to delete the one of that number, or "forget everything you know about me". The '
    'words of this chat stay part of it until you start a "new chat".'
)
_TITLES: Final = {"name": "Your name: ", "language": "Your language: "}


def listed(facts: Iterable[tuple[int, str, str]], time_zone: str, *, said_zone: bool) -> str:
    """The list. A fact is its number, which "forget fact 1" takes, its label and its text; the zone may be unknown."""
    lines = [f"- {number}: {_TITLES.get(label, '')}{text}" for number, label, text in facts]
    if time_zone:
        source = "as you said" if said_zone else "as your app reports it"
        lines.append(f"- Your time zone: {time_zone} ({source})")
    if not lines:
        return NOTHING
    told = "\n".join(lines)
    return f"I remember this about you:\n\n{told}\n\n{_HOW_TO_FORGET}"


def forgotten(left: str) -> str:
    """After facts were deleted; `left` lists the others."""
    return f"{FORGOTTEN}\n\n{left}"
