"""The store's port for turns: as they are opened, journaled and ended. The storage package implements it.

Each method is one transaction, answered after its commit. StoreUnavailable: nothing was kept. Methods that take an
`epoch` are fenced: LeaseLost if the person has been taken over since. Times are epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from kernel_service.ports.commands import UNPROMPTED, Command
from kernel_service.ports.messages import ReplyMode, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.approvals import ApprovalPrompt, ApprovalStore
    from kernel_service.ports.connections import Connection
    from kernel_service.ports.context import ContextStore
    from kernel_service.ports.media import FileStore, MadeFileStore
    from kernel_service.ports.memory import MemoryStore
    from kernel_service.ports.messages import Reply
    from kernel_service.ports.outbox import LeaseOffer, StoredReplies
    from kernel_service.ports.payloads import Payload
    from kernel_service.ports.quotes import QuoteStore
    from kernel_service.ports.resuming import ParkedRequest
    from kernel_service.ports.schedules import ScheduleStore
    from kernel_service.ports.spending import SpendingStore
    from kernel_service.ports.triggers import TriggerStore


OWN: Final = "own"
"""The origin of an input or a result in the words of the person, or of the assistant."""
FACTS: Final = "facts:own"
"""The origin of an input that shows the model what is remembered about the person."""
BUTTON: Final = "button:own"
"""The origin of a button that the person tapped, or of a run of their schedule. It begins no turn for the taint."""
OUTSIDE: Final = "outside"
"""The origin of an input or a result whose words may have any author."""
REASONING: Final = "reasoning"
"""The kind of an item, and its type at the vendor. It is shown again if a request of its turn has shown it."""
COMPACTION: Final = "compaction"
"""The kind of an item, and its type at the vendor: sealed, it stands for all items before it."""
SUMMARY: Final = "summary"
"""The kind of an item of ours that stands for all items before it, in the model's own words."""
TAINTED: Final = "outside:"
"""The prefix of the origin of a compaction that may hold words of any author."""
SEALED: Final = "sealed:"
"""The prefix of an origin whose key is no longer valid: no model can read its reasoning."""


class HistoryItem(NamedTuple):
    """One journal entry. `kind`: input | reasoning | output | result | compaction | summary; link | file | confirmed |
    approval. `data` is the model vendor's own item, verbatim. The last four kinds have our own data, which no model
    sees. Earlier releases stored reasoning as an output.

    `origin` names the vendor and model that made it (`openai:gpt-6.2-sol`). Of an input, a result or a summary it is
    `own` or `outside` (see turns.context.taint), and empty if an earlier release kept it. The prefix `outside:` marks
    a compaction of words of any author, `merged:` items of a person who was merged into this one, and `sealed:` items
    under a key that is no longer valid.
    """

    kind: str
    data: dict[str, Any]
    origin: str = ""


LATE_MESSAGE_SECONDS: Final = 5.0
"""A message that is accepted later than this after it was sent was delayed in transit. Others of the same person may be
delayed too."""


@dataclass(frozen=True, slots=True)
class TurnMessage:
    """A message that a turn answers. `sent_at` is its channel's time if that is plausible."""

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
    """One completed call of a tool: whether it failed, and its duration."""

    tool: str
    failed: bool
    seconds: float


@dataclass(slots=True)
class Turn:
    """A turn in its current state: new, or interrupted and to be resumed.

    `begun` is False for a turn whose inputs are not in the history yet. `intents` are calls without a result.
    `attempt_count` (attempts that failed), `crash_count` (processes that crashed in it) and `crashes_alone` (those in
    which no other turn ran) count since the last progress. `joins` counts how often messages joined it. None join once
    it is `closed` (by its first side effect, or because it must run alone). `stopped`: the person has stopped it.
    `told_busy`: they were told once that the service is busy. `dropped` items at the end of the history were superseded
    when it was opened. `time_zone` is the person's, by its IANA name; empty: unknown. `replied` and `replied_fixed`
    count the replies of turns to the person in the UTC day of its opening, its own included once it has ended, and the
    fixed ones among them.
    `person_waits`: a message of theirs waits until it ends.
    `connections` are the person's when it was opened, the oldest first; None: they are not known. `has_facts`: some are
    remembered. `changed_memory`: a tool of it changed what is remembered, or where the person is.
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
    person_waits: bool = False
    connections: Sequence[Connection] | None = ()
    has_facts: bool = False
    changed_memory: bool = False
    usage: Usage = field(default_factory=Usage)
    intents: list[CallRecord] = field(default_factory=list)

    @property
    def unprompted(self) -> bool:
        """Whether the service itself began it: the person asked for nothing just now."""
        return self.messages[0].command in UNPROMPTED

    @property
    def is_new_chat(self) -> bool:
        """Whether the model's context starts after this turn."""
        return self.messages[0].command is Command.NEW_CHAT


