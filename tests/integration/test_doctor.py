"""`kernelctl doctor` against the whole product: healthy, and with faults of the services."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from kernelctl.kernelctl import main
from tests.integration.world import ADMIN_TOKEN, WHATSAPP_TOKEN
from tests.migrated_sqlite import KEYS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.world import World


@pytest.fixture(autouse=True)
def _without_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("KERNEL_TOKEN", "KERNEL_ADMIN_TOKEN", "KERNEL_ADDRESS", "KERNEL_TLS_CA"):
        monkeypatch.delenv(name, raising=False)


def write_env(world: World, folder: Path, **other: str) -> dict[str, str]:
    config, url = world.emulators.config, world.emulators.url
    world.emulators.composio.events.url = f"{world.connect_url}/connect/events"
    values = {
        "KERNEL_ADDRESS": f"dns:///{world.kernel_address}",
        "KERNEL_TOKEN": WHATSAPP_TOKEN,
        "KERNEL_ADMIN_TOKEN": ADMIN_TOKEN,
        "KERNEL_ENCRYPTION_KEYS": KEYS,
        "KERNEL_DATABASE_URL": str(world.settings["kernel_database_url"]),
        "KERNEL_DAILY_TOKENS": "100000",
        "GATEWAY_LISTEN": world.webhook_url.removeprefix("http://").removesuffix("/webhook"),
        "CONNECT_PUBLIC_URL": world.connect_url,
        "CONNECT_LISTEN": str(world.settings["connect_listen"]),
        "OPENAI_API_KEY": config.openai_api_key,
        "OPENAI_BASE_URL": f"{url}/openai/v1",
        "COMPOSIO_API_KEY": config.composio_api_key,
        "COMPOSIO_WEBHOOK_SECRET": config.composio_webhook_secret,
        "COMPOSIO_BASE_URL": f"{url}/composio",
        "WHATSAPP_ACCESS_TOKEN": config.whatsapp_access_token,
        "WHATSAPP_APP_SECRET": config.whatsapp_app_secret,
        "WHATSAPP_VERIFY_TOKEN": config.whatsapp_verify_token,
        "WHATSAPP_PHONE_NUMBER_ID": config.whatsapp_phone_number_id,
        "WHATSAPP_API_BASE_URL": f"{url}/graph",
        "WHATSAPP_TEMPLATE": "waiting:en_US",
    } | other
    file = folder / ".env"
    file.touch(0o600)
    file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    return values


async def doctor(*words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, ["doctor", *words])


async def findings(*words: str) -> dict[str, list[str]]:
    """The texts of the findings, by check."""
    told: dict[str, Any] = json.loads((await doctor("--json", *words)).stdout)
    found = {
        check["name"]: [each["text"] for each in check["results"] if each["status"] in {"warning", "error"}]
        for check in told["checks"]
    }
    assert told["healthy"] is not any(found.values())
    return {name: texts for name, texts in found.items() if texts}


async def test_a_healthy_set_up_has_no_finding_and_no_secret_is_shown(world: World, tmp_path: Path) -> None:
    values = write_env(world, tmp_path)
    told = await doctor()
    assert told.exit_code == 0, told.stdout
    assert "No findings." in told.stdout
    shown = told.stdout + (await doctor("--json")).stdout
    secret = ("_TOKEN", "_SECRET", "_KEY", "_KEYS", "_NUMBER_ID")
    assert not [name for name, value in values.items() if name.endswith(secret) and value in shown]
    assert world.emulators.effects.all("message_posted") == []
    assert not [call for call in world.emulators.composio.requests if call.method != "GET"]


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"KERNEL_TOKEN": "another-token-of-the-tests"}, {"kernel.token": "does not know KERNEL_TOKEN"}),
        ({"KERNEL_TOKEN": "telegram-token-of-the-tests"}, {"kernel.token": "of another channel"}),
        ({"KERNEL_ADMIN_TOKEN": "other-admin-token-here"}, {"kernel.admin": "does not know KERNEL_ADMIN_TOKEN"}),
        ({"KERNEL_ADDRESS": "dns:///kernel.example:50051"}, {"kernel.token": "without TLS"}),
        ({"WHATSAPP_VERIFY_TOKEN": "other-verify-token"}, {"gateway.webhook": "another verify token"}),
    ],
)
async def test_a_setting_that_the_services_do_not_share_is_found(
    world: World, tmp_path: Path, changed: dict[str, str], found: dict[str, str]
) -> None:
    write_env(world, tmp_path, **changed)
    seen = await findings("--only", "kernel", "--only", "gateway")
    assert list(seen) == list(found)
    assert all(text in seen[name][0] for name, text in found.items())


async def test_services_that_do_not_run_are_found(world: World, tmp_path: Path) -> None:
    write_env(world, tmp_path)
    await world.stop_kernel()
    seen = await findings("--only", "kernel", "--only", "gateway", "--only", "public")
    assert "is not reached" in seen["kernel.token"][0]
    assert "does not reach the kernel service" in seen["gateway.webhook"][0]
    assert "refuses the connection" in seen["public.pages"][0]
    await world.stop_gateway()
    assert "refuses the connection" in (await findings("--only", "gateway"))["gateway.webhook"][0]


async def test_the_connect_pages_say_whether_they_know_their_visitors(world: World) -> None:
    import aiohttp  # noqa: PLC0415

    async with aiohttp.ClientSession() as session:
        for headers, expected in (({}, "absent"), ({"X-Forwarded-For": "203.0.113.7"}, "used")):
            async with session.get(f"{world.connect_url}/connect/health", headers=headers) as answer:
                assert await answer.json() == {"service": "connect", "forwarded_for": expected}


async def test_checks_that_cannot_run_are_told_with_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    told = await doctor()
    assert (told.exit_code, ".env" in told.stderr) == (2, True)
    (tmp_path / ".env").rmdir()
    unknown = await doctor("--only", "nothing")
    assert (unknown.exit_code, "whatsapp.token" in unknown.stderr) == (2, True)
