"""Runs a person's next turn: what every turn of this process shares, and the answers that need no model."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kernel_service import texts
from kernel_service.approvals.policy import ApprovalPolicy
from kernel_service.errors import LeaseLost, StoreUnavailable, VendorUnavailable
from kernel_service.media.incoming import media_id_of
from kernel_service.ports.commands import Command
from kernel_service.ports.model import ModelRejectedError, ModelRequest, UnusableAnswerError
from kernel_service.ports.turns import Quarantined, Room, Turn
from kernel_service.turns.calls.refused_tools import RefusedTools
from kernel_service.turns.execution.execution import TurnExecution
from kernel_service.turns.quarantine import Quarantine
from kernel_service.turns.spending import estimates

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from kernel_service.kernels.kernel import Kernel
    from kernel_service.ports.media import MediaStore
    from kernel_service.ports.model import Model
    from kernel_service.ports.progress import Progress
    from kernel_service.ports.resuming import Codes
    from kernel_service.ports.tools import Toolbox
    from kernel_service.ports.turns import JournalStore, TurnMessage
    from kernel_service.turns.files.transcription import Transcription
    from kernel_service.turns.files.turn_files import TurnFiles
    from kernel_service.turns.limits import Limits
    from kernel_service.turns.quarantine import Isolation
    from kernel_service.turns.spending.spending import Spending

log = logging.getLogger(__name__)

STORE_PAUSE_SECONDS: Final = 1.0
PING_SECONDS: Final = 10.0
LEAST_OUTPUT_TOKENS: Final = 16

SILENT_KINDS = frozenset({"reaction", "revoke"})
"""Nobody expects an answer to these alone."""

SPOKEN_KINDS = frozenset({"text", "choice", "edit", "location", "contacts", *SILENT_KINDS})
"""What the model can be asked about, as it can about a caption or a file that it can be shown."""


@dataclass(slots=True)
class TurnRunner:
    """Fills the kernel map's port `Turns`.

    `ended` is told of each turn that ended, `replies_ready` of each channel that has something to deliver. `outcomes`
    counts what became of attempts: completed, failed, stopped, joined, held, in_doubt, handed_back, broke, split, dead.
    `recoveries` counts what refusals of the model were answered with (see Recovery).
    """

    store: JournalStore
    media: MediaStore
    model: Model
    hearing: Transcription
    toolbox: Toolbox
    codes: Codes
    limits: Limits
    instructions: str
    debounce: float
    clock: Callable[[], float]
    ended: Callable[[Turn], None]
    replies_ready: Callable[[str], None]
    progress: Progress
    asks_first: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    outcomes: Counter[str] = field(default_factory=Counter)
    recoveries: Counter[str] = field(default_factory=Counter)
    told_busy: int = 0
    refused_tools: RefusedTools = field(init=False)
    _quarantine: Quarantine = field(init=False)

    def __post_init__(self) -> None:
        self.refused_tools = RefusedTools(self.clock)
        self._quarantine = Quarantine(self.clock)

    async def run_next(self, kernel: Kernel) -> float | None:
        """Run the turn that is due. When to come back (epoch seconds), or None when nothing waits."""
        async with self._quarantine.beside():
            due = await self._run(kernel, Room.BESIDE)
        return await self._run_quarantined(kernel, due) if isinstance(due, Quarantined) else due

    async def _run(self, kernel: Kernel, room: Room, isolation: Isolation | None = None) -> float | Quarantined | None:
        due = await self.store.next_turn(
            kernel.person_id, kernel.epoch, now=self.clock(), debounce=self.debounce, room=room
        )
        if not isinstance(due, Turn):
            return due
        async with self._letting_others_in(kernel, due, isolation):
            await TurnExecution(self, kernel, due).run()
        return self.clock()  # more may have come meanwhile, or the turn was held: look again

    async def _run_quarantined(self, kernel: Kernel, turn: Quarantined) -> float | None:
        if turn.crashes_alone >= self.limits.crashes_alone:
            return _time(await self._run(kernel, Room.WARD))  # it is only given up
        if (free_at := self._quarantine.free_at(turn)) > self.clock():
            return free_at
        if self._quarantine.room_of(turn) is Room.WARD:
            async with self._quarantine.ward():
                return _time(await self._run(kernel, Room.WARD))
        async with self._quarantine.isolated(turn) as isolation:
            log.warning(
                "turn isolated crashes=%d room=%s person=%s", turn.crash_count, isolation.room, kernel.person_id
            )
            return _time(await self._run(kernel, isolation.room, isolation))

    @asynccontextmanager
    async def _letting_others_in(self, kernel: Kernel, turn: Turn, isolation: Isolation | None) -> AsyncIterator[None]:
        """Inside the block an isolated turn runs alone, but not for longer than its time."""
        if isolation is None or isolation.room is not Room.ALONE:
            yield
            return
        waiting = asyncio.create_task(self._let_others_in(kernel, turn, isolation))
        try:
            yield
        finally:
            waiting.cancel()

    async def _let_others_in(self, kernel: Kernel, turn: Turn, isolation: Isolation) -> None:
        await isolation.time_is_up()
        while True:
            try:
                await self.store.end_isolation(turn, kernel.epoch)
            except StoreUnavailable:
                await asyncio.sleep(STORE_PAUSE_SECONDS)
            except LeaseLost:
                return None  # it ends by itself
            else:
                return isolation.end()

    async def model_is_well(self, person_key: str, spending: Spending) -> bool:
        """Whether the model answers the least that one can ask: then it is not away."""
        hello = ModelRequest("", [self.model.user_item({"text": "ping"})], [], person_key, LEAST_OUTPUT_TOKENS)
        try:
            async with (
                asyncio.timeout(PING_SECONDS),
                spending.request(lambda: estimates.of_request(hello), anyway=True) as cost,
            ):
                cost.told = (await self.model.answer(hello)).usage
        except (VendorUnavailable, TimeoutError):
            return False
        except (ModelRejectedError, UnusableAnswerError):
            return True
        return True

    async def fixed_answer(self, turn: Turn, files: TurnFiles) -> list[str] | None:
        """The sentences that answer a turn without the model; None: ask the model."""
        if turn.messages[0].command is Command.STOP:
            return [texts.STOPPED]
        if turn.messages[0].command is Command.NEW_CHAT:
            return [texts.NEW_CHAT]
        if not turn.begun and not any(_for_model(message, files) for message in turn.messages):
            told = (_excuse(message, files) for message in turn.messages if content_kind(message) not in SILENT_KINDS)
            return list(dict.fromkeys(told))
        return None


def _time(due: float | Quarantined | None) -> float | None:
    """Nothing in a room of its own is sent to another one."""
    return None if isinstance(due, Quarantined) else due


def _for_model(message: TurnMessage, files: TurnFiles) -> bool:
    """Whether there is something in a message that the model can answer."""
    if message.content.get("caption") or content_kind(message) in SPOKEN_KINDS - SILENT_KINDS:
        return True
    return bool(media_id_of(message.content)) and files.problem(message) is None


def _excuse(message: TurnMessage, files: TurnFiles) -> str:
    if problem := files.problem(message):
        return texts.unopened(content_kind(message), problem)
    return texts.unsupported(payload_kind(message))


def content_kind(message: TurnMessage) -> str:
    """The kind of content: `text`, `image`, …, `unsupported`."""
    beside = {"caption", "quoted_message_id", "sent_at", "forwarded", "referral"}
    return next((key for key in message.content if key not in beside), "unsupported")


def payload_kind(message: TurnMessage) -> str:
    """As content_kind(), but for `unsupported` the kind that the channel could not pass on."""
    kind = content_kind(message)
    return str(message.content.get(kind, {}).get("kind", kind)) if kind == "unsupported" else kind
