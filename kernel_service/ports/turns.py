"""The store's port: everything that kernels, turns and the two doors keep. The storage package fills it twice.

Each method is one transaction, answered after its commit. StoreUnavailable: nothing was kept. Methods that take an
`epoch` are fenced: LeaseLost if the person has been taken over since. Times are epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, Any, Final, Protocol

from kernel_service.ports.commands import Command
from kernel_service.ports.messages import ReplyMode, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.approvals import ApprovalPrompt, ApprovalStore
    from kernel_service.ports.context import ContextStore
    from kernel_service.ports.media import FileStore, MadeFileStore
    from kernel_service.ports.messages import Reply, StoredReply
    from kernel_service.ports.payloads import Payload
    from kernel_service.ports.quotes import QuoteStore
    from kernel_service.ports.resuming import ParkedRequest
    from kernel_service.ports.spending import SpendingStore


SEALED: Final = "sealed:"
"""Before the origin of what a model said under a key that counts no more: its reasoning is opaque to all."""


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """One journal entry. `kind`: input | output | result; link | approval. `data` is the model vendor's own item,
    verbatim; of a link, and of an approval that is asked for, our own, which no model sees.

    `origin` names the vendor and model that made it (`openai:gpt-6.2-sol`). Of an input or a result it is `own` or
    `outside` (see turns.context.taint), and empty where an earlier release kept it. What was said to somebody who was
    merged into the person has `merged:` before it, and `sealed:` what was said under a key that counts no more.
    """

    kind: str
    data: dict[str, Any]
    origin: str = ""


@dataclass(frozen=True, slots=True)
class TurnMessage:
    """A message that a turn answers. `sent_at` is its channel's time as far as that is believed."""

    seq: int
    message_id: str = field(repr=False)
    channel: str
    address: str
    payload: Payload = field(repr=False)
    accepted_at: float
    reply_mode: ReplyMode = ReplyMode.INLINE
    command: Command = Command.NONE
    sent_at: float = 0.0


class TurnStatus(StrEnum):
    RUNNING = "running"
    HELD = "held"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A tool call's intent: stored before the call of a tool that is not read-only."""

    call_id: str
    tool: str
    started_at: float


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One call of a tool that was made: whether it failed, and how long it took."""

    tool: str
    failed: bool
    seconds: float


@dataclass(slots=True)
class Turn:
    """A turn as it stands: new, or cut and to be gone on with.

    `begun` is False for a turn whose inputs are not in the history yet. `intents` are calls without a result.
    `attempt_count` (attempts that failed), `crash_count` (processes that crashed in it) and `crashes_alone` (those in
    which no other turn ran) count since the last progress. `joins` says how often messages joined it; from `closed` on
    (its first side effect, or what must run alone) none do. `stopped`: the person has taken it back. `told_busy`: they
    were told once that others are before them. `dropped` items at the end of the history were superseded when it was
    opened. `time_zone` is the person's, by its IANA name; empty: not known. `replied` and `replied_fixed`: how many
    replies of turns the person had of the UTC day before it was opened, and how many of them no model said.
    """

    id: str
    person_id: str
    messages: list[TurnMessage]
    begun: bool
    attempt_count: int = 0
    crash_count: int = 0
    crashes_alone: int = 0
    holds: int = 0
    joins: int = 0
    closed: bool = False
    stopped: bool = False
    told_busy: bool = False
    dropped: int = 0
    started_at: float = 0.0
    time_zone: str = ""
    replied: int = 0
    replied_fixed: int = 0
    usage: Usage = field(default_factory=Usage)
    intents: list[CallRecord] = field(default_factory=list)

    @property
    def is_new_chat(self) -> bool:
        """When it ends, what the model is shown begins behind it."""
        return self.messages[0].command is Command.NEW_CHAT


class TurnPlacement(Enum):
    """Beside which other turns of its process a turn runs."""

    BESIDE = auto()
    """Any."""
    WARD = auto()
    """Any, but few of those that are quarantined."""
    ALONE = auto()
    """None."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An open turn that was not opened, since processes crashed in it: how many, and how many while it ran alone."""

    crash_count: int
    crashes_alone: int


NextTurn = Turn | float | Quarantined | None
"""The turn to run, when to ask again (epoch seconds), that it needs a room of its own, or that nothing waits."""


