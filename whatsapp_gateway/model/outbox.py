"""The items of the kernel service's outbox, and their acknowledgements."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class Link:
    """A link to offer as a button. It works for anyone who has it, so it is never logged.

    minutes: its lifetime when the reply was made; 0: unlimited.
    """

    url: str = field(repr=False)
    title: str
    minutes: int = 0


@dataclass(frozen=True, slots=True)
class OfferedChoice:
    """A choice to offer; its id comes back when the person selects it."""

    id: str
    title: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A file to send; ref is the kernel service's name for it. size in bytes. voice: shown as a voice message."""

    ref: str
    mime_type: str
    filename: str = ""
    size: int = 0
    sha256: bytes = b""
    voice: bool = False


@dataclass(slots=True)
class Reply:
    """One message to a person; text is CommonMark. answers_id is the message that it answers, if any."""

    id: str
    text: str = field(default="", repr=False)
    link: Link | None = None
    choices: tuple[OfferedChoice, ...] = ()
    files: tuple[File, ...] = ()
    reaction_to: str = field(default="", repr=False)
    reaction: str = ""
    quoted_id: str = field(default="", repr=False)
    answers_id: str = field(default="", repr=False)


@dataclass(slots=True)
class Delivery:
    """A leased reply: its recipient, our number, and its progress under earlier leases.

    lease_ends: seconds of this process's own monotonic clock. is_live: whether a send may still begin, false once the
    stream that brought the lease ends. parts, split_version: as first acknowledged; 0 and empty: not yet. A reply that
    has_next is waited for by another one to the person. node_id: the node that leased it; empty: unknown. trace_parent:
    the trace of the message that it answers; empty: none.
    """

    reply: Reply
    user_id: str = field(repr=False)
    number: str
    lease_token: str
    lease_ends: float
    sent_parts: frozenset[int] = frozenset()
    parts: int = 0
    split_version: str = ""
    has_next: bool = False
    node_id: str = ""
    trace_parent: str = ""
    is_live: Callable[[], bool] = field(default=lambda: True, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Typing:
    """A person's message is being answered: show the typing indicator."""

    number: str
    user_id: str = field(repr=False)
    message_id: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class MediaWanted:
    """A request to fetch a person's file, by the id that WhatsApp gave it."""

    media_id: str
    media_ref: str
    lease_token: str
    max_bytes: int
    sha256: bytes = b""


class DeliveryOutcome(Enum):
    """The outcome of a part or a file; as DeliveryOutcome of the contract."""

    SENT = auto()
    RETRY = auto()
    FAILED = auto()
    WINDOW_CLOSED = auto()
    UNKNOWN = auto()


@dataclass(slots=True)
class Ack:
    """The acknowledgement of one part. retry_after is in seconds; 0: the kernel service decides."""

    delivery: Delivery
    part: int
    parts: int
    split_version: str
    outcome: DeliveryOutcome
    wamid: str = field(default="", repr=False)
    error_code: str = ""
    retry_after: float = 0
