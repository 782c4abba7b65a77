"""One bubble of a chat, as the person's phone holds it."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from emulators.whatsapp.shapes import (
    AudioSend,
    ButtonsSend,
    DocumentSend,
    ImageSend,
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


@dataclass(slots=True)
class ChatMessage:
    """A message in either direction; mine: written by the person. `at` is in seconds since the epoch."""

    id: str
    mine: bool
    kind: str
    text: str
    at: float
    number: str
    """The business's phone_number_id."""
    content: dict[str, Any] = field(default_factory=dict)
    """The kind's own object on the wire."""
    quotes: str = ""
    header: str = ""
    footer: str = ""
    choices: list[Choice] = field(default_factory=list)
    list_label: str = ""
    """What opens the list of choices; empty: they are buttons."""
    link: ChatLink | None = None
    callback: str = ""
    """The sender's biz_opaque_callback_data."""
    reaction: str = ""
    ticks: Ticks = "sent"

    def as_json(self) -> dict[str, Any]:
        """What the page shows."""
        shown = asdict(self)
        del shown["content"], shown["callback"]
        return shown


def received(send: Send, message_id: str, number: str, at: float) -> ChatMessage:
    """The bubble that an accepted send becomes."""
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
    return message


def text_of(send: Send) -> str:
    """What the person reads: the text, the caption, or what the thing is called."""
    match send:
        case TextSend():
            return send.text.body
        case ButtonsSend() | ListSend() | LinkSend():
            return send.interactive.body.text
        case ReactionSend():
            return send.reaction.emoji
        case TemplateSend():
            return f"Template: {send.template.name}"
        case _:
            return _file_text(send)


def _file_text(send: Send) -> str:
    match send:
        case ImageSend():
            return send.image.caption or "Image"
        case DocumentSend():
            return send.document.caption or send.document.filename or "Document"
        case AudioSend():
            return "Audio"
    raise TypeError(send.type)


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
