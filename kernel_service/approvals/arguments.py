"""A call's arguments, each judged by its name and its value, however deep and however it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from kernel_service.approvals import words
from kernel_service.approvals.addresses import leads_to_the_web, names_somebody
from kernel_service.approvals.disguises import readings_of
from kernel_service.approvals.words import among, listed, words_of
from kernel_service.ports.tools import WHICH_ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MOST_DEPTH: Final = 10
MOST_VALUES: Final = 2000
MOST_CHARACTERS: Final = 20_000
"""Limits for all names and values together. A call beyond them is not judged, so it needs approval."""

_TELLING: Final = listed("""
    admin administrator anonymous anybody anyone anyonewithlink anyonewiththelink commenter deleted domain editor
    everybody everyone external fileorganizer owner public publicread publicreadwrite publicly reader spam trash trashed
    viewer world writer
    """)
"""Values that give others access or discard something, if they are the whole value: `type: anyone`, `role: writer`."""
_LONGEST_TELLING: Final = 40
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})
_JSON: Final = re.compile(r'\s*[\[{"]')


class CannotJudgeError(Exception):
    """The arguments are too large or too deep, or hold something that is not JSON."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One value, with the names that lead to it."""

    names: tuple[str, ...]
    value: str | float | bool | list[Any] | dict[str, Any] | None
    """A list or an object is a value only if it is empty."""

    @property
    def is_empty(self) -> bool:
        return self.value in _EMPTY

    @property
    def words(self) -> list[str]:
        return [word for name in self.names for word in words_of(name)]

    @property
    def is_prose(self) -> bool:
        return among(self._last_word, words.TEXTS)

    @property
    def is_plainly_named(self) -> bool:
        """Whether all words of its names, or its value for a name in PLAIN_VALUES, address no other person."""
        *around, last = self.names
        is_plain = self.value in words.PLAIN_VALUES.get("".join(words_of(last)), ())
        return all(map(_is_plain, around if is_plain else self.names))

    @property
    def addresses_somebody(self) -> bool:
        is_reference = words.is_reference(self.names[-1])
        return any(
            names_somebody(reading, is_reference=is_reference)
            or (len(reading) <= _LONGEST_TELLING and "".join(words_of(reading)) in _TELLING)
            for reading in self._readings
        )

    @property
    def leads_to_the_web(self) -> bool:
        if any(among(word, words.URLS) for word in self.words) and not self.is_empty:
            return True
        return any(leads_to_the_web(reading) for reading in self._readings)

    @property
    def _last_word(self) -> str:
        return next(reversed(words_of(self.names[-1])), "")

    @property
    def _readings(self) -> Iterable[str]:
        if isinstance(self.value, str):
            return readings_of(self.value)
        return [str(self.value)] if isinstance(self.value, int) and not isinstance(self.value, bool) else []


def _is_plain(name: str) -> bool:
    said = words_of(name)
    if "".join(said) in words.PLAIN_NAMES:
        return True
    # The `to` of "text_to_insert" names a place, that of "to" and "to_name" a recipient.
    known = (word.isdigit() or among(word, words.PLAIN_ARGUMENT) for word in said)
    return bool(said) and all(
        is_known or (word == "to" and 0 < place < len(said) - 1)
        for place, (word, is_known) in enumerate(zip(said, known, strict=True))
    )


def arguments_in(arguments: Mapping[str, Any]) -> list[Argument]:
    """All arguments of the tool itself, also those in strings that hold JSON. Raises CannotJudgeError."""
    found: list[Argument] = []
    characters = 0
    for argument in _walk((), {name: value for name, value in arguments.items() if name != WHICH_ACCOUNT}):
        found.append(argument)
        text = argument.value if isinstance(argument.value, str) else ""
        characters += len(text) + sum(map(len, argument.names))
        if len(found) > MOST_VALUES or characters > MOST_CHARACTERS:
            raise CannotJudgeError
    return found


def _walk(names: tuple[str, ...], value: Any) -> Iterator[Argument]:
    if len(names) > MOST_DEPTH:
        raise CannotJudgeError
    if isinstance(value, dict) and value:
        for name, each in value.items():
            if not isinstance(name, str):
                raise CannotJudgeError
            yield from _walk((*names, name), each)
    elif isinstance(value, list) and value:
        for each in value:
            yield from _walk((*names, names[-1]) if isinstance(each, list) else names, each)
    elif isinstance(value, str | int | float | bool | list | dict | None):
        if names:
            yield Argument(names, value)
        if isinstance(value, str):
            yield from _within(names, value)
    else:
        raise CannotJudgeError


def _within(names: tuple[str, ...], text: str) -> Iterator[Argument]:
    """The values in a string that holds JSON."""
    for reading in readings_of(text) if len(text) <= MOST_CHARACTERS else ():
        if _JSON.match(reading):
            try:
                inner = orjson.loads(reading)
            except orjson.JSONDecodeError:
                continue
            yield from _walk((*names, names[-1]), inner)
