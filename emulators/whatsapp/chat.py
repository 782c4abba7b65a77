"""One bubble of a chat, as the person's phone stores it."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from emulators.whatsapp.shapes import (
    ButtonsSend,
    DocumentSend,
    FileSend,
    Image,
    Interactive,
    LinkSend,
    ListSend,
    ReactionSend,
    Send,
    TemplateSend,
    TextSend,
)

Ticks = Literal["sent", "delivered", "read"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A reply button, or a row of a list."""

    id: str
    title: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class ChatLink:
    """A call-to-action button."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class ChatFile:
    """A file of a message: its media id, or the link that the business sent."""

    id: str
    mime_type: str = ""
    name: str = ""
    link: str = ""
    voice: bool = False


@dataclass(slots=True)
class ChatMessage:
    """A message in either direction. `mine`: written by the person. `at` is in seconds since the epoch."""

    id: str
    mine: bool
    kind: str
    text: str
    at: float
    number: str
    """The business's phone_number_id."""
    content: Any = None
    """The kind's value on the wire."""
    beside: dict[str, Any] = field(default_factory=dict)
    """Further fields next to the content on the wire, as `referral`."""
    quotes: str = ""
    header: str = ""
    footer: str = ""
    choices: list[Choice] = field(default_factory=list)
    list_label: str = ""
    """The label that opens the list of choices; empty: the choices are buttons."""
    link: ChatLink | None = None
    file: ChatFile | None = None
    callback: str = ""
    """The sender's biz_opaque_callback_data."""
    reaction: str = ""
    """The business's emoji reaction."""
    reacted: str = ""
    """The person's emoji reaction."""
    ticks: Ticks = "sent"

    def as_json(self) -> dict[str, Any]:
        """The message as the page shows it."""
        shown = asdict(self)
        del shown["content"], shown["beside"], shown["callback"]
        return shown


def received(send: Send, message_id: str, number: str, at: float) -> ChatMessage:
    """The bubble for an accepted send."""
    message = ChatMessage(
        id=message_id,
        mine=False,
        kind=send.type,
        text=text_of(send),
        at=at,
        number=number,
        content=send.model_dump(exclude_defaults=True),
        quotes=send.context.message_id if send.context else "",
        callback=send.biz_opaque_callback_data,
    )
    if isinstance(send, ButtonsSend | ListSend | LinkSend):
        _add_interactive(message, send)
    if isinstance(send, FileSend):
        name = send.document.filename if isinstance(send, DocumentSend) else ""
        message.file = ChatFile(send.file.id or "", name=name, link=send.file.link or "")
    return message


def text_of(send: Send) -> str:
    """The words that the person reads: the text, the caption, or a name of the content."""
    match send:
        case TextSend():
            return send.text.body
        case ButtonsSend() | ListSend() | LinkSend():
            return send.interactive.body.text
        case ReactionSend():
            return send.reaction.emoji
        case TemplateSend():
            return f"Template: {send.template.name}"
        case FileSend():
            return _file_text(send)
    raise TypeError(send.type)


def _file_text(send: FileSend) -> str:
    caption = send.file.caption if isinstance(send.file, Image) else ""
    name = send.document.filename if isinstance(send, DocumentSend) else ""
    return caption or name or send.type.capitalize()


def _add_interactive(message: ChatMessage, send: ButtonsSend | ListSend | LinkSend) -> None:
    interactive: Interactive = send.interactive
    message.header = interactive.header.text if interactive.header else ""
    message.footer = interactive.footer.text if interactive.footer else ""
    match send:
        case ButtonsSend():
            buttons = send.interactive.action.buttons
            message.choices = [Choice(button.reply.id, button.reply.title) for button in buttons]
        case ListSend():
            action = send.interactive.action
            rows = [row for section in action.sections for row in section.rows]
            message.choices = [Choice(row.id, row.title, row.description) for row in rows]
            message.list_label = action.button
        case LinkSend():
            parameters = send.interactive.action.parameters
            message.link = ChatLink(parameters.display_text, parameters.url)
