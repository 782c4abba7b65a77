"""Diagrams in the pages can be drawn: rules that a build without a browser does not check."""

import re

from tests.documents.page import ROOT

_DIAGRAM = re.compile(r"^```mermaid\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_a_semicolon_does_not_end_a_line_of_a_sequence() -> None:
    """Mermaid reads `;` as the end of a statement, and fails at the rest of the line."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    diagrams = [(page, each) for page in pages for each in _DIAGRAM.findall(page.read_text())]
    assert len(diagrams) > 10
    cut = [page.name for page, each in diagrams if each.startswith("sequenceDiagram") and ";" in each]
    assert not cut
