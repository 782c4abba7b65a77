"""The generated pages of the reference say what the code says now."""

import pytest

from checks.reference.markdown import paragraphs, table
from checks.reference.pages import PAGES
from tests.documents.page import ROOT


@pytest.mark.parametrize("path", PAGES)
def test_the_page_is_that_of_the_code(path: str) -> None:
    assert PAGES[path]() == (ROOT / path).read_text(), "run `make docs`"


def test_text_of_the_code_becomes_paragraphs_with_links() -> None:
    text = """The first line
        and the second, see docs/how-to/rotate-keys.md.

        More in docs/explanation/security.md#consent."""
    assert paragraphs(text) == (
        "The first line and the second, see [rotate keys](../how-to/rotate-keys.md).\n\n"
        "More in [consent](../explanation/security.md#consent)."
    )


def test_a_cell_of_a_table_may_hold_a_bar() -> None:
    assert table(["a", "b"], [["1|2", "3"]]) == "| a | b |\n| --- | --- |\n| 1\\|2 | 3 |"
