"""The steps that remain after the file is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernelctl import terminal
from serving.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernelctl.checks.setup import Setup


def lines(setup: Setup) -> Iterator[str]:
    yield "Next:"
    for number, step in enumerate(_steps(setup), start=1):
        first, *rest = terminal.wrapped(step, indent=4)
        yield f" {number}. {first.strip()}"
        yield from rest


def _steps(setup: Setup) -> Iterator[str]:
    """The verify token is a secret of the file, so it is named and not shown."""
    emulated = [vendor for vendor in VENDORS if setup.is_emulated(vendor)]
    containers = ", or make up (in containers, with PostgreSQL)" if len(emulated) in {0, len(VENDORS)} else ""
    yield f"Start the services: make run, or kernel-per-person without a checkout (on this machine){containers}."
    public = setup.get("CONNECT_PUBLIC_URL") or "https://<your domain>"
    if not setup.is_emulated("WhatsApp"):
        yield (
            f"Meta's app dashboard > WhatsApp > Configuration: enter {public}/webhook as callback URL and the value of "
            "WHATSAPP_VERIFY_TOKEN, and subscribe to `messages`."
        )
    if not (setup.is_emulated("WhatsApp") and setup.is_emulated("Composio")):
        yield f"Let an https proxy at {public} lead /webhook to GATEWAY_LISTEN and /connect/ to CONNECT_LISTEN."
    yield "Run kernelctl doctor: it repeats all checks, and those of the running services."
