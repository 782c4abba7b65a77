"""The stream that brought a lease, and whether anything may still be begun under it."""

from collections.abc import Callable

from whatsapp_gateway.outbound.stall_detector import StallDetector


class Line:
    """Holds from when it is made until it has ended, or this process was stopped meanwhile.

    The kernel service ends the leases of a stream that broke, and waits no longer than a call takes that was begun
    before. now is the monotonic clock of the stall detector.
    """

    def __init__(self, pulse: StallDetector, now: Callable[[], float]) -> None:
        self._pulse = pulse
        self._began = now()
        self._ended = False

    def end(self) -> None:
        """The stream has ended, whoever ended it."""
        self._ended = True

    def holds(self) -> bool:
        """Whether a send may be begun under what it brought."""
        return not (self._ended or self._pulse.stopped_since(self._began))
