"""What a person says to the system and not to his assistant: recognised when the message is accepted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Command(StrEnum):
    """Never merged with other messages and never shown to the model. NONE: the message is for the assistant."""

    NONE = ""
    STOP = "stop"
    CODE = "code"
    APPROVAL = "approval"


CODE_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""Without vowels, so that no word is taken for a code."""

_WORDS = {"stop": Command.STOP, "/stop": Command.STOP}
_TAP = re.compile(r"approval:([\w-]{1,64}):(yes|no)")
_CODE = re.compile(rf"(?:connect\s+)?([{CODE_LETTERS}]{{4}})[-–\s]?([{CODE_LETTERS}]{{4}})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tap:
    """A tapped button of a question whether something may be done."""

    approval_id: str
    approved: bool

    @property
    def choice_id(self) -> str:
        return f"approval:{self.approval_id}:{'yes' if self.approved else 'no'}"


def command_of(content: Mapping[str, Any]) -> Command:
    """The command that a message's content is.

    A word alone, in any case, with or without a mark at its end; or a button, whoever sends it.
    """
    if tap_in(content):
        return Command.APPROVAL
    text = content.get("text")
    if not isinstance(text, str):
        return Command.NONE
    if code_in(text):
        return Command.CODE
    return _WORDS.get(_bare(text).casefold(), Command.NONE)


def tap_in(content: Mapping[str, Any]) -> Tap | None:
    """The tapped button that a message is; None: it is none. Words are never one."""
    choice = content.get("choice")
    match = _TAP.fullmatch(str(choice.get("id", ""))) if isinstance(choice, dict) else None
    return Tap(match[1], approved=match[2] == "yes") if match else None


def code_in(text: str) -> str:
    """The code of a connection that a text is, as `BCDF-GHJK`; empty: it is none."""
    match = _CODE.fullmatch(_bare(text))
    return f"{match[1]}-{match[2]}".upper() if match else ""


def _bare(text: str) -> str:
    return text.strip().rstrip(".!… ")
