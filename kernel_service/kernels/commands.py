"""What a person says to the system and not to his assistant: recognised when the message is accepted."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Command(StrEnum):
    """Never merged with other messages and never shown to the model. NONE: the message is for the assistant."""

    NONE = ""
    STOP = "stop"
    CODE = "code"


CODE_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""Without vowels, so that no word is taken for a code."""

_WORDS = {"stop": Command.STOP, "/stop": Command.STOP}
_CODE = re.compile(rf"(?:connect\s+)?([{CODE_LETTERS}]{{4}})[-–\s]?([{CODE_LETTERS}]{{4}})", re.IGNORECASE)


def command_of(content: Mapping[str, Any]) -> Command:
    """The command that a message's content is: the word alone, in any case, with or without a mark at its end."""
    text = content.get("text")
    if not isinstance(text, str):
        return Command.NONE
    if code_in(text):
        return Command.CODE
    return _WORDS.get(_bare(text).casefold(), Command.NONE)


def code_in(text: str) -> str:
    """The code of a connection that a text is, as `BCDF-GHJK`; empty: it is none."""
    match = _CODE.fullmatch(_bare(text))
    return f"{match[1]}-{match[2]}".upper() if match else ""


def _bare(text: str) -> str:
    return text.strip().rstrip(".!… ")
