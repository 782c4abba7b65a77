"""This machine: its clock and its disk."""

from __future__ import annotations

import shutil
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernelctl.checks.http import Unreachable
from kernelctl.checks.results import Result, Skipped, error, ok, warning
from serving.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernelctl.checks.http import Http
    from kernelctl.checks.setup import Setup

_SKEW, _LARGE_SKEW = 30.0, 240.0
"""Seconds. Composio's events are refused beyond 300 s, and a Date, in whole seconds, arrives late."""
MIB: Final = 1024 * 1024
_LEAST, _ENOUGH = 200 * MIB, 2048 * MIB


async def clock(setup: Setup, http: Http) -> Sequence[Result]:
    """Against the Date of the first vendor that answers."""
    for name, vendor in VENDORS.items():
        if setup.is_emulated(name):
            continue
        try:
            reply = await http.get(setup.get(vendor.base_url))
            date = parsedate_to_datetime(reply.headers.get("Date", "")).timestamp()
        except (Unreachable, ValueError, TypeError):
            continue
        return [_skew(setup.clock() - date, name)]
    raise Skipped("no vendor answers with a Date")


def _skew(seconds: float, vendor: str) -> Result:
    size, way = abs(seconds), "ahead of" if seconds > 0 else "behind"
    text = f"this machine's clock is {size:.0f} s {way} that of {vendor}"
    fix = "Turn on time synchronization: timedatectl set-ntp true, or chrony."
    if size > _LARGE_SKEW:
        return error(text, why="Events of Composio are refused, and reminders come at the wrong time.", fix=fix)
    if size > _SKEW:
        return warning(text, why="Reminders come at the wrong time, and events are refused soon.", fix=fix)
    return ok("this machine's clock is right")


async def disk(setup: Setup, _: Http) -> Sequence[Result]:
    """The space where SQLite's file is. PostgreSQL's is on its server."""
    url = setup.get("KERNEL_DATABASE_URL")
    if not setup.has_kernel:
        raise Skipped("this process has no settings of the kernel service")
    if not url.startswith("sqlite:///"):
        raise Skipped("the database is on a server")
    place = setup.folder / Path(url.removeprefix("sqlite:///")).parent
    while not place.exists():
        place = place.parent
    free = setup.free_bytes(place) if setup.free_bytes else shutil.disk_usage(place).free
    needed = _ENOUGH + int(setup.number("KERNEL_MEDIA_MB") * MIB)
    text = f"{free / MIB:,.0f} MiB are free on the disk of the database"
    fix = "Make room, move the database to a larger disk, or lower KERNEL_MEDIA_MB."
    if free < _LEAST:
        return [error(text, why="Soon no message can be stored, and the kernel service ends.", fix=fix)]
    if free < needed:
        return [warning(text, why=f"Files and conversations may need {needed / MIB:,.0f} MiB.", fix=fix)]
    return [ok(text)]
