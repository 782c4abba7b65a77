from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from emulators.composio.catalogue import Toolkit
from emulators.composio.project import AuthConfig
from kernelctl.checks.results import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.kernelctl.vendors import Vendors


def setting(name: str, value: str) -> Callable[[Vendors], None]:
    return lambda real: real.values.update({name: value})


def project(**facts: Any) -> Callable[[Vendors], None]:
    def change(real: Vendors) -> None:
        for name, value in facts.items():
            setattr(real.emulators.composio.project, name, value)

    return change


async def test_a_healthy_project_has_no_finding(real: Vendors) -> None:
    assert {result.status for result in await real.check("composio")} == {Status.OK}


@pytest.mark.parametrize(
    ("check", "fault", "text", "fix"),
    [
        ("key", setting("COMPOSIO_API_KEY", "ak_other"), "COMPOSIO_API_KEY is not valid", "API keys"),
        ("key", setting("COMPOSIO_BASE_URL", "http://127.0.0.1:9"), "refuses the connection", "host and port"),
        ("key", lambda real: real.emulators.composio.fail(403), "may not read toolkits", "full access"),
        ("key", lambda real: real.emulators.composio.fail(503), "status 503", "status.composio.dev"),
        ("key", lambda real: real.emulators.composio.fail(429), "status 429", "Try again"),
        ("key", lambda real: real.values.update(COMPOSIO_BASE_URL=real.emulators.url), "does not lead to", "default"),
        ("webhook", setting("COMPOSIO_WEBHOOK_SECRET", "whsec_other"), "is not that of", "Settings > Webhook"),
        ("webhook", setting("COMPOSIO_WEBHOOK_SECRET", ""), "is not set", "COMPOSIO_WEBHOOK_SECRET"),
        ("webhook", project(webhook_secret=""), "has no webhook", "/connect/events"),
        ("webhook", project(webhook_url=lambda: "https://elsewhere.example/"), "does not lead to", "/connect/events"),
        ("webhook", project(enabled_events=["composio.trigger.message"]), "lacks composio.connected", "Enable"),
        ("webhook", project(version="V2"), "version V2", "Change it"),
        ("toolkits", setting("KERNEL_TOOLKITS", "asana,gmial"), "gmial of KERNEL_TOOLKITS does not exist", "slug"),
    ],
)
async def test_a_fault_of_the_project_is_found(
    real: Vendors, check: str, fault: Callable[[Vendors], None], text: str, fix: str
) -> None:
    fault(real)
    found = await real.finding(f"composio.{check}")
    assert text in found.text
    assert fix in found.fix


@pytest.mark.parametrize("status", ["", "DISABLED", "ENABLED"])
async def test_a_toolkit_without_an_app_needs_an_auth_config(real: Vendors, status: str) -> None:
    real.values["KERNEL_TOOLKITS"] = "own"
    real.emulators.composio.catalogue.add(Toolkit("own", "Own", "of the project", is_managed=False))
    real.emulators.composio.project.auth_configs = [AuthConfig("ac_1", "own", status)] if status else []
    if status == "ENABLED":
        assert [result.status for result in await real.check("composio.toolkits")] == [Status.OK]
    else:
        assert "has no auth config" in (await real.finding("composio.toolkits")).text


async def test_a_scoped_key_skips_what_it_may_not_read(real: Vendors) -> None:
    real.emulators.composio.project.forbidden = ("/webhook_subscriptions", "/auth/session")
    results = await real.check("composio.key", "composio.webhook")
    assert [result.status for result in results] == [Status.OK, Status.SKIPPED]


@pytest.mark.parametrize(("value", "text"), [("true", "verifier is on"), ("false", "attacker")])
async def test_the_verifier_is_a_note_since_no_endpoint_tells(
    real: Vendors, value: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernelctl.checks.setup.Setup.is_emulator", lambda *_: False)
    real.values["COMPOSIO_VERIFIER"] = value
    [result] = await real.check("composio.verifier")
    assert result.status is Status.NOTE
    assert text in result.text
    assert "https://connect.example.com/connect/verify" in result.fix


async def test_no_webhook_and_no_secret_is_a_note(real: Vendors) -> None:
    real.emulators.composio.project.webhook_secret = real.values["COMPOSIO_WEBHOOK_SECRET"] = ""
    assert [result.status for result in await real.check("composio.webhook")] == [Status.NOTE]
