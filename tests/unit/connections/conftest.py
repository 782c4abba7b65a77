from __future__ import annotations

from tests.unit.composio.conftest import world

__all__ = ["world"]
