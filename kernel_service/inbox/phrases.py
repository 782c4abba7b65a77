"""Commands as people write them: whole messages, in any letter case, with polite words and punctuation."""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from typing import Final

LONGEST: Final = 80
"""The most characters of a command. A longer text is a message for the assistant."""


_ASKING = r"(?:can|could|will|would) you (?:(?:please|just) )?"
"""The beginning of a question that is a request."""

_KNOW = r"(?:know|known|have|remember|remembered|recall|keep|kept|save|saved|store|stored|note|noted|learned|learnt)"
_DELETE = r"(?:forget|delete|erase|remove|clear|wipe)"
_ABOUT_ME = r"(?:about|of|on) me"


class Phrase(Enum):
    """TAKE_BACK stops a running turn. Without one it concerns something else, such as a meeting."""

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
    FACTS = re.compile(
        rf"(?:{_ASKING})?(?:(?:tell|show|list)(?: me)? )?(?:what|everything|all)"
        rf"(?: things| facts| info(?:rmation)?| data| all| else)?(?: that)?"
        rf" (?:(?:do|can|did|have) )?you(?: have| can)? {_KNOW}(?: down)? {_ABOUT_ME}"
        rf"|do you {_KNOW} (?:anything|something) {_ABOUT_ME}"
        r"|(?:show|list)(?: me)? (?:all )?(?:my |the |your )?(?:facts|memories|memory)(?: (?:about|of) me)?"
        r"|what(?: is|'s) in your memory(?: (?:about|of) me)?|/(?:facts|memory)"
    )
    FORGET = re.compile(
        rf"(?:{_ASKING})?{_DELETE} (?:everything|all|anything|what)(?: that)?(?: you (?:have )?{_KNOW})? {_ABOUT_ME}"
        rf"|(?:{_ASKING})?{_DELETE} all (?:my |the |your )?(?:facts|memories)(?: {_ABOUT_ME})?"
        rf"|(?:{_ASKING})?(?:clear|wipe|erase|delete|reset) your memory(?: (?:about|of) me)?"
        rf"|(?:{_ASKING})?{_DELETE} facts?(?: number| no)? (?P<facts>[0-9]{{1,9}}(?:(?: and)? [0-9]{{1,9}})*)"
    )


_MATCHES: Final = tuple((phrase, phrase.value.fullmatch) for phrase in Phrase)
_LISTS: Final = (Phrase.PERMISSIONS, Phrase.FACTS)
_COURTESY: Final = frozenset(
    ("please", "pls", "plz", "thanks", "thx", "now", "just", "ok", "okay", "oh", "hey", "wait")
)

_WORDS = re.compile(r"/?[^\W_]+(?:'[^\W_]+)?")
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
"""Joiners, direction marks and similar characters, which keyboards and copying insert."""
_NO_STOP = re.compile(r"(?<!\bno )\bno +stop\b(?! +(?:it|that|this)\b)")
"""Means to continue, unlike `no, stop` and `no no stop`."""
_BOT = re.compile(r"@\w+")
"""The suffix of a command in groups of some networks: `/stop@the_bot`."""


def phrase_in(text: str) -> Phrase | None:
    """The command in a text; None: it is a message for the assistant.

    A question is not a command, since it may be about the word, unless it is a request or asks for a list.
    """
    if len(text) > LONGEST or _NO_STOP.search(spoken := plain(text).casefold()):
        return None
    normalised = _normalised(spoken)
    found = next((phrase for phrase, matches in _MATCHES if matches(normalised)), None)
    is_about_it = "?" in spoken and not re.match(_ASKING, normalised) and found not in _LISTS
    return None if is_about_it else found


def words_behind(phrase: Phrase, text: str) -> str:
    """The words of the text after this phrase."""
    found = phrase.value.fullmatch(_normalised(plain(text).casefold()))
    return (found["behind"] or "") if found else ""


def facts_in(text: str) -> list[int]:
    """The numbers of facts in a FORGET; none: it concerns everything."""
    found = Phrase.FORGET.value.fullmatch(_normalised(plain(text).casefold()))
    return [int(number) for number in re.findall("[0-9]+", (found["facts"] or "") if found else "")]


def _normalised(spoken: str) -> str:
    usual = spoken.replace("’", "'").replace("thank you", "thanks").replace("right now", "now")
    return " ".join(_without_courtesy(_each_once(_WORDS.findall(_BOT.sub("", usual)))))


def plain(text: str) -> str:
    """Replaces full-width and other forms by their plain characters, and removes invisible ones."""
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
