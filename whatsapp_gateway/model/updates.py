"""The updates that a webhook brings: messages, statuses, identity changes, account events."""

from dataclasses import dataclass, field
from enum import Enum


@dataclass(slots=True)
class Alias:
    """One id of a person, `whatsapp:<BSUID or number>`; a strong id never passes to another person."""

    user_id: str = field(repr=False)
    strong: bool


@dataclass(slots=True)
class Sender:
    """The sender of a message: the person's key and all their current ids at WhatsApp, the key among them."""

    user_id: str = field(repr=False)
    aliases: tuple[Alias, ...]


@dataclass(slots=True)
class Text:
    body: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A tapped button or list row, or a submitted form. form_json is a JSON object, or empty if there is no form."""

    id: str
    title: str
    description: str = ""
    form_json: str = ""


@dataclass(frozen=True, slots=True)
class Media:
    """A file, by its id at WhatsApp. kind is image, audio, video, document or sticker.

    sha256 is 32 bytes, or empty if unknown; size is in bytes, 0: unknown. voice: recorded as a voice message, to be
    transcribed as speech.
    """

    kind: str
    ref: str
    mime_type: str
    sha256: bytes = b""
    filename: str = ""
    caption: str = ""
    voice: bool = False
    size: int = 0


@dataclass(frozen=True, slots=True)
class Location:
    """A location, in degrees north and east."""

    latitude: float
    longitude: float
    name: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact card."""

    name: str = ""
    phones: tuple[str, ...] = field(default=(), repr=False)
    emails: tuple[str, ...] = ()
    organization: str = ""


@dataclass(frozen=True, slots=True)
class Contacts:
    contacts: tuple[Contact, ...]


@dataclass(frozen=True, slots=True)
class Reaction:
    """An emoji put on a message; empty: removed."""

    message_id: str = field(repr=False)
    emoji: str


@dataclass(frozen=True, slots=True)
class Edit:
    message_id: str = field(repr=False)
    text: str


@dataclass(frozen=True, slots=True)
class Revoke:
    message_id: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Content that cannot be passed on; the person is told so. kind is WhatsApp's type name, at most 64 characters."""

    kind: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """They tapped the button of an invitation, and said nothing."""


Content = Text | Media | Location | Contacts | Choice | Reaction | Edit | Revoke | Unsupported | Opened


@dataclass(frozen=True, slots=True)
class Referral:
    """The reason why a person wrote: an `ad`, a `post` or a `product` of a catalogue."""

    kind: str
    headline: str = ""
    body: str = ""
    url: str = ""


@dataclass(slots=True)
class Message:
    """One message of one person to one of our numbers. id is its wamid, sent_at in Unix seconds.

    forwarded: another person wrote it. phone: our number in dialling form, digits only.
    """

    number: str
    id: str = field(repr=False)
    sender: Sender
    content: Content
    quoted_id: str = field(default="", repr=False)
    sent_at: int | None = None
    forwarded: bool = False
    referral: Referral | None = None
    phone: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class IdentityChange:
    """WhatsApp gave a person a new id. Identified by the wamid of the notice."""

    id: str = field(repr=False)
    previous: Alias
    current: Alias


class LinkResult(Enum):
    """The result of an identity change; as LinkOutcome of the contract."""

    LINKED = "linked"
    MERGED = "merged"
    KEPT_APART = "kept_apart"
    UNKNOWN = "link_unknown"


@dataclass(slots=True)
class Status:
    """The state of a part that we sent: sent, delivered, read, played or failed.

    number is ours; user_ids are the person's, the best first; either may be empty. upload_again: it failed because of
    its file, for the first time. backoff_count: earlier failures for too many messages to its person.

    retry_after: seconds until the part is sent again if its person is not asked to write by then; 0: it does not wait
    for that.
    """

    wamid: str = field(repr=False)
    callback_id: str
    state: str
    error_code: str = ""
    occurred_at: int | None = None
    number: str = ""
    user_ids: tuple[str, ...] = field(default=(), repr=False)
    upload_again: bool = False
    backoff_count: int = 0
    retry_after: float = 0


@dataclass(frozen=True, slots=True)
class Malformed:
    """An item that cannot be processed: a short reason, and its wamid if it has one."""

    reason: str
    id: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Ignored:
    """An item that needs no answer."""

    kind: str


@dataclass(frozen=True, slots=True)
class AccountError:
    """WhatsApp reports an error of our app or account; code is the Graph API's, or empty."""

    code: str


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """An event of our account, numbers or templates; text is a sentence without personal data.

    key: equal for repeats of the same event. repeat_seconds: how long events of this key are repeats; 0: always.
    """

    field: str
    text: str
    key: str
    repeat_seconds: float = 0


@dataclass(frozen=True, slots=True)
class TemplateWorks:
    """WhatsApp takes a template from now on: it is approved, or no longer paused. language is as `en_US`."""

    name: str
    language: str


Update = Message | IdentityChange | Status | Malformed | Ignored | AccountError | AccountEvent | TemplateWorks
