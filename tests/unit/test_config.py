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


HERE = ["http://localhost:8081", "http://127.0.0.1:8081", "http://127.9.9.9", "http://[::1]:8081", "http://a.localhost"]
THERE = [
    "http://connect.example.com",
    "HTTP://connect.example.com",
    "http://localhost.example.com",
    "http://127.0.0.1.nip.io",
    "http://10.0.0.1:8081",
    "http://0.0.0.0:8081",
    "http://[::ffff:127.0.0.1]:8081",
    "http://2130706433",
    "http://[fe80::1]:8081",
    "http://notlocalhost",
]
NO_SITES = [
    "http://127.0.0.1@evil.example",
    "https://user:word@connect.example.com",
    "https://connect.example.com/path",
    "https://connect.example.com?x",
    "https://connect.example.com#x",
    "https://connect.example.com:port",
    "https://connect.example.com:99999",
    "https://[::1",
    "https://:8081",
    "ftp://connect.example.com",
    "connect.example.org",
]


@pytest.mark.parametrize("url", [*HERE, "https://connect.example.com", "https://10.0.0.1:8443/"])
def test_an_address_of_the_connect_pages(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CONNECT_PUBLIC_URL", url)
    assert Settings().door_url() == url.rstrip("/")


@pytest.mark.parametrize("url", [*THERE, *NO_SITES])
def test_one_that_is_not_safe_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CONNECT_PUBLIC_URL", url)
    with pytest.raises(ValidationError) as refused:
        Settings()
    [problem] = problems(refused.value)
    assert problem.startswith("CONNECT_PUBLIC_URL must be")
    assert url not in problem


@pytest.mark.parametrize("listen", ["10.0.0.1:8081", "connect.example.com:8081"])
def test_links_to_where_it_listens_off_this_machine_are_refused_too(
    monkeypatch: pytest.MonkeyPatch, listen: str
) -> None:
    monkeypatch.setenv("CONNECT_LISTEN", listen)
    with pytest.raises(ValidationError):
        Settings()
    monkeypatch.setenv("CONNECT_PUBLIC_URL", "https://connect.example.com")
    assert Settings().door_url() == "https://connect.example.com"


def test_who_asks_for_it_gets_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECT_PUBLIC_URL", "http://10.0.0.1:8081")
    monkeypatch.setenv("KERNEL_ALLOW_INSECURE", "true")
    assert Settings().door_url() == "http://10.0.0.1:8081"
