"""The tree in the docstring of `errors.py` names every error that callers can get, under its parent."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import NamedTuple

import pytest

import kernel_service
from kernel_service import errors
from kernel_service.errors import KernelError

_LINE = re.compile(r"(?P<branch>[│ ]*[├└]── )(?P<name>\w+)(?: \((?P<file>[\w/.]+)\))?(?: +(?P<status>[A-Z_]{4,})\b)?")


class Entry(NamedTuple):
    parent: str
    status: str
    module: str


def documented() -> dict[str, Entry]:
    """By class; a status that a line leaves out is its parent's."""
    found, path = {"KernelError": Entry("Exception", "INTERNAL", "kernel_service.errors")}, ["KernelError"]
    for line in (errors.__doc__ or "").splitlines():
        if (match := _LINE.match(line)) is None:
            continue
        depth = len(match["branch"]) // 4
        parent = path[depth - 1]
        file = (match["file"] or "errors.py").removesuffix(".py").replace("/", ".")
        found[match["name"]] = Entry(parent, match["status"] or found[parent].status, f"kernel_service.{file}")
        path[depth:] = [match["name"]]
    return found


def actual(kind: type[KernelError] = KernelError) -> dict[str, Entry]:
    [parent] = kind.__bases__
    found = {kind.__name__: Entry(parent.__name__, kind.status, kind.__module__)}
    for below in kind.__subclasses__():
        if below.__module__.startswith("kernel_service."):
            found |= actual(below)
    return found


@pytest.mark.slow
def test_the_documented_error_tree_is_complete_and_true() -> None:
    for module in pkgutil.walk_packages(kernel_service.__path__, "kernel_service."):
        if ".migrations" not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    assert documented() == actual()
