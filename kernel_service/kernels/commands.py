"""What a person says to the system and not to his assistant: recognised when the message is accepted."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Command(StrEnum):
    """Never merged with other messages and never shown to the model. NONE: the message is for the assistant."""

    NONE = ""
    STOP = "stop"


_WORDS = {"stop": Command.STOP, "/stop": Command.STOP}


def command_of(content: Mapping[str, Any]) -> Command:
    """The command that a message's content is: the word alone, in any case, with or without a mark at its end."""
    text = content.get("text")
    if not isinstance(text, str):
        return Command.NONE
    return _WORDS.get(text.strip().rstrip(".!… ").casefold(), Command.NONE)
