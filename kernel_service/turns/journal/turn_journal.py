"""What a turn writes into the store: its steps, its end, and what an attempt leaves behind otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kernel_service import texts
from kernel_service.errors import Busy
from kernel_service.kernels.history import CONTEXT_TOKENS
from kernel_service.ports.messages import Reply, Usage
from kernel_service.ports.tools import ToolResult
from kernel_service.ports.turns import CallRecord, TurnStatus
from kernel_service.turns.journal.store_retries import until_stored
from kernel_service.turns.limits import hold_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kernel_service.errors import VendorUnavailable
    from kernel_service.kernels.kernel import Kernel
    from kernel_service.ports.approvals import ApprovalPrompt
    from kernel_service.ports.context import ContextStore
    from kernel_service.ports.resuming import ParkedRequest
    from kernel_service.ports.turns import ToolUse, Turn, TurnStore
    from kernel_service.turns.context.context_window import ContextWindow
    from kernel_service.turns.context.transcript import Transcript
    from kernel_service.turns.spending.spending import Spending

NOTICE_AFTER_HOLDS: Final = 3
"""The person is told that we keep trying when a turn has been held this often."""
NOTICE_AFTER_SECONDS: Final = 10.0
"""The person is told, once in a turn, that we are busy if they have to wait longer than this."""
NOT_DONE: Final = "Not done: the turn ended before this call."


@dataclass(frozen=True, slots=True)
class TurnJournal:
    """Each method is one transaction; the transcript's unstored items go with it.

    What was spent since the last write goes with the next one; those that have no place for it make one more.
    """

    store: TurnStore
    context: ContextStore
    kernel: Kernel
    turn: Turn
    transcript: Transcript
    window: ContextWindow
    spending: Spending
    clock: Callable[[], float]

    async def step(self, usage: Usage | None = None, *, finished: str = "", used: ToolUse | None = None) -> None:
        """What the model said, or what a tool gave back."""
        await self._append(usage or Usage(), finished=finished, used=used)

    async def count(self) -> None:
        """What was spent, if anything was."""
        if not self.spending.is_owed:
            return
        turn, epoch = self.turn, self.kernel.epoch
        with self.spending.paid() as bill:
            await until_stored(
                lambda: self.store.add_usage(turn, epoch, usage=bill.usage, settles=bill.settles, now=self.clock())
            )

    async def intend(self, call_id: str, tool: str) -> None:
        """A call that changes something is about to be made. Interrupted by what came before it."""
        await self._append(Usage(), started=CallRecord(call_id, tool, self.clock()))
        self.turn.closed = True

    async def withdraw(self, call_id: str) -> None:
        """The call was not made after all."""
        await self._append(Usage(), finished=call_id)

    async def end(
        self,
        replies: Sequence[Reply],
        status: TurnStatus,
        *,
        problem: str = "",
        fixed: bool = False,
        parked: Sequence[ParkedRequest] = (),
        questions: Sequence[ApprovalPrompt] = (),
    ) -> None:
        """The last items, the replies, what waits, the members' end. COMPLETED is interrupted by what came before."""
        self._answer_open_calls()
        with self.spending.paid() as bill:
            await until_stored(
                lambda: self.store.end(
                    self.turn, self.kernel.epoch, self.transcript.unstored, replies,
                    status=status, problem=problem, usage=bill.usage, settles=bill.settles,
                    fixed=fixed, parked=parked, questions=questions, now=self.clock(),
                )
            )  # fmt: skip
        self.transcript.mark_stored()
        if self.turn.is_new_chat:
            self.transcript.stored = []
            self.kernel.context_tokens = CONTEXT_TOKENS

    async def give_up(self, problem: str, told: str) -> None:
        """End with an apology. What the turn had journaled leaves the history, but for a word on what was done."""
        self.transcript.unstored = []
        self.transcript.confess(told)
        await self.count()
        superseded = await self.store.give_up(
            self.turn, self.kernel.epoch, self.transcript.unstored, [Reply(told)],
            problem=problem, now=self.clock(),
        )  # fmt: skip
        self.transcript.drop_stored(superseded)
        self.transcript.mark_stored()

    async def shrink(self) -> None:
        """From now on the model is shown no more than the transcript holds, and no more than its limit."""
        kept, limit = len(self.transcript.stored), self.window.limit
        await until_stored(lambda: self.context.shrink(self.turn.person_id, self.kernel.epoch, keep=kept, tokens=limit))
        self.kernel.context_tokens = limit
        self.window.keep_smaller()

    async def disown(self, origin: str) -> None:
        """What this origin has said so far is as foreign as another's, from now on."""
        person_id, epoch = self.turn.person_id, self.kernel.epoch
        await until_stored(lambda: self.context.disown_reasoning(person_id, epoch, origin))

    async def split(self, problem: str) -> None:
        """Each of the turn's messages is to run alone."""
        self.transcript.unstored = []
        await self.count()
        superseded = await self.store.split(self.turn, self.kernel.epoch, problem=problem, now=self.clock())
        self.transcript.drop_stored(superseded)

    async def hold(self, away: VendorUnavailable, *, may_tell: bool) -> tuple[float, Reply | None]:
        """Wait for the vendor: for how many seconds, and what the person is told of it. Burns no attempt."""
        busy = isinstance(away, Busy)
        wait = away.retry_after if isinstance(away, Busy) else hold_seconds(self.turn.holds, away.retry_after)
        notice, now = self._notice(wait, busy=busy) if may_tell else None, self.clock()
        await self.count()
        await self.store.hold(
            self.turn, self.kernel.epoch, until=now + wait, problem=away.problem, notice=notice, busy=busy, now=now
        )
        return wait, notice

    def _notice(self, wait: float, *, busy: bool) -> Reply | None:
        if busy:
            return Reply(texts.limits.busy(wait)) if wait > NOTICE_AFTER_SECONDS and not self.turn.told_busy else None
        return Reply(texts.answers.STILL_TRYING) if self.turn.holds == NOTICE_AFTER_HOLDS else None

    async def fail(self, problem: str) -> None:
        """The attempt broke: the next one comes later and later."""
        now = self.clock()
        until = now + hold_seconds(self.turn.attempt_count, None)
        with self.spending.paid() as bill:
            await self.store.fail(
                self.turn, self.kernel.epoch, until=until, problem=problem,
                usage=bill.usage, settles=bill.settles, now=now,
            )  # fmt: skip

    async def requeue(self, until: float | None = None) -> None:
        """Leave the turn where it is, at no cost."""
        await self.count()
        await self.store.requeue(self.turn, self.kernel.epoch, until=until)

    def _answer_open_calls(self) -> None:
        """Vendors refuse a history with a call that has no output."""
        for item in self.transcript.open_calls():
            self.transcript.result(str(item["call_id"]), ToolResult(NOT_DONE, ok=False, own=True))

    async def _append(
        self, usage: Usage, *, finished: str = "", started: CallRecord | None = None, used: ToolUse | None = None
    ) -> None:
        with self.spending.paid() as bill:
            await until_stored(
                lambda: self.store.append(
                    self.turn, self.kernel.epoch, self.transcript.unstored,
                    usage=usage + bill.usage, settles=bill.settles, finished=finished, started=started, used=used,
                    now=self.clock(),
                )
            )  # fmt: skip
        self.transcript.mark_stored()
        self.turn.begun = True
