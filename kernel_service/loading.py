"""Loads the server in half the time, without the modules that no part of it uses."""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_UNUSED: Final = ("httpx._main", "httpx2._main", "trio")
"""httpx's command line, which imports rich, and a second event loop, which httpcore imports if it is installed."""


def load_server() -> ModuleType:
    """`kernel_service.app`. ImportError if a package is missing or broken."""
    with _without_collections(), _absent(_UNUSED):
        import httpcore  # noqa: F401, PLC0415 - otherwise its first use imports it together with trio
        import httpcore2  # noqa: F401, PLC0415

        from kernel_service import app  # noqa: PLC0415

    return app


@contextmanager
def _without_collections() -> Iterator[None]:
    """Disables garbage collection: modules leave nothing to collect, and each collection visits all of them."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _absent(modules: tuple[str, ...]) -> Iterator[None]:
    """Makes a first import of these modules fail inside the block, as if they were not installed."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: an import of it fails
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
