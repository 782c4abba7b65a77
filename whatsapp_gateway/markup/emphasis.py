"""Emphasis of CommonMark: finds runs of marks, and matches them. Linear in the number of runs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from whatsapp_gateway.markup.boundaries import QUOTES, Kind, can_close, can_open, kind_of

BOLD: Final = "*"
ITALIC: Final = "_"
STRUCK: Final = "~"

_LONGEST: Final = 3
_MARKS: Final = "*_~"
_BESIDE: Final = 8
"""How far other marks may extend next to a run; the character after them is its boundary."""
_RUN: Final = re.compile(r"(.)\1*")
_CLAUSE: Final = 40
_CLAUSE_ENDS: Final = re.compile(r"[\s，。；：！？、（）「」『』“”,.;:!?()]")
_RECKONS: Final = re.compile(r"[=＝≈+\-/×÷^%]")
_SUM: Final = re.compile(r"[0-9.,]*[0-9]\s*[=＝]")
_PASSWORD: Final = tuple(
    re.compile(
        rf"\{mark}(?:[^\s`<\[{mark}]{{1,40}}(?<=[A-Za-z0-9])\{mark}(?=[A-Za-z0-9])){{1,8}}"
        rf"[^\s`<\[{mark}]{{1,40}}\{mark}(?![^\s.,;:!?)])"
    )
    for mark in "*~"
)
"""A word that also contains a mark: `*Sommer*2024*`."""
_NAME: Final = re.compile(r"__([A-Za-z0-9_]{1,30}?)__")
_PYTHON: Final = (object, type, int, list, dict, memoryview, type(len), type(re))
_OTHERS: Final = frozenset(
    {"init", "main", "name", "file", "all", "version", "author", "slots", "path", "post_init", "annotations", "future"}
    | {
        "proto",
        "typename",
        "attribute",
        "FILE",
        "LINE",
        "DIR",
        "FUNCTION",
        "CLASS",
        "METHOD",
        "NAMESPACE",
        "DATE",
        "TIME",
    }
)
_NAMES: Final = _OTHERS.union(name.strip("_") for kind in _PYTHON for name in dir(kind))
"""Names in programming languages that look like bold text: Python's, and some others."""


@dataclass(slots=True)
class Run:
    """A run of one mark. Each pair consumes one or two marks: the `left` ones are text."""

    mark: str
    left: int
    can_open: bool = False
    can_close: bool = False
    reckons: bool = False
    """Whether it is between two numbers."""
    behind: int = 0
    """How much text before it emphasis may embrace: a pair must enclose some."""
    closes: list[str] = field(default_factory=list)
    """The marks that it ends, the innermost first; and those that it begins, the innermost first."""
    opens: list[str] = field(default_factory=list)


def read_run(text: str, start: int) -> tuple[Run | str, int]:
    """The run of marks that begins here, or its text, and where it ends."""
    if (name := _NAME.match(text, start)) and name[1] in _NAMES:
        return name[0], name.end()
    if word := next(filter(None, (pattern.match(text, start) for pattern in _PASSWORD)), None):
        return word[0], word.end()
    found = _RUN.match(text, start)
    assert found is not None  # noqa: S101 - a character is a run of one
    run, end = found[0], found.end()
    if len(run) > (_LONGEST if run[0] != STRUCK else _LONGEST - 1):
        return run, end
    before, after = text[start - 1 : start], text[end : end + 1]
    outside = text[max(0, start - _BESIDE) : start].rstrip(_MARKS)[-1:]
    beyond = text[end : end + _BESIDE].lstrip(_MARKS)[:2]
    if _is_quoted(outside if before in _MARKS else before, beyond[:1] if after in _MARKS else after):
        return run, end
    reckons = run == BOLD and _stands_between_numbers(text, start)
    if reckons and _SUM.match(text, end):
        return run, end
    opens = can_open(run, outside if before in _MARKS else before, after)
    closes = can_close(run, before, beyond[:1] if after in _MARKS else after, beyond[1:])
    if run == BOLD and Kind.WIDE in (kind_of(before), kind_of(after)):
        begins, ends = _embraces(text, start)
        opens, closes = opens or begins, closes or ends
    return Run(run[0], len(run), opens, closes, reckons), end


def _is_quoted(before: str, after: str) -> bool:
    """Whether a quotation contains only marks: then the text is about them."""
    return before in QUOTES and after in QUOTES


def _stands_between_numbers(text: str, start: int) -> bool:
    """Whether it can be the operator of a calculation, with spaces around it: `5 *3`."""
    left, right = text[max(0, start - _BESIDE) : start].rstrip(" "), text[start + 1 : start + 1 + _BESIDE].lstrip(" ")
    return left[-1:].isdecimal() and right[:1].isdecimal()


def _embraces(text: str, start: int) -> tuple[bool, bool]:
    """Whether a single * next to letters of a script without spaces begins or ends emphasis, and is not a product.

    It does if it is one of two in its clause, embraces two letters or more, and the clause contains no calculation:
    `长*宽*高` and `价=单*量*折` are calculations.
    """
    left = _CLAUSE_ENDS.split(text[max(0, start - _CLAUSE) : start])[-1]
    right = _CLAUSE_ENDS.split(text[start + 1 : start + 1 + _CLAUSE])[0]
    parts = f"{left}*{right}".split("*")
    if len(parts) != 3 or len(parts[1]) < 2 or _RECKONS.search(left + right):  # noqa: PLR2004
        return False, False
    return "*" not in left, "*" in left


def pair(runs: Iterable[Run]) -> None:
    """Match runs that begin emphasis with runs that end it."""
    opened = _Opened()
    for run in runs:
        while run.can_close and run.left and (other := opened.take(run)):
            if other.behind == run.behind or (other.reckons and run.reckons):
                opened.put(other)
                break
            _match(other, run)
            if other.left:
                opened.put(other)
        if run.can_open and run.left:
            opened.put(run)


class _Opened:
    """Runs that are still open, the last one first."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._places: dict[tuple[str, int], list[int]] = {}
        """Their positions by mark and width."""

    def put(self, run: Run) -> None:
        self._places.setdefault((run.mark, run.left), []).append(len(self._runs))
        self._runs.append(run)

    def take(self, end: Run) -> Run | None:
        """The last run that this one may end. Runs opened inside it are removed, because they are text.

        The widths may differ only if one of them is three: `**a*` is text rather than half of it.
        """
        widths = (1, 2, _LONGEST) if end.left == _LONGEST else (end.left, _LONGEST)
        last = max((places[-1] for width in widths if (places := self._places.get((end.mark, width)))), default=None)
        if last is None:
            return None
        found = self._runs[last]
        for run in self._runs[last:]:
            self._places[run.mark, run.left].pop()
        del self._runs[last:]
        return found


def _match(begin: Run, end: Run) -> None:
    width = min(begin.left, end.left, 2)
    shown = STRUCK if end.mark == STRUCK else (ITALIC, BOLD)[width - 1]
    begin.opens.append(shown)
    end.closes.append(shown)
    begin.left -= width
    end.left -= width
