"""The names in .env, and of exported settings: whether a program reads them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from kernelctl.checks.results import Result, Skipped, ok, warning
from kernelctl.checks.setup import OURS, SECRETS, SETTINGS, read_file
from serving.secret_files import file_setting
from serving.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kernelctl.checks.http import Http
    from kernelctl.checks.setup import Setup

OF_CONTAINERS: Final = frozenset(
    {"CONNECT_PORT", "GATEWAY_PORT", "KERNEL_PORT", "KERNEL_SERVICES", "POSTGRES_PASSWORD", "WHATSAPP_GATEWAYS"}
)
"""`make up` reads these beside the settings of the services."""
_ALIKE: Final = 0.85
"""From 0 to 1: an exported name that is less like a setting's is no misspelt one."""
_PREFIXES: Final = (
    *(prefix for prefix in OURS if prefix != "EMULATORS_"),
    *(vendor.prefix for vendor in VENDORS.values()),
    "LOG_",
)
_KNOWN: Final = frozenset(
    {
        *SETTINGS,
        *SECRETS,
        *(file_setting(name) for name in SECRETS),
        *OF_CONTAINERS,
    }
)


async def read(setup: Setup, _: Http) -> Sequence[Result]:
    """The names that begin like those of a setting, and are none. Exported ones may be another program's."""
    written = _unknown(read_file(setup.file)) if setup.file else []
    exported = _unknown(setup.values) if setup.is_local else []
    misspelt = [name for name in exported if name not in written and get_close_matches(name, _KNOWN, cutoff=_ALIKE)]
    if not (setup.file or misspelt):
        raise Skipped("there is no .env")
    return [_finding(name) for name in (*written, *misspelt)] or [ok("each name is that of a setting")]


def _unknown(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(_PREFIXES) and name not in _KNOWN]


def _finding(name: str) -> Result:
    near = get_close_matches(name, _KNOWN, n=1)
    fix = f"Write {near[0]}, if you mean that." if near else "docs/reference/settings.md lists the names."
    return warning(f"{name} is the name of no setting", why="No program reads it, so it has no effect.", fix=fix)
