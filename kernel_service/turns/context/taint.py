"""Whether a turn is tainted: content from outside is among what the model sees of it, or of the three turns before it.

Whoever wrote such content may have written it for the model. So each input and each result of the history bears a mark
that says whose words it holds, and what has no mark (an earlier release stored it) counts as from outside.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from kernel_service.ports.approvals import Decided
from kernel_service.ports.payloads import (
    Audio,
    Choice,
    Edit,
    Location,
    Reaction,
    Revoke,
    Text,
    Unsupported,
)
from kernel_service.ports.resuming import Resumed
from kernel_service.storable import from_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from kernel_service.ports.model import UserInput
    from kernel_service.ports.payloads import Content, Payload
    from kernel_service.ports.turns import HistoryItem

OWN: Final = "own"
"""The person's own words, or ours."""
BUTTON: Final = "button:own"
"""A button that the person tapped: no words, and no turn that takes what was read out of sight."""
OUTSIDE: Final = "outside"
"""Words that anybody may have written."""
TURNS: Final = 4
"""This turn, and the three before it."""


def is_tainted(items: Sequence[HistoryItem]) -> bool:
    """Of a history whose last items are the turn's own. A turn begins where inputs follow something else.

    One that a question's button began does not count: what is asked, and how often, the model decides.
    """
    turns = 0
    for place in range(len(items) - 1, -1, -1):
        item = items[place]
        if item.kind in {"input", "result"} and not _is_own(item):
            return True
        if item.kind == "input" and (place == 0 or items[place - 1].kind != "input"):
            turns += not item.origin.endswith(BUTTON)
            if turns == TURNS:
                return False
    return False


def _is_own(item: HistoryItem) -> bool:
    """A merge of people puts its own word before the mark."""
    return item.origin.rpartition(":")[2] == OWN


def mark(*, own: bool) -> str:
    return OWN if own else OUTSIDE


# --- what a person sends ----------------------------------------------------------------------------------------------


def mark_of(given: UserInput) -> str:
    """The mark of a message."""
    if not is_said_by_person(given):
        return OUTSIDE
    return BUTTON if isinstance(given.said, Decided) else OWN


def is_said_by_person(given: UserInput) -> bool:
    """Whether a message, with what it quotes, holds the person's own words and nobody else's.

    A file is somebody else's, its name included; so are an address card, a place with a name, an advertisement that led
    to the message, and what was passed on. Words of ours that are quoted may repeat anybody's. A voice message is what
    the person says.
    """
    if isinstance(given.said, Decided):
        return True
    if isinstance(given.said, Resumed):
        return not given.said.tainted
    quote = given.quote
    return _is_own_payload(given.said) and (quote is None or (not quote.ours and _is_own_payload(quote.payload)))


def _is_own_payload(payload: Payload) -> bool:
    return not payload.forwarded and not payload.referral and _is_own_content(payload.content)


def _is_own_content(content: Content) -> bool:
    """What is not named here, as an event to come, is from outside."""
    match content:
        case Audio(voice=voice, filename=filename):
            return voice and not filename
        case Location(name=name, address=address):
            return not (name or address)
        case Text() | Choice() | Reaction() | Edit() | Revoke() | Unsupported():
            return True
        case _:
            return False


# --- what a tool gives back -------------------------------------------------------------------------------------------

_CREATES: Final = frozenset({"CREATE", "ADD", "INSERT"})
MOST_LABEL: Final = 40
_LABEL: Final = re.compile(rf"[\w .,'’()&+·–-]{{0,{MOST_LABEL}}}")
"""A name beside what was created, as that of a workspace: neither an address nor a link fits in."""
MOST_LABELS: Final = 120
"""Characters of all such names together: a row of names is a text of its own."""
_TOKEN: Final = re.compile(r"[\w.:+=/~-]{1,200}", re.ASCII)
_TOKENS: Final = frozenset(
    {"id", "gid", "uid", "uuid", "guid", "iid", "key", "number", "etag", "sha", "hash"}
    | {"at", "on", "date", "time", "created", "updated", "modified", "start", "end"}
    | {"type", "kind", "status", "state", "resource"}
)
_LINK: Final = re.compile(r"https://[^\s<>\"]{1,300}")
_LINKS: Final = frozenset({"url", "uri", "link", "href", "permalink", "self"})
_MAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w.-]{1,100}")
_WORDS: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")


def is_of_just_created(tool: str, arguments: Mapping[str, Any], output: str) -> bool:
    """Whether what a tool (by its vendor's name) gave back shows nothing but what this call has created.

    Its name says that it creates, and each text in the output is one of the call's arguments, an id, a time or a link
    where such belongs, or one of a few short names.
    """
    if _CREATES.isdisjoint(re.split(r"[^A-Z0-9]+", tool.upper())[1:]):
        return False
    given = " ".join(" ".join(_texts(dict(arguments))).split())
    labels: set[str] = set()
    for name, text in _leaves(_read(output)):
        shown = " ".join(text.split())
        if shown in given or (name is not None and _fits(name, shown)):
            continue
        if not _LABEL.fullmatch(shown):
            return False
        if name is not None or " " in shown:
            labels.add(shown)
    return sum(map(len, labels)) <= MOST_LABELS


def _fits(name: str, text: str) -> bool:
    """Whether it is an id, a time or a link, where such belongs."""
    last = next((word.lower() for word in reversed(_WORDS.findall(name))), "")
    return bool(
        (last in _TOKENS and _TOKEN.fullmatch(text))
        or (last in _LINKS and _LINK.fullmatch(text))
        or ("mail" in last and _MAIL.fullmatch(text))
    )


def _read(output: str) -> Any:
    try:
        return from_json(output)
    except ValueError:
        return output


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str | None, str]]:
    """Each text with the name that it stands under; a name is a text, too, and stands under None."""
    if isinstance(value, dict):
        for each, inner in value.items():
            yield None, each
            yield from _leaves(inner, each)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, name)
    elif isinstance(value, str):
        yield name, value


def _texts(value: Any) -> Iterator[str]:
    return (text for _, text in _leaves(value))
