from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from emulators.whatsapp.account import APP_ID, MESSAGING
from emulators.whatsapp.templates import Template
from kernelctl.checks.results import Status
from tests.unit.kernelctl.vendors import NUMBER, FakeGateway, Vendors

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = 86_400


async def test_a_healthy_account_has_no_finding(real: Vendors, gateway: FakeGateway) -> None:
    results = await real.check("whatsapp")
    assert [result for result in results if result.status is not Status.OK] == []
    assert len(results) == 9


def number(**facts: Any) -> Callable[[Vendors], None]:
    def change(real: Vendors) -> None:
        for name, value in facts.items():
            setattr(real.emulators.whatsapp.account.numbers[NUMBER], name, value)

    return change


def account(**facts: Any) -> Callable[[Vendors], None]:
    def change(real: Vendors) -> None:
        for name, value in facts.items():
            setattr(real.emulators.whatsapp.account, name, value)

    return change


def setting(name: str, value: str) -> Callable[[Vendors], None]:
    return lambda real: real.values.update({name: value})


def template(name: str, **facts: Any) -> Callable[[Vendors], None]:
    return lambda real: real.emulators.whatsapp.graph.templates.add(Template(name, "en_US", **facts))


def refusing(status: int, body: dict[str, Any] | None = None) -> Callable[[Vendors], None]:
    text = None if body is None else json.dumps(body)
    return lambda real: real.emulators.whatsapp.setup.faults.fail(status, times=9, body=text)


@pytest.mark.parametrize(
    ("check", "fault", "text", "fix"),
    [
        ("token", setting("WHATSAPP_ACCESS_TOKEN", "EAAGother"), "not valid", "system user"),
        ("token", account(expires_at=1_700_000_000), "has expired", "system user"),
        ("token", account(is_revoked=True), "was revoked", "system user"),
        ("token", setting("WHATSAPP_API_VERSION", "v1"), "does not answer as the Graph API", "WHATSAPP_API_VERSION"),
        ("token", setting("WHATSAPP_API_BASE_URL", "http://127.0.0.1:9"), "refuses the connection", "host and port"),
        ("token", setting("WHATSAPP_API_BASE_URL", "http://no.invalid"), "does not resolve", "DNS record"),
        ("token", refusing(503), "a server error", "Try again"),
        ("token", refusing(400, {"error": {"code": 4, "message": "too many"}}), "a server error", "Try again"),
        ("token", refusing(0), "breaks the connection off", "log"),
        ("permissions", account(scopes=["whatsapp_business_management"]), MESSAGING, "system user"),
        ("permissions", account(scopes=[MESSAGING]), "whatsapp_business_management", "system user"),
        (
            "app_secret",
            setting("WHATSAPP_APP_SECRET", "00112233445566778899aabb"),
            "not that of",
            "App settings > Basic",
        ),
        ("numbers", setting("WHATSAPP_PHONE_NUMBER_ID", "15551234567"), "does not exist", "phone number ID"),
        ("numbers", number(is_ours=False), "does not exist", "full control"),
        ("numbers", number(status="PENDING"), "not registered", "API Setup"),
        ("numbers", number(status="BANNED"), "is banned", "Appeal"),
        ("numbers", number(status="FLAGGED"), "low quality", "Quality"),
        ("numbers", number(status="DISCONNECTED"), "disconnected", "API Setup"),
        ("numbers", number(status="SOMETHING_NEW"), "SOMETHING_NEW", "WhatsApp Manager"),
        ("numbers", number(quality="RED"), "quality RED", "fewer unwanted"),
        ("numbers", number(quality="YELLOW"), "quality YELLOW", "fewer unwanted"),
        ("numbers", number(verification="NOT_VERIFIED"), "not verified", "SMS"),
        ("numbers", number(platform="ON_PREMISE"), "not registered with the Cloud API", "API Setup"),
        ("numbers", number(name_status="DECLINED"), "display name", "another display name"),
        ("numbers", number(health="BLOCKED"), "may not send", "payment method"),
        ("numbers", number(health="LIMITED"), "limited number", "business verification"),
        ("subscription", account(subscribed=[]), "not subscribed to the WhatsApp account", "subscribed_apps"),
        ("subscription", account(subscribed=["1"]), "not subscribed to the WhatsApp account", "subscribed_apps"),
        ("fields", account(fields=["account_update"]), "`messages`", "Webhook fields"),
        ("fields", account(object="page"), "no webhook for WhatsApp", "callback URL"),
        ("fields", account(is_active=False), "not active", "Verify"),
        ("templates", setting("WHATSAPP_TEMPLATE", "missing:en_US"), "does not exist", "WHATSAPP_TEMPLATE"),
        ("templates", setting("WHATSAPP_TEMPLATE", "waiting:de"), "does not exist", "It exists in en_US"),
        ("templates", template("waiting", body="Hi.", status="PAUSED"), "not approved (PAUSED)", "review"),
        ("templates", template("waiting", body="Hi.", status="REJECTED"), "not approved (REJECTED)", "review"),
        ("templates", template("waiting", body="Hi {{1}}."), "no parameters", "Message templates"),
        ("templates", template("reminder", body="Hi.", buttons=["Show"]), "one parameter", "Message templates"),
        ("templates", template("reminder", body="Hi {{1}}."), "no quick reply", "quick reply"),
    ],
)
async def test_a_fault_at_meta_is_found(
    real: Vendors, check: str, fault: Callable[[Vendors], None], text: str, fix: str
) -> None:
    fault(real)
    found = await real.finding(f"whatsapp.{check}")
    assert text in found.text
    assert fix in found.fix


