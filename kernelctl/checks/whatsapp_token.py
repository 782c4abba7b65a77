"""The access token and the app secret at Meta."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from kernelctl.checks.graph import EXPIRED, INVALID_TOKEN, REVOKED, Graph, GraphRefusal
from kernelctl.checks.http import Unreachable
from kernelctl.checks.results import Result, Skipped, error, note, ok, warning
from kernelctl.checks.vendor import check_configured, unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernelctl.checks.http import Http
    from kernelctl.checks.setup import Setup

MESSAGING: Final = "whatsapp_business_messaging"
MANAGEMENT: Final = "whatsapp_business_management"
DAYS_BEFORE: Final = 14
DAY: Final = 86_400
_GENERATE: Final = (
    "Create a token of a system user that does not expire: business.facebook.com > Settings > Users > System users > "
    "Generate token, with whatsapp_business_messaging and whatsapp_business_management. Set WHATSAPP_ACCESS_TOKEN."
)
_NO_ANSWERS: Final = "No message can be sent, and no file can be read."
_PROBLEMS: Final = {
    EXPIRED: "the access token has expired",
    REVOKED: "the access token was revoked",
}


async def access_token(setup: Setup, http: Http) -> Sequence[Result]:
    """Whether it is valid, and how long."""
    check_configured(setup, "WhatsApp")
    try:
        token = await Graph(setup, http).token()
    except Unreachable as problem:
        return [unreachable("WHATSAPP_API_BASE_URL", problem, _NO_ANSWERS)]
    except GraphRefusal as refusal:
        return [_refused(refusal)]
    ends = _ends(token, setup.clock())
    return [ends] if ends else [ok("the access token is valid and does not expire")]


def _refused(refusal: GraphRefusal) -> Result:
    if refusal.code == INVALID_TOKEN:
        text = _PROBLEMS.get(refusal.subcode, "the access token is not valid")
        return error(text, why=_NO_ANSWERS, fix=_GENERATE)
    if refusal.is_temporary:
        return warning(
            f"Meta answers with a server error (status {refusal.status}, code {refusal.code})",
            why="The token was not checked.",
            fix="Try again in a few minutes. metastatus.com shows Meta's outages.",
        )
    return error(
        f"Meta does not answer as the Graph API does (status {refusal.status}, code {refusal.code})",
        why=_NO_ANSWERS,
        fix="Correct WHATSAPP_API_BASE_URL and WHATSAPP_API_VERSION; without them the defaults apply.",
    )


def _ends(token: dict[str, Any], now: float) -> Result | None:
    """The finding about a token that ends, if it does."""
    for name, what in (("expires_at", "expires"), ("data_access_expires_at", "loses its access to data")):
        at = token.get(name)
        if not isinstance(at, int) or at <= 0:
            continue
        day = datetime.fromtimestamp(at, UTC).strftime("%d %B %Y")
        left = at - now
        if left <= 0:
            return error(f"the access token {what}: it did on {day}", why=_NO_ANSWERS, fix=_GENERATE)
        days = int(left // DAY)
        if days < DAYS_BEFORE:
            when = f"in {days} days" if days > 1 else "within two days"
            why = "Afterwards no message can be sent. Tokens of the API Setup page live for a day."
            return warning(f"the access token {what} {when} ({day})", why=why, fix=_GENERATE)
        return ok(f"the access token is valid and {what} on {day}")
    return None


async def permissions(setup: Setup, http: Http) -> Sequence[Result]:
    check_configured(setup, "WhatsApp")
    scopes = (await Graph(setup, http).valid_token()).get("scopes")
    if not isinstance(scopes, list):
        raise Skipped("neither the token nor the app secret may ask for the token's permissions")
    found = []
    if MESSAGING not in scopes:
        found.append(
            error(f"the access token lacks the permission {MESSAGING}", why=_NO_ANSWERS, fix=_with(MESSAGING)),
        )
    if MANAGEMENT not in scopes:
        why = "The services run without it, but subscriptions and templates cannot be checked."
        found.append(warning(f"the access token lacks the permission {MANAGEMENT}", why=why, fix=_with(MANAGEMENT)))
    return found or [ok("the access token has both permissions")]


def _with(permission: str) -> str:
    return (
        f"Generate the system user's token again with {permission}: business.facebook.com > Settings > Users > System "
        "users. The system user also needs full control of the app and of the WhatsApp account."
    )


async def app_secret(setup: Setup, http: Http) -> Sequence[Result]:
    """Whether a proof with each is accepted: developers.facebook.com/docs/graph-api/guides/secure-requests."""
    check_configured(setup, "WhatsApp")
    secrets = setup.entries("WHATSAPP_APP_SECRET")
    if not secrets:
        raise Skipped("WHATSAPP_APP_SECRET is missing")
    graph = Graph(setup, http)
    await graph.valid_token()
    accepted = [await _is_accepted(graph, setup.get("WHATSAPP_ACCESS_TOKEN"), secret) for secret in secrets]
    if not any(accepted):
        return [
            error(
                "the app secret is not that of the access token's app",
                why="Every webhook of Meta is refused (401), so no message of a person arrives.",
                fix="Copy it from Meta's app dashboard > App settings > Basic > App secret, of the app for which the "
                "token was generated. Set WHATSAPP_APP_SECRET.",
            )
        ]
    if not all(accepted):
        number = accepted.index(False) + 1
        return [
            note(
                f"secret {number} of {len(secrets)} in WHATSAPP_APP_SECRET is not the app's any more",
                fix="Remove it once the rotation is over.",
            )
        ]
    return [ok("the app secret fits the access token's app")]


async def _is_accepted(graph: Graph, token: str, secret: str) -> bool:
    """Raises Skipped for another refusal than that of the proof."""
    proof = hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()
    try:
        await graph.read("app", {"appsecret_proof": proof})
    except GraphRefusal as refusal:
        if "appsecret_proof" in refusal.message:
            return False
        raise Skipped(f"Meta answers with code {refusal.code}") from None
    except Unreachable as problem:
        raise Skipped(f"WHATSAPP_API_BASE_URL {problem.problem}") from None
    return True
