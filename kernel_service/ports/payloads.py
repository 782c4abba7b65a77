"""The payload of a person's message: one kind of content and its metadata, like `Payload` in the contract."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from kernel_service.ports.schedules import ScheduleKind


@dataclass(frozen=True, slots=True)
class Text:
    KIND: ClassVar[str] = "text"
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class File:
    """A file. Its bytes are in `data`, or `media_ref` is the channel's reference to them.

    `sha256` has 32 bytes and is empty if unknown; `size_bytes` is 0 if unknown. `voice`: a voice message.
    The kernel adds the last two: `media_id`, under which it stores the bytes (empty: it cannot open the file),
    and `transcript`, the words in a recording (None: not transcribed).
    """

    KIND: ClassVar[str]
    mime_type: str = ""
    filename: str = field(default="", repr=False)
    data: bytes | None = field(default=None, repr=False)
    media_ref: str | None = None
    sha256: bytes = b""
    size_bytes: int = 0
    voice: bool = False
    media_id: str = ""
    transcript: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Image(File):
    KIND: ClassVar[str] = "image"


@dataclass(frozen=True, slots=True)
class Audio(File):
    KIND: ClassVar[str] = "audio"


@dataclass(frozen=True, slots=True)
class Video(File):
    KIND: ClassVar[str] = "video"


@dataclass(frozen=True, slots=True)
class Document(File):
    KIND: ClassVar[str] = "document"


@dataclass(frozen=True, slots=True)
class Sticker(File):
    KIND: ClassVar[str] = "sticker"


@dataclass(frozen=True, slots=True)
class Location:
    """A place, in degrees north and east."""

    KIND: ClassVar[str] = "location"
    latitude: float = field(default=0.0, repr=False)
    longitude: float = field(default=0.0, repr=False)
    name: str = field(default="", repr=False)
    address: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Contact:
    name: str = field(default="", repr=False)
    phones: tuple[str, ...] = field(default=(), repr=False)
    emails: tuple[str, ...] = field(default=(), repr=False)
    organization: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Contacts:
    KIND: ClassVar[str] = "contacts"
    contacts: tuple[Contact, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """A tapped button or list row, or a completed form: `form_json` is a JSON object, empty for no form."""

    KIND: ClassVar[str] = "choice"
    id: str = field(default="", repr=False)
    title: str = field(default="", repr=False)
    description: str = field(default="", repr=False)
    form_json: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Reaction:
    """An emoji on a message; an empty one removes it."""

    KIND: ClassVar[str] = "reaction"
    message_id: str = field(default="", repr=False)
    emoji: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Edit:
    """A new text for an earlier message."""

    KIND: ClassVar[str] = "edit"
    message_id: str = field(default="", repr=False)
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Revoke:
    """Deletes an earlier message."""

    KIND: ClassVar[str] = "revoke"
    message_id: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Content that the channel cannot pass on. `kind` is the channel's word for it, as `poll`."""

    KIND: ClassVar[str] = "unsupported"
    kind: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """The person opened the chat without words.

    `released`: replies may have been held for them, which the inbox finds and adds.
    """

    KIND: ClassVar[str] = "opened"
    released: bool = False


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A run of the person's schedule, which the service puts into their inbox. No channel can send it.

    `due_at` is in epoch seconds. `recurs`: more runs follow. `tainted`: the turn that made the schedule was.
    """

    KIND: ClassVar[str] = "scheduled"
    schedule_id: str = ""
    kind: ScheduleKind = ScheduleKind.REMIND
    request: str = field(default="", repr=False)
    due_at: float = 0.0
    time_zone: str = field(default="", repr=False)
    recurs: bool = False
    tainted: bool = False


@dataclass(frozen=True, slots=True)
class Triggered:
    """Events of the person's trigger, which the service puts into their inbox. No channel can send it.

    `request` is what the person wants done with them. `events` is a JSON array, and its words may have any author.
    `others`: further triggers that the events fit, whose requests are in `request`, too.
    """

    KIND: ClassVar[str] = "triggered"
    trigger_id: str = ""
    toolkit: str = ""
    name: str = ""
    request: str = field(default="", repr=False)
    events: str = field(default="", repr=False)
    others: tuple[str, ...] = ()


Content = (
    Text | File | Location | Contacts | Choice | Reaction | Edit | Revoke | Unsupported | Opened | Scheduled | Triggered
)


@dataclass(frozen=True, slots=True)
class Referral:
    """The source that led a person to write: an `ad`, a `post`, a `product`. Its words are the publisher's."""

    kind: str = ""
    headline: str = ""
    body: str = ""
    url: str = ""

    def __bool__(self) -> bool:
        """Whether any field is set."""
        return bool(self.kind or self.headline or self.body or self.url)


@dataclass(frozen=True, slots=True)
class Payload:
    """One message's content and its metadata.

    `sent_at_ns`: when the person sent it, by the channel's clock, in nanoseconds since the epoch; None: unknown.
    `forwarded`: another person wrote it. `code`: the connect code in it, which the inbox finds and adds.
    """

    content: Content
    caption: str = field(default="", repr=False)
    quoted_message_id: str = field(default="", repr=False)
    sent_at_ns: int | None = None
    forwarded: bool = False
    referral: Referral | None = None
    code: str = field(default="", repr=False)

    @property
    def sent_at(self) -> float | None:
        """In epoch seconds; None: unknown."""
        if self.sent_at_ns is None:
            return None
        seconds, nanos = divmod(self.sent_at_ns, 10**9)
        return seconds + nanos / 1e9

    @property
    def text(self) -> str:
        """The written text, or the new text of an edit; empty: the message is not a text."""
        return self.content.text if isinstance(self.content, Text | Edit) else ""

    @property
    def file(self) -> File | None:
        return self.content if isinstance(self.content, File) else None

    @property
    def media_id(self) -> str:
        """The id of the file; empty: there is no file that the kernel can open."""
        return self.file.media_id if self.file else ""

    def with_file(self, file: File) -> Payload:
        return replace(self, content=file)

    def with_media_id(self, media_id: str) -> Payload:
        """A copy whose file, if it has one, carries this id."""
        return self.with_file(replace(self.file, media_id=media_id)) if self.file else self
