"""Parses the inline markup of CommonMark into text and its formatting. Linear in the length of the text.

spec.commonmark.org, with these differences. Emphasis begins and ends by boundaries.py, backslashes escape by
escapes.py, and link targets follow addresses.py. Bare addresses are one piece each. Definitions of links are shown as
written.
"""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from html.entities import html5
from typing import Final

import regex

from whatsapp_gateway.markup.addresses import AUTOLINK, bare_address, link_target, says_the_same, without_punctuation
from whatsapp_gateway.markup.boundaries import Kind, kind_of
from whatsapp_gateway.markup.emphasis import Run, pair, read_run
from whatsapp_gateway.markup.escapes import Backslashes

DEEPEST: Final = 20
"""Nested marks: realistic text has fewer."""

_SPECIAL: Final = re.compile(r"[\\`*_~\[\]!<&\n]|(?<![A-Za-z0-9])(?:(?:https?|ftp)://|www\.)", re.IGNORECASE)
_TICKS: Final = re.compile(r"`+")
_BRACKETS: Final = re.compile(r"\\.|`+|[\[\]]")
_SOLID: Final = regex.compile(r"[\p{L}\p{N}\p{Sc}\p{Sm}\p{So}]")
"""A letter, a digit or a symbol; not `^` or `¨`."""
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


class Shape(Enum):
    """How a piece is written."""

    TEXT = auto()
    CODE = auto()
    ADDRESS = auto()
    """Byte for byte, and never inside a mark."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text under the same marks, the outermost first. A line's end is a separate piece."""

    text: str
    marks: tuple[str, ...] = ()
    shape: Shape = Shape.TEXT


class NestsTooDeepError(Exception):
    """Marks are nested too deep."""


class _LinkBegins:
    pass


@dataclass(frozen=True, slots=True)
class _LinkEnds:
    target: str


_Part = Piece | Run | _LinkBegins | _LinkEnds
_Found = tuple[Sequence[_Part], int] | None


def read_inline(text: str, marks: tuple[str, ...] = ()) -> list[Piece]:
    """The pieces of a paragraph, all under these marks. Raises `NestsTooDeepError`."""
    parts = list(_Scanner(text).parts())
    _pair_within_links(parts)
    return list(_pieces(parts, marks))


