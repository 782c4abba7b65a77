"""The vendor's own client without its generated models, which cost 4 s and 100 MB at import. Nothing here uses them.

`composio_client/__init__.py` imports every model and every typed method. It is deferred, and the few modules of the
runtime below them are imported. A later import of `composio_client` (by a developer's tool) gets the whole package,
with these same classes.

Source: composio-client 2.0.0rc19. The modules are private, therefore the version is pinned in pyproject.toml; another
one whose layout differs fails at import, before the service serves.
"""

from __future__ import annotations

from kernel_service.deferred_packages import defer

defer("composio_client")

from composio_client._auth import NoAuth, ProjectAuth  # noqa: E402 - after it is deferred
from composio_client._base_client import AsyncAPIClient  # noqa: E402
from composio_client._exceptions import APIConnectionError, APIError, APIStatusError  # noqa: E402
from composio_client._version import __version__  # noqa: E402

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "AsyncAPIClient",
    "NoAuth",
    "ProjectAuth",
    "__version__",
]
