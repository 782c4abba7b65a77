"""Converts connections between protobuf and the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.v1 import connections_pb2

from kernel_service.api import converters

if TYPE_CHECKING:
    from kernel_service.ports.connections import Connection


def connection(given: Connection) -> connections_pb2.Connection:
    return connections_pb2.Connection(
        id=given.id,
        toolkit=given.toolkit,
        status=connections_pb2.ConnectionStatus.Value(f"CONNECTION_STATUS_{given.status.upper()}"),
        created_at=converters.timestamp(given.created_at),
        confirmed_at=converters.timestamp(given.confirmed_at),
        name=given.name,
    )


def age(given: Connection) -> str:
    """A key that orders connections from the oldest to the newest."""
    return f"{given.created_at:020.6f} {given.id}"
