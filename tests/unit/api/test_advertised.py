"""The address at which others reach this node."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from kernel_service.api.advertised import advertised, check_advertised
from serving.listening import Address

LISTEN = Address("127.0.0.1", 0)


@pytest.mark.parametrize("listen", [Address("10.0.0.7", 50051), Address("kernel-1", 50051), Address("::1", 50051)])
def test_a_listen_host_is_advertised_with_the_bound_port(listen: Address) -> None:
    assert advertised("", listen, 1234) == Address(listen.host, 1234)


def test_the_setting_comes_first() -> None:
    assert str(advertised("kernel-1.example.com:443", LISTEN, 1234)) == "kernel-1.example.com:443"
    assert str(advertised("[fd00::7]:443", LISTEN, 1234)) == "[fd00::7]:443"


WILDCARDS = ["", "*", "0.0.0.0", "[::]", "[::ffff:0.0.0.0]", "[0:0:0:0:0:0:0:0]"]


@pytest.mark.parametrize("host", WILDCARDS)
def test_a_wildcard_becomes_the_hostnames_address(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    hosts(monkeypatch, "127.0.1.1", "fd00::7", "10.1.2.3")
    assert str(advertised("", Address.parse(f"{host}:0"), 7)) == "10.1.2.3:7"


def test_a_hostname_that_does_not_resolve_is_advertised_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise socket.gaierror

    monkeypatch.setattr(socket, "gethostname", lambda: "kernel-1")
    monkeypatch.setattr(socket, "getaddrinfo", fails)
    assert str(advertised("", Address("", 0), 7)) == "kernel-1:7"


def hosts(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 0)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


@pytest.mark.parametrize("host", WILDCARDS)
def test_a_wildcard_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="must name a host and a port that others can connect to"):
        check_advertised(f"{host}:50051")


@pytest.mark.parametrize("text", ["10.0.0.7:0", "kernel-1:0"])
def test_port_zero_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must name a host and a port"):
        check_advertised(text)


@pytest.mark.parametrize(
    "text", ["kernel-1", "10.0.0.7:65536", "10.0.0.7:x", "http://kernel-1:50051", "a b:1", "a/b:1"]
)
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be host:port"):
        check_advertised(text)
