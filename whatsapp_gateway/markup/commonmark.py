"""Converts CommonMark to WhatsApp's markup: *bold*, _italic_, ~struck~, `code`, lists, quotes.

It works line by line, as WhatsApp's own markup does: markers, numbers and indentation stay as written. Text without
markup is kept byte for byte, except white space at the ends of lines and repeated empty lines.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from whatsapp_gateway.markup.emphasis import BOLD
from whatsapp_gateway.markup.graphemes import is_visible
from whatsapp_gateway.markup.inline import NestsTooDeepError, Piece, Shape, read_inline
from whatsapp_gateway.markup.lines import FENCE, unfenced, write_lines
from whatsapp_gateway.markup.plain_text import has_no_marks, is_plain
from whatsapp_gateway.markup.tables import read_table
from whatsapp_gateway.markup.whatsapp_markup import HAIR

_RULE: Final = "———"
_PREFIX: Final = re.compile(r"[ \t]*(?:(?:>(?=[ \t]|$)|[-+*](?=[ \t])|[0-9]{1,9}[.)](?=[ \t]))[ \t]*)*")
"""Indentation, marks of quotes, bullets and numbers."""
_QUOTE: Final = re.compile(r"[ \t]*>[ \t]?")
_IS_RULE: Final = re.compile(r"-{3,}|- - -(?: -)*|\*{3}|\* \* \*|_{3}|_ _ _")
_UNDERLINE: Final = re.compile(r"={3,}|-{3,}")
_HEADING: Final = re.compile(r"#{1,6}[ \t]+(?=\S)")
_CLOSING_HASHES: Final = re.compile(r"[ \t]#+\Z")
_FENCE: Final = re.compile(r"(`{3,}|~{3,})[ \t]*([^`]*)")
_WRAPPERS: Final = frozenset({"markdown", "md"})
_CODE_INDENT: Final = re.compile(r" {4}|\t")
_LOOKS_LIKE_A_BLOCK: Final = re.compile(r"[*>] ")
_UNWRAPPED_MOST: Final = 3


@dataclass(frozen=True, slots=True)
class Block:
    """Lines without an empty line between them; or the lines of a code block without their fence."""

    text: str
    code: bool = False

    def shown(self) -> str:
        if not self.code:
            return self.text
        return f"{FENCE}\n{unfenced(self.text)}\n{FENCE}"


def to_blocks(markdown: str) -> list[Block]:
    """The text as blocks, which empty lines separate; none is invisible or ends in white space.

    A text with too deep nesting, or without visible content, is one block as written.
    """
    try:
        blocks = (
            list(map(Block, markdown.split("\n\n")))
            if is_plain(markdown)
            else list(_blocks(markdown.replace("\r\n", "\n"), _UNWRAPPED_MOST))
        )
    except NestsTooDeepError:
        blocks = []
    return [block for block in blocks if is_visible(block.text)] or _as_written(markdown)


def as_text(text: str) -> Block:
    """Text without markup, such as a file's name, as a block that shows it unchanged."""
    pieces = ([Piece("\n"), Piece(line)] for line in text.split("\n"))
    return Block(write_lines(list(chain.from_iterable(pieces))[1:]))


def _as_written(markdown: str) -> list[Block]:
    text = markdown.strip()
    return [Block(text)] if is_visible(text) else []


def _blocks(markdown: str, unwrapping: int) -> Iterator[Block]:
    reader = _Reader(_unwrapped(markdown) if unwrapping else markdown)
    for block, is_wrapper in reader.blocks():
        if is_wrapper and unwrapping:
            yield from _blocks(block.text, unwrapping - 1)
        else:
            yield block


def _unwrapped(markdown: str) -> str:
    """The inner text, if the whole text is in a fence of Markdown, whatever fences the inner text has."""
    lines = markdown.strip().split("\n")
    first = _FENCE.fullmatch(lines[0].strip())
    if first and first[2].strip().lower() in _WRAPPERS and lines[-1].strip() == first[1] and len(lines) > 1:
        inner = lines[1:-1]
        # If the inner fences are paired, the outer fence encloses everything; otherwise the last line may close one of
        # them.
        if sum(line.strip().startswith(first[1]) for line in inner) % 2 == 0:
            return "\n".join(inner)
    return markdown


