"""The kernel map: person → kernel. The first message activates a kernel, later ones reuse it, eviction releases it.
A kernel that rests is activated again under its own lease.

Each person with work has one task, and only that task activates their kernel and runs their turns. So concurrent
messages cause one activation, and one turn runs at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from kernel_service.errors import Aborted, KernelError, LeaseLost, NotFound, OwnedElsewhere, StoreUnavailable
from kernel_service.kernels.kernel import EvictionReason, Kernel
from kernel_service.kernels.person_tasks import PersonTasks
from kernel_service.kernels.wakeup_timers import WakeupTimers
from kernel_service.ports.interruptions import Requeued
from kernel_service.uncancelled import Uncancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, ValuesView

    from kernel_service.cluster.placement import Placement
    from kernel_service.ports.context import ContextStore
    from kernel_service.ports.kernels import Activation, KernelStore
    from kernel_service.ports.turns import TurnMessage

log = logging.getLogger(__name__)


_RELEASED_AT_ONCE = 500
"""The most leases that one write releases while turns run, since it delays their writes."""
_OUTDATE_TRIES = 300
_END_SECONDS = 1.0
"""The part of a drain that is left to turns that were cancelled."""


class Turns(Protocol):
    """Runs a person's turns. The turns package implements it."""

    async def run_next(self, kernel: Kernel) -> float | None:
        """Run the turn that is due. Returns when to call again (epoch seconds; a past time: at once), or None."""
        ...


