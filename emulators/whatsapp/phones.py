"""A person's phone: it writes to the business and shows the answers."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from emulators.whatsapp.chat import ChatFile, ChatMessage, Ticks
from emulators.whatsapp.media import RECEIVED_SECONDS, MediaStore

TYPING_SECONDS = 25.0
"""How long the typing indicator lasts unless an answer comes first."""


class Carrier(Protocol):
    """Transports messages between the phones and the business, and shows each change on the page."""

    @property
    def files(self) -> MediaStore: ...

    def now(self) -> float: ...

    def default_number(self) -> str: ...

    def new_message_id(self, phone: "Phone") -> str: ...

    def carry(self, written: Sequence[tuple["Phone", ChatMessage]]) -> asyncio.Task[None]: ...

    def report_read(self, phone: "Phone", message: ChatMessage) -> None: ...

    def show(self, phone: "Phone", message: ChatMessage) -> None: ...

    def show_typing(self, phone: "Phone") -> None: ...


class Phone:
    """One person. `user_id` (the BSUID) is unique; names are not.

    `wa_id` and `username` may be empty: a user with a username and no recent contact hides the number.
    """

    def __init__(self, carrier: Carrier, *, label: str, name: str, user_id: str, wa_id: str, username: str) -> None:
        self.label = label
        self.name = name
        self.user_id = user_id
        self.wa_id = wa_id
        self.username = username
        self.messages: list[ChatMessage] = []
        """Both directions, oldest first."""
        self.typing_until = 0.0
        self._carrier = carrier
        self._wrote: dict[str, float] = {}
        self._looked = 0
        self._arrived = asyncio.Event()

    @property
    def received(self) -> list[ChatMessage]:
        return [message for message in self.messages if not message.mine]

    async def send(self, text: str, *, quoting: ChatMessage | None = None, number: str = "") -> ChatMessage:
        """Write a text and wait until the gateway has accepted it."""
        message = self.compose("text", {"body": text}, text, quoting=quoting, number=number)
        await self._carrier.carry([(self, message)])
        return message

    async def tap(self, message: ChatMessage, choice: str) -> ChatMessage:
        """Tap a button or a list row, by its title or id, and wait until the gateway has accepted it.

        Raises ValueError if the message offers no such choice.
        """
        reply = self._chosen(message, choice)
        await self._carrier.carry([(self, reply)])
        return reply

    async def send_file(
        self, kind: str, data: bytes, mime_type: str, *, caption: str = "", filename: str = "", voice: bool = False
    ) -> ChatMessage:
        """Send a picture, a voice note, …, and wait until the gateway has accepted it."""
        message = self.compose_file(kind, data, mime_type, caption=caption, filename=filename, voice=voice)
        await self.carry(message)
        return message

    async def send_as(self, kind: str, content: Any, **beside: Any) -> ChatMessage:
        """Send a message of any kind. `content` is the kind's value on the wire; `beside` holds further fields."""
        message = self.compose(kind, content, kind.capitalize())
        message.beside = beside
        await self.carry(message)
        return message

    async def react_to(self, message: ChatMessage, emoji: str) -> None:
        """React to a message with an emoji; an empty one removes it. Wait until the gateway has accepted it."""
        await self.carry(self.compose_reaction(message, emoji))

    def write(self, text: str, *, quoting: ChatMessage | None = None) -> ChatMessage:
        """As send(), but deliver to the gateway in the background."""
        message = self.compose("text", {"body": text}, text, quoting=quoting)
        self.carry(message)
        return message

    def pick(self, message: ChatMessage, choice: str) -> ChatMessage:
        """As tap(), but deliver to the gateway in the background."""
        reply = self._chosen(message, choice)
        self.carry(reply)
        return reply

    def carry(self, message: ChatMessage) -> asyncio.Task[None]:
        """Start to deliver a composed message to the gateway."""
        return self._carrier.carry([(self, message)])

    def compose(
        self,
        kind: str,
        content: Any,
        text: str,
        *,
        file: ChatFile | None = None,
        quoting: ChatMessage | None = None,
        number: str = "",
    ) -> ChatMessage:
        """Put a message of any kind into the chat. `content` is the kind's value on the wire."""
        message = self._written(kind, content, text, number)
        message.file = file
        message.quotes = quoting.id if quoting else ""
        self.messages.append(message)
        self._carrier.show(self, message)
        return message

    def compose_file(
        self,
        kind: str,
        data: bytes,
        mime_type: str,
        *,
        caption: str = "",
        filename: str = "",
        voice: bool = False,
        quoting: ChatMessage | None = None,
    ) -> ChatMessage:
        """Put a picture, a voice note, … into the chat. WhatsApp names no type for some files."""
        kept = self._carrier.files.keep(data, mime_type, RECEIVED_SECONDS)
        content: dict[str, Any] = {"id": kept.id, "sha256": kept.sha256}
        named = {"mime_type": mime_type, "caption": caption, "filename": filename}
        content |= {key: value for key, value in named.items() if value}
        if kind == "audio":
            content["voice"] = voice
        file = ChatFile(kept.id, mime_type, filename, voice=voice)
        return self.compose(kind, content, caption or filename or kind.capitalize(), file=file, quoting=quoting)

    def compose_reaction(self, message: ChatMessage, emoji: str) -> ChatMessage:
        """Show an emoji on a message of either side; an empty one removes it."""
        message.reacted = emoji
        self._carrier.show(self, message)
        content = {"message_id": message.id} | ({"emoji": emoji} if emoji else {})
        return self._written("reaction", content, emoji, message.number)

    def _written(self, kind: str, content: Any, text: str, number: str) -> ChatMessage:
        message = ChatMessage(
            id=self._carrier.new_message_id(self),
            mine=True,
            kind=kind,
            text=text,
            at=self._carrier.now(),
            number=number or self._carrier.default_number(),
            content=content,
        )
        self._wrote[message.number] = message.at
        return message

    def read(self) -> None:
        """Read the chat: received messages are reported as read."""
        for message in self.received:
            if message.ticks != "read":
                message.ticks = "read"
                self._carrier.report_read(self, message)

    async def wait_for_message(
        self, predicate: Callable[[ChatMessage], bool] | None = None, timeout: float = 30
    ) -> ChatMessage:
        """The next matching message from the business after the one returned last. Others are skipped.

        Raises TimeoutError after `timeout` seconds. Only one caller may wait at a time.
        """
        try:
            async with asyncio.timeout(timeout):
                while True:
                    while self._looked < len(self.messages):
                        message = self.messages[self._looked]
                        self._looked += 1
                        if not message.mine and (predicate is None or predicate(message)):
                            return message
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise TimeoutError(f"{self.label} got no such message within {timeout} s") from None

    def find(self, wamid: str) -> ChatMessage | None:
        return next((message for message in reversed(self.messages) if message.id == wamid), None)

    def last_wrote(self, number: str) -> float | None:
        """The time of this person's last message to a business number; None: never."""
        return self._wrote.get(number)

    def receive(self, message: ChatMessage) -> None:
        """Receive a message of the business, which ends the typing indicator."""
        message.ticks = "delivered"
        self.messages.append(message)
        self.typing_until = 0.0
        self._arrived.set()
        self._carrier.show(self, message)

    def react(self, wamid: str, emoji: str) -> None:
        """Show the business's reaction to a message; an empty emoji removes it."""
        message = self.find(wamid)
        if message is not None:
            message.reaction = emoji
            self._carrier.show(self, message)

    def advance(self, message: ChatMessage, ticks: Ticks) -> None:
        """Add ticks to a message that this person wrote. Ticks are never removed, and a reaction has none."""
        if message.kind == "reaction":
            return
        order: list[Ticks] = ["sent", "delivered", "read"]
        if order.index(ticks) > order.index(message.ticks):
            message.ticks = ticks
            self._carrier.show(self, message)

    def read_by_business(self, wamid: str, *, typing: bool) -> None:
        """Show blue ticks up to this message, as Meta does, and the typing indicator on request."""
        last = next((index for index, message in enumerate(self.messages) if message.id == wamid), -1)
        for message in self.messages[: last + 1]:
            if message.mine and message.number == self.messages[last].number:
                self.advance(message, "read")
        if typing:
            self.typing_until = self._carrier.now() + TYPING_SECONDS
            self._carrier.show_typing(self)

    def as_json(self) -> dict[str, Any]:
        """The phone as the page shows it, without the messages."""
        return {
            "id": self.user_id,
            "number": self.wa_id,
            "label": self.label,
            "name": self.name,
            "typing": max(0.0, self.typing_until - self._carrier.now()),
        }

    def _chosen(self, message: ChatMessage, choice: str) -> ChatMessage:
        for known in message.choices:
            if choice in (known.id, known.title):
                break
        else:
            raise ValueError(f"the message offers no {choice!r}")
        if message.kind == "template":
            tapped = {"payload": known.id, "text": known.title}
            return self.compose("button", tapped, known.title, quoting=message, number=message.number)
        kind = "list_reply" if message.list_label else "button_reply"
        chosen = {"id": known.id, "title": known.title}
        if known.description:
            chosen["description"] = known.description
        content = {"type": kind, kind: chosen}
        return self.compose("interactive", content, known.title, quoting=message, number=message.number)
