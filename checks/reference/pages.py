"""Which page is made by what."""

from collections.abc import Callable
from pathlib import Path

from checks.reference import settings

ROOT = Path(__file__).parents[2]
PAGES: dict[str, Callable[[], str]] = {"docs/reference/settings.md": settings.page}
