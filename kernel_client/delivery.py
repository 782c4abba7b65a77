"""Items of the outbox, each with the acknowledgements that a channel may give."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from kernel.v1 import media_pb2, messages_pb2, outbox_pb2

from kernel_client.acks import Ack
from kernel_client.connection import KernelConnection
from kernel_client.errors import KernelError
from kernel_client.outbox_stream import OutboxStream

CHUNK_BYTES: Final = 64 * 1024
CALL_SECONDS: Final = 30.0
UPLOAD_SECONDS: Final = 90.0
"""The kernel service waits this long for a file."""
_PART_RESULTS: Final = {"recorded": True, "stale": False, "unknown": False, "expired": False}
_Settle = Callable[["Delivery", Ack, bool], Awaitable[str]]


class Delivery:
    """A reply for a person, which this process alone may send now.

    Call one of `delivered`, `retry`, `failed`, `window_closed` and `in_doubt`. Each returns once the service has
    recorded it, and raises `KernelError` if the service refuses it. True: it counts. False: the lease had ended, so the
    reply comes again, or the client is closed, or the service does not know the reply any more.

    A reply that is split into several messages is acknowledged part by part, in their order. Each call names `part`,
    from 1, and the number of `parts`. Parts in `sent_parts` are not sent again.
    """

    def __init__(self, leased: outbox_pb2.ReplyDelivery, stream: OutboxStream, settle: _Settle) -> None:
        self.reply: messages_pb2.Reply = leased.reply
        """The whole reply, as the contract has it."""
        self.user_id: str = leased.user_id
        """The person, `<channel>:<id>`."""
        self.address: str = leased.address
        """The address to send from: that of the message which is answered."""
        self.sent_parts: frozenset[int] = frozenset(leased.split.sent_parts)
        """The parts that were sent before, from 1."""
        self._settle = settle
        self.lease(leased, stream)

    def lease(self, leased: outbox_pb2.ReplyDelivery, stream: OutboxStream) -> None:
        """A further lease of the same reply replaces the one before."""
        self.lease_token: str = leased.lease_token
        self.lease_ends = stream.lease_ends(leased.lease_for)
        self._stream = stream

    @property
    def is_live(self) -> bool:
        """Whether a send may begin: the stream that brought the reply is open, and this process was not suspended."""
        return self._stream.is_live()

    @property
    def id(self) -> str:
        """Opaque, unique."""
        return self.reply.id

    @property
    def text(self) -> str:
        """The text, as CommonMark; may be empty if there are files or a reaction."""
        return self.reply.text

    @property
    def choices(self) -> Sequence[messages_pb2.ReplyChoice]:
        """Choices to offer as buttons or a list."""
        return self.reply.choices

    @property
    def link(self) -> messages_pb2.Link | None:
        """A link to offer as a button. It works for every holder: never log it."""
        return self.reply.link if self.reply.HasField("link") else None

    @property
    def media(self) -> Sequence[media_pb2.Media]:
        """Files to send, for `KernelClient.download`."""
        return self.reply.media

    async def delivered(self, channel_message_id: str = "", *, part: int = 1, parts: int = 1) -> bool:
        """The network accepted it, under this id of the network."""
        sent = outbox_pb2.DeliverySent(channel_message_id=channel_message_id)
        return await self._end(outbox_pb2.PartAcknowledgement(sent=sent), part, parts)

    async def retry(self, error_code: str = "", *, after: float = 0, part: int = 1, parts: int = 1) -> bool:
        """It was not sent, for a temporary reason: it comes again, no earlier than `after` seconds from now."""
        return await self._end(outbox_pb2.PartAcknowledgement(retry=_retry(error_code, after)), part, parts)

    async def failed(self, error_code: str = "", *, part: int = 1, parts: int = 1) -> bool:
        """It was not sent and never will be. The person's later replies are sent."""
        failed = outbox_pb2.DeliveryFailed(error_code=error_code)
        return await self._end(outbox_pb2.PartAcknowledgement(failed=failed), part, parts)

    async def window_closed(self, error_code: str = "", *, part: int = 1, parts: int = 1) -> bool:
        """The network allows no message to the person until they write: it is held until then."""
        closed = outbox_pb2.DeliveryWindowClosed(error_code=error_code)
        return await self._end(outbox_pb2.PartAcknowledgement(window_closed=closed), part, parts)

    async def in_doubt(self, error_code: str = "", *, part: int = 1, parts: int = 1) -> bool:
        """It is unknown whether it was sent: a receipt settles it, or it comes again after a grace period."""
        doubt = outbox_pb2.DeliveryInDoubt(error_code=error_code)
        return await self._end(outbox_pb2.PartAcknowledgement(in_doubt=doubt), part, parts)

    async def _end(self, settled: outbox_pb2.PartAcknowledgement, part: int, parts: int) -> bool:
        settled.part.CopyFrom(outbox_pb2.ReplyPart(reply_id=self.id, part=part, parts=parts))
        kind = settled.WhichOneof("result")
        ack = Ack(
            outbox_pb2.Acknowledgement(lease_token=self.lease_token, part=settled),
            self.id,
            self.lease_ends,
            may_be_sent=kind in {"sent", "in_doubt"},
            node_id=self._stream.node_id,
        )
        result = await self._settle(self, ack, part == parts or kind != "sent")
        if result not in _PART_RESULTS:
            raise KernelError("ACK_REFUSED")
        return _PART_RESULTS[result]


