"""The rule-based model's words about itself: what it can do, and how it answers a greeting."""

import re
from collections.abc import Sequence

_HELP = re.compile(
    r"^\W*(?:/?help|/?start|menu|commands?|examples?|options?|info)\b\W*$"
    r"|\bwhat (?:else )?(?:can|could|do) (?:you|u|i) (?:do|say|ask|try|write|offer)\b"
    r"|\bwhat (?:are you able to|should i (?:try|ask|say|write|do)|works)\b"
    r"|\bhow (?:do(?:es)? (?:i|you|this|it|that) (?:work|use)|can you help|to use)\b"
    r"|\b(?:can|could) you help\b|\bi need (?:some )?help\b|\bhelp me\W*$"
    r"|\bwho are you\b|\bwhat are you\W*$|\byour (?:skills|abilities|features)\b"
    r"|^\W*\?+\W*$",
    re.IGNORECASE,
)
_GREETING = re.compile(
    r"\W*(?:hi+|hey+|hello+|hallo|hola|bonjour|ciao|salut|namaste|servus|moin|yo|howdy|hiya|greetings|welcome"
    r"|good (?:morning|afternoon|evening|day))(?:[\s,]+(?:there|again|assistant|you|all|everyone|bot))*\W*",
    re.IGNORECASE,
)
_WAVES = re.compile(r"[\s👋🙋🙂😀😊🤚✋🖐️\U0001f3fb-\U0001f3ff]*[👋🙋][\s👋🙋🙂😀😊🤚✋🖐️\U0001f3fb-\U0001f3ff]*")

HINT = "Write “help” to see what I can do."

_INTRODUCTION = "I answer by fixed rules until a real model takes my place. These requests work:"

# The tool that the requests need, or none, and the requests in the words that the rules read.
_REQUESTS = (
    ("connect", "“create a task: Water the plants”, then “list my tasks”. I ask for your Asana account first."),
    ("connect", "“list my mails”, “send a mail to ada@example.com: See you at six”. I ask before I send one."),
    ("connect", "“tell me when a mail from the bank arrives”"),
    ("create_schedule", "“remind me in 10 minutes to stretch”, “every weekday at 8:30 remind me to stand up”"),
    ("list_schedules", "“list my reminders”, “cancel the reminder to stretch”"),
    ("remember", "“remember that I drink tea”, “what do you remember about me?”"),
    ("book_table", "“book a table for two at 19:00”. This is a tool of the developer's own, which asks first."),
    ("", "“my name is Ada”, then “what is my name?” or “what did I say?”"),
    ("disconnect", "“connect gmail”, “disconnect gmail”"),
)


def is_help(text: str) -> bool:
    return bool(_HELP.search(text))


def is_greeting(text: str) -> bool:
    return bool(_GREETING.fullmatch(text) or _WAVES.fullmatch(text))


def told(offered: Sequence[str]) -> str:
    """The requests that work with the offered tools."""
    lines = [f"• {line}" for tool, line in _REQUESTS if not tool or tool in offered]
    return "\n".join([_INTRODUCTION, *lines])
