"""The text that people read in documents, pages, protos, scripts and settings."""

import re
from collections.abc import Iterator

from checks.passage import Found
from checks.python_text import comments

MARKUP = re.compile(r"(?s)<(script|style)\b.*?</\1>|<[^>]*>")
STRING = re.compile(r"\"[^\"]*\"|'[^']*'|https?://\S+")
SETTING = re.compile(r"\s*#\w+=")
TARGET_HELP = re.compile(r"^\w+:.*?## (.*)")


def markdown(_path: str, _source: str, lines: list[str]) -> Iterator[Found]:
    """Paragraphs, table cells and headings, without code blocks."""
    fenced = False
    body: list[tuple[int, str]] = []
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            body.append((number, ""))
        elif fenced:
            continue
        elif line.startswith("#"):
            yield Found("heading", [(number, line.lstrip("# "))])
            body.append((number, ""))
        elif line.startswith("|"):
            body += [(number, text) for cell in line.split("|") for text in (cell, "")]
        else:
            body.append((number, line))
    yield Found("document", body)


def page(_path: str, source: str, _lines: list[str]) -> Iterator[Found]:
    """The text of an HTML page."""
    bare = MARKUP.sub(lambda markup: re.sub(r"[^\n]+", " ", markup[0]), source)
    yield Found("message", list(enumerate(bare.splitlines(), 1)))


def slash_comments(_path: str, _source: str, lines: list[str]) -> Iterator[Found]:
    strings = {number: [match.span() for match in STRING.finditer(line)] for number, line in enumerate(lines, 1)}
    yield from comments(lines, "//", strings)


def hash_comments(_path: str, _source: str, lines: list[str]) -> Iterator[Found]:
    """Comments on separate lines, without commented-out settings, and the help of a Makefile's targets."""
    for number, line in enumerate(lines, 1):
        helped = TARGET_HELP.match(line)
        if helped:
            yield Found("message", [(number, helped[1])])
    prose = [line if line.lstrip().startswith("#") and not SETTING.match(line) else "" for line in lines]
    yield from comments(prose, "#", {})
