"""Fixed sentences that answer a turn without the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernel_service import texts
from kernel_service.ports.commands import Command
from kernel_service.ports.messages import Reply
from kernel_service.ports.payloads import (
    Choice,
    Contacts,
    Edit,
    Location,
    Opened,
    Reaction,
    Revoke,
    Scheduled,
    Text,
    Triggered,
    Unsupported,
)
from kernel_service.turns.execution.endings import Finished, fixed_reply

if TYPE_CHECKING:
    from kernel_service.ports.turns import Turn, TurnMessage
    from kernel_service.turns.files.turn_files import TurnFiles

SILENT: Final = (Reaction, Revoke, Opened)
"""Content that needs no answer if it comes alone."""

SPOKEN: Final = (Text, Choice, Edit, Location, Contacts, Scheduled, Triggered)
"""Content that the model can answer, like a caption or a file that it can be shown."""


def awaits_answer(turn: Turn) -> bool:
    return not all(isinstance(message.payload.content, SILENT) for message in turn.messages)


def fixed_answer(turn: Turn, files: TurnFiles) -> Finished | None:
    """None: ask the model."""
    match turn.messages[0].command:
        case Command.STOP:
            return fixed_reply(texts.answers.STOPPED)
        case Command.NEW_CHAT:
            return fixed_reply(texts.answers.NEW_CHAT)
        case Command.OPENED:
            return _welcome(turn.messages[0])
    if turn.begun or any(_for_model(message, files) for message in turn.messages):
        return None
    asking = (message for message in turn.messages if not isinstance(message.payload.content, SILENT))
    excuses = dict.fromkeys(_excuse(message, files) for message in asking)
    return Finished(tuple(map(Reply, excuses)), fixed=True)


def _welcome(message: TurnMessage) -> Finished:
    """The replies that were held for the person are the answer."""
    content = message.payload.content
    has_something = isinstance(content, Opened) and content.released
    return Finished((), fixed=True) if has_something else fixed_reply(texts.answers.NOTHING_WAITS)


def _for_model(message: TurnMessage, files: TurnFiles) -> bool:
    """Whether the model can answer something in the message."""
    if message.payload.caption or isinstance(message.payload.content, SPOKEN):
        return True
    return bool(message.payload.media_id) and files.problem(message) is None


def _excuse(message: TurnMessage, files: TurnFiles) -> str:
    content = message.payload.content
    if problem := files.problem(message):
        return texts.attachments.unopened(content.KIND, problem)
    return texts.attachments.unsupported(
        content.kind or content.KIND if isinstance(content, Unsupported) else content.KIND
    )