class _Scanner:
    """Scans from left to right, each character once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._closing_ticks = _closing_ticks(text) if "`" in text else {}
        self._closing_brackets = _closing_brackets(text, self._closing_ticks) if "](" in text else {}
        self._backslashes = Backslashes(text)
        self._links: list[tuple[int, int, str]] = []
        """Open links: where the title ends, where the link ends, and its target."""
        self._unended = dict.fromkeys("*_~", 0)
        """How many runs may still begin emphasis, by mark."""
        self._readers = {
            "\\": self._escape,
            "`": self._code,
            "*": self._run,
            "_": self._run,
            "~": self._run,
            "[": self._link,
            "!": self._image,
            "]": self._link_end,
            "<": self._autolink,
            "&": self._entity,
            "\n": self._line_end,
        }

    def parts(self) -> Iterator[_Part]:
        position = told = 0
        while special := _SPECIAL.search(self._text, position):
            start = special.start()
            found = self._readers.get(self._text[start], self._address)(start)
            if found is None:
                position = special.end()
                continue
            if start > told:
                yield Piece(self._text[told:start])
            parts, position = found
            yield from parts
            told = position
        if told < len(self._text):
            yield Piece(self._text[told:])

    # --- each returns the parts that begin here, and where they end; None: it is text -------------------------------

    def _line_end(self, start: int) -> _Found:
        return [Piece("\n")], start + 1

    def _escape(self, start: int) -> _Found:
        escaped = self._backslashes.escaped(start)
        return ([Piece(escaped)], start + 2) if escaped else None

    def _code(self, start: int) -> _Found:
        width = 1
        while self._text.startswith("`", start + width):
            width += 1
        close = self._closing_ticks.get(start)
        if close is None or close + width > self._title_end():
            return [Piece("`" * width)], start + width
        code = self._text[start + width : close]
        if len(code) > 1 and code[0] == code[-1] == " " and code.strip():
            code = code[1:-1]
        return _by_lines(code, Shape.CODE), close + width

    def _run(self, start: int) -> _Found:
        run, end = read_run(self._text, start)
        if isinstance(run, str):
            return [Piece(run)], end
        if run.can_close and self._unended[run.mark]:
            self._unended[run.mark] -= 1
        elif run.can_open:
            self._unended[run.mark] += 1
        return [run], end

    def _link(self, start: int) -> _Found:
        return self._open_link(start, start) if not self._links else None

    def _image(self, start: int) -> _Found:
        return self._open_link(start, start + 1) if self._text.startswith("[", start + 1) else None

    def _open_link(self, start: int, bracket: int) -> _Found:
        close = self._closing_brackets.get(bracket)
        if close is None or close >= self._title_end():
            return None
        in_word = start > 0 and kind_of(self._text[start - 1]) is Kind.WORD
        found = link_target(self._text, close + 1, in_word=in_word)
        if found is None:
            return None
        target, end = found
        title = self._text[bracket + 1 : close]
        if start < bracket or not title.strip():
            return [_LinkBegins(), *_by_lines(title, Shape.TEXT), _LinkEnds(target)], end
        self._links.append((close, end, target))
        return [_LinkBegins()], bracket + 1

    def _link_end(self, start: int) -> _Found:
        if not self._links or self._links[-1][0] != start:
            return None
        _, end, target = self._links.pop()
        return [_LinkEnds(target)], end

    def _title_end(self) -> int:
        return self._links[-1][0] if self._links else len(self._text)

    def _autolink(self, start: int) -> _Found:
        found = AUTOLINK.match(self._text, start)
        return ([Piece(found[1].removeprefix("mailto:"), (), Shape.ADDRESS)], found.end()) if found else None

    def _entity(self, start: int) -> _Found:
        found = _ENTITY.match(self._text, start)
        if found is None or (found[0][1] != "#" and found[0][1:] not in html5):
            return None
        char = html.unescape(found[0])
        return ([Piece(char)], found.end()) if (char and not char.isspace()) or char == "\xa0" else None

    def _address(self, start: int) -> _Found:
        marks = "".join(mark for mark, count in self._unended.items() if count)
        address = bare_address(self._text, start, self._title_end(), marks)
        mark = address[-1:]
        # `_see https://a.b/c_`: the mark belongs to the sentence, unless a later one ends that emphasis.
        if self._unended.get(mark) and not self._is_ended_later(start + len(address), mark):
            address = without_punctuation(address.rstrip(mark))
        return ([Piece(address, (), Shape.ADDRESS)], start + len(address)) if address else None

    def _is_ended_later(self, position: int, mark: str) -> bool:
        at = self._text.find(mark, position)
        return at > 0 and not self._text[at - 1].isspace() and not self._text[at + 1 : at + 2].isalnum()


def _by_lines(text: str, shape: Shape) -> list[_Part]:
    parts: list[_Part] = []
    for number, line in enumerate(text.split("\n")):
        parts += [Piece("\n")] * (number > 0) + [Piece(line, (), shape)] * bool(line)
    return parts


def _closing_ticks(text: str) -> dict[int, int]:
    """For each run of backticks that opens code, the position of the next one of the same length."""
    following: dict[int, int] = {}
    closing: dict[int, int] = {}
    for start, end in reversed([run.span() for run in _TICKS.finditer(text)]):
        if end - start in following:
            closing[start] = following[end - start]
        following[end - start] = start
    return closing


def _closing_brackets(text: str, ticks: dict[int, int]) -> dict[int, int]:
    """For each opening bracket its closing one; brackets in code and after a backslash do not count."""
    closing: dict[int, int] = {}
    opened: list[int] = []
    code_ends = 0
    for found in _BRACKETS.finditer(text):
        if found.start() < code_ends:
            continue
        if found[0] == "[":
            opened.append(found.start())
        elif found[0] == "]" and opened:
            closing[opened.pop()] = found.start()
        elif found[0][0] == "`" and found.start() in ticks:
            code_ends = ticks[found.start()] + len(found[0])
    return closing


def _pair_within_links(parts: Sequence[_Part]) -> None:
    levels: list[list[Run]] = [[]]
    solid = 0
    for part in parts:
        solid += isinstance(part, _LinkEnds) or (isinstance(part, Piece) and _may_be_embraced(part))
        if isinstance(part, _LinkBegins):
            levels.append([])
        elif isinstance(part, _LinkEnds):
            pair(levels.pop())
        elif isinstance(part, Run):
            part.behind = solid
            levels[-1].append(part)
    pair(levels[0])


def _may_be_embraced(piece: Piece) -> bool:
    """Emphasis of only punctuation is text."""
    return piece.shape is not Shape.TEXT or _SOLID.search(piece.text) is not None


def _pieces(parts: Sequence[_Part], marks: tuple[str, ...]) -> Iterator[Piece]:
    inside = list(marks)
    titles: list[list[Piece]] = []
    for part in parts:
        if isinstance(part, _LinkBegins):
            titles.append([])
            continue
        pieces = _linked(titles.pop(), part.target) if isinstance(part, _LinkEnds) else _marked(part, inside)
        if titles:
            titles[-1] += pieces
        else:
            yield from pieces


def _marked(part: Piece | Run, inside: list[str]) -> Sequence[Piece]:
    """The piece under the marks around it; of a run, which changes them, the rest that is text."""
    if isinstance(part, Piece):
        is_text = inside and part.shape is Shape.TEXT and part.text != "\n"
        return [Piece(part.text, tuple(dict.fromkeys(inside))) if is_text else part]
    del inside[len(inside) - len(part.closes) :]
    text = [Piece(part.mark * part.left, tuple(dict.fromkeys(inside)))] if part.left else []
    inside += reversed(part.opens)
    if len(inside) > DEEPEST:
        raise NestsTooDeepError
    return text


def _linked(title: Sequence[Piece], target: str) -> Sequence[Piece]:
    """The title, and after it the target, unless the title contains it."""
    said = "".join(piece.text for piece in title).strip()
    address = re.sub(r"\A(?:mailto:|tel:)", "", target)
    if not said or says_the_same(said, target):
        return [Piece(said if said and target != address else address, (), Shape.ADDRESS)]
    return [*title, Piece(" ("), Piece(address, (), Shape.ADDRESS), Piece(")")]
