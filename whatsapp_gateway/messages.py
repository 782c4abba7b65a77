"""What a webhook tells, in the gateway's own words: messages, statuses, changes of identity."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alias:
    """One id of a person, `whatsapp:<BSUID or number>`; strong ones never pass to somebody else."""

    user_id: str
    strong: bool


@dataclass(frozen=True, slots=True)
class Sender:
    """Who wrote: the key of the person and every id by which WhatsApp knows him now, the key among them."""

    user_id: str
    aliases: tuple[Alias, ...]


@dataclass(frozen=True, slots=True)
class Text:
    body: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A tapped button or list row."""

    id: str
    title: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Reaction:
    """An emoji put on a message; empty: taken off."""

    message_id: str
    emoji: str


@dataclass(frozen=True, slots=True)
class Edit:
    message_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Revoke:
    message_id: str


@dataclass(frozen=True, slots=True)
class Unsupported:
    """What cannot be passed on; the person is told so. kind is WhatsApp's own word."""

    kind: str
    detail: str = ""


Content = Text | Choice | Reaction | Edit | Revoke | Unsupported


@dataclass(frozen=True, slots=True)
class Message:
    """One message of one person to one of our numbers. id is its wamid, sent_at in Unix seconds."""

    number: str
    id: str
    sender: Sender
    content: Content
    quoted_id: str = ""
    sent_at: int | None = None


@dataclass(frozen=True, slots=True)
class IdentityChange:
    """WhatsApp gave a person a new id. Known by the wamid of the notice."""

    id: str
    previous: Alias
    current: Alias


@dataclass(frozen=True, slots=True)
class Status:
    """What became of a part that we sent: sent, delivered, read, played or failed."""

    wamid: str
    callback_id: str
    state: str
    error_code: str = ""
    occurred_at: int | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """An item that cannot be served: a short reason, and its wamid if it has one."""

    reason: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """An item that asks nothing of an assistant."""

    kind: str


Update = Message | IdentityChange | Status | Malformed | Ignored
