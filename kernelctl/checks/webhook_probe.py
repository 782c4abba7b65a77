"""Asks a webhook's address what Meta would ask: the challenge, an empty signed webhook, and one without a signature.

An empty webhook has no message, so nothing happens because of it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from kernelctl.checks.http import Reply, Unreachable
from kernelctl.checks.results import Result, error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernelctl.checks.http import Http
    from kernelctl.checks.setup import Setup

PATH: Final = "/webhook"
_EMPTY: Final = b'{"object":"whatsapp_business_account","entry":[]}'
_REDIRECTS: Final = range(300, 400)
_SILENCE: Final = "Meta's webhooks do not arrive, so no person is answered."


async def probe_webhook(setup: Setup, http: Http, url: str, what: str, *, strict: bool) -> Sequence[Result]:
    """`strict`: it must be https, as Meta requires."""
    parts = urlsplit(url)
    if strict and parts.scheme != "https":
        fix = "Put an https proxy before the gateway, and enter its https address at Meta."
        return [error(f"{what} is not https", why="Meta sends webhooks to https only.", fix=fix)]
    try:
        return await _probe(setup, http, url, what)
    except Unreachable as problem:
        return [error(f"{what} {problem.problem}", why=_SILENCE, fix=problem.fix)]


async def _probe(setup: Setup, http: Http, url: str, what: str) -> Sequence[Result]:
    challenge = secrets.token_hex(8)
    asked = {
        "hub.mode": "subscribe",
        "hub.challenge": challenge,
        "hub.verify_token": setup.get("WHATSAPP_VERIFY_TOKEN"),
    }
    reply = await http.get(url, params=asked)
    if reply.status == HTTPStatus.OK and reply.text.strip() == challenge:
        return [await _signed(setup, http, url, what)]
    return [_wrong_challenge(reply, what)]


def _wrong_challenge(reply: Reply, what: str) -> Result:
    if reply.status == HTTPStatus.FORBIDDEN and not reply.text.strip():
        return error(
            f"the gateway behind {what} has another verify token",
            why="Meta cannot verify the webhook, and the gateway is perhaps another one than this set-up's.",
            fix="Set the same WHATSAPP_VERIFY_TOKEN there, and restart the gateway: settings are read at the start.",
        )
    if reply.status in _REDIRECTS:
        return error(
            f"{what} redirects elsewhere (status {reply.status})",
            why="Meta follows no redirects, so the webhooks are lost.",
            fix="Enter the address at which the redirect ends, or let the proxy lead to the gateway at once.",
        )
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        fix = "See whether the gateway runs, and the log of the proxy before it."
        return error(f"{what} answers with status {reply.status}", why=_SILENCE, fix=fix)
    return error(
        f"{what} does not lead to a gateway (status {reply.status})",
        why=_SILENCE,
        fix=f"Let its path be {PATH}, and let the proxy lead this path to GATEWAY_LISTEN without changing it.",
    )


async def _signed(setup: Setup, http: Http, url: str, what: str) -> Result:
    unsigned = await http.post(url, data=_EMPTY, headers={"Content-Type": "application/json"})
    if unsigned.status == HTTPStatus.OK:
        return error(
            f"{what} accepts a webhook without a signature",
            why="Any stranger can send messages in the name of any person.",
            fix="Let it lead to the gateway of this project, and not to a test server.",
        )
    for secret in setup.entries("WHATSAPP_APP_SECRET"):
        signature = hmac.new(secret.encode(), _EMPTY, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
        reply = await http.post(url, data=_EMPTY, headers=headers)
        if reply.status == HTTPStatus.OK:
            return ok(f"{what} leads to the gateway, which knows the verify token and the app secret")
        if reply.status == HTTPStatus.SERVICE_UNAVAILABLE:
            return warning(
                f"the gateway behind {what} cannot store messages at present",
                why="Meta delivers again for days, but people wait.",
                fix="See the findings of the kernel service.",
            )
    return error(
        f"the gateway behind {what} refuses a webhook that is signed with WHATSAPP_APP_SECRET",
        why=_SILENCE,
        fix="Set the same WHATSAPP_APP_SECRET there, and restart the gateway. A proxy before it must not change "
        "bodies or remove the header X-Hub-Signature-256.",
    )
