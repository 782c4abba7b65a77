"""Commands in the words that people write them in: whole messages only, in any case, with courtesy and punctuation."""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from typing import Final

LONGEST: Final = 80
"""Characters. A longer text is a message, however it begins."""


_ASKING = r"(?:can|could|will|would) you (?:(?:please|just) )?"
"""A question that is a request."""


class Phrase(Enum):
    """TAKE_BACK stops what is under way. If nothing is, it is about something else: a meeting that was mentioned."""

    STOP = re.compile(
        rf"/?(?:(?:no |never ?mind )?(?:{_ASKING})?stop(?: (?:it|that|this|all|everything))?|cancel|abort)"
    )
    TAKE_BACK = re.compile(rf"(?:{_ASKING})?(?:cancel|abort)(?: (?:it|that|this|all|everything))?|never ?mind")
    NEW_CHAT = re.compile(
        r"/?(?:(?:start |begin |open )?(?:a )?(?:new|fresh) (?:chat|conversation|convo)|new ?chat|(?:a )?fresh start"
        r"|(?:let'?s )?start ?(?:all )?over(?: again)?|start (?:afresh|anew|fresh)"
        r"|(?:reset|clear) (?:the |this |our |my )?(?:chat|conversation))"
        r"|/(?:new|reset|clear|restart)"
    )
    PERMISSIONS = re.compile(
        r"what (?:may|can|do|will|are) you (?:allowed to )?(?:do )?without asking(?: me)?(?: again)?"
        r"|what have i (?:allowed|permitted)(?: you)?(?: to do)?"
        r"|(?:show|list)(?: me)? (?:all )?(?:my |the |your )?(?:standing )?permissions|/permissions"
    )
    ASK_AGAIN = re.compile(
        r"(?:always )?ask me (?:again|first|every ?time|each time)(?: (?P<behind>.+))?|always ask(?: me)?"
        r"|ask me before (?:everything|anything)"
        r"|(?:withdraw|revoke|cancel|remove|take back) (?:all )?(?:of )?(?:my |the |your )?(?:standing )?permissions"
    )


_COURTESY: Final = frozenset(
    ("please", "pls", "plz", "thanks", "thx", "now", "just", "ok", "okay", "oh", "hey", "wait")
)

_WORDS = re.compile(r"/?[^\W_]+(?:'[^\W_]+)?")
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
"""Joiners, marks of direction and the like, which keyboards and copying leave behind."""
_NO_STOP = re.compile(r"(?<!\bno )\bno +stop\b(?! +(?:it|that|this)\b)")
"""Means to go on, unlike `no, stop` and `no no stop`."""
_BOT = re.compile(r"@\w+")
"""Behind a command in the groups of some networks: `/stop@the_bot`."""


def phrase_in(text: str) -> Phrase | None:
    """The command that a text is; None: it is a message.

    A question is none unless it is a request, or asks what is permitted: it may be about the word.
    """
    if len(text) > LONGEST or _NO_STOP.search(spoken := plain(text).casefold()):
        return None
    said = _said(spoken)
    found = next((phrase for phrase in Phrase if phrase.value.fullmatch(said)), None)
    is_about_it = "?" in spoken and not re.match(_ASKING, said) and found is not Phrase.PERMISSIONS
    return None if is_about_it else found


def words_behind(phrase: Phrase, text: str) -> str:
    """What a text of this phrase says beyond it."""
    found = phrase.value.fullmatch(_said(plain(text).casefold()))
    return (found["behind"] or "") if found else ""


def _said(spoken: str) -> str:
    usual = spoken.replace("’", "'").replace("thank you", "thanks").replace("right now", "now")
    return " ".join(_without_courtesy(_each_once(_WORDS.findall(_BOT.sub("", usual)))))


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
