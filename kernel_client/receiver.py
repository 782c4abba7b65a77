"""The channel's part of pulling: the work on the items that the streams bring."""

from typing import Protocol

from kernel.v1 import outbox_pb2

from kernel_client.outbox_stream import OutboxStream


class Receiver(Protocol):
    """A process that sends replies."""

    def take(self, item: outbox_pb2.PullOutboxResponse, stream: OutboxStream) -> None:
        """Begin work on an item; returns at once."""

    def in_hand(self) -> set[str]:
        """The ids of replies that are being sent, or whose acknowledgement is not settled."""

    async def finish(self) -> None:
        """Finish and acknowledge the sends in progress, within a limit. No stream brings any more."""

    async def cancel(self) -> None:
        """Give up what `finish` left."""
