"""What a person says to the system and not to their assistant: recognised when the message is accepted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kernel_service.inbox.phrases import Phrase, phrase_in, words_behind
from kernel_service.ports.commands import ApprovalButton, ApprovalButtonKind, Command
from kernel_service.ports.payloads import Choice

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.payloads import Payload


_TAP = re.compile(r"approval:([\w-]{1,64}):(yes|no|always)")
_PHRASES: Final = {
    Phrase.STOP: Command.STOP,
    Phrase.NEW_CHAT: Command.NEW_CHAT,
    Phrase.PERMISSIONS: Command.PERMISSIONS,
    Phrase.ASK_AGAIN: Command.ASK_AGAIN,
}


def command_of(payload: Payload, *, under_way: Callable[[], bool]) -> Command:
    """The command that a message is, except a code: whether a text brings one, the store tells.

    A button, whoever sends it; or a phrase of the person's own. "Cancel it" is STOP if something is `under_way`, and
    else for the assistant. ASK_AGAIN is a command only if something stands that its words mean.
    """
    if button_in(payload):
        return Command.APPROVAL
    phrase = None if payload.forwarded else phrase_in(payload.text)
    if phrase is Phrase.TAKE_BACK:
        return Command.STOP if under_way() else Command.NONE
    return _PHRASES.get(phrase, Command.NONE) if phrase else Command.NONE


def asked_again_for(payload: Payload) -> str:
    """What stands behind "ask me again"; empty: nothing, so that it is about everything."""
    return words_behind(Phrase.ASK_AGAIN, payload.text)


def button_in(payload: Payload) -> ApprovalButton | None:
    """The tapped button that a message is; None: it is none. Words are never one."""
    match = _TAP.fullmatch(payload.content.id) if isinstance(payload.content, Choice) else None
    return ApprovalButton(match[1], ApprovalButtonKind(match[2])) if match else None
