"""Load the server: in half the time, and without what no part of it uses."""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_UNUSED: Final = ("httpx._main", "httpx2._main", "trio")
"""httpx's command line, which imports rich, and another event loop, which httpcore imports wherever it is installed."""


def load_server() -> ModuleType:
    """`kernel_service.app`. ImportError if a package is missing or broken."""
    with _without_collections(), _absent(_UNUSED):
        import httpcore  # noqa: F401, PLC0415 - at its first use otherwise, and then with trio
        import httpcore2  # noqa: F401, PLC0415

        from kernel_service import app  # noqa: PLC0415

    return app


@contextmanager
def _without_collections() -> Iterator[None]:
    """No garbage collection meanwhile: modules leave nothing to collect, and each look walks over all of them."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _absent(modules: tuple[str, ...]) -> Iterator[None]:
    """As if these were not installed, for whoever asks for the first time meanwhile."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: an import of it fails
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