class KernelMap:
    """Owns every resident kernel of this process. Its wakes are for this node; `Placement` finds the right one."""

    def __init__(
        self,
        store: KernelStore,
        context: ContextStore,
        turns: Turns,
        placement: Placement,
        *,
        max_turns: int,
        clock: Callable[[], float],
        model: str = "",
        retry_seconds: float = 1.0,
        defer_seconds: float = 60.0,
    ) -> None:
        """`model` is the origin of the model.

        `retry_seconds`: the delay for a person after the store was unavailable or a turn failed.

        `defer_seconds`: the delay for a person whom only an operator can help, unless they write again.
        """
        self._store = store
        self._context = context
        self._turns = turns
        self._placement = placement
        self._clock = clock
        self._model = model
        self._retry_seconds = retry_seconds
        self._defer_seconds = defer_seconds
        self._kernels: OrderedDict[str, Kernel] = OrderedDict()  # least recently used first
        self._awake: OrderedDict[str, Kernel] = OrderedDict()  # those that do not rest, in the same order
        self._tasks = PersonTasks(self._run_due, max_running=max_turns)
        self._timers = WakeupTimers(self.wake, clock)
        self._reset: set[str] = set()
        self._deferred: dict[str, float] = {}
        self._uncancelled = Uncancelled()
        self._closing = False
        placement.attach(self)
        self.evictions: Counter[EvictionReason] = Counter()
        self.moves: Counter[str] = Counter()
        """`taken` from a dead or draining node, `released` to their home, `lost` to another node, `refused` by one."""
        self.activations = 0

    # --- running turns ------------------------------------------------------------------------------------------

    def wake(self, person_id: str) -> None:
        """Check the person's messages: now, in the running turn, and again after it."""
        if self._tasks.wake(person_id):
            self._wake_turn(person_id)
        elif self._closing:
            self._placement.send_home(person_id)

    def check(self, person_id: str) -> None:
        """Check the messages of a person who seems due, also in the running turn. Deferred people wait."""
        if self.busy(person_id):
            self._wake_turn(person_id)  # the notice of a message that another node accepted may be lost
        elif self._deferred.get(person_id, 0.0) <= self._clock():
            self._deferred.pop(person_id, None)
            self.wake(person_id)

    def wake_at(self, person_id: str, when: float) -> None:
        """Wake the person at `when` (epoch seconds), or at once if it is past. An earlier timer of theirs stays."""
        if when > self._clock() and not self._closing:
            self._timers.set(person_id, when)
        else:
            self._timers.drop(person_id)
            self.wake(person_id)

    def arrived(self, person_id: str, message: TurnMessage | None) -> None:
        """A message waits for a turn. None: it is not plain, so the store decides which turn is next."""
        kernel = self._kernels.get(person_id)
        if kernel is None or kernel.foresight is None:
            return
        if message is None:
            kernel.foresight = None
        else:
            kernel.foresight.arrived += (message,)

    def _wake_turn(self, person_id: str) -> None:
        if (kernel := self._kernels.get(person_id)) is not None:
            kernel.wake_turn()

    async def _run_due(self, person_id: str) -> None:
        try:
            due = await self._run_here(person_id)
        except Requeued:
            if self._closing:
                self._placement.send_home(person_id)
        except OwnedElsewhere as error:
            self.moves["refused"] += 1
            self._remove(person_id, EvictionReason.LEASE_LOST)  # of a kernel that rested
            if error.owner:
                self._placement.leave_to(error.owner, person_id)
            else:  # it was released just now
                self._tasks.wake(person_id)
        except LeaseLost:
            self._lose(person_id)
        except StoreUnavailable:
            self._retry_later(person_id)
        except KernelError as error:
            self._defer(person_id, error.reason)
        except Exception:
            log.exception("turn runner failed person=%s", person_id)
            self._retry_later(person_id)
        else:
            self._schedule(person_id, due)

    async def _run_here(self, person_id: str) -> float | None:
        """Run the turn that is due, unless the person's home is another node now. Returns when to call again."""
        kernel = self._kernels.get(person_id)
        if kernel is not None and not self._placement.is_home(person_id):
            await self._hand_over(kernel, self._clock())
            return None
        kernel = await self._resident(person_id)
        due = await self._turns.run_next(kernel)
        kernel.last_used_at = self._clock()
        if self._placement.is_home(person_id):
            return due
        await self._hand_over(kernel, due)
        return None

    async def _hand_over(self, kernel: Kernel, due: float | None) -> None:
        """Release the kernel to the person's home, which looks for their next turn at `due`."""
        person_id = kernel.person_id
        if self._kernels.get(person_id) is not kernel:
            return
        self.moves["released"] += 1
        self._remove(person_id, EvictionReason.MOVED)
        await self._store.release(person_id, kernel.epoch)
        if self._tasks.forget_wake(person_id):
            due = self._clock()
        if due is not None:
            self._placement.send_home(person_id, due)

    def _lose(self, person_id: str) -> None:
        self.moves["lost"] += 1
        if self._remove(person_id, EvictionReason.LEASE_LOST) and self._placement.is_home(person_id):
            self._tasks.wake(person_id)  # the next activation reads the owner of the lease, if there is one
        self._placement.send_home(person_id)

    def _defer(self, person_id: str, reason: str) -> None:
        if reason == "PERSON_NOT_FOUND":  # they were deleted
            self.person_deleted(person_id)
            return
        # An operator must act (an unknown key, a damaged value). Until then `check` retries from time to time.
        log.error("person deferred reason=%s person=%s", reason, person_id)
        self._drop(person_id)
        self._deferred[person_id] = self._clock() + self._defer_seconds

    def _retry_later(self, person_id: str) -> None:
        """Retry from the journal, which has all completed work. The history in memory may be older."""
        self._drop(person_id)
        self.wake_at(person_id, self._clock() + self._retry_seconds)

    def _schedule(self, person_id: str, due: float | None) -> None:
        if due is None:
            return
        if due <= self._clock():
            self._tasks.wake(person_id)
        else:
            self._timers.set(person_id, due)

    async def _resident(self, person_id: str) -> Kernel:
        if self._closing:
            raise Requeued
        kernel = self._kernels.get(person_id)
        if kernel is None or kernel.rests:
            kernel = await self._activated(person_id)
        for kernels in (self._kernels, self._awake):
            kernels[person_id] = kernel
            kernels.move_to_end(person_id)
        return kernel

    async def _activated(self, person_id: str) -> Kernel:
        """A new kernel, or the one that rested."""
        while True:
            self._reset.discard(person_id)
            resting = self._kernels.get(person_id)
            activation = await self._activation(person_id)
            if person_id in self._reset or self._kernels.get(person_id) is not resting:
                continue  # the loaded history is outdated
            if resting is None:
                return Kernel(activation, self._clock())
            resting.recall(activation)
            return resting

    async def _activation(self, person_id: str) -> Activation:
        activation = await self._store.activate(person_id, owner=self._placement.me, model=self._model)
        self.activations += 1
        if activation.owner_before not in {"", self._placement.me}:
            self.moves["taken"] += 1
        return activation

    # --- resident kernels ---------------------------------------------------------------------------------------

    def get(self, person_id: str) -> Kernel | None:
        return self._kernels.get(person_id)

    @property
    def waiting(self) -> int:
        """The number of people who wait for the turns of others to end."""
        return self._tasks.waiting

    @property
    def tasks(self) -> PersonTasks:
        """For operators: the people who run, those who wait, and for how long."""
        return self._tasks

    def busy(self, person_id: str) -> bool:
        return person_id in self._tasks

    def resident(self) -> ValuesView[Kernel]:
        """Every kernel in memory, least recently used first. A view: a copy of a million would take too long."""
        return self._kernels.values()

    def awake(self) -> ValuesView[Kernel]:
        """Those whose history is in memory."""
        return self._awake.values()

    def __len__(self) -> int:
        return len(self._kernels)

    def __contains__(self, person_id: str) -> bool:
        return person_id in self._kernels or person_id in self._tasks

    # --- rest, eviction, reset, drain ---------------------------------------------------------------------------

    def rest(self, kernel: Kernel) -> int:
        """Leave the history of an idle kernel to the store. Returns how many bytes that frees."""
        del self._awake[kernel.person_id]
        return kernel.rest()

    async def evict(self, person_id: str, reason: EvictionReason) -> None:
        """Remove an idle kernel from memory. NotFound KERNEL_NOT_RESIDENT, Aborted KERNEL_BUSY."""
        kernel = self._kernels.get(person_id)
        if kernel is None:
            raise NotFound("KERNEL_NOT_RESIDENT", "this person's kernel is not in memory")
        if self.busy(person_id):
            raise Aborted("KERNEL_BUSY", "this person's kernel is in a turn; try again when it has ended")
        self._remove(person_id, reason)
        # The epoch makes this safe if a message activates the person again meanwhile.
        await self._store.release(person_id, kernel.epoch)

    async def evict_all(self, kernels: Sequence[Kernel], reason: EvictionReason) -> None:
        """Remove these idle kernels from memory. Their leases are released in few writes."""
        for kernel in kernels:
            self._remove(kernel.person_id, reason)
        for first in range(0, len(kernels), _RELEASED_AT_ONCE):
            some = kernels[first : first + _RELEASED_AT_ONCE]
            await self._store.release_all({kernel.person_id: kernel.epoch for kernel in some})

    async def reset(self, person_id: str) -> None:
        """Reset the person's context, whether their kernel is resident or not. NotFound PERSON_NOT_FOUND.

        A running turn is interrupted, but not during a call with side effects. It continues with its own messages and
        results only. Idempotent.
        """
        await self._uncancelled.run(self._reset_context(person_id))

    async def _reset_context(self, asked_for: str) -> None:
        person_id = await self._context.reset(asked_for)
        log.info("context reset person=%s", person_id)
        self._placement.notify_reset(person_id)
        if person_id not in self and not self._placement.is_alone:
            self._uncancelled.start(self._outdate_elsewhere(person_id))
        self.outdate(person_id)
        self._placement.wake(person_id)

    def outdate(self, person_id: str) -> None:
        """Load the person's state again before their next turn, because it is outdated. A running turn stops."""
        if (kernel := self._kernels.get(person_id)) is not None:
            kernel.outdated = True
            self._remove(person_id, EvictionReason.OPERATOR)
            kernel.wake_turn()
        elif self.busy(person_id):
            self._reset.add(person_id)
        else:
            return
        self.wake(person_id)

    async def _outdate_elsewhere(self, person_id: str) -> None:
        """The notice of a reset may be lost while a turn runs at another node. Then its kernel ends with that turn."""
        for _ in range(_OUTDATE_TRIES):
            with suppress(KernelError):
                if await self._context.outdate(person_id):
                    return
            await asyncio.sleep(self._retry_seconds)

    def merged(self, person_id: str, into: str) -> None:
        """The people were merged, here or elsewhere, and both leases ended: the running turns of both must stop."""
        for taken in (person_id, into):
            self._wake_turn(taken)
            self._remove(taken, EvictionReason.LEASE_LOST)

    def person_deleted(self, person_id: str) -> None:
        """The person was deleted, here or elsewhere: their running turn must stop, and no other begins."""
        self._timers.drop(person_id)
        self._deferred.pop(person_id, None)
        self._tasks.forget_wake(person_id)
        self._wake_turn(person_id)
        self._remove(person_id, EvictionReason.OPERATOR)

    def _remove(self, person_id: str, reason: EvictionReason) -> bool:
        """Returns whether the kernel was in memory."""
        found = self._drop(person_id)
        self.evictions[reason] += found
        return found

    def _drop(self, person_id: str) -> bool:
        """Returns whether the kernel was in memory."""
        self._awake.pop(person_id, None)
        return self._kernels.pop(person_id, None) is not None

    async def drain(self, seconds: float) -> None:
        """Let running turns reach their next durable step, cancel the others, remove all kernels; within `seconds`.

        Other nodes run the people from their journals. Nothing is written for those who rest: this node's own row shows
        that it is draining.
        """
        ends = asyncio.get_running_loop().time() + seconds
        self._closing = True
        for kernel in self._kernels.values():
            kernel.leaving = True
        self._timers.close()
        self._tasks.close()
        await self._tasks.end(ends - min(_END_SECONDS, seconds / 2), ends)
        for person_id in [*self._kernels]:
            self._remove(person_id, EvictionReason.SHUTDOWN)
