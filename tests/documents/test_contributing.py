"""CONTRIBUTING names commands, modules and places that exist."""

from __future__ import annotations

import re
from importlib.util import find_spec

from kernel_service.texts import answers
from tests.documents.page import ROOT

GUIDE = (ROOT / "CONTRIBUTING.md").read_text()


def test_each_command_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", GUIDE)) <= targets


def test_each_module_that_is_run_exists() -> None:
    modules = set(re.findall(r"`python -m ([\w.]+)", GUIDE))
    assert modules
    assert not [module for module in modules if find_spec(module) is None]


def test_the_places_of_the_first_hour_exist() -> None:
    assert answers.STOPPED.startswith("Stopped.")
    policy = (ROOT / "kernel_service/approvals/policy.py").read_text()
    assert policy.count("tainted or ") == 1
