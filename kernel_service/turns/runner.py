"""The scheduler of turns: which turn of a person runs next, and beside which other turns."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from kernel_service.errors import LeaseLost, StoreUnavailable
from kernel_service.kernels import foresight
from kernel_service.kernels.person_tasks import queued
from kernel_service.ports.turns import AT_ONCE, Quarantined, Turn, TurnPlacement
from kernel_service.rate_limits.current_tenant import yielding
from kernel_service.turns.execution.assembly import turn_execution
from kernel_service.turns.execution.attempt_record import ANSWERED, Waits
from kernel_service.turns.quarantine import Quarantine
from serving.logs import about

if TYPE_CHECKING:
    from kernel_service.kernels.kernel import Kernel
    from kernel_service.turns.execution.attempt_record import AttemptRecord
    from kernel_service.turns.execution.dependencies import TurnDependencies
    from kernel_service.turns.execution.execution import TurnExecution
    from kernel_service.turns.quarantine import Isolation

log = logging.getLogger(__name__)

STORE_RETRY_SECONDS: Final = 1.0
YIELD_SECONDS: Final = 600.0
"""For this time a turn that the service itself began comes after the requests of others."""


class TurnRunner:
    """Implements the kernel map's port `Turns`. Messages within `debounce` seconds of each other are merged."""

    def __init__(self, dependencies: TurnDependencies, *, debounce: float) -> None:
        self._dependencies = dependencies
        self._turns = dependencies.store.turns
        self._clock = dependencies.clock
        self._most_crashes_alone = dependencies.limits.crashes_alone
        self._debounce = debounce
        self._quarantine = Quarantine(dependencies.clock)

    async def run_next(self, kernel: Kernel) -> float | None:
        """Run the turn that is due. Returns when to call again (epoch seconds), or None if nothing waits."""
        async with self._quarantine.beside:
            if (turn := self._begun(kernel)) is not None:
                return await self._execute_begun(kernel, turn)
            due = await self._run(kernel, TurnPlacement.BESIDE)
        return await self._run_quarantined(kernel, due) if isinstance(due, Quarantined) else due

    def _begun(self, kernel: Kernel) -> Turn | None:
        """The turn of a plain message, with an opening that commits while the model works. None: ask the store.

        A process that dies before the commit counts a crash too few. So the first turn of a kernel always asks the
        store: a message that crashes each process is counted from the second crash on.
        """
        expected, now = kernel.foresight, self._clock()
        message = expected.next_message(now, self._debounce) if expected is not None else None
        if expected is None or message is None:
            return None
        turn = self._turns.begin(kernel.person_id, kernel.epoch, message, now=now, debounce=self._debounce)
        expected.apply(turn)
        return turn

    async def _execute_begun(self, kernel: Kernel, turn: Turn) -> float | None:
        try:
            return await self._execute(kernel, turn)
        except LeaseLost:
            return AT_ONCE  # the store has another turn for the person, or another owner: it says which

    async def _run(
        self, kernel: Kernel, placement: TurnPlacement, isolation: Isolation | None = None
    ) -> float | Quarantined | None:
        due = await self._turns.next_turn(
            kernel.person_id, kernel.epoch, now=self._clock(), debounce=self._debounce, placement=placement
        )
        if not isinstance(due, Turn):
            kernel.foresight = kernel.foresight if isinstance(due, float) else None
            return due
        if isolation is None or isolation.placement is not TurnPlacement.ALONE:
            return await self._execute(kernel, due)
        return await self._execute_alone(kernel, due, isolation)

    async def _execute(self, kernel: Kernel, turn: Turn) -> float | None:
        try:
            now = self._clock()
            execution = turn_execution(self._dependencies, kernel, turn, now)
            with yielding(yields=_yields(turn, now)):
                due = await self._recorded(turn, execution, now)
        except BaseException:
            kernel.foresight = None
            raise
        kernel.foresight = foresight.after(turn, kernel.foresight, self._clock()) if due is None else None
        if due is None and (kernel.summarises or not self._dependencies.model.compacts):
            with yielding(yields=True):  # people who wait for an answer come first
                await execution.summariser().run()
        return due

    async def _recorded(self, turn: Turn, execution: TurnExecution, now: float) -> float | None:
        """Run an attempt that begins now, with a span of the trace, the ids of log lines, and one line at its end."""
        waits = Waits.of(turn, now, queued=queued.get(), debounce=self._debounce)
        with about(turn=turn.id, person=turn.person_id), self._dependencies.traces.turn(turn):
            try:
                return await execution.run()
            finally:
                self._count(turn, execution.record, waits)
                execution.record.log(turn, self._dependencies.node, waits)

    def _count(self, turn: Turn, record: AttemptRecord, waits: Waits) -> None:
        counters, seconds = self._dependencies.counters, record.seconds
        counters.seconds[record.outcome,].note(seconds)
        if record.outcome in ANSWERED and not turn.unprompted:
            counters.answers.note(waits.waited + seconds)

    async def _run_quarantined(self, kernel: Kernel, turn: Quarantined) -> float | None:
        if turn.crashes_alone >= self._most_crashes_alone:
            return _time(await self._run(kernel, TurnPlacement.QUARANTINED))  # it is only given up
        if (free_at := self._quarantine.free_at(turn)) > self._clock():
            return free_at
        if self._quarantine.placement_of(turn) is TurnPlacement.QUARANTINED:
            async with self._quarantine.quarantined():
                return _time(await self._run(kernel, TurnPlacement.QUARANTINED))
        async with self._quarantine.isolated(turn) as isolation:
            log.warning(
                "turn isolated crashes=%d placement=%s person=%s",
                turn.crash_count,
                isolation.placement.name.lower(),
                kernel.person_id,
            )
            return _time(await self._run(kernel, isolation.placement, isolation))

    async def _execute_alone(self, kernel: Kernel, turn: Turn, isolation: Isolation) -> float | None:
        """The other turns wait until its isolation period is over."""
        bound = asyncio.create_task(self._end_isolation_in_time(kernel, turn, isolation))
        try:
            return await self._execute(kernel, turn)
        finally:
            bound.cancel()

    async def _end_isolation_in_time(self, kernel: Kernel, turn: Turn, isolation: Isolation) -> None:
        await isolation.time_is_up()
        while True:
            try:
                await self._turns.end_isolation(turn, kernel.epoch)
            except StoreUnavailable:
                await asyncio.sleep(STORE_RETRY_SECONDS)
            except LeaseLost:
                return None  # the turn ends by itself
            else:
                return isolation.end()


def _yields(turn: Turn, now: float) -> bool:
    """The person does not wait for a turn that the service itself began, unless they have written since."""
    return turn.unprompted and not turn.person_waits and now - turn.started_at < YIELD_SECONDS


def _time(due: float | Quarantined | None) -> float | None:
    """A turn that already has a placement is not placed again."""
    return None if isinstance(due, Quarantined) else due