class MediaWanted:
    """A file that a person sent: the service asks for its bytes. Call one of `upload`, `retry` and `failed`."""

    def __init__(self, wanted: media_pb2.MediaWanted, kernel: KernelConnection) -> None:
        self._kernel = kernel
        self.lease(wanted)
        self.media_ref: str = wanted.media_ref
        """The channel's own reference, as the message gave it."""
        self.address: str = wanted.address
        """The address to which the message came."""
        self.max_bytes: int = wanted.max_bytes
        """The maximum size."""

    @property
    def media_id(self) -> str:
        """Opaque, unique."""
        return self._wanted.media_id

    def lease(self, wanted: media_pb2.MediaWanted) -> None:
        """A further lease of the same file replaces the one before."""
        self._wanted = wanted

    async def upload(
        self, content: bytes | AsyncIterable[bytes], mime_type: str = "", *, timeout: float = UPLOAD_SECONDS
    ) -> None:
        """Pass the bytes on, whole or in pieces of at most 1 MiB. An exception of the pieces is raised here.

        `KernelError` DEADLINE_EXCEEDED: not within `timeout` seconds, the time of the pieces included.
        """
        size = len(content) if isinstance(content, bytes) else 0
        header = media_pb2.UploadMediaHeader(
            media_id=self._wanted.media_id,
            lease_token=self._wanted.lease_token,
            mime_type=mime_type,
            size_bytes=size,
        )
        try:
            async with asyncio.timeout(timeout) as limit:
                await self._kernel.upload(header, _pieces(content) if isinstance(content, bytes) else content)
        except TimeoutError:
            if not limit.expired():
                raise  # of the pieces
            raise KernelError("DEADLINE_EXCEEDED") from None

    async def retry(self, error_code: str = "", *, after: float = 0) -> None:
        """The file cannot be fetched at present: the service asks again, no earlier than `after` seconds from now."""
        await self._fail(outbox_pb2.MediaAcknowledgement(retry=_retry(error_code, after)))

    async def failed(self, error_code: str = "") -> None:
        """The file can never be fetched: the message is answered without it."""
        await self._fail(outbox_pb2.MediaAcknowledgement(failed=outbox_pb2.DeliveryFailed(error_code=error_code)))

    async def _fail(self, media: outbox_pb2.MediaAcknowledgement) -> None:
        media.media_id = self._wanted.media_id
        failure = outbox_pb2.Acknowledgement(lease_token=self._wanted.lease_token, media=media)
        await self._kernel.fail_media(failure, CALL_SECONDS)


def _retry(error_code: str, after: float) -> outbox_pb2.DeliveryRetry:
    retry = outbox_pb2.DeliveryRetry(error_code=error_code)
    if after:
        retry.retry_after.FromMilliseconds(round(after * 1000))
    return retry


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), CHUNK_BYTES):
        yield content[start : start + CHUNK_BYTES]
