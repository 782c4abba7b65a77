"""The client of a channel."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from uuid import uuid4

from kernel.v1 import identity_pb2, media_pb2, messages_pb2, outbox_pb2

from kernel_client.address import KernelAddress
from kernel_client.connection import MOST_AT_ONCE, KernelConnection
from kernel_client.delivery import Delivery
from kernel_client.errors import KernelError
from kernel_client.outbox import Item, Outbox
from kernel_client.person_calls import CALL_SECONDS, PersonCalls
from kernel_client.repeats import Repeats
from serving.loopback import keeps_to_loopback

TURN_SECONDS: Final = 120.0
IN_FLIGHT: Final = 64
_Answer = TypeVar("_Answer")


class KernelClient(PersonCalls):
    """One channel's way to the kernel service.

    `address` is a gRPC target, as `127.0.0.1:50051` or `dns:///kernel.example:50051`; `token` is that of the channel
    (`KERNEL_CHANNEL_TOKENS` of the service). `tls_ca` is a file of certificates in PEM; None: plain text, which leaves
    this machine only with `allow_insecure`. `ValueError`: they cannot be used.

    Each call is repeated while the contract's own table says that a repeat may help, until `timeout` seconds have
    passed. Then it raises `KernelError`. A repeat has no further effect: the service recognises what it has done.
    The first problem of each kind is logged. A token that the service has never accepted is raised at once. One that it
    has accepted before is repeated, since the nodes of a service get new tokens one after the other.

    Use it as `async with KernelClient(…) as kernel:`. It follows the nodes of the service, and works from many tasks.
    """

    def __init__(
        self, address: str, token: str, *, tls_ca: str | Path | None = None, allow_insecure: bool = False
    ) -> None:
        if tls_ca is None and not allow_insecure and not keeps_to_loopback(address):
            raise ValueError(f"{address} leads to another machine: give tls_ca, or allow_insecure=True for plain text")
        if not token.strip():
            raise ValueError("the token is empty: give that of the channel, of the service's KERNEL_CHANNEL_TOKENS")
        if not (token.isascii() and token.isprintable()):
            raise ValueError("the token holds a line break, or another character that no call can carry")
        self._address = KernelAddress(address, Path(tls_ca) if tls_ca is not None else None, allow_insecure)
        self._token = token
        self._opened: KernelConnection | None = None
        self._outboxes: set[Outbox] = set()

    async def __aenter__(self) -> Self:
        """Nothing is sent yet: the first call connects."""
        self._opened = KernelConnection(self._address, self._token)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every iteration, settle acknowledgements, and end the connections. A second call does nothing.

        Calls that wait raise `KernelError` CANCELLED.
        """
        await asyncio.gather(*(outbox.stop() for outbox in self._outboxes))
        if self._opened is not None:
            opened, self._opened = self._opened, None
            await opened.close()

    # --- messages -------------------------------------------------------------------------------------------------

    async def send(
        self,
        user_id: str,
        message: str | messages_pb2.Payload,
        *,
        message_id: str = "",
        time_zone: str = "",
        timeout: float = TURN_SECONDS,
    ) -> list[messages_pb2.Reply]:
        """Pass on a person's message, wait for the answer, and return its replies.

        `user_id` is `<channel>:<id>`, the channel's own stable key of the person. `message` is a text, or any other
        content as a `Payload`. The same `message_id` again is the same message, and returns the first answer; empty: a
        new message. `time_zone` is the person's, as `Europe/Vienna`, if the channel knows it.

        A message that is answered together with a later one returns no replies: the later one has them.
        """
        request = _request(user_id, message, message_id, time_zone)
        answer: messages_pb2.HandleMessageResponse = await self._call("HandleMessage", request, timeout)
        return list(answer.replies)

    async def stream(
        self,
        user_id: str,
        message: str | messages_pb2.Payload,
        *,
        message_id: str = "",
        time_zone: str = "",
        timeout: float = TURN_SECONDS,
    ) -> AsyncGenerator[messages_pb2.StreamMessageResponse]:
        """As `send`, with events while the answer is made: `text_delta`, `text_reset`, `tool_started` and others.

        The last event is `completed`, with the replies. After a broken connection a `text_reset` voids the
        text shown so far, and the events begin again.
        """
        request = messages_pb2.StreamMessageRequest(message=_request(user_id, message, message_id, time_zone))
        repeats = Repeats(timeout)
        has_text = False
        while True:
            try:
                await self._connection.connect(repeats.left)
                async with aclosing(self._connection.read("StreamMessage", request, repeats.left)) as events:
                    async for event in events:
                        has_text |= event.HasField("text_delta")
                        yield event
                        if event.HasField("completed"):
                            return
                raise KernelError("UNAVAILABLE", message="the answer ended before it was complete")  # noqa: TRY301
            except KernelError as error:
                if has_text:
                    yield messages_pb2.StreamMessageResponse(text_reset=messages_pb2.TextReset())
                    has_text = False
                await self._pause_after(error, repeats)

    async def submit(
        self,
        user_id: str,
        message: str | messages_pb2.Payload,
        *,
        message_id: str = "",
        address: str = "",
        aliases: Sequence[identity_pb2.Alias] = (),
        time_zone: str = "",
        chat_link: str = "",
        timeout: float = CALL_SECONDS,
    ) -> messages_pb2.HandleMessageResponse:
        """Pass on a person's message, which is durable after the return. Its replies come through `replies`.

        Arguments as of `send`. `address` is the one to which the person wrote, `aliases` are all ids by which the
        channel knows them, and `chat_link` opens the chat, as in the contract's `HandleMessageRequest`.
        """
        request = _request(user_id, message, message_id, time_zone)
        request.reply_mode = messages_pb2.REPLY_MODE_OUTBOX
        request.address, request.chat_link = address, chat_link
        request.aliases.extend(aliases)
        return await self._repeated(partial(self._connection.handle, request), timeout)

    # --- the outbox -----------------------------------------------------------------------------------------------

    async def replies(
        self, channel: str, *, addresses: Sequence[str] = (), max_in_flight: int = IN_FLIGHT
    ) -> AsyncGenerator[Delivery]:
        """Replies for the people of a channel, each leased to this process alone. Acknowledge each one.

        They are the answers to submitted messages, and what the assistant says by itself: reminders, connected
        accounts. `addresses` are those to send from; empty: all. At most `max_in_flight` replies wait here or are not
        acknowledged. Their leases are renewed meanwhile, for five minutes once the caller has a reply.

        It ends with `close`, or with `KernelError` if the service permanently refuses it: for a wrong token, or a field
        beyond its limits. It reconnects by itself, and follows the nodes. `submit`, `report` and
        acknowledgements go over its streams, which costs less than separate calls.
        """
        async with aclosing(self.outbox(channel, addresses=addresses, max_in_flight=max_in_flight)) as items:
            async for item in items:
                if isinstance(item, Delivery):
                    yield item

    async def outbox(
        self,
        channel: str,
        *,
        addresses: Sequence[str] = (),
        max_in_flight: int = IN_FLIGHT,
        media: bool = False,
        typing_interval: float = 0,
    ) -> AsyncGenerator[Item]:
        """As `replies`, with further items.

        `media`: also `MediaWanted`, for files that messages named by `media_ref`.

        `typing_interval`: also `Typing`, so often while a person's answer is made, in seconds from 1 to 60. 0: none. Of
        each person's, only the latest waits here.
        """
        attach = outbox_pb2.PullOutboxRequest(
            channel=channel,
            addresses=addresses,
            instance_id=f"{socket.gethostname()[:50]}-{os.getpid()}-{uuid4().hex[:8]}",
            max_in_flight=max_in_flight,
            kinds=[outbox_pb2.OUTBOX_ITEM_KIND_REPLY],
        )
        if media:
            attach.kinds.append(outbox_pb2.OUTBOX_ITEM_KIND_MEDIA_WANTED)
        if typing_interval:
            attach.kinds.append(outbox_pb2.OUTBOX_ITEM_KIND_TYPING)
            attach.typing_interval.FromMilliseconds(round(typing_interval * 1000))
        outbox = Outbox(self._connection, attach, time.monotonic)
        self._outboxes.add(outbox)
        outbox.start()
        try:
            async for item in outbox.items():
                yield item
        finally:
            await outbox.stop()
            self._outboxes.discard(outbox)

    async def report(self, receipts: Sequence[outbox_pb2.Receipt], *, timeout: float = CALL_SECONDS) -> None:
        """Pass on the network's reports on sent parts: delivered, read, failed later."""
        for start in range(0, len(receipts), MOST_AT_ONCE):
            await self._repeated(partial(self._connection.report, receipts[start : start + MOST_AT_ONCE]), timeout)

    async def download(self, media: media_pb2.Media, *, timeout: float = CALL_SECONDS) -> bytes:
        """A reply's whole file, until 15 minutes after the reply is settled."""
        return await self._repeated(partial(self._connection.download, media.media_ref), timeout)

    async def ready(self, *, timeout: float = 2.0) -> bool:
        """Whether a node reports that it is serving, for the channel's own probe."""
        return await self._connection.ready(timeout)

    # --- repeats --------------------------------------------------------------------------------------------------

    @property
    def _connection(self) -> KernelConnection:
        if self._opened is None:
            raise RuntimeError("KernelClient is not open: use `async with KernelClient(…) as kernel`")
        return self._opened

    async def _call(self, name: str, request: Any, timeout: float) -> Any:
        return await self._repeated(partial(self._connection.rpc, name, request), timeout)

    async def _repeated(self, attempt: Callable[[float], Awaitable[_Answer]], timeout: float) -> _Answer:
        repeats = Repeats(timeout)
        while True:
            try:
                await self._connection.connect(repeats.left)
                return await attempt(repeats.left)
            except KernelError as error:
                await self._pause_after(error, repeats)

    async def _pause_after(self, error: KernelError, repeats: Repeats) -> None:
        if self._opened is None or not self._opened.may_pass(error):
            raise error
        await repeats.pause_after(error)


def _request(
    user_id: str, message: str | messages_pb2.Payload, message_id: str, time_zone: str
) -> messages_pb2.HandleMessageRequest:
    return messages_pb2.HandleMessageRequest(
        user_id=user_id,
        payload=messages_pb2.Payload(text=message) if isinstance(message, str) else message,
        message_id=message_id or uuid4().hex,
        time_zone=time_zone,
        reply_mode=messages_pb2.REPLY_MODE_INLINE,
    )
