"""Time zones by their IANA names, as `Europe/Vienna`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

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


def said_zone(name: str) -> str:
    """The IANA name that a model means, in any case and with spaces; empty: none.

    An abbreviation is none: most name several zones, and those of the database know no summer time. A fixed offset is
    none either, since its sign is the opposite of the usual one (`Etc/GMT+5` is UTC-5).
    """
    plain = "_".join(name.split())
    exact = zone_of(plain) is not None and _names_a_place(plain)
    # The whole database is read only for an unusual spelling.
    found = plain if exact else _by_folded_name().get(plain.casefold(), "")
    return "UTC" if found.removeprefix("Etc/") in _UTC else found


_UTC: Final = frozenset(("UTC", "UCT", "Universal", "Zulu", "Greenwich", "GMT", "GMT0"))


@lru_cache(maxsize=1)
def _by_folded_name() -> dict[str, str]:
    return {name.casefold(): name for name in available_timezones() if _names_a_place(name)}


def _names_a_place(name: str) -> bool:
    area, _, place = name.partition("/")
    return (place or area) in _UTC or bool(place and area not in ("Etc", "SystemV", "US", "posix", "right"))
