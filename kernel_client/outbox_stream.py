"""The stream that brought a lease, and whether a send may still begin under it."""

from collections.abc import Callable

from google.protobuf.duration_pb2 import Duration

from kernel_client.stall_detector import StallDetector


class OutboxStream:
    """Live from its creation until it ends, or until this process was suspended.

    The kernel service ends the leases of a broken stream, and waits only for calls that began before. now is the
    monotonic clock of the stall detector.
    """

    def __init__(self, stall_detector: StallDetector, now: Callable[[], float]) -> None:
        self._stall_detector = stall_detector
        self._now = now
        self._began = now()
        self._ended = False
        self.node_id = ""
        """The node that serves it; empty: unknown."""

    def end(self) -> None:
        """The stream has ended, on either side."""
        self._ended = True

    def is_live(self) -> bool:
        """Whether a send may begin under a lease of this stream."""
        return not self._ended and self._stall_detector.last_resumed() <= self._began

    def lease_ends(self, lease_for: Duration) -> float:
        """The end of a lease that has just come, on the channel's monotonic clock."""
        return self._now() + lease_for.seconds + lease_for.nanos / 1e9
