"""The words of a person among the messages of a conversation, without the notes that the system adds to them."""

import re
from collections.abc import Iterable

_BY_THE_SYSTEM = re.compile(
    r"\[(?:A (?:reminder|schedule) that the person set is due|Something happened in |The person (?:approved|refused) )"
)
_FORWARDED = re.compile(r"^\[Forwarded by the person; another person wrote the following\.\]$", re.MULTILINE)
_RESUMES = re.compile(r"\[[^\]\n]+ is connected now\.")
_NOTE = re.compile(r"^\[[^\n]*\]\n?", re.MULTILINE)
_VOICE = re.compile(r"^\(voice\) ", re.MULTILINE)


def own_words(messages: Iterable[str]) -> list[str]:
    """Those of each message that has some, oldest first."""
    kept: list[str] = []
    for message in messages:
        if _RESUMES.match(message):
            # The requests that waited stand before this note once more.
            while kept and kept[-1] in kept[:-1]:
                kept.pop()
        elif words := _words(message):
            kept.append(words)
    return kept


def _words(message: str) -> str:
    if _BY_THE_SYSTEM.match(message) or _FORWARDED.search(message):
        return ""
    return _VOICE.sub("", _NOTE.sub("", message)).strip()
