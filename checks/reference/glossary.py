"""docs/reference/glossary.md: the terms of ARCHITECTURE.md, in the order of the alphabet."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from checks.reference.markdown import item
from checks.reference.markdown import page as written

ARCHITECTURE = Path(__file__).parents[2] / "ARCHITECTURE.md"
_INTRODUCTION = """\
# Glossary

The terms of this project, each with its names in the code. A word that is not listed has its usual meaning in the
field."""


class Term(NamedTuple):
    """A row of the table. `names`: in the code. `replaced`: words that are not used for it."""

    term: str
    names: str
    meaning: str
    replaced: str


def page() -> str:
    return written("the terms of ARCHITECTURE.md", _INTRODUCTION, "\n".join(map(_entry, sorted(terms()))))


def terms() -> list[Term]:
    table = ARCHITECTURE.read_text().partition("## Terms\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    return [Term(*(cell.strip() for cell in row)) for row in rows[2:]]


def _entry(term: Term) -> str:
    return item(f"**{term.term}** ({term.names}):", term.meaning)
