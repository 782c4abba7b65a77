"""Ways to the kernel service: its address, behind which any node may answer, and the address of one node."""

import asyncio
import math
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc
from kernel.v1 import kernel_pb2_grpc

from kernel_client.address import KernelAddress
from kernel_client.errors import KernelError
from kernel_client.nodes import Node
from kernel_client.tls_diagnosis import TlsDiagnosis

CONNECT_SECONDS = 3.0


class Route:
    """One gRPC channel. node_id is the node that must answer; empty: any. name is for logs. tls explains failures."""

    def __init__(self, channel: grpc.aio.Channel, name: str, tls: TlsDiagnosis, node_id: str = "") -> None:
        self.name = name
        self.tls = tls
        self.is_closed = False
        self.channel = channel
        self.stub = kernel_pb2_grpc.KernelServiceStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)
        self.calls: dict[str, Any] = {
            "handle_message": self.stub.HandleMessage,
            "ack_outbox": self.stub.AckOutbox,
            "report_receipts": self.stub.ReportReceipts,
        }
        """The rpcs of the fields of `ChannelCall`."""
        self.node_id = node_id

    @property
    def is_connected(self) -> bool:
        """Whether a call would find its service."""
        return not self.is_closed and self.channel.get_state() is grpc.ChannelConnectivity.READY

    async def connect(self, timeout: float = math.inf) -> None:
        """Return once it is connected. `KernelError` UNREACHABLE: not within `timeout` and CONNECT_SECONDS."""
        try:
            async with asyncio.timeout(min(timeout, CONNECT_SECONDS)):
                while (state := self.channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
                    await self.channel.wait_for_state_change(state)
        except TimeoutError:
            raise KernelError("UNREACHABLE") from None
        except grpc.aio.UsageError:  # closed meanwhile
            raise KernelError("CANCELLED") from None

    async def close(self) -> None:
        """End its calls."""
        self.is_closed = True
        await self.channel.close()


def route_to_address(address: KernelAddress) -> Route:
    """The way through the service's own address."""
    return Route(address.open(), "the service's address", TlsDiagnosis(address.target, address.tls_ca))


def route_to(address: KernelAddress, node: Node) -> Route:
    """The way to a node's own address. `ValueError`: not to be used from here."""
    tls = TlsDiagnosis(address.node_target(node.address), address.tls_ca, address.name)
    return Route(address.open_node(node.address), f"node {node.id} at {node.address}", tls, node.id)
