"""Sentences that answer a turn without the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernel_service import texts
from kernel_service.media.incoming import media_id_of
from kernel_service.ports.commands import Command
from kernel_service.ports.messages import Reply
from kernel_service.turns.execution.endings import Finished, fixed_reply

if TYPE_CHECKING:
    from kernel_service.ports.turns import Turn, TurnMessage
    from kernel_service.turns.files.turn_files import TurnFiles

SILENT_KINDS: Final = frozenset({"reaction", "revoke"})
"""Nobody expects an answer to these alone."""

SPOKEN_KINDS: Final = frozenset({"text", "choice", "edit", "location", "contacts"})
"""What the model can be asked about, as it can about a caption or a file that it can be shown."""


def fixed_answer(turn: Turn, files: TurnFiles) -> Finished | None:
    """None: ask the model."""
    if turn.messages[0].command is Command.STOP:
        return fixed_reply(texts.STOPPED)
    if turn.messages[0].command is Command.NEW_CHAT:
        return fixed_reply(texts.NEW_CHAT)
    if turn.begun or any(_for_model(message, files) for message in turn.messages):
        return None
    excuses = (_excuse(message, files) for message in turn.messages if _kind(message) not in SILENT_KINDS)
    return Finished(tuple(Reply(text) for text in dict.fromkeys(excuses)), fixed=True)


def _for_model(message: TurnMessage, files: TurnFiles) -> bool:
    """Whether the model can answer something in the message."""
    if message.content.get("caption") or _kind(message) in SPOKEN_KINDS:
        return True
    return bool(media_id_of(message.content)) and files.problem(message) is None


def _excuse(message: TurnMessage, files: TurnFiles) -> str:
    if problem := files.problem(message):
        return texts.unopened(_kind(message), problem)
    return texts.unsupported(_unsupported_kind(message))


def _kind(message: TurnMessage) -> str:
    """The kind of content: `text`, `image`, …, `unsupported`."""
    beside = {"caption", "quoted_message_id", "sent_at", "forwarded", "referral"}
    return next((key for key in message.content if key not in beside), "unsupported")


def _unsupported_kind(message: TurnMessage) -> str:
    """As _kind(), but for `unsupported` the kind that the channel could not pass on."""
    kind = _kind(message)
    return str(message.content.get(kind, {}).get("kind", kind)) if kind == "unsupported" else kind
