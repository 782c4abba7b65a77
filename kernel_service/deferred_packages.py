"""Packages whose `__init__` runs at its first use: some import thousands of generated names that nothing here uses.

The modules below such a package are imported as usual. Code that asks the package itself for a name, such as a
developer's tool, gets the whole package, with the same modules.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from threading import RLock
from types import ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec

_RUNNING: Final = RLock()


class _Deferred(ModuleType):
    """A package whose `__init__` runs when a name is missing. Its spec is here until then."""

    def __getattr__(self, name: str) -> object:
        with _RUNNING:
            spec: ModuleSpec | None = self.__dict__.pop("_not_run", None)
            if spec is not None and spec.loader is not None:
                spec.loader.exec_module(self)
        return ModuleType.__getattribute__(self, name)


def defer(*packages: str) -> None:
    """Defer these, a package before those below it. One that is loaded already, or not installed, stays as it is."""
    for name in packages:
        if name not in sys.modules and (spec := _found(name)):
            package = module_from_spec(spec)
            package.__class__ = _Deferred
            package.__dict__["_not_run"] = spec
            sys.modules[name] = package
            parent, _, child = name.rpartition(".")
            if parent in sys.modules:
                setattr(sys.modules[parent], child, package)


def _found(name: str) -> ModuleSpec | None:
    """The spec of a package, without importing its parents as `importlib.util.find_spec` does."""
    folders: Sequence[str] | None = None
    spec = None
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:end]), folders)
        folders = spec.submodule_search_locations if spec else None
        if folders is None:
            return None
    return spec
