"""The writes of a turn to the store: its steps, its end, and the other outcomes of an attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kernel_service import texts
from kernel_service.errors import Busy
from kernel_service.kernels.history import CONTEXT_TOKENS
from kernel_service.ports.messages import Reply, Usage
from kernel_service.ports.tools import ToolResult
from kernel_service.ports.turns import AT_ONCE, OUTSIDE, CallRecord, TurnStatus
from kernel_service.turns.journal.store_retries import until_stored
from kernel_service.turns.limits import hold_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from kernel_service.errors import VendorUnavailable
    from kernel_service.kernels.kernel import Kernel
    from kernel_service.ports.approvals import ApprovalPrompt
    from kernel_service.ports.context import ContextStore
    from kernel_service.ports.outbox import OfferedLease, ReplyDelivery
    from kernel_service.ports.resuming import ParkedRequest
    from kernel_service.ports.turns import ToolUse, Turn, TurnStore
    from kernel_service.turns.context.context_window import ContextWindow
    from kernel_service.turns.context.transcript import Transcript
    from kernel_service.turns.spending.spending import Spending

NOTICE_AFTER_HOLDS: Final = 3
"""The person is told that the turn keeps trying after this many holds."""
NOTICE_AFTER_SECONDS: Final = 10.0
"""The person is told, once in a turn, that the service is busy if the wait is longer than this."""
NOT_DONE: Final = "Not done: the turn ended before this call."


@dataclass(slots=True)
class TurnJournal:
    """Each method is one transaction; the transcript's unstored items go with it.

    The usage since the last write goes with the next one. Methods whose write has no place for it write it separately.
    """

    store: TurnStore
    context: ContextStore
    kernel: Kernel
    turn: Turn
    transcript: Transcript
    window: ContextWindow
    spending: Spending
    delivery: ReplyDelivery
    clock: Callable[[], float]

    async def step(self, usage: Usage | None = None, *, finished: str = "", used: ToolUse | None = None) -> None:
        """An answer of the model, or the result of a tool."""
        await self._append(usage or Usage(), finished=finished, used=used)

    async def count(self) -> None:
        """Write the usage, if there is any."""
        if not self.spending.is_owed:
            return
        turn, epoch = self.turn, self.kernel.epoch
        with self.spending.paid() as bill:
            await until_stored(
                lambda: self.store.add_usage(turn, epoch, usage=bill.usage, settles=bill.settles, now=self.clock())
            )

    async def intend(self, call_id: str, tool: str) -> None:
        """Note the intent before a call with side effects. A message that came before it interrupts it."""
        await self._append(Usage(), started=CallRecord(call_id, tool, self.clock()))
        self.turn.closed = True

    async def withdraw(self, call_id: str) -> None:
        """Remove the intent of a call that was not made."""
        await self._append(Usage(), finished=call_id)

    async def end(
        self,
        replies: Sequence[Reply],
        status: TurnStatus,
        *,
        problem: str = "",
        fixed: bool = False,
        parked: Sequence[ParkedRequest] = (),
        prompts: Sequence[ApprovalPrompt] = (),
    ) -> float | None:
        """Write the last items, replies, parked requests and the end of the messages. Messages interrupt COMPLETED.

        Returns when to look for the next turn.
        """
        self._answer_open_calls()
        with self.spending.paid() as bill, self._offered_lease() as offered:
            ended = await until_stored(
                lambda: self.store.end(
                    self.turn, self.kernel.epoch, self.transcript.unstored, replies,
                    status=status, problem=problem, usage=bill.usage, settles=bill.settles,
                    fixed=fixed, parked=parked, prompts=prompts, offer=offered.offer,
                    now=self.clock(),
                )
            )  # fmt: skip
            offered.stored(ended.stored)
        self.turn.replied += len(replies)
        self.turn.replied_fixed += len(replies) if fixed else 0
        self.transcript.mark_stored()
        self.transcript.has_ended = True
        if self.turn.is_new_chat:
            self.transcript.start_over()
            self.kernel.context_tokens = CONTEXT_TOKENS
        return AT_ONCE if ended.waits else None

    async def give_up(self, problem: str, told: str) -> None:
        """End with an apology. The journaled items leave the history, except for a sentence on the calls made."""
        self.transcript.drop_unstored()
        self.transcript.note_failure(told)
        await self.count()
        superseded = await self.store.give_up(
            self.turn, self.kernel.epoch, self.transcript.unstored, [Reply(told)],
            problem=problem, now=self.clock(),
        )  # fmt: skip
        self.delivery.ready(self.turn.messages[-1].channel)
        self.transcript.drop_stored(superseded)
        self.transcript.mark_stored()
        self.transcript.has_ended = True

    async def shrink(self) -> None:
        """Limit later turns to the items that the transcript holds, and to the limit of the window."""
        kept, limit = len(self.transcript.ended.outline) + self.transcript.stored_count, self.window.limit
        tainted = any(item.kind == "input" and item.origin == OUTSIDE for item in self.transcript.stored)
        await until_stored(
            lambda: self.context.shrink(
                self.turn.person_id, self.kernel.epoch, keep=kept, tokens=limit, tainted=tainted
            )
        )  # fmt: skip
        self.kernel.context_tokens = limit
        self.window.keep_smaller()

    async def make_room(self) -> bool:
        """Halve a full context once. A context that slides with each turn would miss the vendor's cache."""
        halves = self.window.is_full() and self.window.forget_older(self.window.limit // 2)
        if halves:
            await self.shrink()
        return halves

    async def disown(self, origin: str) -> None:
        """Treat what this origin has sealed so far as foreign. The items that it stood for are shown again."""
        person_id, epoch = self.turn.person_id, self.kernel.epoch
        await until_stored(lambda: self.context.disown_reasoning(person_id, epoch, origin))
        ended = await until_stored(lambda: self.context.ended_turns(person_id, epoch, origin))
        self.transcript.ended = self.transcript.ended.emptied().followed_by(ended)
        await self.make_room()

    async def split(self, problem: str) -> None:
        """Split the turn, so that each of its messages runs alone."""
        self.transcript.drop_unstored()
        await self.count()
        superseded = await self.store.split(self.turn, self.kernel.epoch, problem=problem, now=self.clock())
        self.transcript.drop_stored(superseded)

    async def hold(self, away: VendorUnavailable, *, may_tell: bool) -> tuple[float, Reply | None]:
        """Wait for the vendor, without consuming an attempt. Returns until when, and the notice to the person."""
        busy = isinstance(away, Busy)
        wait = away.retry_after if isinstance(away, Busy) else hold_seconds(self.turn.holds, away.retry_after)
        notice, now = self._notice(wait, busy=busy) if may_tell else None, self.clock()
        await self.count()
        await self.store.hold(
            self.turn, self.kernel.epoch, until=now + wait, problem=away.problem, notice=notice, busy=busy, now=now
        )
        if notice is not None:
            self.delivery.ready(self.turn.messages[-1].channel)
        return now + wait, notice

    def _notice(self, wait: float, *, busy: bool) -> Reply | None:
        if busy:
            return Reply(texts.limits.busy(wait)) if wait > NOTICE_AFTER_SECONDS and not self.turn.told_busy else None
        return Reply(texts.limits.STILL_TRYING) if self.turn.holds == NOTICE_AFTER_HOLDS else None

    async def fail(self, problem: str) -> float:
        """End a failed attempt. Returns when the next one may start: the delay grows with each failure."""
        now = self.clock()
        until = now + hold_seconds(self.turn.attempt_count, None)
        with self.spending.paid() as bill:
            await self.store.fail(
                self.turn, self.kernel.epoch, until=until, problem=problem,
                usage=bill.usage, settles=bill.settles, now=now,
            )  # fmt: skip
        return until

    async def requeue(self, until: float | None = None) -> None:
        """End the attempt without counting it."""
        await self.count()
        await self.store.requeue(self.turn, self.kernel.epoch, until=until)

    def _offered_lease(self) -> AbstractContextManager[OfferedLease]:
        last = self.turn.messages[-1]
        return self.delivery.offered_lease(self.turn.person_id, last.channel, last.address)

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
