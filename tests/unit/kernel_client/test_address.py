"""Which addresses of nodes a gateway uses, and which name a node must prove there."""

from pathlib import Path

import pytest

from kernel_client import address
from kernel_client.address import KernelAddress

HERE = KernelAddress("dns:///localhost:50051")
AWAY = KernelAddress("dns:///kernel:50051", tls_ca=Path(__file__))
PLAIN = KernelAddress("dns:///kernel:50051", allow_insecure=True)


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("10.0.0.5:50051", "dns:///10.0.0.5:50051"),
        ("[2001:db8::5]:50051", "dns:///[2001:db8::5]:50051"),
        ("kernel-0.kernel:50051", "dns:///kernel-0.kernel:50051"),
    ],
)
@pytest.mark.parametrize("known", [AWAY, PLAIN])
def test_a_node_is_reached_at_its_address(known: KernelAddress, address: str, target: str) -> None:
    assert known.node_target(address) == target


@pytest.mark.parametrize("address", ["127.0.0.1:50052", "[::1]:50052", "localhost:50052"])
def test_on_one_machine_nodes_are_neighbours(address: str) -> None:
    assert HERE.node_target(address) == f"dns:///{address}"


@pytest.mark.parametrize(
    ("known", "address", "problem"),
    [
        (AWAY, "", "host:port"),
        (AWAY, "kernel", "host:port"),
        (AWAY, "kernel:0", "no single host"),
        (AWAY, "kernel:65536", "host:port"),
        (AWAY, "kernel:-1", "host:port"),
        (AWAY, ":50051", "no single host"),
        (AWAY, "0.0.0.0:50051", "no single host"),
        (AWAY, "[::]:50051", "no single host"),
        (AWAY, "unix:/run/kernel", "host:port"),
        (AWAY, "dns://192.0.2.53/kernel:50051", "host:port"),
        (AWAY, "kernel:1,evil:2", "host:port"),
        (AWAY, "user@kernel:50051", "host:port"),
        (AWAY, "kernel:50051\nevil:1", "host:port"),
        (AWAY, "127.0.0.1:50051", "loopback"),
        (PLAIN, "localhost:50051", "loopback"),
        (HERE, "10.0.0.5:50051", "without TLS"),
        (KernelAddress("unix:/run/kernel"), "kernel:50051", "without TLS"),
    ],
)
def test_an_address_that_is_not_used(known: KernelAddress, address: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        known.open_node(address)


def test_streams_are_not_replayed_by_the_library() -> None:
    (streamed, others) = address._SERVICE_CONFIG["methodConfig"]
    assert "retryPolicy" not in streamed
    assert "retryPolicy" in others
