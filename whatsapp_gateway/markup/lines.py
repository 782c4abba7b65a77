"""Writes pieces in WhatsApp's markup, line by line, so that WhatsApp shows exactly what is meant."""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from whatsapp_gateway.markup.boundaries import closes_before, opens_behind
from whatsapp_gateway.markup.inline import Piece, Shape
from whatsapp_gateway.markup.whatsapp_markup import CODE, HAIR, MARKS, Span, spans_in

FENCE: Final = "```"
_TWO_OF_THREE: Final = re.compile("``(?=`)")
_TRIES: Final = 5
_LONGEST_AS_CODE: Final = 200
_TAIL: Final = ".,;:!?"
_SIGNS: Final = re.compile(r"[*_~`]")
_PUNCTUATION: Final = re.compile(r"[^\w\s]*\s*")


def write_lines(pieces: Iterable[Piece]) -> str:
    """One line for each line of the pieces."""
    lines: list[list[Piece]] = [[]]
    for piece in pieces:
        if piece.text == "\n":
            lines.append([])
        else:
            lines[-1].append(piece)
    return "\n".join(map(_line, lines))


def _line(pieces: Sequence[Piece]) -> str:
    """With its marks, if WhatsApp shows those and no others; otherwise without.

    Text that it would interpret as marks is shown as code, which it leaves unchanged, or is interrupted by a hair
    space.
    """
    pieces = _merged(pieces)
    if len(pieces) == 1 and pieces[0].shape is Shape.TEXT and not (pieces[0].marks or _SIGNS.search(pieces[0].text)):
        return pieces[0].text
    line, meant = _written(pieces)
    if set(spans_in(line)) == meant:
        return line
    for as_code in (True, False):
        for _ in range(_TRIES):
            guarded = _merged(_guarded(pieces, as_code=as_code))
            if guarded == pieces:
                break
            pieces = guarded
    line, meant = _written(pieces)
    if set(spans_in(line)) == meant:
        return line
    return _written(_merged(replace(piece, marks=()) for piece in pieces))[0]


def _merged(pieces: Iterable[Piece]) -> list[Piece]:
    """Joins text under the same marks, including white space between two pieces."""
    merged = []
    for (marks, shape), group in groupby(pieces, key=lambda piece: (piece.marks, piece.shape)):
        if shape is Shape.TEXT:
            merged.append(Piece("".join(piece.text for piece in group), marks))
        else:
            merged += group
    return [piece for piece in merged if piece.text]


def _written(pieces: Sequence[Piece]) -> tuple[str, set[Span]]:
    writing = _Writing()
    for piece in pieces:
        writing.add(piece.text, piece.marks, piece.shape)
    return writing.end()


class _Writing:
    """One line under construction. White space is outside the marks, and so are code and addresses."""

    def __init__(self) -> None:
        self._line: list[str] = []
        self._length = 0
        self._last = ""
        self._gap = ""
        self._open: list[tuple[str, int]] = []
        self._spans: set[Span] = set()
        self._closed = False
        self._behind_address = False

    def add(self, text: str, marks: tuple[str, ...], shape: Shape) -> None:
        if shape is not Shape.TEXT:
            self._shut(())
            self._put(self._gap)
            self._gap = ""
            (self._add_code if shape is Shape.CODE else self._add_address)(text)
            return
        lead, body, rest = self._parted(text)
        marks = marks if any(map(str.isalnum, body)) or not body else ()
        going_on = self._shut(marks)
        if not body:
            self._gap += text
            return
        self._put(self._gap + lead)
        self._gap = rest
        self._bound(body[0], opens=len(marks) > going_on)
        for mark in marks[going_on:]:
            self._open.append((mark, self._length))
            self._put(mark)
        self._put(unfenced(body))

    def end(self) -> tuple[str, set[Span]]:
        """The line, and the spans that must be shown as marked in it."""
        self._shut(())
        self._put(self._gap)
        return "".join(self._line), self._spans

    def _parted(self, text: str) -> tuple[str, str, str]:
        """Splits off white space around text that a mark may embrace; after an address also its punctuation."""
        body = text.strip()
        start = len(text) - len(text.lstrip())
        if self._behind_address and not start and (found := _PUNCTUATION.match(text)):
            start = found.end()
            body = text[start:].strip()
        return text[:start], body, text[start + len(body) :]

    def _shut(self, marks: tuple[str, ...]) -> int:
        """Close the marks that end here; return how many continue."""
        going_on = 0
        while going_on < min(len(marks), len(self._open)) and self._open[going_on][0] == marks[going_on]:
            going_on += 1
        while len(self._open) > going_on:
            mark, start = self._open.pop()
            self._put(mark)
            self._spans.add(Span(start, self._length, mark))
            self._closed = True
        return going_on

    def _bound(self, first: str, *, opens: bool) -> None:
        """Add a hair space where a mark would touch a letter, and WhatsApp would show it as text."""
        if (self._closed and (opens or not closes_before(first))) or (opens and not opens_behind(self._last)):
            self._put(HAIR)

    def _add_code(self, code: str) -> None:
        if self._closed or not (opens_behind(self._last) or self._last.isascii()):
            self._put(HAIR)
        start = self._length
        self._put(_as_code(code))
        self._spans.add(Span(start, self._length, CODE))
        self._closed = not self._last.isascii()

    def _add_address(self, address: str) -> None:
        self._bound(address[0], opens=False)
        self._put(address)
        self._behind_address = True

    def _put(self, text: str) -> None:
        if text:
            self._line.append(text)
            self._length += len(text)
            self._last = text[-1]
            self._behind_address = False
            self._closed = self._closed and text in MARKS


