"""The settings themselves: whether the services accept them, how strong the secrets are, and who may read the file."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Final

from kernelctl.checks.results import Result, Skipped, error, note, ok, warning
from kernelctl.checks.vendor import emulated
from serving.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernelctl.checks.http import Http
    from kernelctl.checks.setup import Setup

_CONTAINERS: Final = {"KERNEL_LISTEN": "0.0.0.0:50051", "CONNECT_LISTEN": "0.0.0.0:8081"}
_CONTAINERS_GATEWAY: Final = {"GATEWAY_LISTEN": "0.0.0.0:8080"}
_MADE_THERE: Final = ("KERNEL_TLS_CERT", "KERNEL_TLS_KEY", "KERNEL_ADDRESS")
"""`make up` and the Helm chart set these by themselves."""
_NO_START: Final = "The service does not start with it."
_CREATED: Final = ("KERNEL_ENCRYPTION_KEYS", "KERNEL_TOKEN", "KERNEL_ADMIN_TOKEN", "POSTGRES_PASSWORD")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


async def accepted(setup: Setup, _: Http) -> Sequence[Result]:
    """As the services check them at their start."""
    lines = setup.problems(kernel={}, gateway={})
    return [_refused(line) for line in lines] or [ok("both services accept the settings")]


def _refused(line: str) -> Result:
    """`NAME has a problem: what to do`."""
    problem, colon, remedy = line.partition(": ")
    name = line.split(" ", 1)[0]
    fix = f"{remedy[0].upper()}{remedy[1:].rstrip('.')}." if colon else f"Correct {name}: docs/reference/settings.md."
    return error(problem, why=_NO_START, fix=fix)


async def exposed(setup: Setup, _: Http) -> Sequence[Result]:
    """The settings that are refused as soon as other machines reach the services, as in containers."""
    if setup.get("KERNEL_ALLOW_INSECURE").lower() in {"1", "true", "yes", "on"}:
        why = "Settings that are unsafe off this machine are not refused: weak secrets, and gRPC without TLS."
        fix = "Remove it, unless the services serve this machine alone."
        return [
            note("KERNEL_ALLOW_INSECURE is true", why=why)
            if setup.is_demo
            else warning("KERNEL_ALLOW_INSECURE is true", why=why, fix=fix)
        ]
    if setup.is_demo:
        raise Skipped("the demo serves this machine alone")
    here = set(setup.problems(kernel={}, gateway={}))
    there = [line for line in setup.problems(kernel=_CONTAINERS, gateway=_CONTAINERS_GATEWAY) if line not in here]
    if any(line.startswith("KERNEL_TOKEN ") for line in there):  # it is the token of whatsapp as well
        there = [line for line in there if not line.startswith("KERNEL_CHANNEL_TOKENS has a token of whatsapp that")]
    return [_weak(line) for line in there if not line.startswith(_MADE_THERE)] or [ok("the secrets are strong")]


def _weak(line: str) -> Result:
    """The part about the listening address is that of the trial, not of the set-up."""
    problem, _, remedy = line.partition(", and other machines reach ")
    fix = remedy.partition(": ")[2].partition(". KERNEL_ALLOW_INSECURE")[0]
    fix = f"{fix[0].upper()}{fix[1:]}." if fix else f"Correct it: {line.partition(': ')[2]}"
    return warning(problem.partition(": ")[0], why="It is refused once other machines reach the service.", fix=fix)


async def present(setup: Setup, _: Http) -> Sequence[Result]:
    """The settings that `make up` needs and the services do not ask for by themselves."""
    if setup.is_demo or not setup.is_local:
        raise Skipped("the demo and the containers have their own")
    missing = [name for name in _CREATED if not setup.values.get(name)]
    if not missing:
        return [ok("the secrets that you create are there")]
    if missing == ["POSTGRES_PASSWORD"]:
        return [note("POSTGRES_PASSWORD is not set: `make up` needs it, `make run` does not")]
    fix = "kernelctl init creates them."
    return [warning(f"not set: {', '.join(missing)}", why="`make up` does not start without them.", fix=fix)]


async def vendors(setup: Setup, _: Http) -> Sequence[Result]:
    return [result for vendor in VENDORS for result in emulated(setup, vendor)]


async def bounds(setup: Setup, _: Http) -> Sequence[Result]:
    """Whether strangers can cost without a limit."""
    if not setup.has_kernel:
        raise Skipped("this process has no settings of the kernel service")
    if setup.entries("KERNEL_ALLOWED_USERS") or any(
        setup.get(name) not in {"", "0"} for name in ("KERNEL_DAILY_TOKENS", "KERNEL_DAILY_TOKENS_PER_USER")
    ):
        return [ok("the people who may write, or their costs, are limited")]
    text = "everyone may write, and nothing limits what it costs"
    if setup.is_emulated("OpenAI"):
        return [note(text)]
    fix = "Set KERNEL_ALLOWED_USERS, or KERNEL_DAILY_TOKENS and KERNEL_DAILY_TOKENS_PER_USER."
    return [warning(text, why="Any stranger can write to a WhatsApp number, and each answer is billed.", fix=fix)]


async def file_mode(setup: Setup, _: Http) -> Sequence[Result]:
    file = setup.file
    if file is None:
        raise Skipped("there is no .env")
    if file.stat().st_mode & _OTHERS:
        why = "Every user of this machine can read all keys."
        return [warning(f"{file.name} is open to others on this machine", why=why, fix=f"chmod go= {file}")]
    return [ok(f"{file.name} is closed to others on this machine")]
