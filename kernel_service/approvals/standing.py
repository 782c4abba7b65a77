"""Standing permissions: a tool may be used with one of the person's accounts without asking again.

A person grants one only with a button, next to the question for a call that such a permission may cover.
ApprovalPolicy.may_stand() states which calls it never covers. The person lists and revokes permissions with phrases
that never reach a model.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kernel_service import texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.approvals import StandingPermission

_WORD: Final = re.compile(r"[^\W_]+")
_STEM: Final = 4
"""Two words that begin with the same characters of this number count as one: `updating` and `update`."""
_FILLERS: Final = frozenset(
    (
        "about",
        "for",
        "before",
        "to",
        "when",
        "with",
        "in",
        "on",
        "you",
        "i",
        "my",
        "the",
        "a",
        "an",
        "any",
        "of",
        "from",
    )
)
_ALL: Final = frozenset({"", "everything", "anything", "all", "each", "every"})


def listed(permissions: Sequence[StandingPermission]) -> str:
    """The sentence that lists them for the person."""
    if not permissions:
        return texts.approvals.NO_PERMISSIONS
    return texts.approvals.permissions(each.title for each in permissions)


def meant(permissions: Sequence[StandingPermission], said: str) -> list[StandingPermission]:
    """The permissions that the words after "ask me again" name: all, one by number, or by words of the tool's name.

    None: the words are about something else.
    """
    words = [word for word in _WORD.findall(said.casefold()) if word not in _FILLERS]
    if not set(words) - _ALL:
        return list(permissions)
    if len(words) == 1 and words[0].isdecimal():
        return list(permissions[int(words[0]) - 1 : int(words[0])]) if 0 < int(words[0]) <= len(permissions) else []
    wanted = _stems(words)
    return [each for each in permissions if wanted <= _stems(_WORD.findall(each.title.casefold()))]


def _stems(words: Sequence[str]) -> set[str]:
    return {word[:_STEM] for word in words}
