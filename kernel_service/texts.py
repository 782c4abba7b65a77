"""Every fixed sentence that a person may be told, in one place. What the model says is not fixed."""

from __future__ import annotations

import math
from typing import Final

REFUSED: Final = "I can't help with that."
CUT: Final = "That answer grew too long, so I stopped here. Ask me to go on, or for a shorter one."
TOO_MANY_STEPS: Final = (
    "I took many steps and still wasn't done, so I stopped. Tell me how to go on, or ask for a smaller piece."
)
TOO_LONG: Final = "That took me too long, so I stopped. Please ask again, perhaps for a smaller piece."
FAILED: Final = "Something went wrong on my side and I could not answer that. Please try again, or put it another way."
STILL_TRYING: Final = "I can't reach what I need for that right now. I keep trying, and will answer as soon as I can."
_BUSY: Final = "I'm busy just now; it will take about {time}."
_BUDGET_SPENT: Final = "That's all I can do for you today. I can go on in about {time}."
_LAST_REPLY: Final = "This was my last message for today. I can go on in about {time}."
_LAST_FIXED_REPLY: Final = "I won't answer more messages like this one for about {time}. I still answer your questions."
STOPPED: Final = "Stopped. I'm not working on anything for you now."
NEW_CHAT: Final = "This is a new chat: I start afresh, and your connected accounts stay connected."
NO_ANSWER: Final = 'I have no answer to that. Please ask me again in other words, or write "new chat" to start afresh.'
NO_ANSWER_IN_TIME: Final = "I thought about that for too long and came to no answer. Please ask for a smaller piece."
_NO_WORDS_AFTER: Final = (
    "I used this: {made}. But I could not say what came of it. Please ask me about it, or check it yourself."
)
LINK_WARNING: Final = (
    "⚠️ Careful: I wrote this after I read something from others, and it has a link to {hosts} that nobody gave me in "
    "this form. Opening it may tell that site what we talk about, or what I read. Open it only if you expect it."
)
ONLY_A_BUTTON: Final = "Please use this button:"
ONLY_A_FILE: Final = "Here it is."
TOO_MUCH_AT_ONCE: Final = "That is more than I can read at once. Please ask for it in smaller pieces."
WAITED_TOO_LONG: Final = (
    "I could not answer that: what I need for it could not be reached for too long. Please ask again."
)

CONNECTED: Final = "{toolkit} is connected."
CONNECT_ALSO: Final = "And connect {toolkit} here:"
CONSENT_DENIED: Final = "{toolkit} was not connected: access was not granted. Ask me for a new link if you want to."
CODE_NEVER_CAME: Final = (
    "{toolkit} was not connected: its code was not sent to me in time. Ask me for a new link to try again."
)
CODE_TOO_LATE: Final = "That code for {toolkit} is no longer good, so nothing was connected. Ask me for a new link."
CODE_UNKNOWN: Final = "I don't know that code. Please check it, or ask me for a new link."
TOO_MANY_WRONG_CODES: Final = (
    "That was one wrong code too many. To be safe I ended what was being connected. Ask me for a new link."
)
CODE_OF_ANOTHER: Final = (
    "That code belongs to somebody else's chat, so nothing was connected, and the access that was granted is removed. "
    "If you were sent the link, somebody may have wanted your account: only follow links that I give you here."
)
CODE_USED_ELSEWHERE: Final = (
    "Your link for {toolkit} was followed by somebody else, so I ended it and nothing is connected. "
    "A link is for you alone: please don't pass it on. Ask me for a new one."
)
LINK_ASTRAY: Final = (
    "Your link for {toolkit} was begun in one browser and finished in another, so I ended it and nothing is connected. "
    "If you passed the link on: please don't, it is for you alone. If it was you in both browsers, write \"connect "
    '{toolkit}", copy the new link, and open it in the browser in which you sign in.'
)
CODE_MESSAGE: Final = "Connect {code}"
CONNECT_FAILED: Final = "{toolkit} could not be connected. Ask me for a new link to try again."
CONNECTION_LOST: Final = "Your {toolkit} is no longer connected: it has ended the access. Ask me to connect it again."

APPROVE: Final = "Approve"
REFUSE: Final = "Refuse"
APPROVE_ALL: Final = "Yes to all of these"
REFUSE_ALL: Final = "No"
APPROVE_ALWAYS: Final = "Yes, don't ask again"
APPROVAL_QUESTION: Final = "Please confirm:"
APPROVAL_TITLES: Final = "What these ids stand for:"
APPROVAL_IS_LONG: Final = "(This is long. Please read it to its end before you answer.)"
APPROVAL_DOCUMENT: Final = "(All of it is in the file above: {filename}, {kilobytes} kB.)"
APPROVAL_UNNAMED: Final = "(I can't show you everybody whom this reaches. If you are not sure, refuse, and look first.)"
APPROVAL_CUT: Final = "… {count} characters are left out here"
APPROVAL_OTHERS: Final = "… {count} more arguments are in the file"
APPROVAL_DECODED: Final = "… decoded: {names}"
APPROVAL_LETTERS: Final = "… with letters that look like others: {letters}"
APPROVAL_FILE: Final = "What I am about to ask you, in full:"
PERMISSION_GIVEN: Final = 'From now on I do this without asking: {action}. Write "ask me again" to take that back.'
PERMISSIONS: Final = (
    "You told me to do this without asking:\n\n{lines}\n\n"
    'Write "ask me again" to take all of it back, or "ask me again 1" for one of them. '
    "I always ask before I delete, share, pay or reach others."
)
NO_PERMISSIONS: Final = (
    "You have not told me to do anything without asking. I always ask before I delete, share, pay or reach others."
)
APPROVAL_REFUSED: Final = "All right, I didn't do it."
APPROVAL_WITHOUT_EFFECT: Final = {
    "lapsed": "That question is too old, so nothing was done. Ask me again if you still want it.",
    "used": "You have answered that already, so nothing more was done.",
    "withdrawn": "This question is no longer valid (you stopped me, or I asked you again), so nothing was done.",
    "unknown": "I don't know that question, so nothing was done.",
    "forwarded": "A button that was passed on approves nothing, so nothing was done.",
}

