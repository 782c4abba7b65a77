"""The vendor's own client without its generated models, which cost 4 s and 100 MB at import. Nothing here uses them.

`composio_client/__init__.py` imports every model and every typed method. Here the few modules of the runtime below them
are imported behind an empty stand-in for the package, which is then removed. A later import of `composio_client` (by a
developer's tool) gets the whole package, with these same classes.

Source: composio-client 2.0.0rc19. The modules are private, therefore the version is pinned in pyproject.toml; another
one whose layout differs fails at import, before the service serves.
"""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGE: Final = "composio_client"


@contextmanager
def _without_its_init() -> Iterator[None]:
    if _PACKAGE in sys.modules:
        yield
        return
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None:
        raise ModuleNotFoundError(f"the package {_PACKAGE} is not installed", name=_PACKAGE)
    sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)
    try:
        yield
    finally:
        del sys.modules[_PACKAGE]


with _without_its_init():
    from composio_client._auth import NoAuth, ProjectAuth
    from composio_client._base_client import AsyncAPIClient
    from composio_client._exceptions import APIConnectionError, APIError, APIStatusError
    from composio_client._version import __version__

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "AsyncAPIClient",
    "NoAuth",
    "ProjectAuth",
    "__version__",
]
