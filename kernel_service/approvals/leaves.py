"""The arguments of a call as single values, each with its path (`attendees[0].email`), the most important first.

The person never reads them in the model's order. Recipients, amounts, addresses and short values come before long
texts.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from kernel_service.approvals.addresses import people_in, places_in
from kernel_service.approvals.disguises import readings_of
from kernel_service.approvals.roles import Role, role_of
from kernel_service.approvals.visible import units, visible_lines
from kernel_service.approvals.words import PARTIES, among, is_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHORT: Final = 160
"""A value of at most this many characters is not a long text."""

_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_$][\w$-]*", re.ASCII)
_LITERALS: Final = frozenset(("", "true", "false", "null", "{}", "[]"))
_LATIN: Final = 0x180
"""No letter below this code point looks like another one."""

_AMOUNTS: Final = re.compile(r"amount|price|total|sum|costs?|fees?|currency|quantity|budget|payments?|balance|count")


class Rank(IntEnum):
    """The importance of a value to the person who decides, the highest first."""

    PARTY = 0
    AMOUNT = 1
    ADDRESS = 2
    SHORT = 3
    LONG = 4


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of the arguments. `path` is printable, and no two paths look the same.

    `length` is in characters, `lines` are the visible text of the value, `names` are the addresses, links and phone
    numbers in it. `essential`: the person must see it, or its beginning and end, before they decide.
    """

    path: str
    length: int
    lines: list[str]
    names: list[str]
    rank: Rank
    essential: bool
    role: Role


def leaves_of(arguments: Mapping[str, Any]) -> list[Leaf]:
    """All values, the most important first, those of one rank in the order of the arguments."""
    leaves = (_leaf(names, path, value) for names, path, value in _walk(arguments, (), ""))
    return sorted(leaves, key=lambda leaf: leaf.rank)


def _walk(value: Any, names: tuple[str, ...], path: str) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    if isinstance(value, dict) and (value or not names):
        for name, each in value.items():
            shown = _name(str(name))
            yield from _walk(each, (*names, str(name)), f"{path}.{shown}" if path else shown)
    elif isinstance(value, list) and value:
        for place, each in enumerate(value):
            yield from _walk(each, names, f"{path}[{place}]")
    else:
        yield names, path, value


def _name(name: str) -> str:
    """Quoted unless it is plain. Letters that look like Latin ones are named by their numbers."""
    if _PLAIN_NAME.fullmatch(name):
        return name
    is_latin = name.isprintable() and all(ord(char) < _LATIN for char in name)
    quoted = json.dumps(name, ensure_ascii=not is_latin)
    return quoted.replace("`", "\\u0060").replace("  ", "\\u0020\\u0020")


def _leaf(names: tuple[str, ...], path: str, value: Any) -> Leaf:
    text = value if isinstance(value, str) and not _could_be_another(value) else json.dumps(value, ensure_ascii=False)
    people, places = named_in(text, is_reference=is_reference(names[-1] if names else ""))
    named = [*people, *places]
    rank, role = _rank(names, text, people, places), role_of(names)
    return Leaf(path, len(text), visible_lines(text), named, rank, rank < Rank.SHORT or bool(named), role)


def _could_be_another(text: str) -> bool:
    """Whether the text would appear as another, as nothing, or merge with the characters around it."""
    if units(text) > SHORT or "\n" in text:
        return False
    if text != text.strip() or text.startswith('"'):
        return True
    return text in _LITERALS


def _rank(names: tuple[str, ...], text: str, people: list[str], places: list[str]) -> Rank:
    words = [word.lower() for name in names for word in _WORDS.findall(name)]
    if units(text) > SHORT and 2 * sum(map(len, people)) < len(text):
        # "recipients" names people, "email_body" a text.
        is_party = bool(words) and among(words[-1], PARTIES)
        return Rank.ADDRESS if is_party or text.strip() in places else Rank.LONG
    if any(among(word, PARTIES) for word in words) or people or any(map(people_in, names)):
        return Rank.ADDRESS if role_of(names) in (Role.SENDER, Role.SEARCH) else Rank.PARTY
    if any(map(_AMOUNTS.fullmatch, words)):
        return Rank.AMOUNT
    return Rank.ADDRESS if places else Rank.SHORT


def named_in(text: str, *, is_reference: bool = False) -> tuple[list[str], list[str]]:
    """People and places that a text names, also once it is decoded, each once. `is_reference`: see people_in()."""
    readings = (text, *readings_of(text))
    people = [found for each in readings for found in people_in(each, is_reference=is_reference)]
    places = [found for each in readings for found in places_in(each)]
    return list(dict.fromkeys(people)), list(dict.fromkeys(places))
