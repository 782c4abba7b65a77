"""The nodes of the service, as clients and operators see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.v1 import admin_pb2, channel_pb2

from kernel_service.api import converters

if TYPE_CHECKING:
    from kernel_service.ports.cluster import Cluster
    from kernel_service.ports.nodes import Node


def serving(cluster: Cluster) -> list[channel_pb2.ServingNode]:
    """Those that clients can reach, the oldest first."""
    return [
        channel_pb2.ServingNode(id=node.id, address=node.address, draining=node.is_draining)
        for node in cluster.nodes
        if node.address
    ]


def node(given: Node, cluster: Cluster, resident: int | None) -> admin_pb2.Node:
    """`resident` counts the kernels in its memory; None: unknown."""
    return admin_pb2.Node(
        id=given.id,
        address=given.address,
        started_at=converters.timestamp(given.started_at),
        beat_age=converters.duration(given.silence + cluster.silence),
        draining=given.is_draining,
        leader=given.id == cluster.leader,
        schema=given.schema,
        channels=given.channels,
        resident_kernels=resident,
    )
