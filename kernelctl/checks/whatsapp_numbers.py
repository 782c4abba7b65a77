"""The phone numbers at Meta: whether they exist, are registered, and may send.

Sources: developers.facebook.com/documentation/business-messaging/whatsapp/reference/whatsapp-business-phone-number/
whatsapp-business-account-phone-number-api; …/whatsapp/support/health-status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kernelctl.checks.graph import Graph, GraphRefusal, account_of
from kernelctl.checks.http import Unreachable
from kernelctl.checks.json_fields import object_in, objects_in, texts_in
from kernelctl.checks.results import Result, Skipped, error, ok, warning
from kernelctl.checks.vendor import check_configured, unreachable
from kernelctl.checks.whatsapp_token import MANAGEMENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kernelctl.checks.http import Http
    from kernelctl.checks.setup import Setup

_FIELDS: Final = "status,quality_rating,code_verification_status,platform_type,name_status,verified_name,health_status"
_NOT_FOUND: Final = 100
_MANAGER: Final = "WhatsApp Manager > Phone numbers"
_STATUS: Final = {
    "PENDING": ("is not registered yet", "Register it: Meta's app dashboard > WhatsApp > API Setup."),
    "UNVERIFIED": ("is not verified", f"Verify it by SMS or call: {_MANAGER}."),
    "DISCONNECTED": ("is disconnected", "Register it again: Meta's app dashboard > WhatsApp > API Setup."),
    "BANNED": ("is banned", "Appeal in Business Support Home: business.facebook.com/business-support-home."),
    "RESTRICTED": ("is restricted, since it reached its limit", f"Wait, and see {_MANAGER} for the reason."),
    "RATE_LIMITED": ("is limited by its rate", f"Wait, and see {_MANAGER} for the reason."),
    "FLAGGED": ("is flagged for its low quality", f"See {_MANAGER} > Quality, and send fewer unwanted messages."),
    "DELETED": ("is deleted", "Set WHATSAPP_PHONE_NUMBER_ID to another number's id."),
    "MIGRATED": ("has moved to another account", "Set WHATSAPP_PHONE_NUMBER_ID to its id there."),
}
_WARNED: Final = frozenset({"RESTRICTED", "RATE_LIMITED", "FLAGGED"})
_NOTHING_SENT: Final = "It cannot send messages."


async def phone_numbers(setup: Setup, http: Http) -> Sequence[Result]:
    check_configured(setup, "WhatsApp")
    numbers = setup.entries("WHATSAPP_PHONE_NUMBER_ID")
    if not numbers:
        raise Skipped("WHATSAPP_PHONE_NUMBER_ID is missing")
    graph = Graph(setup, http)
    token = await graph.valid_token()
    results: list[Result] = []
    for place, number in enumerate(numbers, start=1):
        name = "the phone number" if len(numbers) == 1 else f"phone number {place} of {len(numbers)}"
        results += await _number(graph, number, name, token)
    return results


async def _number(graph: Graph, number: str, name: str, token: dict[str, Any]) -> list[Result]:
    try:
        facts = await graph.read(number, {"fields": _FIELDS})
    except Unreachable as problem:
        return [unreachable("WHATSAPP_API_BASE_URL", problem, _NOTHING_SENT)]
    except GraphRefusal as refusal:
        return [_refused(refusal, name)]
    return list(_findings(facts, name, token)) or [
        ok(f"{name} is connected, with quality {facts.get('quality_rating')}")
    ]


def _refused(refusal: GraphRefusal, name: str) -> Result:
    if refusal.code == _NOT_FOUND:
        return error(
            f"{name} does not exist, or the access token may not use it",
            why="No message can be sent from it, and its webhooks are ignored.",
            fix="Set WHATSAPP_PHONE_NUMBER_ID to the phone number ID (not the number itself) of Meta's app dashboard > "
            "WhatsApp > API Setup, and give the token's system user full control of its WhatsApp account.",
        )
    return error(
        f"{name} cannot be read (code {refusal.code})",
        why="It is unknown whether it can send messages.",
        fix="Try again in a few minutes. developers.facebook.com explains the code under WhatsApp > Error codes.",
    )


def _findings(facts: dict[str, Any], name: str, token: dict[str, Any]) -> Iterator[Result]:
    yield from _registration(facts, name)
    yield from _account(facts, name, token)
    yield from _health(facts, name)
    yield from _quality(facts, name)


def _registration(facts: dict[str, Any], name: str) -> Iterator[Result]:
    status, platform = facts.get("status"), facts.get("platform_type", "CLOUD_API")
    if status != "CONNECTED":
        text, fix = _STATUS.get(str(status), (f"has the status {status}", f"See {_MANAGER}."))
        make = warning if status in _WARNED else error
        yield make(f"{name} {text}", why=_NOTHING_SENT, fix=fix)
    elif platform != "CLOUD_API":
        fix = "Register it with the Cloud API: Meta's app dashboard > WhatsApp > API Setup."
        yield error(f"{name} is not registered with the Cloud API ({platform})", why=_NOTHING_SENT, fix=fix)
    elif facts.get("code_verification_status") == "NOT_VERIFIED":
        why = "Meta may stop its messages at any time."
        yield warning(f"{name} is not verified", why=why, fix=f"Verify it by SMS or call: {_MANAGER}.")
    if facts.get("name_status") in {"DECLINED", "EXPIRED"}:
        why = "People see the number instead of the name, and limits stay low."
        fix = f"Choose another display name: {_MANAGER}."
        yield warning(f"the display name of {name} was declined or has expired", why=why, fix=fix)


def _account(facts: dict[str, Any], name: str, token: dict[str, Any]) -> Iterator[Result]:
    """Whether the token was generated for the number's account. Without a list it is for all."""
    scopes = [scope for scope in objects_in(token, "granular_scopes") if scope.get("scope") == MANAGEMENT]
    targets = [target for scope in scopes for target in texts_in(scope, "target_ids")]
    account = account_of(facts)
    if targets and account and account not in targets:
        yield error(
            f"{name} belongs to a WhatsApp account that the access token is not for",
            why="Its subscriptions and templates cannot be used, and sends may be refused.",
            fix="Give the system user full control of the number's WhatsApp account, and generate the token again.",
        )


def _health(facts: dict[str, Any], name: str) -> Iterator[Result]:
    health = object_in(facts, "health_status")
    able = health.get("can_send_message")
    if able not in {"BLOCKED", "LIMITED"}:
        return
    parts = [
        str(each.get("entity_type")) for each in objects_in(health, "entities") if each.get("can_send_message") == able
    ]
    where = f" (because of: {', '.join(parts).lower()})" if parts else ""
    fix = f"See {_MANAGER} and Business Support Home: usually a payment method or the business verification is missing."
    if able == "BLOCKED":
        yield error(f"{name} may not send messages{where}", why=_NOTHING_SENT, fix=fix)
    else:
        why = "Only few people can be written to in a day."
        yield warning(f"{name} may send only a limited number of messages{where}", why=why, fix=fix)


def _quality(facts: dict[str, Any], name: str) -> Iterator[Result]:
    quality = facts.get("quality_rating")
    if quality in {"RED", "YELLOW"}:
        why = "People block or report it. Meta lowers its limits, and may flag it."
        fix = f"See {_MANAGER} > Insights, and send fewer unwanted messages, templates first."
        yield warning(f"{name} has the quality {quality}", why=why, fix=fix)