class TurnPlacement(Enum):
    """The other turns of its process beside which a turn may run."""

    BESIDE = auto()
    """Beside any turns."""
    QUARANTINED = auto()
    """Beside any turns, of which few are quarantined."""
    ALONE = auto()
    """Beside no turn."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An open turn that is not opened because processes crashed in it: how many, and how many while it ran alone."""

    crash_count: int
    crashes_alone: int


NextTurn = Turn | float | Quarantined | None
"""The turn to run, when to ask again (epoch seconds), a quarantined turn, or None: nothing waits."""


AT_ONCE: Final = 0.0
"""When to look for the next turn: now."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a turn: its replies, and whether another message of the person waits for a turn."""

    stored: StoredReplies
    waits: bool


class TurnStore(Protocol):
    """Turns: opened, journaled step by step, held and ended."""

    async def next_turn(
        self,
        person_id: str,
        epoch: int,
        *,
        now: float,
        debounce: float,
        placement: TurnPlacement = TurnPlacement.BESIDE,
    ) -> NextTurn:
        """The open turn, or a new one of the waiting messages, or when to ask again, or None.

        A new turn takes the longest run of waiting messages, in the order in which they were sent, that share channel,
        address and mode. It waits until `debounce` seconds have passed since the last of them arrived (longer after
        a late one), at most 5 x debounce since the first, and for their files. Such messages also join an open turn
        that is not closed, at most 3 times: its journaled items are superseded, and the model gets its messages again
        in the order in which they were sent. A join is free and not counted if nothing was journaled and another
        cause had ended the attempt. A held turn returns its not_before. All members but the last become MERGED when it
        ends.

        The attempt is noted before it starts. An attempt that another process began and never ended counts as a crash,
        and as a crash alone if no other turn ran beside it. A turn with several crashes is not opened BESIDE others.
        """
        ...

    def begin(self, person_id: str, epoch: int, message: TurnMessage, *, now: float, debounce: float) -> Turn:
        """The new turn of a message that the kernel expects to be all that waits.

        Its opening commits behind, and opens nothing if another message or turn comes first. Then no write of the turn
        succeeds: each raises LeaseLost. A message that follows joins the turn later.
        """
        ...

    async def check_interrupts(self, turn: Turn) -> None:
        """Raise `JoiningMessages` or `Stopped` if a message ends this attempt.

        LeaseLost: the turn was ended, because the person was merged with another.
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

        `usage` is added to the turn and to the person's day, instead of the reservations that it `settles`. `used` is
        added to the tool's day. Resets the counts of failures and crashes, and sets `begun`. An intent closes the turn
        to further messages. `JoiningMessages` or `Stopped`: a message interrupted the turn before.
        """
        ...

    async def add_usage(self, turn: Turn, epoch: int, *, usage: Usage, settles: Sequence[str] = (), now: float) -> None:
        """Add usage that no other write includes to the turn and to the person's day."""
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
        """Hold the turn without counting an attempt; holds + 1. A notice goes to the outbox, also for INLINE.

        `busy`: the vendor is busy, not unavailable: holds stays the same, and a notice sets told_busy.
        """
        ...

    async def end_isolation(self, turn: Turn, epoch: int) -> None:
        """End ALONE: other turns run beside this one now, so a crash no longer shows its cause."""
        ...

    async def requeue(self, turn: Turn, epoch: int, *, until: float | None = None) -> None:
        """End the attempt without counting it. Any kernel may resume the turn, at `until` at the earliest."""
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
        """End the attempt as a failure with this `usage`. The next attempt starts at `until` at the earliest."""
        ...

    async def split(self, turn: Turn, epoch: int, *, problem: str, now: float) -> int:
        """End a failing turn of several messages: each gets a separate turn. Returns the number of superseded items."""
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
        prompts: Sequence[ApprovalPrompt] = (),
        offer: LeaseOffer | None = None,
        now: float,
    ) -> Ended:
        """End the turn in one transaction: last items, usage, replies, members and parked requests.

        The first reply is leased under the `offer`, unless an earlier reply to the person is unsettled.

        The replies count towards the person's day; `fixed`: as replies that do not come from a model.

        "new chat" takes effect here, however the turn ends, in the order of the person's messages.

        A prompt replaces earlier prompts for one of its calls.
        COMPLETED may raise `JoiningMessages` or `Stopped`.
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
        """End the turn as FAILED, its messages as dead letters. Returns the number of superseded items (all)."""
        ...


class TurnStores(Protocol):
    """The ports that a turn writes through."""

    @property
    def turns(self) -> TurnStore: ...
    @property
    def context(self) -> ContextStore: ...
    @property
    def memory(self) -> MemoryStore: ...
    @property
    def quotes(self) -> QuoteStore: ...
    @property
    def approvals(self) -> ApprovalStore: ...
    @property
    def schedules(self) -> ScheduleStore: ...
    @property
    def triggers(self) -> TriggerStore: ...
    @property
    def spending(self) -> SpendingStore: ...
    @property
    def files(self) -> FileStore: ...
    @property
    def made_files(self) -> MadeFileStore: ...
