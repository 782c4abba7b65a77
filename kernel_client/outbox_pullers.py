"""One stream through the service's address, and one to each further node that can be reached."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

from kernel.v1 import outbox_pb2

from kernel_client.ack_queue import AckQueue
from kernel_client.connection import KernelConnection
from kernel_client.nodes import Node
from kernel_client.observer import Observer
from kernel_client.outbox_puller import OutboxPuller
from kernel_client.receiver import Receiver
from kernel_client.routes import Route, route_to
from kernel_client.stall_detector import StallDetector
from serving.cancellation import cancel_and_wait

logger = logging.getLogger(__name__)

LEAST_IN_FLIGHT: Final = 25
"""Of one stream, however many there are: people are spread unevenly for a while. But never more than the channel
allows to all streams together.
"""


@dataclass(frozen=True, slots=True)
class _Pull:
    """A puller that runs."""

    puller: OutboxPuller
    route: Route
    task: asyncio.Task[None]


class OutboxPullers:
    """Follows the service's nodes.

    attach says what the channel wants: its instance_id is unique to this process, and its max_in_flight is the number
    of concurrently leased items of all streams together. now is the monotonic clock of the leases.
    """

    def __init__(
        self,
        kernel: KernelConnection,
        receiver: Receiver,
        acks: AckQueue,
        observer: Observer,
        *,
        attach: outbox_pb2.PullOutboxRequest,
        now: Callable[[], float],
    ) -> None:
        self._kernel = kernel
        self._receiver = receiver
        self._acks = acks
        self._observer = observer
        self._attach = attach
        self._now = now
        self._stall_detector = StallDetector(now)
        self._numbered = count(1)
        self._bootstrap = self._puller(kernel.bootstrap, attach.instance_id)
        self._nodes: dict[str, _Pull] = {}
        self._unusable: set[str] = set()
        self._leaving: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start pulling."""
        self._background = [asyncio.create_task(self._stall_detector.run()), asyncio.create_task(self._acks.run())]
        self._bootstrap_task = asyncio.create_task(self._bootstrap.run())
        self._kernel.nodes.on_change = self._follow

    async def stop(self) -> None:
        """Stop pulling; finish and acknowledge the sends in progress; release the rest, through any node."""
        self._kernel.nodes.on_change = _nothing
        pulls = list(self._nodes.values())
        await cancel_and_wait(self._bootstrap_task, *(each.task for each in pulls), *self._leaving)
        await self._receiver.finish()
        await asyncio.gather(self._bootstrap.release(), *(each.puller.release() for each in pulls))
        await self._receiver.cancel()
        await cancel_and_wait(*self._background)
        await asyncio.gather(*(each.route.close() for each in pulls))

    def _follow(self) -> None:
        """Pull from each node that the service names, except the one to which the address leads at present."""
        known = {node.id: node for node in self._kernel.nodes.known}
        for node_id in self._nodes.keys() - known.keys():
            self._leave(self._nodes.pop(node_id))
        self._unusable &= known.keys()
        for node in known.values():
            is_new = (
                node.id not in self._nodes and node.id not in self._unusable and node.id != self._kernel.bootstrap_node
            )
            if is_new and node.address and not node.draining:
                self._pull_from(node)

    def _pull_from(self, node: Node) -> None:
        try:
            route = route_to(self._kernel.address, node)
        except ValueError as problem:
            self._unusable.add(node.id)
            logger.warning("address %s of node %s is not used: it %s", node.address, node.id, problem)
            return
        puller = self._puller(route, f"{self._attach.instance_id}.{next(self._numbered)}")
        self._nodes[node.id] = _Pull(puller, route, asyncio.create_task(puller.run()))

    def _puller(self, route: Route, name: str) -> OutboxPuller:
        attach = outbox_pb2.PullOutboxRequest()
        attach.CopyFrom(self._attach)
        attach.instance_id = name
        return OutboxPuller(
            self._kernel,
            route,
            self._receiver,
            self._observer,
            attach=attach,
            most=self._share,
            stall_detector=self._stall_detector,
            now=self._now,
        )

    def _share(self) -> int:
        """How many items the next stream may hold."""
        most = self._attach.max_in_flight
        return min(most, max(LEAST_IN_FLIGHT, most // max(1, len(self._kernel.nodes.known))))

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
