"""A passage: text of one kind that people read, as one line that knows where in the file its words are."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from typing import ClassVar, NamedTuple

QUOTED = re.compile(
    r"``[^`]+``|`[^`]+`|\"[^\"]+\"|“[^”]+”|(?<!\w)'[^']+'(?!\w)|\]\([^)]*\)|https?://\S+|<[^<>\s][^<>]*>"
)


class Found(NamedTuple):
    """Lines that a reader finds in a file, with their numbers. A comment on the line `escape` silences all of them."""

    kind: str
    lines: list[tuple[int, str]]
    escape: int = 0


class Passage:
    """Quotations are data: they are blanked, and every offset stays the same."""

    KINDS: ClassVar = ("docstring", "comment", "message", "name", "document", "heading")

    def __init__(self, kind: str, lines: Iterable[tuple[int, str]]) -> None:
        self.kind = kind
        self._starts: list[int] = []
        self._lines: list[int] = []
        parts, offset = [], 0
        for number, line in lines:
            part = " ".join(line.split())
            self._starts.append(offset)
            self._lines.append(number)
            parts.append(part)
            offset += len(part) + 1
        self.text = QUOTED.sub(lambda quoted: "·" * len(quoted[0]), " ".join(parts))

    def line_at(self, offset: int) -> int:
        return self._lines[bisect_right(self._starts, offset) - 1]
