from __future__ import annotations

import base64
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from kernelctl.checks.results import Status
from kernelctl.checks.setup import CannotReadError, read_setup
from serving.demo import DEMO_SECRETS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.unit.kernelctl.vendors import Vendors

KEY = f"k1:{base64.b64encode(bytes.fromhex('8c1f' + '5a07e93bd246' * 5)).decode()}"
OWN = {
    "KERNEL_ENCRYPTION_KEYS": KEY,
    "KERNEL_TOKEN": "f3b09d77c1e24a58",
    "KERNEL_ADMIN_TOKEN": "9a6e01dc85b7f234",
    "POSTGRES_PASSWORD": "72ac0e1f95",
    "KERNEL_DAILY_TOKENS": "100000",
}


@pytest.fixture
def full(real: Vendors) -> Vendors:
    real.values |= OWN
    return real


async def test_healthy_settings_have_no_finding(full: Vendors) -> None:
    file = full.folder / ".env"
    file.touch(0o600)
    assert [result for result in await full.check("settings", file=file) if result.status.is_finding] == []


@pytest.mark.parametrize(
    ("check", "values", "text", "fix"),
    [
        ("accepted", {"KERNEL_MAX_TURNS": "many"}, "KERNEL_MAX_TURNS must be a whole number", "KERNEL_MAX_TURNS"),
        ("accepted", {"KERNEL_ENCRYPTION_KEYS": "k1:short"}, "KERNEL_ENCRYPTION_KEYS key 1", "KERNEL_ENCRYPTION_KEYS"),
        ("accepted", {"WHATSAPP_PHONE_NUMBER_ID": "+1 555"}, "WHATSAPP_PHONE_NUMBER_ID must be", "PHONE_NUMBER_ID"),
        ("accepted", {"KERNEL_DATABASE_URL": "mysql://x"}, "KERNEL_DATABASE_URL must begin", "KERNEL_DATABASE_URL"),
        ("accepted", {"KERNEL_LISTEN": "0.0.0.0:50051"}, "KERNEL_TLS_CERT is missing", "KERNEL_TLS_CERT"),
        ("secrets", {"KERNEL_TOKEN": "aaaaaaaaaaaaaaaa"}, "follows a simple pattern", "openssl rand -hex 32"),
        ("secrets", {"KERNEL_ADMIN_TOKEN": "short"}, "KERNEL_ADMIN_TOKEN has fewer than 16", "openssl rand -hex 32"),
        ("secrets", {"KERNEL_ADMIN_TOKEN": OWN["KERNEL_TOKEN"]}, "is a channel's token too", "openssl rand"),
        ("secrets", {"KERNEL_ENCRYPTION_KEYS": DEMO_SECRETS["KERNEL_ENCRYPTION_KEYS"]}, "published", "Put another"),
        ("secrets", {"WHATSAPP_APP_SECRET": "emulated-app-secret"}, "WHATSAPP_APP_SECRET is published", "App settings"),
        ("secrets", {"COMPOSIO_WEBHOOK_SECRET": "secret"}, "COMPOSIO_WEBHOOK_SECRET has fewer", "openssl"),
        ("secrets", {"KERNEL_ALLOW_INSECURE": "true"}, "KERNEL_ALLOW_INSECURE is true", "Remove it"),
        ("present", {"KERNEL_ADMIN_TOKEN": ""}, "not set: KERNEL_ADMIN_TOKEN", "kernelctl init"),
        ("bounds", {"KERNEL_DAILY_TOKENS": "0"}, "everyone may write", "KERNEL_ALLOWED_USERS"),
    ],
)
async def test_a_bad_setting_is_found(
    full: Vendors, check: str, values: Mapping[str, str], text: str, fix: str
) -> None:
    full.values |= values
    found = await full.finding(f"settings.{check}")
    assert text in found.text
    assert fix in found.fix
    secret = values.get("KERNEL_TOKEN")
    assert not secret or secret not in f"{found}"


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [
        ("CONNECT_LISTEN", "nowhere", "public"),
        ("CONNECT_PUBLIC_URL", "http://[::1", "public"),
        ("GATEWAY_LISTEN", "nowhere", "gateway"),
        ("KERNEL_MEDIA_MB", "much", "machine.disk"),
        ("KERNEL_DATABASE_URL", "nothing", "database"),
        ("KERNEL_ENCRYPTION_KEYS", "k1:x", "database"),
    ],
)
async def test_a_setting_of_a_wrong_form_is_one_finding(full: Vendors, name: str, value: str, check: str) -> None:
    full.values |= {"CONNECT_PUBLIC_URL": "", "WHATSAPP_ACCESS_TOKEN": "", "KERNEL_DATABASE_URL": "sqlite:///x.db"}
    full.values[name] = value
    assert {result.status for result in await full.check(check)} <= {Status.SKIPPED, Status.ERROR}
    assert not [each for each in await full.check(check) if "the check itself" in each.text]
    assert name in (await full.finding("settings.accepted")).text


