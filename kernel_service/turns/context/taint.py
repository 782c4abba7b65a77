"""Taint: whether the model sees content from outside in this turn or in the three turns before it.

An author of such content may have written it to instruct the model. So each input and each result in the history
carries a mark that says whose words it holds. An item without a mark (from an earlier release) counts as outside.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from kernel_service.kernels.outline import FROM_OUTSIDE, NO_WORDS, begins, holds_any
from kernel_service.ports.approvals import Decided
from kernel_service.ports.memory import Recalled
from kernel_service.ports.payloads import (
    Audio,
    Choice,
    Edit,
    Location,
    Opened,
    Payload,
    Reaction,
    Revoke,
    Scheduled,
    Text,
    Unsupported,
)
from kernel_service.ports.resuming import Resumed
from kernel_service.ports.turns import BUTTON, FACTS, OUTSIDE, OWN
from kernel_service.storable import from_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kernel_service.ports.model import UserInput
    from kernel_service.ports.payloads import Content

TURNS: Final = 4
"""This turn, and the three before it."""


def is_tainted(outline: bytes) -> bool:
    """Whether the last turn of a history with this outline is tainted.

    A turn begins where inputs follow another kind. One that begins with the facts about the person does not count, and
    one that an approval button began does not, because the model decides what it prompts for and how often. A run of a
    schedule does not count either.
    """
    if not holds_any(outline, FROM_OUTSIDE):
        return False
    turns = 0
    for place in range(len(outline) - 1, -1, -1):
        if outline[place] in FROM_OUTSIDE:
            return True
        if begins(outline, place):
            turns += outline[place] not in NO_WORDS
            if turns == TURNS:
                return False
    return False


def mark(*, own: bool) -> str:
    return OWN if own else OUTSIDE


# --- what a person sends ----------------------------------------------------------------------------------------------


def mark_of(given: UserInput) -> str:
    """The mark for a message."""
    if isinstance(given.said, Recalled):
        return FACTS
    if not is_said_by_person(given):
        return OUTSIDE
    return BUTTON if isinstance(given.said, Decided) or _is_run(given) else OWN


def _is_run(given: UserInput) -> bool:
    """A run of a schedule comes by itself, so it brings the end of a taint no nearer."""
    return isinstance(given.said, Payload) and isinstance(given.said.content, Scheduled)


def is_said_by_person(given: UserInput) -> bool:
    """Whether a message and its quote hold only the person's own words.

    These count as words of others: a file and its name, an address card, a place with a name, an advertisement that led
    to the message, and forwarded content. A quoted reply of the assistant counts too, since it may repeat such words.
    A voice message holds the person's own words. Of facts, the person has approved those with words of others.
    """
    if isinstance(given.said, Decided | Recalled):
        return True
    if isinstance(given.said, Resumed):
        return not given.said.tainted
    quote = given.quote
    return _is_own_payload(given.said) and (quote is None or (not quote.ours and _is_own_payload(quote.payload)))


def _is_own_payload(payload: Payload) -> bool:
    return not payload.forwarded and not payload.referral and _is_own_content(payload.content)


def _is_own_content(content: Content) -> bool:
    """Kinds of content that are not named here, such as future ones, are from outside."""
    match content:
        case Audio(voice=voice, filename=filename):
            return voice and not filename
        case Location(name=name, address=address):
            return not (name or address)
        case Scheduled(tainted=tainted):
            return not tainted
        case Text() | Choice() | Reaction() | Edit() | Revoke() | Unsupported() | Opened():
            return True
        case _:
            return False


# --- what a tool returns ----------------------------------------------------------------------------------------------

_CREATES: Final = frozenset({"CREATE", "ADD", "INSERT"})
MOST_LABEL: Final = 40
_LABEL: Final = re.compile(rf"[\w .,'’()&+·–-]{{0,{MOST_LABEL}}}")
"""A name next to the created object, such as that of a workspace. Neither an address nor a link matches."""
MOST_LABELS: Final = 120
"""The most characters of all such names together, since many names could form a text."""
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
    """Whether the output of a tool (by its vendor's name) shows only the object that this call has created.

    The name of the tool must say that it creates. Each text in the output must be an argument of the call, an id, time
    or link in a field for such a value, or one of a few short names.
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
    """Whether it is an id, a time or a link, in a field for such a value."""
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
    """Each text with the name of its field. The name itself is also a text, with None as its field."""
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
