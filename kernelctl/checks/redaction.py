"""Removes secrets, phone numbers, links with a secret in them, and control characters from texts for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_DIGITS: Final = re.compile(r"\+?\d(?:[ ()-]{0,2}\d){8,}")
_QUERY: Final = re.compile(r"(https?://[^\s?]+)\?\S+")
_USER: Final = re.compile(r"(\w+://)[^\s/@]+@")
_SHORTEST: Final = 4
"""A shorter part of a value also occurs in words, and protects nothing."""


class Redaction:
    """Knows the values of these settings, and each entry of a value that is a list."""

    def __init__(self, values: Iterable[str]) -> None:
        secrets = {part for value in values for part in _parts(value)}
        self._secrets = sorted((each for each in secrets if len(each) >= _SHORTEST), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        # A vendor's message must not move the terminal's cursor.
        text = "".join(letter if letter.isprintable() else " " for letter in text)
        text = _USER.sub(r"\1[secret]@", _QUERY.sub(r"\1?[…]", text))
        return _DIGITS.sub("[number]", text)


def _parts(value: str) -> set[str]:
    """The value, its entries, and what follows an entry's name, as in `channel=token` and `key1:base64`."""
    entries = {entry.strip() for entry in value.split(",")}
    named = {entry.partition(sign)[2] for entry in entries for sign in "=:" if "://" not in entry}
    return {value.strip(), *entries, *named}
