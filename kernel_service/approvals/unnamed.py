"""Calls that reach others whom their arguments do not name: by a draft, a thread, a list, an id.

No question can show these people. So it says that it does not: nobody takes silence for "it reaches nobody".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kernel_service.approvals.words import among, listed, words_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from kernel_service.approvals.leaves import Leaf

_REACHING: Final = listed("""
    announce answer broadcast deliver dial dispatch execute fire forward invite launch notify pay payout post publish
    refund remit reply replies resend respond retweet send share submit transfer trigger tweet
    """)
"""Words of tools that reach somebody."""
_REACHED: Final = listed("""
    automation call campaign comment invitation mail message newsletter scenario sms webhook workflow zap
    """)
"""Things that reach somebody, unless they are only looked at, or removed."""
_KEPT: Final = listed("archive delete draft fetch find get label list read remove retrieve search trash")
_INDIRECT: Final = listed("""
    all alias audience automation broadcast campaign distribution draft everyone everybody group list mailing
    newsletter scenario schedule scheduled segment sequence template trigger webhook workflow zap
    """)
"""Words of what has its own recipients, in the name of a tool or of an argument, whatever else is named."""
_TO: Final = listed("""
    attendee bcc callee cc contact destination email guest invitee invitees mail member mobile number participant party
    payee people person phone recipient sms tel telephone to
    """)
_OWN: Final = listed("access from mailbox me owner permission role scope sender user visibility")
"""Words of what says who sends, or what they may do: none of those who are reached."""
_ANYBODY: Final = listed("anyone anyonewithlink anyonewiththelink domain everybody everyone external public world")
_ADDRESS: Final = re.compile(r"[^\s@]@[^\s@]|(?:^|\s)[@#]\w|^\+?\d[\d ()./-]{5,18}\d$")
_NAME: Final = re.compile(r"[^\W\d_][^\d_]*")
_NOTHING: Final = frozenset(("", "false", "null", "[]", "{}"))
_NOT_SAID: Final = frozenset(("me", "self", "true", "primary", "default", *_NOTHING))


def reaches_unnamed(tool: str, leaves: Sequence[Leaf], titles: Mapping[str, str]) -> bool:
    """Whether others may be reached whom neither the arguments name, nor a title that was looked up."""
    said = words_of(tool)
    if not _has(said, _REACHING) and (not _has(said, _REACHED) or _has(said, _KEPT)):
        return False
    if _has(said, _INDIRECT) or any(_has(words_of(leaf.path), _INDIRECT) for leaf in leaves if not _is_nothing(leaf)):
        return True
    return not any(_names_somebody(leaf, titles) for leaf in leaves)


def _names_somebody(leaf: Leaf, titles: Mapping[str, str]) -> bool:
    """Whether whoever reads it knows whom it reaches."""
    value = " ".join(leaf.lines).strip()
    if "".join(words_of(value)) in _ANYBODY:
        return True
    words = words_of(leaf.path)
    if _has(words, _OWN) or not _has(words, _TO | {"channel", "chat", "room"}):
        return False
    return bool(_ADDRESS.search(value) or value in titles or (_NAME.fullmatch(value) and value not in _NOT_SAID))


def _is_nothing(leaf: Leaf) -> bool:
    return " ".join(leaf.lines).strip('" ') in _NOTHING


def _has(said: Sequence[str], known: Collection[str]) -> bool:
    return any(among(word, known) for word in said)
