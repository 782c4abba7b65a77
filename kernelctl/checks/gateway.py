"""The gateway on this machine: whether it runs, reaches the kernel service, and has these settings."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from kernelctl.checks.http import Unreachable
from kernelctl.checks.results import Result, Skipped, error
from kernelctl.checks.webhook_probe import PATH, probe_webhook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernelctl.checks.http import Http
    from kernelctl.checks.setup import Setup

_SILENCE: Final = "No message of a person is answered."


async def gateway(setup: Setup, http: Http) -> Sequence[Result]:
    if not setup.has_gateway:
        raise Skipped("this process has no settings of the gateway")
    url = setup.gateway_url
    try:
        ready = await http.get(f"{url}/readyz")
    except Unreachable as problem:
        fix = "Start it (`make run` or `make up`), or correct GATEWAY_LISTEN."
        return [error(f"the gateway at GATEWAY_LISTEN {problem.problem}", why=_SILENCE, fix=fix)]
    if ready.status == HTTPStatus.SERVICE_UNAVAILABLE:
        fix = "Start the kernel service, and see KERNEL_ADDRESS, KERNEL_TOKEN and KERNEL_TLS_CA of the gateway."
        return [error("the gateway does not reach the kernel service", why=_SILENCE, fix=fix)]
    if ready.status != HTTPStatus.OK or ready.text.strip() != "ok":
        fix = "Correct GATEWAY_LISTEN, or end what listens there."
        return [error("another service than the gateway answers at GATEWAY_LISTEN", why=_SILENCE, fix=fix)]
    return await probe_webhook(setup, http, f"{url}{PATH}", "GATEWAY_LISTEN", strict=False)
