"""Each page with commands or snippets has a test that runs them."""

import re
from pathlib import Path

import pytest

from tests.documents.page import ROOT, blocks

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
TESTED = {
    path
    for file in ROOT.glob("tests/**/test_*.py")
    for path in re.findall(r'Page\("([\w/.-]+\.md)"\)', file.read_text())
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_with_blocks_has_a_test(page: Path) -> None:
    if blocks(page):
        assert str(page.relative_to(ROOT)) in TESTED


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_block_names_its_language(page: Path) -> None:
    for block in blocks(page):
        assert block.language, f"{page.name}:{block.line} names no language"
