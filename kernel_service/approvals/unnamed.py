"""Calls that reach others whom their arguments do not name: by a draft, a thread, a list, an id.

No prompt can show these people, so it says so. Otherwise a person may conclude that the call reaches no
one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kernel_service.approvals.addresses import people_in
from kernel_service.approvals.roles import Role
from kernel_service.approvals.words import REACHED, RIGHTS, among, listed, words_of
from kernel_service.ports.tools import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from kernel_service.approvals.leaves import Leaf

_REACHING: Final = listed("""
    announce answer broadcast deliver dial dispatch execute fire forward invite launch notify pay payout post publish
    refund remit reply replies resend respond retweet send share submit transfer trigger tweet
    """)
"""Words of tools that reach other people."""
_SENT: Final = listed("""
    automation call campaign comment invitation mail message newsletter scenario sms webhook workflow zap
    """)
"""Things that reach other people, unless a call only reads or removes them."""
_KEPT: Final = listed("archive delete draft fetch find get label list read remove retrieve search trash")
_INDIRECT: Final = listed("""
    all alias audience automation broadcast campaign distribution draft everyone everybody group list mailing
    newsletter scenario segment sequence template trigger webhook workflow zap
    """)
"""Words for things with their own recipients, in the name of a tool or of an argument, whatever else is named."""
_ALL: Final = listed("all replyall replytoall sendtoall toall")
_NUMBER: Final = "number"
"""A telephone number, or any other. It names a recipient only if the tool's name has a word for reaching people."""
_OWN: Final = RIGHTS | listed("from mailbox me sender user username")
"""Words for the sender, or for what people may do. They name none of the recipients."""
_ANYBODY: Final = listed("anyone anyonewithlink anyonewiththelink domain everybody everyone external public world")
_CHANNEL: Final = re.compile(r"(?:^|\s)#\w")
_PHONE: Final = re.compile(r"\+?\d[\d ()./-]{5,18}\d")
"""Also numbers too short for people_in(): here the argument's name says that it is a telephone number."""
_IDS: Final = listed("gid id key uid uuid")
_NAME: Final = re.compile(r"[^\W\d_][^\d_]*")
_NOTHING: Final = frozenset(("", "false", "null", "[]", "{}"))
_NOT_SAID: Final = frozenset(("me", "self", "true", "primary", "default", *_NOTHING))


def reaches_unnamed(tool: str, leaves: Sequence[Leaf], titles: Mapping[str, str]) -> bool:
    """Whether others may be reached whom neither the arguments name, nor a title that was looked up."""
    said = [] if tool in BUILT_IN else words_of(tool)
    if not _has(said, _REACHING) and (not _has(said, _SENT) or _has(said, _KEPT)):
        return False
    if _has(said, _INDIRECT) or any(map(_is_indirect, leaves)):
        return True
    return not any(_names_somebody(leaf, titles) for leaf in leaves)


def _names_somebody(leaf: Leaf, titles: Mapping[str, str]) -> bool:
    """Whether the argument shows its reader whom the call reaches."""
    value = " ".join(leaf.lines).strip()
    if "".join(words_of(value)) in _ANYBODY:
        return True
    words = words_of(leaf.path)
    if (
        leaf.role in (Role.SENDER, Role.SEARCH, Role.DOUBTFUL)
        or _has(words, _OWN)
        or not _has(words, REACHED | {_NUMBER})
    ):
        return False
    if _is_address(value, is_reference=_has(words[-1:], _IDS)) or value in titles:
        return True
    is_plain = _NAME.fullmatch(value) and value not in _NOT_SAID
    return bool(is_plain or (_PHONE.fullmatch(value) and not _has(words[-1:], _IDS)))


def _is_address(value: str, *, is_reference: bool = False) -> bool:
    return bool(people_in(value, is_reference=is_reference) or _CHANNEL.search(value))


def _is_indirect(leaf: Leaf) -> bool:
    """Whether it refers to further recipients: `list_id: 3` and `recipient_filter: x`.

    `to_list: bob@example.org` and `all_day` do not.
    """
    value, words = " ".join(leaf.lines).strip(), words_of(leaf.path)
    if value.strip('" ') in _NOTHING or _is_address(value, is_reference=True):
        return False
    return (
        leaf.role is Role.DOUBTFUL
        or "".join(words) in _ALL
        or _has([word for word in words if word != "all"], _INDIRECT)
    )


def _has(said: Sequence[str], known: Collection[str]) -> bool:
    return any(among(word, known) for word in said)
