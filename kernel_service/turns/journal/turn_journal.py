"""What a turn writes into the store. A store that is away for a moment costs nothing of what was done."""

from __future__ import annotations

import asyncio
import hashlib
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from kernel_service import texts
from kernel_service.errors import Busy, StoreUnavailable
from kernel_service.inbox.commands import asked_again_for, tap_in
from kernel_service.kernels.history import CONTEXT_TOKENS
from kernel_service.ports.approvals import Decision, Verdict
from kernel_service.ports.commands import Command
from kernel_service.ports.media import CHUNK_BYTES
from kernel_service.ports.messages import Reply, ReplyFile, Usage
from kernel_service.ports.tools import ToolResult
from kernel_service.ports.turns import CallRecord, TurnStatus
from kernel_service.turns.limits import hold_seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from kernel_service.errors import VendorUnavailable
    from kernel_service.kernels.kernel import Kernel
    from kernel_service.ports.approvals import Question, StandingPermission
    from kernel_service.ports.media import MediaStore
    from kernel_service.ports.resuming import ParkedRequest
    from kernel_service.ports.tools import ToolFile
    from kernel_service.ports.turns import ToolUse, Turn, TurnMessage, TurnStores
    from kernel_service.turns.context.transcript import Transcript
    from kernel_service.turns.spending.spending import Spending

T = TypeVar("T")

NOTICE_AFTER_HOLDS: Final = 3
"""The person is told that we keep trying when a turn has been held this often."""
NOTICE_AFTER_SECONDS: Final = 10.0
"""The person is told, once in a turn, that we are busy if they have to wait longer than this."""
NOT_DONE: Final = "Not done: the turn ended before this call."
PATIENCE: Final = 30
"""How often a write is tried while the store is away, which waits by itself for about a second each time."""
PAUSE_SECONDS: Final = 1.0


