"""Each secret setting is also read from the file that X_FILE names. Its content and its name are never shown."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from kernel_service import config as kernel
from kernelctl.kernelctl import main as kernelctl
from serving.secret_files import MOST_BYTES, secret_fields
from whatsapp_gateway import config as gateway

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "a-secret-of-the-tests"
KERNEL = {
    "KERNEL_DATABASE_URL": "sqlite:///var/other.db",
    "KERNEL_DATABASE_DIRECT_URL": "postgresql://kernel:word@localhost/kernel",
    "KERNEL_CHANNEL_TOKENS": f"whatsapp={SECRET}",
    "KERNEL_ADMIN_TOKEN": "an-operator-of-the-tests",
    "KERNEL_ENCRYPTION_KEYS": f"k1:{base64.b64encode(os.urandom(32)).decode()}",
    "OPENAI_API_KEY": "sk-test",
    "OPENAI_TRANSCRIBE_API_KEY": "sk-other",
    "COMPOSIO_API_KEY": "ak_test",
    "COMPOSIO_WEBHOOK_SECRET": SECRET,
}
GATEWAY = {
    "KERNEL_TOKEN": SECRET,
    "WHATSAPP_ACCESS_TOKEN": "EAA-test",
    "WHATSAPP_APP_SECRET": "newer,older",
    "WHATSAPP_VERIFY_TOKEN": "verify",
}
SERVICES = [(kernel, KERNEL), (gateway, GATEWAY)]
FAULTS = {
    "empty": (b"", "is empty"),
    "blank": (b" \n\n", "is empty"),
    "large": (b"x" * (MOST_BYTES + 1), "larger than 64 KiB"),
    "latin1": ("schlüssel-1234567".encode("latin-1"), "not UTF-8"),
    "utf16": ("a-secret-of-the-tests".encode("utf-16"), "not UTF-8"),
    "marked": (b"\xef\xbb\xbfsecret", "byte order mark"),
    "windows": (b"secret\r\n", "Windows line ends"),
    "mac": (b"secret\r", "Windows line ends"),
    "lines": (b"secret\nanother\n", "several lines"),
    "nul": (b"secret\0", "cannot be printed"),
    "tab": (b"secret\tanother", "cannot be printed"),
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in os.environ:
        if name.startswith(("KERNEL_", "CONNECT_", "OPENAI_", "COMPOSIO_", "WHATSAPP_", "GATEWAY_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WHATSAPP_PHONE_NUMBER_ID", "42")
    return monkeypatch


def given(environment: pytest.MonkeyPatch, folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    environment.setenv(f"{name}_FILE", str(folder / name))
    return folder / name


def revealed(value: Any) -> Any:
    return [each.get_secret_value() for each in value] if isinstance(value, tuple) else value.get_secret_value()


def wrong(service: Any) -> list[str]:
    with pytest.raises(ValidationError) as invalid:
        service.Settings()
    told: list[str] = service.problems(invalid.value)
    return told


@pytest.mark.parametrize(("service", "secrets"), SERVICES, ids=["kernel", "gateway"])
def test_every_secret_is_read_from_a_file_as_from_the_environment(
    environment: pytest.MonkeyPatch, tmp_path: Path, service: Any, secrets: dict[str, str]
) -> None:
    assert {name.upper() for name in secret_fields(service.Settings)} == secrets.keys()
    for name, value in secrets.items():
        environment.setenv(name, value)
    told = service.Settings()
    for name, value in secrets.items():
        environment.setenv(name, "")  # as a file of Compose passes on what is not set
        given(environment, tmp_path, name, f"{value}\n".encode())
    read = service.Settings()
    assert {name: revealed(getattr(read, name.lower())) for name in secrets} == {
        name: revealed(getattr(told, name.lower())) for name in secrets
    }


@pytest.mark.parametrize(("content", "reason"), FAULTS.values(), ids=FAULTS.keys())
def test_a_file_that_holds_no_secret_is_told(
    environment: pytest.MonkeyPatch, tmp_path: Path, content: bytes, reason: str
) -> None:
    for name, value in GATEWAY.items():
        environment.setenv(name, value)
    environment.delenv("KERNEL_TOKEN")
    file = given(environment, tmp_path, "KERNEL_TOKEN", content)
    (told,) = wrong(gateway)
    assert told.startswith("KERNEL_TOKEN cannot be taken from the file that KERNEL_TOKEN_FILE names: ")
    assert reason in told
    assert "secret;" not in told
    assert str(file) not in told


def test_all_wrong_files_and_settings_are_told_at_once(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given(environment, tmp_path, "KERNEL_TOKEN", b"\n")
    environment.setenv("WHATSAPP_ACCESS_TOKEN_FILE", str(tmp_path))
    environment.setenv("WHATSAPP_VERIFY_TOKEN_FILE", "sk-put-here-by-mistake")
    environment.setenv("WHATSAPP_APP_SECRET_FILE", "/dev/zero")
    environment.setenv("GATEWAY_LISTEN", "nowhere")
    told = {line.split()[0]: line for line in wrong(gateway)}
    assert told.keys() == {*GATEWAY, "GATEWAY_LISTEN"}
    assert "folder" in told["WHATSAPP_ACCESS_TOKEN"]
    assert "does not exist" in told["WHATSAPP_VERIFY_TOKEN"]
    assert "by-mistake" not in str(told)
    assert "a device or a pipe" in told["WHATSAPP_APP_SECRET"]


@pytest.mark.parametrize(("service", "secrets"), SERVICES, ids=["kernel", "gateway"])
def test_a_secret_that_is_given_both_ways_is_refused(
    environment: pytest.MonkeyPatch, tmp_path: Path, service: Any, secrets: dict[str, str]
) -> None:
    for name, value in secrets.items():
        environment.setenv(name, value)
        given(environment, tmp_path, name, value.encode())
    assert sorted(wrong(service)) == sorted(
        f"{name} and {name}_FILE are both set: remove one of them" for name in secrets
    )


def test_a_value_from_a_file_is_checked_as_any_other(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in KERNEL.items():
        environment.setenv(name, value)
    environment.delenv("KERNEL_ENCRYPTION_KEYS")
    given(environment, tmp_path, "KERNEL_ENCRYPTION_KEYS", b"k1:short")
    (told,) = wrong(kernel)
    assert told.startswith("KERNEL_ENCRYPTION_KEYS ")
    assert "short" not in told


def test_a_file_that_cannot_be_opened_is_told(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "file").touch()
    ways = {"circle": "symbolic link", "file/below": "Not a directory", "long" * 100: "too long"}
    for path, reason in ways.items():
        environment.setenv("KERNEL_TOKEN_FILE", str(tmp_path / path))
        (told,) = (line for line in wrong(gateway) if line.startswith("KERNEL_TOKEN "))
        assert "it cannot be read (" in told
        assert reason in told


def test_kernelctl_reads_its_token_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unreachable = ["--address", "127.0.0.1:1", "nodes"]
    assert "set KERNEL_ADMIN_TOKEN, or KERNEL_ADMIN_TOKEN_FILE" in CliRunner().invoke(kernelctl, unreachable).stderr
    given(environment, tmp_path, "KERNEL_ADMIN_TOKEN", b"an-operator\n")
    assert "UNAVAILABLE" in CliRunner().invoke(kernelctl, unreachable).stderr
    environment.setenv("KERNEL_ADMIN_TOKEN", "an-operator")
    assert "are both set" in CliRunner().invoke(kernelctl, unreachable).stderr
    assert "UNAVAILABLE" in CliRunner().invoke(kernelctl, ["--token", "chosen", *unreachable]).stderr
