"""The fenced blocks of a page of the documents. A page's test takes them in order, runs each, and leaves none out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from types import TracebackType

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>\{?\w*)[^\n]*\n(?P<text>.*?)^ *(?P=fence) *$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """The text without the indentation of its fence; `line` is the line of the fence, from 1."""

    language: str
    text: str
    line: int


def blocks(path: Path) -> list[Block]:
    """The blocks that a reader runs, saves or compares. Diagrams and directives of the site are not among them."""
    page = path.read_text()
    return [
        Block(
            each["language"],
            re.sub(rf"^{each['indent']}", "", each["text"], flags=re.MULTILINE),
            page[: each.start()].count("\n") + 1,
        )
        for each in _FENCE.finditer(page)
        if not each["language"].startswith(("{", "mermaid"))
    ]


class Page:
    """`with Page("docs/how-to/backups.md") as page:` fails at its end if blocks were not taken."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._left = blocks(ROOT / path)

    def take(self, language: str) -> str:
        """The text of the next block, which must be of this language (`sh`, `python`, `text`, …)."""
        assert self._left, f"{self.path} has no further block"
        block = self._left.pop(0)
        assert block.language == language, f"{self.path}:{block.line} is {block.language}, not {language}"
        return block.text

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            assert not self._left, f"{self.path}:{self._left[0].line} is run by no test"
