"""Time zones by their IANA names, as `Europe/Vienna`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9_+\-]{0,30}(?:/[A-Za-z0-9_+\-]{1,30}){0,2}")
_NO_PLACE: Final = frozenset(("Factory", "localtime", "posixrules"))
"""Files of the database whose meaning differs between machines."""


@lru_cache(maxsize=1_000)
def zone_of(name: str) -> ZoneInfo | None:
    """The time zone; None: there is no zone of this name."""
    if not _NAME.fullmatch(name) or name in _NO_PLACE:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # missing, or a folder of the database
        return None
