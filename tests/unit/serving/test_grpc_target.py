"""The first address of a gRPC target."""

import pytest

from serving.grpc_target import host_and_port


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [
        ("dns:///kernel:50051", "kernel", 50051),
        ("dns:kernel:50051", "kernel", 50051),
        (" dns://192.0.2.53/kernel:50051 ", "kernel", 50051),
        ("dns:///[2001:db8::1]:443", "2001:db8::1", 443),
        ("dns:///kernel", "kernel", 0),
        ("kernel.svc.cluster.local:50051", "kernel.svc.cluster.local", 50051),
        ("kernel:65536", "kernel:65536", 0),
        ("ipv4:192.0.2.1:50051,192.0.2.2:50052", "192.0.2.1", 50051),
        ("ipv6:[2001:db8::1]:50051", "2001:db8::1", 50051),
        ("[2001:db8::1]", "2001:db8::1", 0),
        ("2001:db8::1", "2001:db8::1", 0),
        ("unix:/run/kernel", "", 0),
        ("unix-abstract:kernel", "", 0),
    ],
)
def test_host_and_port(target: str, host: str, port: int) -> None:
    assert host_and_port(target) == (host, port)
