"""The role of an argument by the names that lead to it: a recipient, the sender, or a search.

Neither `query: from:bank@example.org` nor `criteria.to` of a mail filter names a recipient. A name that says
both is doubtful: the argument is shown under its own name, as early as a recipient, and no sentence relies on it.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from kernel_service.approvals.words import PARTIES, among, listed, words_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence


class Role(Enum):
    PARTY = auto()
    """A person or a place that the call reaches, or that it gives a right."""
    SENDER = auto()
    """The person or the account that it comes from."""
    SEARCH = auto()
    """Conditions of a search. The call reaches no address in it."""
    DOUBTFUL = auto()
    """Two of these."""
    OTHER = auto()
    """None of these."""


_SEARCH: Final = listed("criteria criterion filter jql keyword odata q query search soql where")
_CONDITIONS: Final = listed("condition criteria criterion filter match search where")
"""Names of objects that hold what is looked for. Not `query`: of an HTTP request it holds its parameters."""
_EFFECTS: Final = listed("""
    action callback destination effect forward forwarding invite invitee notify notification public redirect send share
    shared sharing target then webhook
    """)
"""Words inside conditions that say what happens then: `filter.action.forward` of a mail filter names a recipient."""
_SENDER: Final = listed("from sender mailbox")
_OF_ADDRESSES: Final = listed("address addresses display email mail name")
"""Words that a sender's name may have besides."""


def role_of(names: Sequence[str]) -> Role:
    """By the names that lead to the value, the outermost first: `("criteria", "to")`."""
    if not names:
        return Role.OTHER
    *outer, own = [words_of(name) for name in names]
    around = [word for words in outer for word in words]
    if _has(around, _CONDITIONS) and not _has(around, PARTIES - _EFFECTS):
        return Role.PARTY if _has((*around, *own), _EFFECTS) else Role.SEARCH
    return _of_words(around, own)


def _of_words(around: Sequence[str], own: Sequence[str]) -> Role:
    is_party = _has((*around, *own), PARTIES)
    if _has(own, _SEARCH):
        return Role.DOUBTFUL if is_party else Role.SEARCH
    if _has(own, _SENDER) and all(among(word, _SENDER | _OF_ADDRESSES) for word in own):
        return Role.DOUBTFUL if _has(around, PARTIES) else Role.SENDER
    return Role.PARTY if is_party else Role.OTHER


def _has(words: Iterable[str], known: Collection[str]) -> bool:
    return any(among(word, known) for word in words)