@pytest.mark.parametrize(("left", "text"), [(3 * DAY + 60, "in 3 days"), (3600, "within two days")])
async def test_a_token_that_expires_soon_is_a_warning(real: Vendors, left: int, text: str) -> None:
    real.emulators.whatsapp.account.expires_at = int(real.clock() + left)
    found = await real.finding("whatsapp.token")
    assert found.status is Status.WARNING
    assert text in found.text


async def test_a_token_that_expires_in_a_year_is_fine(real: Vendors) -> None:
    real.emulators.whatsapp.account.expires_at = int(real.clock() + 365 * DAY)
    [result] = await real.check("whatsapp.token")
    assert result.status is Status.OK


async def test_access_to_data_that_ends_is_found(real: Vendors) -> None:
    real.emulators.whatsapp.account.data_access_expires_at = int(real.clock() - 1)
    assert "loses its access to data" in (await real.finding("whatsapp.token")).text


async def test_a_number_of_another_account_is_found(real: Vendors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulators.whatsapp.account.WABA_ID", "1")
    real.emulators.whatsapp.account.scopes.append("whatsapp_business_management")
    monkeypatch.setattr(type(real.emulators.whatsapp.account.numbers[NUMBER]), "as_json", _of_another_account(NUMBER))
    assert "that the access token is not for" in (await real.finding("whatsapp.numbers")).text


def _of_another_account(number_id: str) -> Callable[..., dict[str, Any]]:
    def as_json(_: object, __: object) -> dict[str, Any]:
        entities = [{"entity_type": "WABA", "id": "2", "can_send_message": "AVAILABLE"}]
        facts = dict.fromkeys(["name_status", "verified_name"], "APPROVED")
        return facts | {
            "id": number_id,
            "status": "CONNECTED",
            "quality_rating": "GREEN",
            "platform_type": "CLOUD_API",
            "code_verification_status": "VERIFIED",
            "health_status": {"can_send_message": "AVAILABLE", "entities": entities},
        }

    return as_json


async def test_a_token_that_may_not_ask_for_itself_is_asked_for_by_its_app(real: Vendors, gateway: FakeGateway) -> None:
    real.emulators.whatsapp.account.may_inspect = False
    assert {result.status for result in await real.check("whatsapp")} == {Status.OK}
    real.emulators.whatsapp.account.scopes = ["whatsapp_business_management"]
    assert MESSAGING in (await real.finding("whatsapp.permissions")).text
    real.values["WHATSAPP_APP_SECRET"] = "00112233445566778899aabb"
    results = await real.check("whatsapp.token", "whatsapp.permissions", "whatsapp.app_secret")
    assert [result.status for result in results] == [Status.OK, Status.SKIPPED, Status.ERROR]
    real.emulators.whatsapp.account.is_revoked = True
    assert "was revoked" in (await real.finding("whatsapp.token")).text


async def test_a_secret_that_is_being_rotated_is_no_finding(real: Vendors) -> None:
    real.values["WHATSAPP_APP_SECRET"] += ",0123456789abcdef01234567"
    [result] = await real.check("whatsapp.app_secret")
    assert result.status is Status.NOTE
    assert "secret 2 of 2" in result.text


async def test_several_numbers_are_named_by_their_place(real: Vendors) -> None:
    real.values["WHATSAPP_PHONE_NUMBER_ID"] += ",1"
    assert (await real.finding("whatsapp.numbers")).text.startswith("phone number 2 of 2")


async def test_one_bad_token_is_one_finding(real: Vendors) -> None:
    real.values["WHATSAPP_ACCESS_TOKEN"] = "EAAGother"
    results = await real.check("whatsapp")
    assert [result.status for result in results].count(Status.ERROR) == 1
    assert [result.status for result in results].count(Status.SKIPPED) == 7


async def test_fields_for_alerts_are_optional(real: Vendors) -> None:
    real.emulators.whatsapp.account.fields = ["messages"]
    results = await real.check("whatsapp.fields")
    assert [result.status for result in results] == [Status.OK, Status.NOTE]
    assert "account_update" in results[1].text


async def test_a_second_app_is_a_note(real: Vendors) -> None:
    real.emulators.whatsapp.account.subscribed = [APP_ID, "1"]
    assert [result.status for result in await real.check("whatsapp.subscription")] == [Status.NOTE]


# --- the callback URL --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "text", "fix"),
    [
        ({"verify_token": "another"}, "another verify token", "WHATSAPP_VERIFY_TOKEN"),
        ({"secret": "another"}, "refuses a webhook that is signed", "X-Hub-Signature-256"),
        ({"checks_signature": False}, "without a signature", "gateway of this project"),
        ({"answers": 404}, "does not lead to a gateway (status 404)", "/webhook"),
        ({"answers": 200}, "does not lead to a gateway (status 200)", "/webhook"),
        ({"answers": 502}, "answers with status 502", "gateway runs"),
        ({"answers": 301, "location": "https://example.com/"}, "redirects elsewhere", "redirect ends"),
    ],
)
async def test_a_fault_of_the_callback_url_is_found(
    real: Vendors, gateway: FakeGateway, fault: dict[str, Any], text: str, fix: str
) -> None:
    for name, value in fault.items():
        setattr(gateway, name, value)
    found = await real.finding("whatsapp.callback")
    assert text in found.text
    assert fix in found.fix


async def test_a_callback_url_without_a_server_is_found(real: Vendors) -> None:
    real.emulators.whatsapp.webhooks.url = "http://127.0.0.1:9/webhook"
    assert "the app's callback URL refuses the connection" in (await real.finding("whatsapp.callback")).text


@pytest.mark.parametrize("where", ["number", "account"])
async def test_an_override_of_the_callback_url_counts(real: Vendors, gateway: FakeGateway, where: str) -> None:
    told = real.emulators.whatsapp.account
    if where == "number":
        told.numbers[NUMBER].callback = "http://127.0.0.1:9/webhook"
    else:
        told.waba_callback = "http://127.0.0.1:9/webhook"
    assert f"{where}'s callback URL refuses the connection" in (await real.finding("whatsapp.callback")).text


async def test_the_real_meta_needs_https(real: Vendors, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernelctl.checks.setup.Setup.is_emulator", lambda *_: False)
    assert "is not https" in (await real.finding("whatsapp.callback")).text
