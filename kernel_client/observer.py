"""Events that a channel may count."""

from kernel_client.acks import Ack
from kernel_client.errors import KernelError


class Observer:
    """Told of what the client handles by itself. A channel overrides what it counts."""

    def failed(self, error: KernelError) -> None:
        """A call that is repeated, or that was the last try, failed."""

    def pull_refused(self, error: KernelError) -> None:
        """The service opens no stream, and a repeat does not help. The next try follows anyway."""

    def acknowledged(self, ack: Ack, result: str) -> None:
        """An acknowledgement ended: recorded, stale, unknown, invalid, refused, expired or (by a bug) fault."""
