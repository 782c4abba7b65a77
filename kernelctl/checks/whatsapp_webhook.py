"""Whether Meta sends webhooks, which ones, and to which address.

Sources: developers.facebook.com/docs/graph-api/reference/app/subscriptions (read with an app access token) and
…/whats-app-business-account/subscribed_apps; …/whatsapp/webhooks/override for the order of callback URLs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kernelctl.checks.graph import Graph, GraphRefusal
from kernelctl.checks.http import Unreachable
from kernelctl.checks.json_fields import object_in, objects_in
from kernelctl.checks.results import Result, Skipped, error, note, ok
from kernelctl.checks.vendor import check_configured
from kernelctl.checks.webhook_probe import probe_webhook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernelctl.checks.http import Http
    from kernelctl.checks.setup import Setup

_OBJECT: Final = "whatsapp_business_account"
_MESSAGES: Final = "messages"
_ALERTS: Final = ("account_update", "message_template_status_update", "phone_number_quality_update", "standby")
"""Fields for which the gateway warns the operator."""
_CONFIGURATION: Final = "Meta's app dashboard > WhatsApp > Configuration"
_SILENCE: Final = "No message of a person arrives."


async def account_subscription(setup: Setup, http: Http) -> Sequence[Result]:
    """Whether the app gets the webhooks of each number's account."""
    check_configured(setup, "WhatsApp")
    graph = Graph(setup, http)
    token = await graph.valid_token()
    accounts = sorted(set((await graph.accounts()).values()))
    results = []
    for account in accounts:
        try:
            apps = objects_in(await graph.read(f"{account}/subscribed_apps"), "data")
        except (GraphRefusal, Unreachable):
            raise Skipped("the access token may not read the account's subscriptions") from None
        ids = {str(object_in(each, "whatsapp_business_api_data").get("id")) for each in apps}
        if str(token.get("app_id")) not in ids:
            results.append(
                error(
                    "the app is not subscribed to the WhatsApp account",
                    why=_SILENCE,
                    fix="Send POST /<WhatsApp account id>/subscribed_apps with the access token, or press Subscribe "
                    f"under {_CONFIGURATION}.",
                )
            )
        elif len(ids) > 1:
            results.append(note(f"{len(ids)} apps get the account's webhooks: each may answer the same messages"))
    return results or [ok("the app is subscribed to the WhatsApp account")]


async def webhook_fields(setup: Setup, http: Http) -> Sequence[Result]:
    check_configured(setup, "WhatsApp")
    subscription = await _subscription(setup, http)
    if subscription is None:
        return [
            error(
                "the app has no webhook for WhatsApp",
                why=_SILENCE,
                fix=f"{_CONFIGURATION}: enter https://<your domain>/webhook as callback URL and WHATSAPP_VERIFY_TOKEN.",
            )
        ]
    if subscription.get("active") is False:
        return [error("the app's webhook is not active", why=_SILENCE, fix=f"Verify it again: {_CONFIGURATION}.")]
    fields = {str(each.get("name")) for each in objects_in(subscription, "fields")}
    if _MESSAGES not in fields:
        fix = f"{_CONFIGURATION} > Webhook fields: subscribe to `messages`."
        return [error("the app is not subscribed to the field `messages`", why=_SILENCE, fix=fix)]
    if absent := [name for name in _ALERTS if name not in fields]:
        return [
            ok("the app is subscribed to the field `messages`"),
            note(
                f"the app is not subscribed to {', '.join(absent)}",
                why="The gateway cannot warn of a ban, of a paused template or of chats that another agent holds.",
                fix=f"{_CONFIGURATION} > Webhook fields.",
            ),
        ]
    return [ok("the app is subscribed to the fields that the gateway reads")]


async def callback_url(setup: Setup, http: Http) -> Sequence[Result]:
    """Whether each callback URL that Meta uses leads to a gateway with this verify token and app secret."""
    check_configured(setup, "WhatsApp")
    urls = await callback_urls(setup, http)
    results: list[Result] = []
    for url, what in urls.items():
        results += await probe_webhook(setup, http, url, what, strict=not setup.is_emulator("WHATSAPP_API_BASE_URL"))
    return results


async def callback_urls(setup: Setup, http: Http) -> dict[str, str]:
    """URL → its name. An override of a number or of its account replaces the app's URL. Raises Skipped."""
    graph = Graph(setup, http)
    await graph.valid_token()
    found: dict[str, str] = {}
    for number in setup.entries("WHATSAPP_PHONE_NUMBER_ID"):
        try:
            told = object_in(await graph.read(number, {"fields": "webhook_configuration"}), "webhook_configuration")
        except (GraphRefusal, Unreachable):
            continue
        for kind, what in _KINDS.items():
            if url := told.get(kind):
                found.setdefault(str(url), what)
                break
    if not found:
        raise Skipped("Meta names no callback URL, or the phone number has a finding")
    return found


_KINDS: Final = {
    "phone_number": "the number's callback URL",
    "whatsapp_business_account": "the WhatsApp account's callback URL",
    "application": "the app's callback URL",
}


async def _subscription(setup: Setup, http: Http) -> dict[str, Any] | None:
    graph = Graph(setup, http)
    app = (await graph.valid_token()).get("app_id")
    for secret in setup.entries("WHATSAPP_APP_SECRET"):
        try:
            answer = await graph.read(f"{app}/subscriptions", token=f"{app}|{secret}")
        except GraphRefusal:
            continue
        except Unreachable:
            break
        return next((each for each in objects_in(answer, "data") if each.get("object") == _OBJECT), None)
    raise Skipped("it needs the app secret, which has a separate finding")