class _Reader:
    """Reads the lines once."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._at = 0
        self._done: list[str] = []
        """Lines of the current block."""
        self._group: list[tuple[str, str]] = []
        """Prefix and text of the lines of the current paragraph: marks may extend over lines."""
        self._in_list = False

    def blocks(self) -> Iterator[tuple[Block, bool]]:
        """Each block, and whether it is Markdown in a fence."""
        while self._at < len(self._lines):
            line = self._lines[self._at].rstrip()
            if not line.strip():
                yield from self._end()
                self._at += 1
            elif self._is_plain(line):
                self._group.append(("", line))
                self._at += 1
            elif fence := _FENCE.fullmatch(line.strip()):
                yield from self._end()
                yield self._fenced(fence[1], fence[2].strip().lower(), len(line) - len(line.lstrip()))
            elif self._begins_code(line):
                yield self._indented(), False
            else:
                self._prose(line)
        yield from self._end()

    def _is_plain(self, line: str) -> bool:
        """Most lines are plain: only a table or an underline could give them another meaning."""
        if not line[0].isalpha() or "|" in line or (self._group and self._group[-1][0].strip()):
            return False
        self._in_list = self._in_list and bool(self._group)
        return True

    def _end(self) -> Iterator[tuple[Block, bool]]:
        self._end_paragraph()
        if self._done:
            yield Block("\n".join(self._done)), False
        self._done = []

    def _end_paragraph(self) -> None:
        if self._group:
            written = _write("\n".join(text for _, text in self._group)).split("\n")
            lines = zip([prefix for prefix, _ in self._group], written, strict=True)
            self._done += [_prefixed(prefix, text) for prefix, text in lines]
        self._group = []

    # --- code -----------------------------------------------------------------------------------------------------

    def _fenced(self, fence: str, info: str, indent: int) -> tuple[Block, bool]:
        self._at += 1
        code = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            if line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                break
            code.append(line[min(indent, len(line) - len(line.lstrip())) :].rstrip())
        return Block("\n".join(code).strip("\n"), code=info not in _WRAPPERS), info in _WRAPPERS

    def _begins_code(self, line: str) -> bool:
        return bool(_CODE_INDENT.match(line)) and not (self._done or self._group or self._in_list)

    def _indented(self) -> Block:
        code = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.strip() and not _CODE_INDENT.match(line):
                break
            code.append(_CODE_INDENT.sub("", line, count=1).rstrip())
            self._at += 1
        return Block("\n".join(code).strip("\n"), code=True)

    # --- prose ----------------------------------------------------------------------------------------------------

    def _prose(self, line: str) -> None:
        if self._underlined() or self._table() or self._quoted_code():
            return
        self._at += 1
        if _IS_RULE.fullmatch(line.strip()):
            self._end_paragraph()
            self._done.append(_RULE)
            return
        prefix = _PREFIX.match(line)
        assert prefix is not None  # noqa: S101 - it matches the empty string
        marker, text = prefix[0], line[prefix.end() :]
        bare = not marker.strip()
        self._in_list = marker.strip(" \t>") != "" or (self._in_list and (marker != "" or bool(self._group)))
        if heading := _HEADING.match(text):
            self._end_paragraph()
            title = _CLOSING_HASHES.sub("", text[heading.end() :])
            self._done.append(_prefixed(marker, _write(title, (BOLD,))))
            return
        goes_on = self._group and (bare or (marker.strip() == ">" and self._group[-1][0].strip() == ">"))
        if not goes_on:
            self._end_paragraph()
        self._group.append((marker, text))

    def _underlined(self) -> bool:
        """A line of === or --- under one line makes that a heading."""
        if len(self._group) != 1 or self._group[0][0] or not _UNDERLINE.fullmatch(self._lines[self._at].strip()):
            return False
        self._done.append(_write(self._group.pop()[1], (BOLD,)))
        self._at += 1
        return True

    def _table(self) -> bool:
        table = read_table(self._lines, self._at) if "|" in self._lines[self._at] else None
        if table is None:
            return False
        self._end_paragraph()
        self._done += ["- " + _write(row) for row in table.rows]
        self._at = table.end
        return True

    def _quoted_code(self) -> bool:
        """A fence in a quote: WhatsApp shows none there, but it shows code in each line."""
        quote = _QUOTE.match(self._lines[self._at])
        fence = _FENCE.fullmatch(self._lines[self._at][quote.end() :].strip()) if quote else None
        if quote is None or fence is None:
            return False
        self._end_paragraph()
        self._at += 1
        while self._at < len(self._lines) and (inside := _QUOTE.match(self._lines[self._at])):
            code = self._lines[self._at][inside.end() :].rstrip()
            self._at += 1
            if code.strip().startswith(fence[1]) and not code.strip().strip(fence[1][0]):
                break
            self._done.append(f"> {write_lines([Piece(code, (), Shape.CODE)])}" if code.strip() else ">")
        return True


def _write(text: str, marks: tuple[str, ...] = ()) -> str:
    return text if not marks and has_no_marks(text) else write_lines(read_inline(text, marks))


def _prefixed(prefix: str, text: str) -> str:
    """WhatsApp shows `- ` at the beginning of a line as a bullet, and `> ` as a quote."""
    if prefix.strip():
        return (prefix.lstrip() if prefix.lstrip().startswith(">") else prefix).replace("*", "-") + text
    return prefix + (HAIR + text if _LOOKS_LIKE_A_BLOCK.match(text) else text)
