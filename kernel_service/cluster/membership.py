"""A node's membership: it sends heartbeats, removes dead nodes, and keeps the view of the live ones.

Each beat judges the others before it counts itself, and only if this node's own beats were regular. Otherwise a node
that comes back from a pause of the database would remove all the others.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from kernel_service.clock import since_boot
from kernel_service.cluster import homes
from kernel_service.errors import KernelError
from kernel_service.ports.nodes import BEAT_SECONDS, GAP_SECONDS, LAPSE_SECONDS, Node
from serving.cancellation import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from kernel_service.ports.nodes import Beat, NodeStore

log = logging.getLogger(__name__)

ANSWER_SECONDS = 1.0
"""How long a beat may take. A later answer is outdated."""
_PAUSE_SECONDS = 0.1
_MARGIN_SECONDS = 0.02


class Membership:
    """Fills `Cluster`. Created by `join`. `alone`: no other process can use the database, so no beat is needed."""

    def __init__(
        self,
        store: NodeStore,
        node: Node,
        *,
        alone: bool,
        end_process: Callable[[str], None],
        monotonic: Callable[[], float] = since_boot,
    ) -> None:
        self.me = node.id
        self._store = store
        self._node = node
        self._alone = alone
        self._end_process = end_process
        self._monotonic = monotonic
        self.nodes: tuple[Node, ...] = (node,)
        self.is_alone = True
        self._alive: frozenset[str] = frozenset({node.id})
        self._homes: tuple[str, ...] = (node.id,)
        self._beat_at = 0.0
        self._answered_at = self._database_time = 0.0
        self._was_silent = False
        self._silence_callbacks: list[Callable[[bool], None]] = []
        self._change_callbacks: list[Callable[[], None]] = []
        self.removed_count = 0
        """How many dead nodes this node has removed."""
        self.channels: Callable[[], Sequence[str]] = tuple
        """Returns the channels with a stream that is attached to this node."""

    # --- the view -----------------------------------------------------------------------------------------------

    def home_of(self, person_id: str) -> str:
        return self._homes[0] if len(self._homes) == 1 else homes.home_of(person_id, self._homes)

    def is_alive(self, node_id: str) -> bool:
        return node_id in self._alive

    @property
    def leader(self) -> str:
        return self._homes[0]

    @property
    def is_leader(self) -> bool:
        return self.leader == self.me

    @property
    def is_fresh(self) -> bool:
        return self._alone or self.silence < LAPSE_SECONDS

    @property
    def silence(self) -> float:
        """Seconds since this node's last beat, by its own steady clock."""
        return 0.0 if self._alone else self._monotonic() - self._beat_at

    def database_time(self) -> float:
        """The database's time in epoch seconds, as of the last beat and by this node's steady clock since."""
        return self._database_time + self._monotonic() - self._answered_at

    def on_silence(self, callback: Callable[[bool], None]) -> None:
        """Call `callback` with True when this node has had no beat for GAP_SECONDS, with False at its next beat."""
        self._silence_callbacks.append(callback)

    def on_change(self, callback: Callable[[], None]) -> None:
        self._change_callbacks.append(callback)

    # --- the beats ----------------------------------------------------------------------------------------------

    async def join(self) -> Beat:
        """Raises `StoreUnavailable`."""
        began = self._monotonic()
        beat = await self._store.join(self._node, alone=self._alone)
        self._see(beat, began)
        return beat

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Beats inside the block."""
        if self._alone:
            yield
            return
        beats = asyncio.create_task(self._beat_forever(), name="node-beats")
        try:
            yield
        finally:
            await cancel_and_wait(beats)

    async def announce(self, address: str) -> None:
        """Publish the address at which this node serves."""
        await self._store.announce(self.me, address)
        self._node = replace(self._node, address=address)
        self._show(tuple(replace(node, address=address) if node.id == self.me else node for node in self.nodes))

    async def drain(self) -> None:
        """Stop being the home of people. If the store is unavailable, the others see it when this node has left."""
        self._node = replace(self._node, is_draining=True)
        self._show(self.nodes)
        await _tried(self._store.drain(self.me))

    async def leave(self) -> None:
        """Release this node's people. If the store is unavailable, the others remove this node later."""
        await _tried(self._store.leave(self.me))

    async def _beat_forever(self) -> None:
        while True:
            # A beat that was not answered is repeated soon, so that two failed ones do not remove the node.
            await asyncio.sleep(max(_PAUSE_SECONDS, self.interval() - self.silence))
            try:
                with suppress(KernelError, TimeoutError):
                    await self.beat()
            except Exception:
                log.exception("heartbeat failed")
            self._report_silence()

    def interval(self) -> float:
        """Seconds from the last beat to the next one. It is shorter if another node may be removed before then.

        So the people of a dead node wait for its lapse, and not for the next regular beat as well.
        """
        lapses = (LAPSE_SECONDS + _MARGIN_SECONDS - node.silence for node in self.nodes if node.id != self.me)
        return min([BEAT_SECONDS, *(lapse for lapse in lapses if lapse > 0)])

    def _report_silence(self) -> None:
        is_silent = self.silence >= GAP_SECONDS
        if is_silent != self._was_silent:
            self._was_silent = is_silent
            log.warning("no heartbeat for %.0f s", GAP_SECONDS) if is_silent else log.warning("heartbeat again")
            for callback in self._silence_callbacks:
                callback(is_silent)

    async def beat(self) -> None:
        """Raises `StoreUnavailable` and `TimeoutError`: no node is judged."""
        began = self._monotonic()
        async with asyncio.timeout(ANSWER_SECONDS):
            beat = await self._store.beat(self.me, self.channels())
        if beat is None:
            self._end_process("another node declared this one dead and has its people now")
            return
        self._see(beat, began)

    def _see(self, beat: Beat, began: float) -> None:
        self._beat_at = began
        # The answer was made between the two; on average in the middle.
        self._answered_at, self._database_time = (began + self._monotonic()) / 2, beat.now
        self._show(beat.nodes or (replace(self._node),), beat.removed)

    def _show(self, nodes: tuple[Node, ...], dead: Sequence[str] = ()) -> None:
        before, addresses = _roles(self.nodes), {node.id: node.address for node in self.nodes}
        if self._node.is_draining:  # the others may see it later
            nodes = tuple(replace(node, is_draining=node.is_draining or node.id == self.me) for node in nodes)
        self.nodes, self.is_alone = nodes, len(nodes) == 1
        self._alive = frozenset(node.id for node in self.nodes)
        self._homes = _homes(self.nodes)
        if dead:
            self.removed_count += len(dead)
            for node_id in dead:
                log.warning("node removed node=%s address=%s", node_id, addresses.get(node_id, ""))
        if _roles(self.nodes) != before:
            draining = sum(node.is_draining for node in self.nodes)
            log.info("nodes live=%d draining=%d", len(self.nodes), draining)
            for callback in self._change_callbacks:
                callback()


async def _tried(note: Awaitable[None]) -> None:
    """A database that does not answer must not delay the end of this process."""
    with suppress(KernelError, TimeoutError):
        async with asyncio.timeout(ANSWER_SECONDS):
            await note


def _homes(nodes: Sequence[Node]) -> tuple[str, ...]:
    """The ids of the nodes that serve and stay, or else of those that start, or else of all."""
    staying = [node for node in nodes if not node.is_draining]
    serving = [node for node in staying if node.address]
    return tuple(node.id for node in serving or staying or nodes)


def _roles(nodes: Sequence[Node]) -> set[tuple[str, str, bool]]:
    return {(node.id, node.address, node.is_draining) for node in nodes}
