"""Every fixed sentence that a person may be told, in one place. What the model says is not fixed."""

from __future__ import annotations

from typing import Final

REFUSED: Final = "I can't help with that."
CUT: Final = "That answer grew too long, so I stopped here. Ask me to go on, or for a shorter one."
TOO_MANY_STEPS: Final = (
    "I took many steps and still wasn't done, so I stopped. Tell me how to go on, or ask for a smaller piece."
)
TOO_LONG: Final = "That took me too long, so I stopped. Please ask again, perhaps for a smaller piece."
FAILED: Final = "Something went wrong on my side and I could not answer that. Please try again or say it otherwise."
STILL_TRYING: Final = "I can't reach my tools or my model right now. I keep trying and will answer by myself."
BUDGET_SPENT: Final = "That's all I can do for you today. Please write again tomorrow."
STOPPED: Final = "Stopped. I'm not working on anything for you now."
NOTHING_TO_SAY: Final = "Done."

CONNECTED: Final = "{toolkit} is connected."
CONNECT_ALSO: Final = "And connect {toolkit} here:"

_UNSUPPORTED: Final = {
    "image": "I can't look at pictures yet. Please tell me in words.",
    "audio": "I can't listen to voice messages yet. Please write to me.",
    "video": "I can't watch videos yet. Please tell me in words.",
    "document": "I can't read files yet. Please paste the text.",
    "sticker": "I can't see stickers yet. Please tell me in words.",
    "location": "I could not read that place. Please write the address.",
    "contacts": "I could not read that contact card. Please write the details.",
    "interactive": "I could not read that answer. Please write it to me.",
    "order": "I could not read that order. Please write to me what you would like.",
    "edit": "I can't see what you changed. Please send the new text as a message.",
    "poll_creation": "I can't see polls yet. Please write to me.",
    "text_too_long": "That is longer than I can read at once. Please send it in smaller pieces.",
    "unavailable": "That message did not reach me whole. Please send it again.",
    "unsupported": "WhatsApp could not pass that message on to me. Please send it again, or write it in words.",
    "request_welcome": "Hello! I am your assistant. What can I do for you?",
}
_UNSUPPORTED_KIND: Final = "I can't open that kind of message yet. Please write to me."


def unsupported(kind: str) -> str:
    """What to tell a person whose message of this kind cannot be worked on."""
    return _UNSUPPORTED.get(kind, _UNSUPPORTED_KIND)
