"""What a person says to the system and not to their assistant: recognised when the message is accepted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from kernel_service.inbox.phrases import Phrase, phrase_in, words_behind
from kernel_service.ports.commands import Command, Tap, TapKind

if TYPE_CHECKING:
    from collections.abc import Mapping


_TAP = re.compile(r"approval:([\w-]{1,64}):(yes|no|always)")
_PHRASES: Final = {
    Phrase.STOP: Command.STOP,
    Phrase.NEW_CHAT: Command.NEW_CHAT,
    Phrase.PERMISSIONS: Command.PERMISSIONS,
    Phrase.ASK_AGAIN: Command.ASK_AGAIN,
}


def command_of(content: Mapping[str, Any]) -> Command:
    """The command that a message's content is, but for codes: whether a text brings one, what is stored tells.

    A button, whoever sends it; or a phrase of the person's own. ASK_AGAIN is one only if something stands that its
    words mean.
    """
    if tap_in(content):
        return Command.APPROVAL
    phrase = _phrase_of(content)
    return _PHRASES.get(phrase, Command.NONE) if phrase else Command.NONE


def takes_back(content: Mapping[str, Any]) -> bool:
    """Whether a message is Command.STOP while something is under way, and else for the assistant: "cancel it"."""
    return _phrase_of(content) is Phrase.TAKE_BACK


def _phrase_of(content: Mapping[str, Any]) -> Phrase | None:
    return None if content.get("forwarded") else phrase_in(text_of(content))


def asked_again_for(content: Mapping[str, Any]) -> str:
    """What stands behind "ask me again"; empty: nothing, so that it is about everything."""
    return words_behind(Phrase.ASK_AGAIN, text_of(content))


def text_of(content: Mapping[str, Any]) -> str:
    """What was written, or what a text reads now that the person has changed it; empty: the message is no text."""
    edit = content.get("edit")
    text = edit.get("text") if isinstance(edit, dict) else content.get("text")
    return text if isinstance(text, str) else ""


def tap_in(content: Mapping[str, Any]) -> Tap | None:
    """The tapped button that a message is; None: it is none. Words are never one."""
    choice = content.get("choice")
    match = _TAP.fullmatch(str(choice.get("id", ""))) if isinstance(choice, dict) else None
    return Tap(match[1], TapKind(match[2])) if match else None