class TurnJournal:
    """Each method is one transaction; the transcript's unstored items go with it. Only a file takes several.

    What was spent since the last write goes with the next one; those that have no place for it make one more.
    """

    def __init__(  # noqa: PLR0917 - where it writes, what, and when
        self,
        store: TurnStores,
        media: MediaStore,
        kernel: Kernel,
        record: Turn,
        transcript: Transcript,
        spending: Spending,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._media = media
        self._kernel = kernel
        self._record = record
        self._transcript = transcript
        self._spending = spending
        self._clock = clock

    async def step(self, usage: Usage | None = None, *, finished: str = "", used: ToolUse | None = None) -> None:
        """What the model said, or what a tool gave back."""
        await self._append(usage or Usage(), finished=finished, used=used)

    async def count(self) -> None:
        """What was spent, if anything was."""
        if not self._spending.is_owed:
            return
        record, epoch = self._record, self._kernel.epoch
        with self._spending.paid() as bill:
            await self._persist(
                lambda: self._store.turns.add_usage(
                    record, epoch, usage=bill.usage, settles=bill.settles, now=self._clock()
                )
            )

    async def keep_file(self, file: ToolFile) -> ReplyFile:
        """Keep a file that a tool made, until the reply that it goes with is settled. Exhausted MEDIA_FULL."""
        message, size = self._record.messages[-1], len(file.data)
        media_id = await self._persist(
            lambda: self._media.keep_made(self._record.person_id, message, size, now=self._clock())
        )
        for number, start in enumerate(range(0, size, CHUNK_BYTES)):
            chunk = file.data[start : start + CHUNK_BYTES]
            await self._persist(partial(self._media.add_made_chunk, media_id, number, chunk))
        return ReplyFile(media_id, file.mime_type, file.filename, size, hashlib.sha256(file.data).hexdigest())

    async def intend(self, call_id: str, tool: str) -> None:
        """A call that changes something is about to be made. Interrupted by what came before it."""
        await self._append(Usage(), started=CallRecord(call_id, tool, self._clock()))
        self._record.closed = True

    async def withdraw(self, call_id: str) -> None:
        """The call was not made after all."""
        await self._append(Usage(), finished=call_id)

    async def decide(self, message: TurnMessage) -> Decision:
        """What a tapped button did; asked again by the same turn, the same."""
        tap = tap_in(message.content)
        if tap is None or message.content.get("forwarded"):
            return Decision(Verdict.FORWARDED)
        return await self._persist(
            lambda: self._store.approvals.decide(self._record, self._kernel.epoch, tap, at=message.accepted_at)
        )

    async def stands(self, tool: str, account: str) -> bool:
        """Whether the person need not be asked for this."""
        return await self._persist(lambda: self._store.approvals.stands(self._record.person_id, tool, account))

    async def permissions(self, message: TurnMessage) -> list[StandingPermission]:
        """What stands once the person has asked for it, or taken some of it back."""
        if message.command is Command.PERMISSIONS:
            return await self._persist(lambda: self._store.approvals.permissions(self._record.person_id))
        said = asked_again_for(message.content)
        return await self._persist(lambda: self._store.approvals.ask_again(self._record, self._kernel.epoch, said))

    async def end(
        self,
        replies: Sequence[Reply],
        status: TurnStatus,
        *,
        problem: str = "",
        fixed: bool = False,
        parked: Sequence[ParkedRequest] = (),
        questions: Sequence[Question] = (),
    ) -> None:
        """The last items, the replies, what waits, the members' end. COMPLETED is interrupted by what came before."""
        self._answer_open_calls()
        with self._spending.paid() as bill:
            await self._persist(
                lambda: self._store.turns.end(
                    self._record, self._kernel.epoch, self._transcript.unstored, replies,
                    status=status, problem=problem, usage=bill.usage, settles=bill.settles,
                    fixed=fixed, parked=parked, questions=questions, now=self._clock(),
                )
            )  # fmt: skip
        self._transcript.mark_stored()
        if self._record.is_new_chat:
            self._transcript.stored = []
            self._kernel.context_tokens = CONTEXT_TOKENS

    async def give_up(self, problem: str, told: str) -> None:
        """End with an apology. What the turn had journaled leaves the history, but for a word on what was done."""
        self._transcript.unstored = []
        self._transcript.confess(told)
        await self.count()
        superseded = await self._store.turns.give_up(
            self._record, self._kernel.epoch, self._transcript.unstored, [Reply(told)],
            problem=problem, now=self._clock(),
        )  # fmt: skip
        self._transcript.drop_stored(superseded)
        self._transcript.mark_stored()

    async def shrink(self) -> None:
        """From now on the model is shown no more than the transcript holds, and no more than its limit."""
        kept, limit = len(self._transcript.stored), self._transcript.limit
        await self._persist(
            lambda: self._store.context.shrink(self._record.person_id, self._kernel.epoch, keep=kept, tokens=limit)
        )
        self._kernel.context_tokens = limit
        self._transcript.keep_smaller()

    async def disown(self, origin: str) -> None:
        """What this origin has said so far is as foreign as another's, from now on."""
        person_id, epoch = self._record.person_id, self._kernel.epoch
        await self._persist(lambda: self._store.context.disown_reasoning(person_id, epoch, origin))

    async def split(self, problem: str) -> None:
        """Each of the turn's messages is to run alone."""
        self._transcript.unstored = []
        await self.count()
        superseded = await self._store.turns.split(self._record, self._kernel.epoch, problem=problem, now=self._clock())
        self._transcript.drop_stored(superseded)

    async def hold(self, away: VendorUnavailable, *, may_tell: bool) -> tuple[float, Reply | None]:
        """Wait for the vendor: for how many seconds, and what the person is told of it. Burns no attempt."""
        busy = isinstance(away, Busy)
        wait = away.retry_after if isinstance(away, Busy) else hold_seconds(self._record.holds, away.retry_after)
        notice, now = self._notice(wait, busy=busy) if may_tell else None, self._clock()
        await self.count()
        await self._store.turns.hold(
            self._record, self._kernel.epoch, until=now + wait, problem=away.problem, notice=notice, busy=busy, now=now
        )
        return wait, notice

    def _notice(self, wait: float, *, busy: bool) -> Reply | None:
        if busy:
            return Reply(texts.busy(wait)) if wait > NOTICE_AFTER_SECONDS and not self._record.told_busy else None
        return Reply(texts.STILL_TRYING) if self._record.holds == NOTICE_AFTER_HOLDS else None

    async def fail(self, problem: str) -> None:
        """The attempt broke: the next one comes later and later."""
        now = self._clock()
        until = now + hold_seconds(self._record.failures, None)
        with self._spending.paid() as bill:
            await self._store.turns.fail(
                self._record, self._kernel.epoch, until=until, problem=problem,
                usage=bill.usage, settles=bill.settles, now=now,
            )  # fmt: skip

    async def requeue(self, until: float | None = None) -> None:
        """Leave the turn where it is, at no cost."""
        await self.count()
        await self._store.turns.requeue(self._record, self._kernel.epoch, until=until)

    def _answer_open_calls(self) -> None:
        """Vendors refuse a history with a call that has no output."""
        for item in self._transcript.open_calls():
            self._transcript.result(str(item["call_id"]), ToolResult(NOT_DONE, ok=False, own=True))

    async def _append(
        self, usage: Usage, *, finished: str = "", started: CallRecord | None = None, used: ToolUse | None = None
    ) -> None:
        with self._spending.paid() as bill:
            await self._persist(
                lambda: self._store.turns.append(
                    self._record, self._kernel.epoch, self._transcript.unstored,
                    usage=usage + bill.usage, settles=bill.settles, finished=finished, started=started, used=used,
                    now=self._clock(),
                )
            )  # fmt: skip
        self._transcript.mark_stored()
        self._record.begun = True

    async def _persist(self, write: Callable[[], Awaitable[T]]) -> T:
        """Nothing was kept when a store is away, so the same may be written again."""
        for _ in range(PATIENCE):
            try:
                return await write()
            except StoreUnavailable:
                await asyncio.sleep(PAUSE_SECONDS)
        return await write()