async def test_an_open_file_is_found(full: Vendors) -> None:
    file = full.folder / ".env"
    file.touch(0o644)
    assert "chmod go=" in (await full.finding("settings.file", file=file)).fix


async def test_without_a_key_each_vendor_is_said_to_be_emulated(full: Vendors) -> None:
    full.values = {}
    results = await full.check("settings.vendors")
    assert [result.status for result in results] == [Status.NOTE] * 3
    assert all("is emulated" in result.text for result in results)
    assert {result.status for result in await full.check("whatsapp", "model", "composio")} == {Status.SKIPPED}


# --- where settings come from ----------------------------------------------------------------------------------------


def test_the_file_wins_for_vendors_and_the_environment_for_our_own(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_MODEL=of-the-file\nKERNEL_MAX_TURNS=1\n")
    environ = {"OPENAI_MODEL": "of-the-shell", "OPENAI_API_KEY": "sk-of-the-shell", "KERNEL_MAX_TURNS": "2"}
    setup = read_setup(tmp_path / ".env", environ)
    assert (setup.get("OPENAI_MODEL"), setup.get("KERNEL_MAX_TURNS")) == ("of-the-file", "2")
    assert setup.is_emulated("OpenAI")


def test_a_container_has_its_environment(tmp_path: Path) -> None:
    environ = {"KERNEL_ENCRYPTION_KEYS": KEY, "OPENAI_API_KEY": "sk-own", "HOME": "/root"}
    setup = read_setup(tmp_path / ".env", environ)
    assert dict(setup.values) == {"KERNEL_ENCRYPTION_KEYS": KEY, "OPENAI_API_KEY": "sk-own"}
    assert not setup.is_local


def test_a_container_may_have_its_secrets_in_files(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{KEY}\n")
    setup = read_setup(tmp_path / ".env", {"KERNEL_ENCRYPTION_KEYS_FILE": str(tmp_path / "keys")})
    assert dict(setup.values) == {"KERNEL_ENCRYPTION_KEYS": KEY}
    assert (setup.has_kernel, setup.is_local) == (True, False)


async def test_each_container_checks_its_own_service_alone(full: Vendors) -> None:
    whole, gateway = full.values, ("WHATSAPP_", "GATEWAY_", "KERNEL_TOKEN")
    full.values = {name: value for name, value in whole.items() if not name.startswith(gateway)}
    full.values["KERNEL_CHANNEL_TOKENS"] = f"telegram=b07fe2,whatsapp={whole['KERNEL_TOKEN']}"
    kernel = full.setup(is_local=False)
    assert (kernel.has_kernel, kernel.has_gateway, kernel.channel_token) == (True, False, whole["KERNEL_TOKEN"])
    for name in ("gateway", "whatsapp"):
        assert {each.status for each in await full.check(name, is_local=False)} == {Status.SKIPPED}
    full.values = {name: value for name, value in whole.items() if name.startswith(gateway)}
    for name in ("database", "model", "composio", "public.pages", "settings.bounds", "machine.disk"):
        assert {each.status for each in await full.check(name, is_local=False)} == {Status.SKIPPED}
    assert [each.status for each in await full.check("settings.accepted", is_local=False)] == [Status.OK]


def test_keys_of_the_local_run_are_read(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "keys.env").write_text("KERNEL_TOKEN=of-the-local-run\n")
    assert read_setup(tmp_path / ".env", {}).get("KERNEL_TOKEN") == "of-the-local-run"


def test_exported_keys_of_the_local_run_make_no_container(tmp_path: Path) -> None:
    keys = {"KERNEL_ENCRYPTION_KEYS": KEY, "KERNEL_TOKEN": "of-the-local-run", "KERNEL_ADMIN_TOKEN": "of-the-operator"}
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "keys.env").write_text("".join(f"{name}={value}\n" for name, value in keys.items()))
    assert read_setup(tmp_path / ".env", keys).is_local
    assert not read_setup(tmp_path / ".env", keys | {"KERNEL_TOKEN": "of-a-container"}).is_local


@pytest.mark.parametrize("content", [b"KERNEL_TOKEN=\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / ".env"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    with pytest.raises(CannotReadError, match=r"\.env cannot be read"):
        read_setup(file, {})


# --- the machine ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead", "status"), [(0, Status.OK), (60, Status.WARNING), (-60, Status.WARNING), (400, Status.ERROR)]
)
async def test_a_clock_that_is_wrong_is_found(full: Vendors, ahead: int, status: Status) -> None:
    real = full.clock
    full.clock = lambda: real() + ahead
    [result] = await full.check("machine.clock")
    assert result.status is status, formatdate()


@pytest.mark.parametrize(("mib", "status"), [(100, Status.ERROR), (1000, Status.WARNING), (9000, Status.OK)])
async def test_a_full_disk_is_found(full: Vendors, mib: int, status: Status) -> None:
    [result] = await full.check("machine.disk", free_bytes=lambda _: mib * 2**20)
    assert result.status is status
