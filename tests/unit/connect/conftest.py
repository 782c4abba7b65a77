from __future__ import annotations

from tests.unit.tools.conftest import world

__all__ = ["world"]
