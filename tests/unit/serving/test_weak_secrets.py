"""Secrets that are published or easy to guess, and the secrets in the project's files."""

import base64
import re
import secrets
from pathlib import Path

import pytest
from dotenv import dotenv_values

from emulators.config import Config
from local_run.emulated_vendors import EMULATED_VENDORS
from serving.demo import DEMO_SECRETS, PUBLISHED
from serving.weak_secrets import published, weak_key, weak_token

ROOT = Path(__file__).parents[3]
NO_SECRETS = {
    *("COMPOSE_PROFILES", "DATABASE_VOLUME", "NO_PROXY", "KERNEL_ALLOW_INSECURE", "KERNEL_EMULATED_CLOCK"),
    *("WHATSAPP_PHONE_NUMBER_ID", "WHATSAPP_TEMPLATE", "WHATSAPP_REMINDER_TEMPLATE"),
}


def test_every_secret_of_the_demo_is_recognised_as_published() -> None:
    demo = dotenv_values(ROOT / "deploy" / "demo.env", interpolate=False)
    held = {name: value for name, value in demo.items() if name not in NO_SECRETS and "://" not in str(value)}
    assert held == DEMO_SECRETS


def test_every_secret_of_the_emulators_and_make_run_is_recognised_as_published() -> None:
    config = Config(_env_file=None)
    names = {name for vendor in EMULATED_VENDORS for name in vendor.settings if name in DEMO_SECRETS}
    assert {name: getattr(config, name.lower()) for name in names} == {name: DEMO_SECRETS[name] for name in names}
    emulated = {name: value for vendor in EMULATED_VENDORS for name, value in vendor.settings.items()}
    assert {name for name in emulated if re.search("KEY|TOKEN|SECRET", name)} == names


@pytest.mark.parametrize("file", ["docs/how-to/another-channel.md", ".env.example"])
def test_every_token_placeholder_of_an_example_is_recognised_as_published(file: str) -> None:
    examples = re.findall(r"(?:KERNEL_CHANNEL_TOKENS=|, as )[a-z]+=([^,`\s]*(?: [^,`\s]+)*)", (ROOT / file).read_text())
    assert examples
    for example in examples:
        assert weak_token(example.partition(",")[0]), example


@pytest.mark.parametrize("secret", sorted(PUBLISHED))
def test_a_published_secret_is_recognised_also_with_surrounding_spaces(secret: str) -> None:
    assert "is published" in published(secret)
    assert published(f" {secret}\n")
    assert weak_token(secret)


@pytest.mark.parametrize(
    "token",
    [
        *("", "short", "a" * 15, "0" * 16, "a" * 64, "ab" * 20, "abcd" * 8, "0000000000000001", "0123456789:;<=>?"),
        *("abcdefghijklmnop", "zyxwvutsrqponmlkjihg", " " * 20 + "short" + " " * 20),
        *("0123456789abcdef", "0123456701234567", "passwordpassword", "changeme" * 4, "changeme-changeme-change"),
    ],
)
def test_a_token_that_may_be_guessed(token: str) -> None:
    assert weak_token(token)


@pytest.mark.parametrize(
    "key",
    [
        *(bytes(32), b"\xff" * 32, b"k" * 32, b"ab" * 16, bytes(31) + b"\1", bytes(range(32)), bytes(range(0, 64, 2))),
        *(bytes(reversed(range(32))), bytes([250, 251, 252, 253, 254, 255, *range(26)])),
        base64.b64decode(DEMO_SECRETS["KERNEL_ENCRYPTION_KEYS"].partition(":")[2]),
    ],
)
def test_a_key_that_may_be_guessed(key: bytes) -> None:
    assert len(key) == 32
    assert weak_key(key)


def test_bytes_of_the_environment_that_are_not_utf8_are_accepted() -> None:
    assert not weak_token("d1f0c5ab\udcff9e2468f3")


def test_generated_secrets_are_accepted() -> None:
    for _ in range(500):
        assert not weak_token(secrets.token_hex(16))
        assert not weak_token(secrets.token_urlsafe(32))
        assert not weak_key(secrets.token_bytes(32))
        assert not weak_key(secrets.token_hex(16).encode())


def test_a_phrase_never_quotes_the_secret() -> None:
    for token in ("demo-admin-token", "aaaaaaaaaaaaaaaaaaaa", "shorttoken"):
        assert token not in weak_token(token)
