"""What a person sends: one kind of content, and what stands beside it, as the contract's `Payload` has them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Text:
    KIND: ClassVar[str] = "text"
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class File:
    """A file. Its bytes came along as `data`, or `media_ref` is the channel's reference to them.

    `sha256` has 32 bytes and is empty if unknown; `size_bytes` is 0 if unknown. `voice`: recorded on the spot, as
    speech. The kernel adds the last two: `media_id`, under which it keeps the bytes (empty: it cannot open the file),
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
    """A button or a list row, or a form filled in: `form_json` is a JSON object, empty for no form."""

    KIND: ClassVar[str] = "choice"
    id: str = field(default="", repr=False)
    title: str = field(default="", repr=False)
    description: str = field(default="", repr=False)
    form_json: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Reaction:
    """An emoji put on a message; an empty one takes it off."""

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
    """An earlier message taken back."""

    KIND: ClassVar[str] = "revoke"
    message_id: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Unsupported:
    """What the channel cannot pass on. `kind` is the channel's word for it, as `poll`."""

    KIND: ClassVar[str] = "unsupported"
    kind: str = ""
    detail: str = ""


Content = Text | File | Location | Contacts | Choice | Reaction | Edit | Revoke | Unsupported


@dataclass(frozen=True, slots=True)
class Referral:
    """What led a person to write: an `ad`, a `post`, a `product`. Its words are the publisher's."""

    kind: str = ""
    headline: str = ""
    body: str = ""
    url: str = ""

    def __bool__(self) -> bool:
        """Whether it tells anything."""
        return bool(self.kind or self.headline or self.body or self.url)


@dataclass(frozen=True, slots=True)
class Payload:
    """One message's content and what stands beside it.

    `sent_at_ns`: when the person sent it, by the channel's clock, in nanoseconds since the epoch; None: not said.
    `forwarded`: somebody else wrote it. `code`: the connect code in it, which the inbox finds and adds.
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
        """In epoch seconds; None: not said."""
        if self.sent_at_ns is None:
            return None
        seconds, nanos = divmod(self.sent_at_ns, 10**9)
        return seconds + nanos / 1e9

    @property
    def text(self) -> str:
        """What was written, or what an earlier text is changed to; empty: the message is no text."""
        return self.content.text if isinstance(self.content, Text | Edit) else ""

    @property
    def file(self) -> File | None:
        return self.content if isinstance(self.content, File) else None

    @property
    def media_id(self) -> str:
        """Of the file; empty without one that the kernel can open."""
        return self.file.media_id if self.file else ""

    def with_file(self, file: File) -> Payload:
        return replace(self, content=file)

    def with_media_id(self, media_id: str) -> Payload:
        """With its file, if it has one, known by this id."""
        return self.with_file(replace(self.file, media_id=media_id)) if self.file else self