_UNSUPPORTED: Final = {
    "image": "I can't look at pictures of that type. Please send it as a JPEG or PNG.",
    "audio": "I can't listen to sound files of that type. Please send a voice message, or write to me.",
    "video": "I can't watch videos yet. Please tell me in words.",
    "document": "I can't open files of that type. I read PDF, Word, Excel, PowerPoint, CSV and plain text.",
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
    "request_welcome": "Hello, I am your assistant. What can I do for you?",
}
_UNSUPPORTED_KIND: Final = "I can't open that kind of message yet. Please write to me."


_WORDS: Final = {"image": "picture", "audio": "recording", "document": "file"}
_UNOPENED: Final = {
    "unavailable": "I could not get that {file}. Please send it again.",
    "expired": "That {file} is too old for me to fetch. Please send it again.",
    "too_large": "That {file} is too large for me. Please send a smaller one.",
    "too_long": "There is more in that {file} than I can read at once. Please send a part of it.",
    "damaged": "That {file} arrived damaged. Please send it again.",
    "wrong_type": "That {file} is not of the type that it claims to be, so I could not open it.",
    "locked": "That {file} is protected by a password, so I can't open it. Please send it without one.",
    "unreadable": "I could not make sense of that {file}. Perhaps it is damaged; please try another one.",
    "unheard": "I can't listen to recordings at the moment. Please write it to me instead.",
    "no_room": "I have no room for that {file} just now. Please send it again in a few minutes.",
}
FOR_MODEL: Final = {
    "unavailable": "[Attachment unavailable: it could not be fetched. Say so, and ask for it again.]",
    "expired": "[Attachment unavailable: it is too old to be fetched. Say so, and ask for it again.]",
    "too_large": "[Attachment unavailable: it is too large. Say so.]",
    "too_long": "[Attachment unavailable: it holds more than can be read at once. Say so, and ask for a part of it.]",
    "damaged": "[Attachment unavailable: it arrived damaged. Say so, and ask for it again.]",
    "wrong_type": "[Attachment unavailable: it is not of the type that it claims to be. Say so.]",
    "locked": "[Attachment unavailable: it is protected by a password. Say so, and ask for it without one.]",
    "unreadable": "[Attachment unavailable: no sense could be made of it. Say so.]",
    "unheard": "[Attachment unavailable: recordings cannot be heard at present. Say so, and ask for it in words.]",
    "no_room": "[Attachment unavailable: there is no room for it just now. Say so, and ask for it again later.]",
}
"""What the model is told, by the problem, in place of a file that cannot be opened."""


def unopened(kind: str, problem: str) -> str:
    """What to tell a person whose file cannot be opened, if there is nothing else to answer."""
    return _UNOPENED[problem].format(file=_WORDS.get(kind, "file"))


def in_words(tool: str) -> str:
    """The name of a tool that has no title: `delete_note` is "Delete note"."""
    return tool.replace("_", " ").capitalize()


def no_words_after(made: list[str]) -> str:
    """What to tell a person for whom these tools were called, and the model says nothing."""
    return _NO_WORDS_AFTER.format(made=", ".join(made))


def busy(seconds: float) -> str:
    """What to tell a person whose turn has to wait so long."""
    return _BUSY.format(time=_rounded(seconds))


def budget_spent(seconds: float) -> str:
    """What to tell a person for whom nothing more is done for so long."""
    return _BUDGET_SPENT.format(time=_rounded(seconds))


def last_reply(seconds: float, *, only_fixed: bool) -> str:
    """What the last reply of a day ends with, for a person who gets no more for so long."""
    return (_LAST_FIXED_REPLY if only_fixed else _LAST_REPLY).format(time=_rounded(seconds))


def _rounded(seconds: float) -> str:
    """Rather too long than too short: in steps of 5 seconds, then minutes, then hours."""
    if seconds <= 90:  # noqa: PLR2004
        return f"{5 * max(1, math.ceil(seconds / 5))} seconds"
    if seconds <= 90 * 60:
        return f"{math.ceil(seconds / 60)} minutes"
    return f"{math.ceil(seconds / 3600)} hours"


def unsupported(kind: str) -> str:
    """What to tell a person whose message of this kind cannot be worked on."""
    return _UNSUPPORTED.get(kind, _UNSUPPORTED_KIND)
