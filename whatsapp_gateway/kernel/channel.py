"""The only gRPC channel to the kernel service: each person stays on one replica, and a dead replica costs seconds."""

import json
import os
from pathlib import Path
from typing import Final

import grpc

SERVICE: Final = "kernel.v1.KernelService"

_SERVICE_CONFIG: Final = {
    "loadBalancingConfig": [
        {
            "ring_hash_experimental": {
                "minRingSize": 4096,
                "maxRingSize": 4096,
                "requestHashHeader": "x-user-id",
            }
        }
    ],
    "healthCheckConfig": {"serviceName": SERVICE},
    "methodConfig": [
        {
            "name": [
                # The library must not replay an upload that is rejected midway: this sometimes aborts the process
                # (1.85).
                {"service": SERVICE, "method": "UploadMedia"},
                # Calls of a broken stream are repeated one by one (kernel/client.py).
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
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.service_config_disable_resolution", 1),
    # http_proxy is meant for the vendors, and would redirect every call to this service too
    ("grpc.enable_http_proxy", 0),
    ("grpc.keepalive_time_ms", 3000),
    ("grpc.keepalive_timeout_ms", 2000),
    ("grpc.keepalive_permit_without_calls", 1),
    # This option drops a frozen peer; keepalive_timeout_ms does not.
    ("grpc.http2.ping_timeout_ms", 2000),
    # Also the time to connect: with the default of 20 s a replica that vanished would stall its people.
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
)


def open_channel(address: str, tls_ca: Path | None) -> grpc.aio.Channel:
    """A channel to every replica behind a gRPC target. Call inside the running loop."""
    # Read by the library when a ring is built; without it calls with a hash header fail.
    os.environ["GRPC_EXPERIMENTAL_RING_HASH_SET_REQUEST_HASH_KEY"] = "true"
    if tls_ca is None:
        return grpc.aio.insecure_channel(address, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(tls_ca.read_bytes())
    return grpc.aio.secure_channel(address, credentials, options=_OPTIONS)
