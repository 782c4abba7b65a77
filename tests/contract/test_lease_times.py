"""The timeouts of the two services fit: a send under a lease is over before the kernel service acts on its end."""

from __future__ import annotations

from kernel_client import address
from kernel_client.stall_detector import STOPPED_SECONDS
from kernel_service.api import listener
from kernel_service.outbox.outbox import GRACE_SECONDS, LEASE_SECONDS, POLL_SECONDS
from kernel_service.ports.outbox import SENDING_SECONDS
from kernel_service.sweeper import FAST_SECONDS
from whatsapp_gateway.graph.api import SEND_SECONDS
from whatsapp_gateway.outbound.deliveries import DRAIN_SECONDS
from whatsapp_gateway.outbound.reply_sender import MARGIN

WANTED = 45.0
"""After the crash of a gateway every message in flight is answered within this many seconds."""
ONE_SEND = 1.0


def notices_after(options: dict[str, int]) -> float:
    """Seconds until one end of a connection notices that the other is gone."""
    return (options["grpc.keepalive_time_ms"] + options["grpc.http2.ping_timeout_ms"]) / 1000


def test_a_started_send_ends_before_its_lease() -> None:
    gateway = notices_after(dict(address._OPTIONS))
    assert max(gateway, STOPPED_SECONDS) + SEND_SECONDS <= SENDING_SECONDS
    assert SENDING_SECONDS < LEASE_SECONDS - MARGIN
    assert DRAIN_SECONDS >= SEND_SECONDS


def test_recovery_from_a_crashed_gateway_takes_no_longer_than_documented() -> None:
    kernel = notices_after(dict(listener._OPTIONS))
    assert kernel + SENDING_SECONDS + GRACE_SECONDS + 2 * FAST_SECONDS + ONE_SEND <= WANTED


def test_sends_under_the_leases_of_a_silent_node_end_before_the_leases() -> None:
    """Once it can be removed, it ends its streams within a poll. Its leases are shortened after its removal."""
    assert POLL_SECONDS + SEND_SECONDS < SENDING_SECONDS
