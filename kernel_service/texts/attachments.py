"""The texts about messages and files that cannot be read: for the person, and for the model instead of the file."""

from __future__ import annotations

from typing import Final

UNSUPPORTED: Final = {
    "image": "I can't open pictures of this type. Please send it as a JPEG or PNG.",
    "audio": "I can't open sound files of this type. Please send a voice message, or write to me.",
    "video": "I can't watch videos yet. Please tell me in words.",
    "document": "I can't open files of this type. I read PDF, Word, Excel, PowerPoint, CSV and plain text.",
    "sticker": "I can't see stickers yet. Please tell me in words.",
    "location": "I could not read that location. Please write the address.",
    "contacts": "I could not read that contact card. Please write the details.",
    "interactive": "I could not read that answer. Please write it to me.",
    "order": "I could not read that order. Please write what you would like.",
    "edit": "I can't see what you changed. Please send the new text as a message.",
    "poll_creation": "I can't see polls yet. Please write to me.",
    "text_too_long": "That message is longer than I can read at once. Please send it in smaller parts.",
    "unavailable": "That message did not reach me completely. Please send it again.",
    "unsupported": "WhatsApp could not pass that message on to me. Please send it again, or write it in words.",
    "request_welcome": "Hello, I am your assistant. What can I do for you?",
}
_UNSUPPORTED_KIND: Final = "I can't open that kind of message yet. Please write to me."

_WORDS: Final = {"image": "picture", "audio": "recording", "document": "file"}


def unsupported(kind: str) -> str:
    """For a person whose message of this kind cannot be worked on."""
    return UNSUPPORTED.get(kind, _UNSUPPORTED_KIND)


def unopened(kind: str, problem: str) -> str:
    """For a person whose file cannot be opened, if there is nothing else to answer."""
    return _unopened(_WORDS.get(kind, "file"))[problem]


def _unopened(file: str) -> dict[str, str]:
    return {
        "unavailable": f"I could not get that {file}. Please send it again.",
        "expired": f"That {file} is too old for me to get. Please send it again.",
        "too_large": f"That {file} is too large for me. Please send a smaller one.",
        "too_long": f"There is more in that {file} than I can read at once. Please send a part of it.",
        "damaged": f"That {file} arrived damaged. Please send it again.",
        "wrong_type": f"That {file} is not of the type that its name says. Please send another one.",
        "locked": f"That {file} is protected by a password, so I can't open it. Please send it without one.",
        "unreadable": f"I could not read that {file}. It may be damaged. Please try another one.",
        "unheard": "I can't listen to recordings right now. Please write it to me instead.",
        "no_room": f"I have no room for that {file} right now. Please send it again in a few minutes.",
    }


FOR_MODEL: Final = {
    "unavailable": "[Attachment unavailable: it could not be fetched. Say so, and ask for it again.]",
    "expired": "[Attachment unavailable: it is too old to be fetched. Say so, and ask for it again.]",
    "too_large": "[Attachment unavailable: it is too large. Say so.]",
    "too_long": "[Attachment unavailable: it holds more than can be read at once. Say so, and ask for a part of it.]",
    "damaged": "[Attachment unavailable: it arrived damaged. Say so, and ask for it again.]",
    "wrong_type": "[Attachment unavailable: it is not of the type that it claims to be. Say so.]",
    "locked": "[Attachment unavailable: it is protected by a password. Say so, and ask for it without one.]",
    "unreadable": "[Attachment unavailable: it could not be read. Say so.]",
    "unheard": "[Attachment unavailable: recordings cannot be heard right now. Say so, and ask for it in words.]",
    "no_room": "[Attachment unavailable: there is no room for it right now. Say so, and ask for it again later.]",
}
"""The text for the model instead of a file that cannot be opened, by the problem."""
