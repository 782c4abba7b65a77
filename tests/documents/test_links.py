"""Each link of each Markdown page leads somewhere, on a code host, too."""

from pathlib import Path

import pytest

from checks.links import problems
from tests.documents.page import ROOT

PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("*/**/*.md")]
    if not any(part.startswith(".") or part in {"build", "node_modules"} for part in path.relative_to(ROOT).parts)
)


def test_the_pages_are_found() -> None:
    names = {str(path.relative_to(ROOT)) for path in PAGES}
    assert names >= {"README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "benchmarks/README.md", "docs/index.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_leads_somewhere(page: Path) -> None:
    assert problems(page) == []
