"""Compares what a page shows with what the product says."""

import re


def assert_shown(shown: str, said: str) -> None:
    """The page shows `said`; each `…` of the page stands for anything."""
    pattern = re.escape(shown.strip()).replace("…", ".*")
    assert re.fullmatch(pattern, said.strip(), re.DOTALL), f"the page shows:\n{shown}\nthe product says:\n{said}"
