"""The decisions are numbered without gaps, each has its sections, and the index lists each by its title."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.documents.page import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "docs/decisions"
PAGES = sorted(FOLDER.glob("[0-9]*.md"))
SECTIONS = ["Context", "Decision", "Consequences"]
STATUS = re.compile(r"Status: (accepted|replaced by \[\d+\]\(\d{4}-[\w-]+\.md\)), \d{4}-\d\d-\d\d\.")


def test_the_numbers_have_no_gap() -> None:
    assert [int(page.name[:4]) for page in PAGES] == list(range(1, len(PAGES) + 1))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_decision_has_a_status_a_date_and_the_sections(page: Path) -> None:
    title, _, status, *_ = page.read_text().splitlines()
    assert title.startswith(f"# {int(page.name[:4])}. ")
    assert STATUS.fullmatch(status), status
    sections = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
    assert [section for section in sections if section != "Options"] == SECTIONS


def test_the_index_lists_each_by_its_number_and_title() -> None:
    listed = re.findall(r"^\| (\d+) \| \[(.+)\]\((.+)\) \|$", (FOLDER / "index.md").read_text(), re.MULTILINE)
    titles = [page.read_text().splitlines()[0].removeprefix("# ").split(". ", 1) for page in PAGES]
    assert sorted(listed, key=lambda row: int(row[0])) == [
        (number, title, page.name) for page, (number, title) in zip(PAGES, titles, strict=True)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_file_of_the_code_that_a_decision_names_exists(page: Path) -> None:
    named = re.findall(r"`([\w/]+/[\w.]+\.(?:py|proto|sh|cfg))`", page.read_text())
    for path in named:
        folders = ("", "kernel_service", "whatsapp_gateway")
        assert any((ROOT / folder / path).is_file() for folder in folders), f"{path} does not exist"
