"""Results that the checks of all vendors share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernelctl.checks.results import Result, Skipped, error, note, ok
from serving.demo import PUBLISHED
from serving.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernelctl.checks.http import Unreachable
    from kernelctl.checks.setup import Setup


def check_configured(setup: Setup, vendor: str) -> None:
    """Raises Skipped if an emulator replaces the vendor, or if another service's container has its settings."""
    if setup.is_emulated(vendor) and not setup.is_local:
        raise Skipped(f"this process has no settings of {vendor}")
    if setup.is_emulated(vendor):
        raise Skipped(f"{vendor} is emulated")


def unreachable(setting: str, problem: Unreachable, why: str) -> Result:
    return error(f"the address of {setting} {problem.problem}", why=why, fix=problem.fix)


def emulated(setup: Setup, vendor: str) -> Sequence[Result]:
    key, base_url = VENDORS[vendor].key, VENDORS[vendor].base_url
    if setup.is_emulated(vendor) and not setup.is_local:
        return [note(f"this process has no settings of {vendor}: run kernelctl doctor in the other container, too")]
    if setup.is_emulated(vendor):
        fix = f"Set {key}, or run kernelctl init, to use the real one."
        return [note(f"{vendor} is emulated, since {key} is not set: {VENDORS[vendor].instead}", fix=fix)]
    if setup.get(key).strip() in PUBLISHED or setup.is_emulator(base_url):
        return [note(f"{base_url} leads to an emulator or a server of your own")]
    return [ok(f"{vendor} is real")]
