"""Commands in the words that people write them in: whole messages only, in any case, with courtesy and punctuation."""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from typing import Final

LONGEST: Final = 80
"""Characters. A longer text is a message, however it begins."""


class Phrase(Enum):
    STOP = re.compile(r"/?(?:(?:no )?stop(?: (?:it|that|this|everything))?|cancel)")
    NEW_CHAT = re.compile(
        r"/?(?:(?:start |begin |open )?(?:a )?(?:new|fresh) (?:chat|conversation|convo)|new ?chat|(?:a )?fresh start"
        r"|(?:let'?s )?start ?(?:all )?over(?: again)?|start (?:afresh|anew|fresh)"
        r"|(?:reset|clear) (?:the |this |our |my )?(?:chat|conversation))"
        r"|/(?:new|reset|clear|restart)"
    )


_COURTESY: Final = frozenset(("please", "pls", "plz", "thanks", "thx", "now", "just", "ok", "okay", "hey", "wait"))

_WORDS = re.compile(r"/?[^\W_]+(?:'[^\W_]+)?")
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
"""Joiners, marks of direction and the like, which keyboards and copying leave behind."""
_BOT = re.compile(r"@\w+")
"""Behind a command in the groups of some networks: `/stop@the_bot`."""


def phrase_in(text: str) -> Phrase | None:
    """The command that a text is; None: it is a message. A question is none: it may be about the word."""
    if len(text) > LONGEST or "?" in (spoken := plain(text).casefold()):
        return None
    words = _WORDS.findall(_BOT.sub("", spoken.replace("’", "'").replace("thank you", "thanks")))
    said = " ".join(_without_courtesy(_each_once(words)))
    return next((phrase for phrase in Phrase if phrase.value.fullmatch(said)), None)


def plain(text: str) -> str:
    """Full-width and other forms as their plain characters, without invisible ones."""
    if text.isascii():
        return text
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


def _each_once(words: list[str]) -> list[str]:
    """`stop stop stop` is `stop`."""
    return [word for place, word in enumerate(words) if not place or word != words[place - 1]]


def _without_courtesy(words: list[str]) -> list[str]:
    while words and words[0] in _COURTESY:
        words = words[1:]
    while words and words[-1] in _COURTESY:
        words = words[:-1]
    return words
