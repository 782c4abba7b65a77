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
    "location": "I can't read places yet. Please write the address.",
    "contacts": "I can't read contact cards yet. Please write the details.",
}
_UNSUPPORTED_KIND: Final = "I can't open that kind of message yet. Please write to me."


def unsupported(kind: str) -> str:
    """What to tell a person whose message of this kind cannot be worked on."""
    return _UNSUPPORTED.get(kind, _UNSUPPORTED_KIND)