def _as_code(code: str) -> str:
    if CODE not in code:
        return f"{CODE}{code}{CODE}"
    edge = HAIR if CODE in (code[0], code[-1]) else ""
    return f"{FENCE}{edge}{unfenced(code)}{edge}{FENCE}"


def unfenced(text: str) -> str:
    """Three backticks that are text begin no code."""
    return _TWO_OF_THREE.sub(rf"\g<0>{HAIR}", text) if FENCE in text else text


def _guarded(pieces: Sequence[Piece], *, as_code: bool) -> Iterator[Piece]:
    """The pieces. Text that WhatsApp would show as marked becomes code, or is interrupted by a hair space."""
    plain = "".join(_as_code(piece.text) if piece.shape is Shape.CODE else piece.text for piece in pieces)
    spans = deque(sorted(spans_in(plain)))
    position = 0
    for piece in pieces:
        length = len(_as_code(piece.text)) if piece.shape is Shape.CODE else len(piece.text)
        inside = []
        while spans and spans[0].start < position + length:
            inside.append(spans.popleft())
        is_hit = inside and piece.shape is Shape.TEXT
        yield from _split(piece, plain, position, inside, as_code=as_code) if is_hit else [piece]
        position += length


def _split(piece: Piece, plain: str, offset: int, spans: Sequence[Span], *, as_code: bool) -> Iterator[Piece]:
    told, end = offset, offset + len(piece.text)
    seen = told
    for span in spans:
        if span.start < seen:
            continue
        if span.mark == CODE or as_code:
            start, stop, seen = (*span[:2], span.end) if span.mark == CODE else _word(plain, span)
            if told <= start < stop <= end:
                yield replace(piece, text=plain[told:start])
                yield Piece(plain[start:stop], (), Shape.CODE)
                told = stop
        else:
            after = span.start + (2 if plain.startswith(span.mark * 2, span.start) else 1)
            yield replace(piece, text=plain[told:after] + HAIR)
            told = seen = after
    yield replace(piece, text=plain[told:end])


def _word(line: str, span: Span) -> tuple[int, int, int]:
    """The range to show as code, and where to continue: the word in which the mark begins, or in CJK the marked text.

    An empty range if it is too long or cannot be code.
    """
    before = line[max(0, span.start - _LONGEST_AS_CODE) : span.start]
    start = span.start - (len(before.split()[-1]) if before and not before[-1].isspace() else 0)
    end = span.start + len(line[span.start : span.start + _LONGEST_AS_CODE].split(maxsplit=1)[0])
    on = end
    if not line[start:end].isascii():
        start, end = span.start, span.end
        on = end
    else:
        end = start + len(line[start:end].rstrip(_TAIL))
    word = line[start:end]
    fits = 0 < len(word) <= _LONGEST_AS_CODE and CODE not in word and "://" not in word and not re.search(r"\s", word)
    return (start, end, on) if fits else (0, 0, on)
