"""The forms that generated pages share."""

from __future__ import annotations

import os
import re
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_FOLDER = "docs/reference"
_PAGE = re.compile(r"(?<![\w/])(?P<path>(?:docs|benchmarks)/[\w/-]+\.md)(?:#(?P<anchor>[\w-]+))?")


def page(source: str, *parts: str) -> str:
    """A page that says from what it is written. `source` follows "from"."""
    return "\n\n".join([f"<!-- `make docs` writes this page from {source}. -->", *parts]) + "\n"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def paragraphs(text: str) -> str:
    """A docstring or a comment without its line breaks, and with links to the pages that it names by their paths."""
    blocks = re.split(r"\n\s*\n", re.sub(r"\n(?=- )", "\n\n", cleandoc(text)))
    joined = [_plain(re.sub(r"\s*\n\s*", " ", block)) for block in blocks]
    return _PAGE.sub(_link, "\n\n".join(joined).strip().replace("\n\n- ", "\n- ").replace("\n- ", "\n\n- ", 1))


def item(*parts: str) -> str:
    """An item of a list, with all paragraphs of its parts."""
    return f"- {' '.join(part for part in parts if part)}".replace("\n", "\n  ").replace("\n  \n", "\n\n")


def _plain(text: str) -> str:
    """Text in which HTML means itself."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(piece if piece.startswith("`") else piece.replace("<", "\\<") for piece in pieces)


def _link(named: re.Match[str]) -> str:
    """The text is the name of the heading or the page: a page may change its title without a change of this one."""
    path, anchor = named["path"], named["anchor"]
    name = anchor or Path(path).stem
    return f"[{name.replace('-', ' ')}]({os.path.relpath(path, _FOLDER)}{f'#{anchor}' if anchor else ''})"
