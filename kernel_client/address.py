"""gRPC channels to the kernel service: to all of it at its address, and to each node at its own address.

A node that died or froze is noticed within five seconds.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from serving.grpc_target import host_and_port
from serving.listening import Address
from serving.loopback import keeps_to_loopback

SERVICE: Final = "kernel.v1.KernelService"

_HEALTHY_IN_TURN: Final = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": SERVICE},
}
_SERVICE_CONFIG: Final = _HEALTHY_IN_TURN | {
    "methodConfig": [
        {
            "name": [
                # The library must not replay an upload that is rejected midway: this sometimes aborts the process
                # (1.85).
                {"service": SERVICE, "method": "UploadMedia"},
                # Calls of a broken stream are repeated one by one (connection.py).
                {"service": SERVICE, "method": "ServeChannel"},
            ],
            "waitForReady": True,
        },
        {
            "name": [{"service": SERVICE}],
            "waitForReady": True,
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        },
    ],
}

_OPTIONS: Final = (
    ("grpc.service_config_disable_resolution", 1),
    # http_proxy is meant for the vendors, and would redirect every call to this service too
    ("grpc.enable_http_proxy", 0),
    ("grpc.keepalive_time_ms", 3000),
    ("grpc.keepalive_timeout_ms", 2000),
    ("grpc.keepalive_permit_without_calls", 1),
    # This option drops a frozen peer; keepalive_timeout_ms does not.
    ("grpc.http2.ping_timeout_ms", 2000),
    # Also the time to connect: with the default of 20 s a node that vanished would stall its people.
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
)


@dataclass(frozen=True, slots=True)
class KernelAddress:
    """A gRPC target, as `127.0.0.1:50051`, with the trust that goes with it; nodes get the same.

    tls_ca is a file of certificates in PEM; None: plain text. allow_insecure: plain text may leave this machine.
    """

    target: str
    tls_ca: Path | None = None
    allow_insecure: bool = False

    def open(self) -> grpc.aio.Channel:
        """A channel to every node behind the target, in turn. Call inside the running loop."""
        return self._channel(self.target, _config(_SERVICE_CONFIG))

    def open_node(self, address: str) -> grpc.aio.Channel:
        """A channel to one node, at the `host:port` that the service names. `ValueError`: not to be used from here.

        The node proves the name in the service's address, which every node serves, whatever its own address is.
        """
        target = self.node_target(address)
        options = _config(_HEALTHY_IN_TURN)
        if self.tls_ca is not None and self.name:
            options += (("grpc.ssl_target_name_override", self.name),)
        return self._channel(target, options)

    @property
    def name(self) -> str:
        """The name that each node proves by its certificate; empty: the target has none."""
        return host_and_port(self.target)[0]

    def node_target(self, address: str) -> str:
        """The target of one node, at the `host:port` that the service names. `ValueError`: not to be used from here."""
        where = Address.parse(address)
        if not where.host or where.host == "0.0.0.0" or not where.port:  # noqa: S104 - compared, not bound
            raise ValueError("names no single host and port")
        stays = keeps_to_loopback(self.target)
        if where.is_loopback and not stays:
            raise ValueError("is of another machine's loopback interface")
        if not where.is_loopback and self.tls_ca is None and not self.allow_insecure:
            raise ValueError("leads to another machine without TLS")
        return f"dns:///{where}"

    def _channel(self, target: str, options: Sequence[tuple[str, Any]]) -> grpc.aio.Channel:
        if self.tls_ca is None:
            return grpc.aio.insecure_channel(target, options=options)
        credentials = grpc.ssl_channel_credentials(self.tls_ca.read_bytes())
        return grpc.aio.secure_channel(target, credentials, options=options)


def _config(config: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return (("grpc.service_config", json.dumps(config)), *_OPTIONS)
