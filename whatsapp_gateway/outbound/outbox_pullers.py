"""One stream through KERNEL_ADDRESS, and one to each further node at its own address, as far as it can be reached."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from serving.cancellation import cancel_and_wait
from whatsapp_gateway.kernel.channel import KernelAddress
from whatsapp_gateway.kernel.client import KernelClient
from whatsapp_gateway.kernel.nodes import Node
from whatsapp_gateway.kernel.routes import Route, route_to
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.outbound.ack_queue import AckQueue
from whatsapp_gateway.outbound.deliveries import Deliveries
from whatsapp_gateway.outbound.outbox_puller import OutboxPuller
from whatsapp_gateway.outbound.stall_detector import StallDetector

logger = logging.getLogger(__name__)

MOST_IN_FLIGHT: Final = 100
"""Concurrently leased replies of all streams together, which bounds the sends in progress; WhatsApp accepts 80 messages
a second.
"""
LEAST_IN_FLIGHT: Final = 25
"""Of one stream, however many there are: people are spread unevenly for a while."""


@dataclass(frozen=True, slots=True)
class _Pull:
    """A puller that runs."""

    puller: OutboxPuller
    route: Route
    task: asyncio.Task[None]


class OutboxPullers:
    """Follows the service's nodes. instance_id is unique to this process. now is the monotonic clock of the leases."""

    def __init__(
        self,
        kernel: KernelClient,
        address: KernelAddress,
        deliveries: Deliveries,
        acks: AckQueue,
        metrics: Metrics,
        *,
        numbers: Sequence[str],
        instance_id: str,
        now: Callable[[], float],
    ) -> None:
        self._kernel = kernel
        self._address = address
        self._deliveries = deliveries
        self._acks = acks
        self._metrics = metrics
        self._numbers = numbers
        self._instance_id = instance_id
        self._now = now
        self._stall_detector = StallDetector(now)
        self._numbered = count(1)
        self._door = self._puller(kernel.door, instance_id)
        self._nodes: dict[str, _Pull] = {}
        self._unusable: set[str] = set()
        self._leaving: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start pulling."""
        self._background = [asyncio.create_task(self._stall_detector.run()), asyncio.create_task(self._acks.run())]
        self._door_task = asyncio.create_task(self._door.run())
        self._kernel.nodes.on_change = self._follow

    async def stop(self) -> None:
        """Stop pulling; finish and acknowledge the sends in progress; release the rest, through any node."""
        self._kernel.nodes.on_change = _nothing
        pulls = list(self._nodes.values())
        await cancel_and_wait(self._door_task, *(each.task for each in pulls), *self._leaving)
        await self._deliveries.finish()
        await asyncio.gather(self._door.release(), *(each.puller.release() for each in pulls))
        await self._deliveries.cancel()
        await cancel_and_wait(*self._background)
        await asyncio.gather(*(each.route.close() for each in pulls))

    def _follow(self) -> None:
        """Pull from each node that the service names, except the one to which KERNEL_ADDRESS leads at present."""
        known = {node.id: node for node in self._kernel.nodes.known}
        for node_id in self._nodes.keys() - known.keys():
            self._leave(self._nodes.pop(node_id))
        self._unusable &= known.keys()
        for node in known.values():
            is_new = node.id not in self._nodes and node.id not in self._unusable and node.id != self._kernel.door_node
            if is_new and node.address and not node.draining:
                self._pull_from(node)

    def _pull_from(self, node: Node) -> None:
        try:
            route = route_to(self._address, node)
        except ValueError as problem:
            self._unusable.add(node.id)
            logger.warning("address %s of node %s is not used: it %s", node.address, node.id, problem)
            return
        puller = self._puller(route, f"{self._instance_id}.{next(self._numbered)}")
        self._nodes[node.id] = _Pull(puller, route, asyncio.create_task(puller.run()))

    def _puller(self, route: Route, name: str) -> OutboxPuller:
        return OutboxPuller(
            self._kernel,
            route,
            self._deliveries,
            self._metrics,
            name=name,
            numbers=self._numbers,
            most=self._share,
            stall_detector=self._stall_detector,
            now=self._now,
        )

    def _share(self) -> int:
        """How many items the next stream may hold."""
        return max(LEAST_IN_FLIGHT, MOST_IN_FLIGHT // max(1, len(self._kernel.nodes.known)))

    def _leave(self, pull: _Pull) -> None:
        """The node is gone: items that its stream leased and did not bring go to others at once."""
        task = asyncio.create_task(_end(pull))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


async def _end(pull: _Pull) -> None:
    await cancel_and_wait(pull.task)
    await pull.puller.release()
    await pull.route.close()


def _nothing() -> None:
    return None
