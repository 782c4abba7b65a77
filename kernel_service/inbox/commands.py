"""What a person says to the system and not to their assistant: recognised when the message is accepted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kernel_service.inbox.phrases import Phrase, phrase_in, words_behind
from kernel_service.ports.commands import ApprovalButton, ApprovalButtonKind, Command
from kernel_service.ports.payloads import Choice

if TYPE_CHECKING:
    from kernel_service.ports.payloads import Payload


_TAP = re.compile(r"approval:([\w-]{1,64}):(yes|no|always)")
_PHRASES: Final = {
    Phrase.STOP: Command.STOP,
    Phrase.NEW_CHAT: Command.NEW_CHAT,
    Phrase.PERMISSIONS: Command.PERMISSIONS,
    Phrase.ASK_AGAIN: Command.ASK_AGAIN,
}


def command_of(payload: Payload) -> Command:
    """The command that a message is, but for codes: whether a text brings one, what is stored tells.

    A button, whoever sends it; or a phrase of the person's own. ASK_AGAIN is one only if something stands that its
    words mean.
    """
    if button_in(payload):
        return Command.APPROVAL
    phrase = _phrase_of(payload)
    return _PHRASES.get(phrase, Command.NONE) if phrase else Command.NONE


def takes_back(payload: Payload) -> bool:
    """Whether a message is Command.STOP while something is under way, and else for the assistant: "cancel it"."""
    return _phrase_of(payload) is Phrase.TAKE_BACK


def _phrase_of(payload: Payload) -> Phrase | None:
    return None if payload.forwarded else phrase_in(payload.text)


def asked_again_for(payload: Payload) -> str:
    """What stands behind "ask me again"; empty: nothing, so that it is about everything."""
    return words_behind(Phrase.ASK_AGAIN, payload.text)


def button_in(payload: Payload) -> ApprovalButton | None:
    """The tapped button that a message is; None: it is none. Words are never one."""
    match = _TAP.fullmatch(payload.content.id) if isinstance(payload.content, Choice) else None
    return ApprovalButton(match[1], ApprovalButtonKind(match[2])) if match else None
