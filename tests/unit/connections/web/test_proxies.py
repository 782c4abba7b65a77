"""The client's address: a client can neither forge it, nor count as many clients within one network."""

from __future__ import annotations

import logging

import pytest

from kernel_service.connections.web.proxies import TrustedProxies

PROXIES = "127.0.0.1, 10.0.0.0/8,fd00::/8"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("::ffff:127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["6.6.6.6,10.6.6.6,203.0.113.7 , 10.1.2.3"], "203.0.113.7"),
        ("127.0.0.1", ["6.6.6.6", "203.0.113.7"], "203.0.113.7"),
        ("fd00::1", ["203.0.113.7, 10.1.2.3"], "203.0.113.7"),
        ("10.1.2.3", ["10.9.9.9, 10.1.2.4"], "10.9.9.9"),
        ("203.0.113.7", ["6.6.6.6"], "203.0.113.7"),
        ("127.0.0.1", ["203.0.113.7:4711"], "203.0.113.7"),
        ("127.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("127.0.0.1", ["[2001:db8:1:2::9]:4711"], "2001:db8:1:2::/64"),
        ("127.0.0.1", ["[2001:db8:1:2::9]"], "2001:db8:1:2::/64"),
        ("fe80::1%eth0", [], "fe80::/64"),
        ("127.0.0.1", ["6.6.6.6, unknown"], "None"),
        ("127.0.0.1", ["6.6.6.6,"], "None"),
        ("", ["6.6.6.6"], "None"),
    ],
)
def test_the_right_most_address_that_is_no_proxys(peer: str, forwarded: list[str], client: str) -> None:
    assert TrustedProxies(PROXIES).client_of(peer, forwarded) == client


def test_without_a_trusted_proxy_the_peer_is_who_asks_and_one_line_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    proxies = TrustedProxies()
    assert proxies.client_of("127.0.0.1", []) == "127.0.0.1"
    assert not caplog.records
    for _ in range(3):
        assert proxies.client_of("127.0.0.1", ["203.0.113.7"]) == "127.0.0.1"
    [line] = caplog.messages
    assert "CONNECT_TRUSTED_PROXIES" in line
    assert "127.0.0.1" not in line
    assert "203.0.113.7" not in line


def test_a_trusted_proxy_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert TrustedProxies(PROXIES).client_of("10.0.0.1", ["203.0.113.7"]) == "203.0.113.7"
    assert not caplog.records


@pytest.mark.parametrize("setting", ["proxy.example", "10.0.0.1/8", "127.0.0.1;10.0.0.1", "0.0.0.0/0", "::/0", "*"])
def test_invalid_and_universal_networks_are_refused(setting: str) -> None:
    with pytest.raises(ValueError, match=r"as 127\.0\.0\.1,10\.0\.0\.0/8"):
        TrustedProxies(setting)
