"""Addresses and targets that stay on this machine, and those that do not."""

import pytest

from serving.listening import Address
from serving.loopback import is_loopback, keeps_to_loopback

HERE = [
    *("127.0.0.1", "127.9.9.9", "::1", "0:0:0:0:0:0:0:1", "localhost", "LocalHost", "localhost.", "a.localhost"),
    *("::ffff:127.0.0.1", "::ffff:7f00:1"),
]
AWAY = [
    *("", "0.0.0.0", "::", "10.0.0.1", "192.168.1.5", "169.254.1.1", "fe80::1", "fd00::1", "8.8.8.8", "2001:db8::1"),
    *("::ffff:10.0.0.1", "::ffff:0.0.0.0", "::ffff:0:0", "::127.0.0.1", "kernel_service", "my-machine", "example.com"),
    *("localhost.example.com", "notlocalhost", "127.0.0.1.nip.io", "127.1", "2130706433", "0x7f.1", "0", "127.0.0.1 "),
]


@pytest.mark.parametrize("host", HERE)
def test_a_host_of_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", AWAY)
def test_any_other_host_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("listen", "loopback"),
    [
        *(("127.0.0.1:1", True), ("[::1]:1", True), ("localhost:1", True), ("[::ffff:127.0.0.1]:1", True)),
        *((":1", False), ("*:1", False), ("0.0.0.0:1", False), ("[::]:1", False), ("10.0.0.1:1", False)),
        *(("[::ffff:10.0.0.1]:1", False), ("[::ffff:0.0.0.0]:1", False), ("my-machine:1", False)),
    ],
)
def test_where_a_service_listens(listen: str, *, loopback: bool) -> None:
    assert Address.parse(listen).is_loopback is loopback


@pytest.mark.parametrize(
    "target",
    [
        *("dns:///localhost:50051", "dns:localhost:50051", "DNS:///localhost", "localhost:50051", "localhost"),
        *("127.0.0.1:50051", "dns:///127.0.0.1:50051", "ipv4:127.0.0.1:50051", "ipv4:127.0.0.1:1,127.0.0.2:2"),
        *("[::1]:50051", "dns:///[::1]:50051", "ipv6:[::1]:50051", "ipv6:[::1]", "::1"),
        *("unix:kernel.sock", "unix:///run/kernel.sock", "unix-abstract:kernel"),
    ],
)
def test_a_target_on_this_machine(target: str) -> None:
    assert keeps_to_loopback(target)


@pytest.mark.parametrize(
    "target",
    [
        *("dns:///kernel_service:50051", "kernel:50051", "10.0.0.1:50051", "ipv4:10.0.0.1:50051", "0.0.0.0:50051"),
        *("ipv4:127.0.0.1:50051,10.0.0.1:50051", "ipv6:[::1]:1,[2001:db8::1]:2", "dns:///localhost.example.com:1"),
        *("dns://10.0.0.1/localhost:50051", "dns://localhost/localhost:1", "127.0.0.1:1,10.0.0.1:2"),
        *("xds:///localhost", "vsock:2:1", "http://localhost:1", "localhost@example.com:1", "[::1]example.com:1"),
        *(
            "localhost:https",
            "",
            ":1",
        ),
    ],
)
def test_a_remote_or_unresolvable_target_is_not_loopback(target: str) -> None:
    assert not keeps_to_loopback(target)
