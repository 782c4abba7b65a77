"""The input and output of a kernel: messages and replies, as plain values without wire or database types."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kernel_service.ports.payloads import Payload


class ReplyMode(StrEnum):
    """How replies are delivered: to the waiting caller, or to a channel that pulls the outbox."""

    INLINE = "inline"
    OUTBOX = "outbox"


class MessageStatus(StrEnum):
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    MERGED = "merged"
    HELD = "held"
    DEAD_LETTERED = "dead_lettered"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Alias:
    """One id by which a channel knows a person; `user_id` is `<channel>:<id>`."""

    user_id: str = field(repr=False)
    strong: bool = True
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message as a channel hands it in.

    `chat_link`: how a browser opens the chat at `address`, `{text}` is replaced by the typed text; empty: unknown.
    `time_zone`: the person's, by its IANA name, as the channel knows it; empty: unknown.
    `locked_file`: its file can be opened only with a password.
    """

    user_id: str = field(repr=False)
    message_id: str = field(repr=False)
    payload: Payload = field(repr=False)
    aliases: tuple[Alias, ...] = ()
    address: str = ""
    reply_mode: ReplyMode = ReplyMode.INLINE
    chat_link: str = ""
    time_zone: str = ""
    locked_file: bool = False
    channel: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "channel", self.user_id.partition(":")[0])


@dataclass(frozen=True, slots=True)
class Link:
    """A link to offer as a button. `expires_at` is in epoch seconds; None: it does not expire."""

    url: str
    title: str
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class ReplyChoice:
    id: str
    title: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class ReplyFile:
    """A file that goes with a reply. Its bytes are stored under the id. `size` in bytes, `sha256` in hex.

    `voice`: it says the text of the reply, as a voice message.
    """

    id: str
    mime_type: str
    filename: str
    size: int
    sha256: str
    voice: bool = False


LATE_REPLY_SECONDS: Final = 120.0
"""A reply of a schedule that is sent later than this after its time says when it was due."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply to a person. `text` is CommonMark. Ids and times are assigned when it is stored.

    `late`: the text instead, if it is sent over LATE_REPLY_SECONDS later, as after a closed window; empty: the same.
    """

    text: str
    link: Link | None = None
    choices: tuple[ReplyChoice, ...] = ()
    quoted_message_id: str = field(default="", repr=False)
    media: tuple[ReplyFile, ...] = ()
    late: str = ""


@dataclass(frozen=True, slots=True)
class StoredReply:
    """A reply in the outbox, or one that was returned inline. `created_at` is in epoch seconds."""

    id: str
    turn_id: str
    answers_message_id: str = field(repr=False)
    created_at: float
    reply: Reply


@dataclass(frozen=True, slots=True)
class Notice:
    """A reply to a person outside of any turn, and its chat. `at` is in epoch seconds."""

    reply: Reply
    channel: str
    address: str
    at: float


@dataclass(slots=True)
class Usage:
    """The usage of a turn: tokens, model calls, tool calls."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    model_calls: int = 0
    tool_calls: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.model_calls + other.model_calls,
            self.tool_calls + other.tool_calls,
        )

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Answer:
    """The HandleMessage answer for a person's message."""

    turn_id: str
    status: MessageStatus
    duplicate: bool
    replies: tuple[StoredReply, ...] = ()
    usage: Usage = field(default_factory=Usage)
    person_id: str = ""