class TurnStore(Protocol):
    """Turns as they are opened, journaled step by step, put off and ended."""

    async def next_turn(
        self, person_id: str, epoch: int, *, now: float, debounce: float, room: TurnPlacement = TurnPlacement.BESIDE
    ) -> NextTurn:
        """The open turn, or a new one of the waiting messages, or when to ask again, or None.

        A new turn takes the longest run of waiting messages, in the order in which they were sent, that share channel,
        address and mode; it waits until `debounce` seconds have passed since the last of them came (longer after one
        that came late), 5 x debounce since the first at most, and for their files. An open turn that is not closed is
        joined by such messages likewise, 3 times at most: what it had journaled is superseded, and its messages are
        heard anew in the order in which they were sent. Where nothing was journaled, and something else had ended the
        attempt, a join costs nothing and is not counted. A held turn answers with its not_before. Members but the last
        become MERGED when the turn ends.

        The attempt is noted before it is made: one that another process began and never ended counts as a crash,
        and as one alone if no other turn ran beside it. A turn with several crashes is not opened BESIDE others.
        """
        ...

    async def check_interrupts(self, turn: Turn) -> None:
        """Interrupted by Newcomers or Stopped, if something has come that ends this attempt.

        LeaseLost if it was ended: the person was merged with another.
        """
        ...

    async def append(
        self,
        turn: Turn,
        epoch: int,
        items: Sequence[HistoryItem],
        *,
        usage: Usage,
        finished: str = "",
        started: CallRecord | None = None,
        used: ToolUse | None = None,
        settles: Sequence[str] = (),
        now: float,
    ) -> None:
        """Journal items of the turn, in order; close the intent `finished`, open the intent `started`.

        `usage` is added to the turn and to the person's day, in place of the reservations that it `settles`; `used` is
        added to the tool's day. Sets failures and crashes back
        to 0, and `begun`. An intent closes the turn to newcomers; Newcomers or Stopped if it is interrupted before.
        """
        ...

    async def add_usage(self, turn: Turn, epoch: int, *, usage: Usage, settles: Sequence[str] = (), now: float) -> None:
        """Add what an attempt has spent that no other write tells, to the turn and to the person's day."""
        ...

    async def hold(
        self,
        turn: Turn,
        epoch: int,
        *,
        until: float,
        problem: str,
        notice: Reply | None,
        busy: bool = False,
        now: float,
    ) -> None:
        """Put the turn off, at no cost to its attempts; holds + 1. A notice leaves by the outbox, for INLINE too.

        `busy`: not for a vendor who is away; a notice makes it told_busy instead.
        """
        ...

    async def end_isolation(self, turn: Turn, epoch: int) -> None:
        """The turn was opened ALONE; from now on others run beside it, and a crash does not tell whose fault it was."""
        ...

    async def requeue(self, turn: Turn, epoch: int, *, until: float | None = None) -> None:
        """End the attempt, not the turn, at no cost: anybody may go on with it, at `until` at the earliest."""
        ...

    async def fail(
        self,
        turn: Turn,
        epoch: int,
        *,
        until: float,
        problem: str,
        usage: Usage | None = None,
        settles: Sequence[str] = (),
        now: float,
    ) -> None:
        """End the attempt as a failure that cost `usage`; the next one not before `until`."""
        ...

    async def split(self, turn: Turn, epoch: int, *, problem: str, now: float) -> int:
        """End a turn of several messages that fails: each waits for a turn of its own. How many items it superseded."""
        ...

    async def end(
        self,
        turn: Turn,
        epoch: int,
        items: Sequence[HistoryItem],
        replies: Sequence[Reply],
        *,
        status: TurnStatus,
        problem: str = "",
        usage: Usage,
        settles: Sequence[str] = (),
        fixed: bool = False,
        parked: Sequence[ParkedRequest] = (),
        questions: Sequence[ApprovalPrompt] = (),
        now: float,
    ) -> list[StoredReply]:
        """End the turn in one transaction: last items, usage, replies, members; what waits is kept with it.

        The replies count into the person's day; `fixed`: as such that no model said.

        "new chat" takes effect here, however the turn ends: it counts in the order of the person's messages.

        A question takes the place of earlier ones that ask for one of its calls.
        COMPLETED may be interrupted by Newcomers or Stopped.
        """
        ...

    async def give_up(
        self,
        turn: Turn,
        epoch: int,
        items: Sequence[HistoryItem],
        replies: Sequence[Reply],
        *,
        problem: str,
        now: float,
    ) -> int:
        """End the turn as FAILED, its messages as dead letters. How many items it superseded: all that it had."""
        ...


class TurnStores(Protocol):
    """The ports that a turn writes through."""

    @property
    def turns(self) -> TurnStore: ...
    @property
    def context(self) -> ContextStore: ...
    @property
    def quotes(self) -> QuoteStore: ...
    @property
    def approvals(self) -> ApprovalStore: ...
    @property
    def spending(self) -> SpendingStore: ...
    @property
    def files(self) -> FileStore: ...
    @property
    def made_files(self) -> MadeFileStore: ...
