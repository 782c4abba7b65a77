"""Commands of a person to the system instead of to their assistant. Recognised when the message is accepted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kernel_service.inbox.phrases import Phrase, facts_in, phrase_in, words_behind
from kernel_service.ports.commands import (
    RESUME_SCHEDULES,
    STOP_SCHEDULE,
    ApprovalButton,
    ApprovalButtonKind,
    Command,
)
from kernel_service.ports.payloads import Choice, Opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.payloads import Payload


_TAP = re.compile(r"approval:([\w-]{1,64}):(yes|no|always)")
_PHRASES: Final = {
    Phrase.STOP: Command.STOP,
    Phrase.NEW_CHAT: Command.NEW_CHAT,
    Phrase.PERMISSIONS: Command.PERMISSIONS,
    Phrase.ASK_AGAIN: Command.ASK_AGAIN,
    Phrase.FACTS: Command.FACTS,
    Phrase.FORGET: Command.FORGET,
}


def command_of(payload: Payload, *, under_way: Callable[[], bool]) -> Command:
    """The command of a message, except a code, which only the store can recognise.

    A command is a button from any sender, or a phrase of the person. "Cancel it" is STOP if a turn is `under_way`, and
    otherwise for the assistant. ASK_AGAIN is a command only if a standing permission matches its words.
    """
    if isinstance(payload.content, Opened):
        return Command.OPENED
    if isinstance(payload.content, Choice):
        if button_in(payload):
            return Command.APPROVAL
        if payload.content.id == RESUME_SCHEDULES or payload.content.id.startswith(STOP_SCHEDULE):
            return Command.SCHEDULE_BUTTON
    phrase = None if payload.forwarded else phrase_in(payload.text)
    if phrase is Phrase.TAKE_BACK:
        return Command.STOP if under_way() else Command.NONE
    return _PHRASES.get(phrase, Command.NONE) if phrase else Command.NONE


def asked_again_for(payload: Payload) -> str:
    """The words after "ask me again"; empty: none, so that it concerns all permissions."""
    return words_behind(Phrase.ASK_AGAIN, payload.text)


def facts_to_forget(payload: Payload) -> list[int] | None:
    """The numbers of the facts that the person wants to be forgotten; None: everything."""
    return facts_in(payload.text) or None


def button_in(payload: Payload) -> ApprovalButton | None:
    """The tapped button of a message; None: it is not a button. Text is never treated as one."""
    match = _TAP.fullmatch(payload.content.id) if isinstance(payload.content, Choice) else None
    return ApprovalButton(match[1], ApprovalButtonKind(match[2])) if match else None
