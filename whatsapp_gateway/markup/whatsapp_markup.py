"""The characters of a line that WhatsApp's apps interpret as markup.

WhatsApp has not published its grammar. Sources: faq.whatsapp.com/539178204879377 (the marks); mautrix-whatsapp,
pkg/msgconv; devlikeapro/waha issue 1643. By mautrix-whatsapp, a mark begins after white space or another mark, and ends
before anything but an ASCII letter or digit. By waha, there is no mark in a word, and no white space inside the marks.
Three marks or more in a row are text. Where the sources differ, the reading with more markup is used, so that no plain
text disappears. The gateway sets its own marks only where all sources agree.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

CODE: Final = "`"
MARKS: Final = frozenset("*_~")
HAIR: Final = "\u200a"
"""A nearly invisible space. It separates a mark from a letter where the text has no space, and follows a mark that is
meant as text. White space is the only boundary on which all sources agree; a zero-width character is not documented as
one.
"""

ADDRESS: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:https?|ftp)://|www\.)\S+"
    r"|(?<![\w.-])(?:[\w-]+\.)+[A-Za-z]{2,}/\S*",
    re.IGNORECASE,
)
_ATOMS: Final = re.compile(rf"```.+?```|`[^`\n]+`|{ADDRESS.pattern}", re.IGNORECASE)
"""Code and addresses, in which marks have no effect."""
_RUNS: Final = re.compile(r"\*+|_+|~+")
_MOST_IN_A_ROW: Final = 2


class Span(NamedTuple):
    """Marked text, from its first mark to the end of its last."""

    start: int
    end: int
    mark: str


def spans_in(line: str) -> list[Span]:
    """All marked text, including code, in the order of its end."""
    found = []
    opened: dict[str, int] = {}
    for start, end in _tokens(line):
        mark = line[start]
        if mark not in MARKS:
            if mark == CODE:
                found.append(Span(start, end, CODE))
        elif mark in opened and _closes(line, start, end):
            found.append(Span(opened.pop(mark), end, mark))
        elif mark not in opened and _opens(line, start, end):
            opened[mark] = start
    return found


def _tokens(line: str) -> Iterator[tuple[int, int]]:
    """Atoms, and the runs of marks outside them."""
    position = 0
    for atom in _ATOMS.finditer(line):
        yield from _runs(line, position, atom.start())
        yield atom.span()
        position = atom.end()
    yield from _runs(line, position, len(line))


def _runs(line: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for run in _RUNS.finditer(line, start, end):
        if len(run[0]) <= _MOST_IN_A_ROW:
            yield run.span()


def _opens(line: str, start: int, end: int) -> bool:
    return not line[start - 1 : start].isalnum() and end < len(line) and not line[end].isspace()


def _closes(line: str, start: int, end: int) -> bool:
    return start > 0 and not line[start - 1].isspace() and not line[end : end + 1].isalnum()
