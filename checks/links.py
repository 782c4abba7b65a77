"""The links of a Markdown page: to pages, headings and files that exist, or to well-formed addresses of the web.

Sphinx checks the pages of the site when it builds them. This also covers what a code host alone shows, as README.md.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

_HTML = re.compile(r"""<(?P<tag>a|img)\b[^>]*?\b(?:href|src)=["'](?P<target>[^"']*)["'][^>]*>""")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_ALT = re.compile(r"""\balt=["'][^"']*\w[^"']*["']""")
_ANCHOR = re.compile(r"""\b(?:id|name)=["']([^"']+)["']""")
_SCHEMES = {"http", "https", "mailto", "tel"}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Link(NamedTuple):
    """`line` counts from 1. A picture has a text, too: what it shows."""

    target: str
    text: str
    line: int
    is_picture: bool


def problems(page: Path) -> list[str]:
    """One line for each link that leads nowhere, and for each picture without a text."""
    found = []
    for link in links(page):
        if link.is_picture and not link.text.strip():
            found.append(f"{page.name}:{link.line} the picture {link.target} has no text that says what it shows")
        if problem := _problem(page, link.target):
            found.append(f"{page.name}:{link.line} {link.target or 'an empty link'} {problem}")
    return found


def links(page: Path) -> Iterator[Link]:
    for block in _parsed(page):
        line = block.map[0] + 1 if block.map else 1
        if block.type == "html_block":
            yield from _html_links(block.content, line)
        children = block.children or []
        for index, token in enumerate(children):
            if token.type == "softbreak":
                line += 1
            elif token.type == "link_open":
                yield Link(str(token.attrs["href"]), children[index + 1].content, line, is_picture=False)
            elif token.type == "image":
                yield Link(str(token.attrs["src"]), token.content, line, is_picture=True)
            elif token.type == "html_inline":
                yield from _html_links(token.content, line)


def anchors(page: Path) -> set[str]:
    """The names that can stand after `#`: the headings as code hosts name them, and the names in HTML."""
    found: set[str] = set()
    parsed = _parsed(page)
    for index, token in enumerate(parsed):
        if token.type == "heading_open":
            slug = _slug(parsed[index + 1])
            count = 0
            while (anchor := f"{slug}-{count}" if count else slug) in found:
                count += 1
            found.add(anchor)
    return found | set(_ANCHOR.findall(page.read_text()))


@cache
def _parsed(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text())


def _html_links(text: str, line: int) -> Iterator[Link]:
    seen = _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), text)
    for each in _HTML.finditer(seen):
        is_picture = each["tag"] == "img"
        shown = "alt" if not is_picture or _ALT.search(each[0]) else ""
        yield Link(each["target"], shown, line + seen[: each.start()].count("\n"), is_picture)


def _slug(heading: Token) -> str:
    words = "".join(token.content for token in heading.children or [] if token.type in {"text", "code_inline"})
    return re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")


def _problem(page: Path, target: str) -> str | None:
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return _web_problem(target)
    path = Path(page.parent, unquote(parts.path)) if parts.path else page
    if not path.exists() or not target or (parts.path.endswith("/") and path.is_file()):
        return "is not there"
    if parts.path.startswith("/"):
        return "is a path of this machine: make it relative to the page"
    if parts.fragment and path.suffix == ".md" and unquote(parts.fragment) not in anchors(path.resolve()):
        return "names no heading of that page"
    return None


def _web_problem(target: str) -> str | None:
    """Only the form is checked: a test may not depend on the network."""
    try:
        parts = urlsplit(target)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no valid address"
    if parts.scheme not in _SCHEMES:
        return "is no valid address: give it with https://"
    if parts.scheme in {"mailto", "tel"}:
        return None if parts.path else "is no valid address"
    if not host or (host not in _LOOPBACK and "." not in host) or re.search(r"[\s<>\"]", target):
        return "is no valid address"
    if parts.scheme == "http" and host not in _LOOPBACK:
        return "is not private: use https://"
    return None
