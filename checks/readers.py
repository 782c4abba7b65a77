"""Which reader finds the text of which kind of file."""

import re
from collections.abc import Callable, Iterator
from pathlib import PurePath

from checks.passage import Found, Passage
from checks.plain_text import hash_comments, markdown, page, slash_comments
from checks.python_text import python_text

ESCAPE = "language: ok"
LIST_ITEM = re.compile(r"\s*([-*|] |\d+\. |[│├└])")
"""Also a row of a table, and a line of a tree."""
WITH_HASHES = (".sh", ".yml", ".yaml", ".toml", ".importlinter", ".example", "Makefile", "Dockerfile", "run")
READERS: dict[str, Callable[[str, str, list[str]], Iterator[Found]]] = {
    ".py": python_text,
    ".md": markdown,
    ".html": page,
    ".proto": slash_comments,
    ".js": slash_comments,
    ".ts": slash_comments,
    **dict.fromkeys(WITH_HASHES, hash_comments),
}


def is_read(path: str) -> bool:
    return _kind(path) in READERS


def passages_of(path: str, source: str) -> Iterator[Passage]:
    """All passages of a file, without those that the escape silences."""
    lines = source.splitlines()
    silenced = {number for number, line in enumerate(lines, 1) if ESCAPE in line}
    for found in READERS[_kind(path)](path, source, lines):
        if found.escape not in silenced:
            yield from _paragraphs(found.kind, [line for line in found.lines if line[0] not in silenced])


def _kind(path: str) -> str:
    return PurePath(path).suffix or PurePath(path).name


def _paragraphs(kind: str, lines: list[tuple[int, str]]) -> Iterator[Passage]:
    paragraph: list[tuple[int, str]] = []
    for number, line in lines:
        if paragraph and (not line.strip() or LIST_ITEM.match(line)):
            yield Passage(kind, paragraph)
            paragraph = []
        if line.strip():
            paragraph.append((number, line))
    if paragraph:
        yield Passage(kind, paragraph)
