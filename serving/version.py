"""The release that runs, as pyproject.toml states it."""

from importlib.metadata import version
from typing import Final

VERSION: Final = version("kernel-per-person")
