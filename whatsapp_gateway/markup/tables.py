"""Converts tables of GitHub's Markdown to rows for a phone: each row repeats its column names."""

import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import Final, NamedTuple

BETWEEN: Final = " · "
_DELIMITERS: Final = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?")
_CELL_ENDS: Final = re.compile(r"(?<!\\)\|")
_BREAK: Final = re.compile(r"[ \t]*<br[ \t]*/?>[ \t]*", re.IGNORECASE)
_MARKED: Final = re.compile(r"\A(\*\*|__)(.+)\1\Z")


class Table(NamedTuple):
    """The table's rows in CommonMark, and the index of the next line."""

    rows: Sequence[str]
    end: int


def read_table(lines: Sequence[str], start: int) -> Table | None:
    """The table whose head is this line; None: no table begins here."""
    if start + 1 >= len(lines) or not _DELIMITERS.fullmatch(lines[start + 1].strip()):
        return None
    head = _cells(lines[start])
    if len(head) != len(_cells(lines[start + 1])):
        return None
    end = start + 2
    while end < len(lines) and "|" in lines[end] and lines[end].strip():
        end += 1
    body = [_cells(line) for line in lines[start + 2 : end]]
    return Table([row for cells in body if (row := _row(head, cells))] or [BETWEEN.join(filter(None, head))], end)


def _cells(line: str) -> list[str]:
    bare = line.strip().removeprefix("|")
    if bare.endswith("|") and not bare.endswith("\\|"):
        bare = bare[:-1]
    return [_BREAK.sub("; ", cell.strip()).replace("\\|", "|") for cell in _CELL_ENDS.split(bare)]


def _row(head: Sequence[str], cells: Sequence[str]) -> str:
    named = ((_MARKED.sub(r"\2", name), cell) for name, cell in zip_longest(head, cells, fillvalue="") if cell)
    return BETWEEN.join(f"{name.rstrip(':')}: {cell}" if name else cell for name, cell in named)
