"""Addresses in a text: of people (mail, telephone, @name) and of places on the web.

The policy, the order of a prompt's values (leaves) and the note on unnamed recipients (unnamed) use the same ones.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kernel_service.approvals.words import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAIL: Final = re.compile(r"[\w.+-]@\w|@\s{0,2}[\w-]+(?:\.[\w-]+)+")
_MENTION: Final = re.compile(r"(?<![\w@])@[^\W\d]\w+")
_PART: Final = r"[^\s@<>\"',;:()\[\]{}|]"
# From the beginning of a word on, and never back: a megabyte without an address is read once.
_WHOLE_MAIL: Final = re.compile(rf"(?<!{_PART}){_PART}++@{_PART}++")
_WHOLE_URL: Final = re.compile(
    r"(?:[a-z][a-z0-9+.-]{1,20}:)?//[^\s<>\"']+|\b(?:www\.|mailto:|tel:)[^\s<>\"']+|(?<![\w.@-])(?:[\w-]+\.)+[a-z]{2,}/[^\s<>\"']*",
    re.IGNORECASE,
)
_SPACED_MAIL: Final = re.compile(r"@\s{1,2}[\w-]+(?:\.[\w-]+)+")
_ENDS: Final = ".,;:!?)"
_LONGEST_SHOWN: Final = 200

# Neither a date, nor a time, nor a small fraction is a telephone number.
_TIMES: Final = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
    r"|\d{1,2}[./]\d{1,2}[./]\d{2,4}|\d{1,2}:\d{2}(?::\d{2})?|(?<![\d.+])\d{1,2}\.\d+"
)
_DIGITS: Final = re.compile(r"(?<![\w.])(\+?)\s?\(?(\d[\d\s().\-/\u2010-\u2015]{5,40}\d)(?!\w)")
_ID: Final = re.compile(r"[0-9a-f-]+", re.IGNORECASE)
"""As a UUID, of which one in two hundred has as many digits in a row as a telephone number."""
_LOCAL: Final = re.compile(r"(?<![\w-])\d{3}-\d{4}(?![\w-])")
_LEAST_DIGITS: Final = 9
_LEAST_ABROAD: Final = 7
_MOST_DIGITS: Final = 15
"""ITU-T E.164; what is longer and has no gaps is an id."""
_LONGEST_HOST: Final = 253

_URL: Final = re.compile(
    r"""
    \b[a-z][a-z0-9+.-]{0,20}://                                          # any scheme
    | \bhttps?:\S | \b(?:mailto|tel|sms|callto|skype|data|file|ftps?|wss?|javascript):\S
    | (?:^|[\s"'(<=])(?://|\\\\)\w                                  # the scheme of whoever reads it
    | \bwww\.\w
    | [\w-]\.[^\W\d_][\w-]+\.?(?::\d{2,5}\b|[/?\#\\]\S)             # a host and something after it
    | \b(?:href|src|srcset|action|formaction)\s*=\s*\S                  # HTML of any address
    | \b(?:\d{1,3}\.){3}\d{1,3}\b | \[[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*\] | \blocalhost\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_FORMULA: Final = re.compile(r"\s*=|[+-]+[\w.]+\(")
"""Of a spreadsheet, which may fetch any address that it puts together: `=IMPORTDATA(A1)`."""
_HOST: Final = re.compile(r"(?:[^\W_](?:[\w-]*[^\W_])?\.)+(?:xn--[\w-]+|[^\W\d_]{2,})")
_FILES: Final = listed(
    """
    avi bmp csv doc docx gif htm html ics jpeg jpg json odt ods pdf png ppt pptx rtf svg tif txt wav webp xls xlsx xml
    yaml yml
    """
)
"""Endings of files that are no top-level domains (data.iana.org/TLD)."""
_AROUND: Final = ".,;:!?()<>[]{}\"'`*_|"


def names_somebody(text: str, *, is_reference: bool = False) -> bool:
    """Whether a person or a place is addressed. `is_reference`: its digits are an id or a time."""
    addressed = any(pattern.search(text) for pattern in (_MAIL, _MENTION, _URL))
    return addressed or _FORMULA.match(text) is not None or _has_telephone(text, is_reference=is_reference)


def people_in(text: str, *, is_reference: bool = False) -> list[str]:
    """Mail addresses, telephone numbers and @names as they are written, each once."""
    found = [match[0].rstrip(_ENDS) for match in _WHOLE_MAIL.finditer(text)]
    for line in text.splitlines():
        found += [*_SPACED_MAIL.findall(line), *_MENTION.findall(line)]
        found += _telephones(line, is_reference=is_reference)
    return list(dict.fromkeys(found))


def places_in(text: str) -> list[str]:
    """Links as they are written, and other words that lead somewhere, each once."""
    found = [match[0].rstrip(_ENDS) for match in _WHOLE_URL.finditer(text)]
    if not _URL.search(text) and not _FORMULA.match(text):
        return list(dict.fromkeys(found))
    others = (word for word in text.split() if _URL.search(word) and not _WHOLE_URL.search(word))
    found += [word.strip(_AROUND)[:_LONGEST_SHOWN] for word in others]
    if _FORMULA.match(text):
        found.append(text.strip()[:_LONGEST_SHOWN])
    return list(dict.fromkeys(found))


def leads_to_the_web(text: str) -> bool:
    """Whether there is a URL, or as much as the name of a host."""
    return _URL.search(text) is not None or any(_is_host(word) for word in re.split(r"[\s=:,;|]+", text))


def _has_telephone(text: str, *, is_reference: bool) -> bool:
    return any(True for _ in _telephones(text, is_reference=is_reference))


def _telephones(text: str, *, is_reference: bool) -> Iterator[str]:
    if is_reference and _ID.fullmatch(text):
        return
    rest = _TIMES.sub(" | ", text)
    for match in _DIGITS.finditer(rest):
        abroad, written = match.groups()
        digits = sum(char.isdigit() for char in written)
        is_long_id = not abroad and written.isdigit() and digits > _MOST_DIGITS
        if digits >= (_LEAST_ABROAD if abroad else _LEAST_DIGITS) and not is_long_id:
            yield match[0].strip()
    yield from _LOCAL.findall(rest)


def _is_host(word: str) -> bool:
    word = word.strip(_AROUND)
    is_named = len(word) <= _LONGEST_HOST and _HOST.fullmatch(word) is not None
    return is_named and word.rpartition(".")[2].casefold() not in _FILES
