"""The kernel service's settings: a bad one is named, and never shown."""

from __future__ import annotations

import base64
import os

import pytest
from pydantic import ValidationError

from kernel_service.config import Settings, problems

NEEDED = {
    "KERNEL_CHANNEL_TOKENS": "test=a-token-of-the-tests",
    "KERNEL_ENCRYPTION_KEYS": f"k1:{base64.b64encode(bytes(32)).decode()}",
    "OPENAI_API_KEY": "k",
    "COMPOSIO_API_KEY": "k",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("KERNEL_", "CONNECT_", "OPENAI_", "COMPOSIO_"))]:
        monkeypatch.delenv(name)
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("proxies", ["", "127.0.0.1", "127.0.0.1, 10.0.0.0/8", "::1,fd00::/8"])
def test_trusted_proxies(monkeypatch: pytest.MonkeyPatch, proxies: str) -> None:
    monkeypatch.setenv("CONNECT_TRUSTED_PROXIES", proxies)
    assert Settings().connect_trusted_proxies == proxies


def test_a_proxy_that_is_no_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECT_TRUSTED_PROXIES", "127.0.0.1,my-proxy")
    with pytest.raises(ValidationError) as refused:
        Settings()
    [problem] = problems(refused.value)
    assert problem.startswith("CONNECT_TRUSTED_PROXIES must be addresses or networks")
    assert "my-proxy" not in problem
