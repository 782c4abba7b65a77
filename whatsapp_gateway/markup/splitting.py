"""Splits blocks of text into messages of a limited length, deterministically. Lengths are in UTF-16 code units."""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from whatsapp_gateway.markup.commonmark import Block
from whatsapp_gateway.markup.graphemes import is_visible, last_bound, reach, units
from whatsapp_gateway.markup.lines import FENCE, unfenced
from whatsapp_gateway.markup.whatsapp_markup import ADDRESS, CODE, spans_in

SPLIT_VERSION: Final = "3"
"""The version of this rule and of rendering.py. Increase it with any change of their output: a reply that was partly
sent under one rule is continued under the same.
"""

GAP: Final = "\n\n"
_FENCE: Final = len(Block("", code=True).shown())
_MARKS: Final = 8
"""Room for the marks at a cut: bold, italic, struck and code at once."""
_CLOSING: Final = "」』”’）》】"
_BREAKS: Final = (
    re.compile(r"()\n+"),
    re.compile(rf"([.!?…][\"'”’)\]]*)\s+|([。！？][{_CLOSING}]*)\s*"),
    re.compile(rf"([，、；：][{_CLOSING}]*)\s*"),
    re.compile(r"()\s+"),
)
"""The positions for a cut, the best first: after a line, a sentence, a clause, a word."""
_QUOTE: Final = re.compile(r"(?:> ?)+")
_JOINERS: Final = "\u200d\ufe0f\u20e3"


def pack(blocks: Sequence[Block], limit: int) -> list[str]:
    """The blocks in as few messages as their order allows, each of 1 to limit characters."""
    whole = GAP.join([block.shown() for block in blocks if is_visible(block.text)])
    if units(whole) <= limit:
        return [whole] if whole else []
    messages: list[str] = []
    room = 0
    for piece in _pieces(blocks, limit):
        text = piece.shown()
        length = units(text)
        if messages and len(GAP) + length <= room:
            messages[-1] += GAP + text
            room -= len(GAP) + length
        else:
            messages.append(text)
            room = limit - length
    return messages


def with_tail(blocks: Sequence[Block], limit: int, tail_limit: int) -> tuple[list[str], str]:
    """All but the last message as in pack(); the last as long as tail_limit allows, empty if there is no text."""
    rest = list(blocks)
    tail = ""
    while rest and units(longer := GAP.join(filter(None, (rest[-1].shown(), tail)))) <= tail_limit:
        tail = longer
        rest.pop()
    if rest and not tail:
        cut = _Cut(rest.pop())
        *before, last = cut.parts(tail_limit)
        rest.append(cut.piece(0, before[-1].end))
        tail = cut.piece(*last).shown()
    return pack(rest, limit), tail if is_visible(tail) else ""


def _pieces(blocks: Sequence[Block], limit: int) -> Iterator[Block]:
    """The visible blocks, with the long ones cut into several.

    Code stays code, and marked text stays marked, in each.
    """
    for block in blocks:
        if units(block.shown()) <= limit:
            parts = [block]
        else:
            cut = _Cut(block)
            parts = [cut.piece(*part) for part in cut.parts(limit)]
        yield from (piece for piece in parts if is_visible(piece.text))


class _Part(NamedTuple):
    start: int
    end: int


class _Marked(NamedTuple):
    """Marks to close before a cut and to open again after it."""

    start: int
    end: int
    mark: str


class _Cut:
    """One block that is too long. Its rendering is computed once, however often it is cut."""

    def __init__(self, block: Block) -> None:
        self._text = unfenced(block.text) if block.code else block.text  # as shown, since that may be longer
        self._code = block.code
        self._marked = [] if block.code else sorted(_marked(block.text))
        self._addresses = [] if block.code else [found.span() for found in ADDRESS.finditer(block.text)]
        self._ends = [end for _, end in self._addresses]

    def piece(self, start: int, end: int) -> Block:
        """A part as a separate block."""
        if self._code:
            return Block(self._text[start:end], code=True)
        around_start, around_end = self._around(start), self._around(end)
        opened = "".join(mark for _, _, mark in around_start)
        closed = "".join(mark for _, _, mark in reversed(around_end))
        return Block(self._quote(start) + opened + self._text[start:end] + closed)

    def parts(self, limit: int) -> list[_Part]:
        """Parts that are not blank and, with everything that piece() adds, not too long."""
        parts = []
        start, length = 0, len(self._text)
        while start < length:
            end, following = self._next(start, max(limit - self._added(start), limit // 2))
            if self._text[start:end].strip():
                parts.append(_Part(start, end))
            start = following
        return parts

    def _added(self, start: int) -> int:
        """The most that piece() may add to a part that starts here."""
        return _FENCE if self._code else (2 * _MARKS if self._marked else 0) + len(self._quote(start))

    def _next(self, start: int, room: int) -> tuple[int, int]:
        """Where the part that starts here ends, and where the next one begins."""
        most = reach(self._text, start, room)
        if most >= len(self._text):
            return len(self._text), len(self._text)
        end, following = self._best_break(start, most)
        return self._clear_of_marks(start, end, following, most)

    def _best_break(self, start: int, most: int) -> tuple[int, int]:
        for pattern in _BREAKS[:1] if self._code else _BREAKS:
            for found in self._breaks(pattern, start, most):
                if found[0] - start > (most - start) // 4:
                    return found
        bound = last_bound(self._text, start, most)
        return bound, bound

    def _breaks(self, pattern: re.Pattern[str], start: int, most: int) -> Iterator[tuple[int, int]]:
        """The last break with whole characters on both sides."""
        last = None
        for found in pattern.finditer(self._text, start, most + 1):
            end = max(found.end(group) for group in range(1, pattern.groups + 1))
            if start < end <= most and not _belongs_to_previous(self._text[found.end() : found.end() + 1]):
                last = end, found.end()
        if last:
            yield last

    def _clear_of_marks(self, start: int, end: int, following: int, most: int) -> tuple[int, int]:
        """Not inside an address, and not next to a mark that would embrace nothing."""
        at = bisect_left(self._ends, end)
        if at < len(self._addresses) and start < self._addresses[at][0] < end < self._ends[at]:
            end = following = self._addresses[at][0]
        for marked in self._around(end):
            if end <= marked.start + len(marked.mark) and marked.start > start:
                return marked.start, marked.start
            if marked.end - len(marked.mark) <= end and marked.end <= most:
                return marked.end, marked.end
        return end, following

    def _around(self, at: int) -> list[_Marked]:
        """Marks that are open on both sides of a cut, the outermost first."""
        upto = bisect_left(self._marked, (at,))
        line = self._text.rfind("\n", 0, at) + 1
        first = bisect_left(self._marked, (line,))
        return [marked for marked in self._marked[first:upto] if marked.start < at < marked.end]

    def _quote(self, start: int) -> str:
        """The marks of the quote whose line continues here."""
        line = self._text.rfind("\n", 0, start) + 1
        quote = _QUOTE.match(self._text, line) if start > line and not self._code else None
        return quote[0] if quote and quote.end() <= start else ""


def _marked(text: str) -> Iterator[_Marked]:
    offset = 0
    for line in text.split("\n"):
        for start, end, mark in spans_in(line):
            sign = FENCE if mark == CODE and line.startswith(FENCE, start) else mark
            yield _Marked(offset + start, offset + end, sign)
        offset += len(line) + 1


def _belongs_to_previous(char: str) -> bool:
    return bool(char) and (char in _JOINERS or unicodedata.category(char).startswith("M"))
