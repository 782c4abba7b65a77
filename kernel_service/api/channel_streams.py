"""The open streams of channels. Each gets the nodes when they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from kernel_service.api.channel_stream import ChannelStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from kernel.v1 import channel_pb2

    from kernel_service.api.channel_stream import ChannelCalls, Pull
    from kernel_service.ports.cluster import Cluster


class ChannelStreams:
    """One per process. `pull` as in ChannelStream."""

    def __init__(self, cluster: Cluster, calls: ChannelCalls, pull: Pull) -> None:
        self._cluster = cluster
        self._calls = calls
        self._pull = pull
        self._open: WeakSet[ChannelStream] = WeakSet()
        cluster.on_change(self._send_nodes)

    def responses(
        self, requests: AsyncIterator[channel_pb2.ServeChannelRequest], context: Any
    ) -> AsyncGenerator[channel_pb2.ServeChannelResponse]:
        """As ChannelStream.responses."""
        stream = ChannelStream(self._cluster, self._calls, self._pull, context)
        self._open.add(stream)
        return stream.responses(requests)

    def _send_nodes(self) -> None:
        for stream in self._open:
            stream.send_nodes()
