"""Results that the checks of all vendors share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernelctl.checks.results import Result, Skipped, error, note, ok
from kernelctl.checks.setup import KEYS
from serving.demo import PUBLISHED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernelctl.checks.http import Unreachable
    from kernelctl.checks.setup import Setup

_INSTEAD: Final = {
    "WhatsApp": "the phones are a web page",
    "OpenAI": "answers come from fixed rules, not from a model",
    "Composio": "connected accounts and their data are invented",
}
_BASES: Final = {
    "WhatsApp": "WHATSAPP_API_BASE_URL",
    "OpenAI": "OPENAI_BASE_URL",
    "Composio": "COMPOSIO_BASE_URL",
}


def check_configured(setup: Setup, vendor: str) -> None:
    """Raises Skipped if an emulator replaces the vendor, or if another service's container has its settings."""
    if setup.is_emulated(vendor) and not setup.is_local:
        raise Skipped(f"this process has no settings of {vendor}")
    if setup.is_emulated(vendor):
        raise Skipped(f"{vendor} is emulated")


def unreachable(setting: str, problem: Unreachable, why: str) -> Result:
    return error(f"the address of {setting} {problem.problem}", why=why, fix=problem.fix)


def emulated(setup: Setup, vendor: str) -> Sequence[Result]:
    if setup.is_emulated(vendor) and not setup.is_local:
        return [note(f"this process has no settings of {vendor}: run kernelctl doctor in the other container, too")]
    if setup.is_emulated(vendor):
        fix = f"Set {KEYS[vendor]}, or run kernelctl init, to use the real one."
        return [note(f"{vendor} is emulated, since {KEYS[vendor]} is not set: {_INSTEAD[vendor]}", fix=fix)]
    if setup.get(KEYS[vendor]).strip() in PUBLISHED or setup.is_emulator(_BASES[vendor]):
        return [note(f"{_BASES[vendor]} leads to an emulator or a server of your own")]
    return [ok(f"{vendor} is real")]
