"""The errors that a caller is told of, and their one table to gRPC status.

KernelError
├── CallerError          the call is wrong; nothing was stored
├── NotAllowed           the caller may not
├── NotFound             no such thing
├── Conflict             it contradicts what is known
└── Unavailable          try again
"""

from __future__ import annotations


class KernelError(Exception):
    """Carries the reason (an ErrorReason without its prefix), a sentence for the caller, and ids for machines.

    The sentence never holds what a person said, nor a token, phone number or link.
    """

    status = "INTERNAL"
    retry_after: float | None = None
    """In how many seconds a call may do; None: not known."""

    def __init__(self, reason: str, sentence: str, *, retry_after: float | None = None, **metadata: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence
        self.metadata = metadata
        if retry_after is not None:
            self.retry_after = retry_after


class CallerError(KernelError):
    status = "INVALID_ARGUMENT"


class Unauthenticated(KernelError):
    status = "UNAUTHENTICATED"


class NotAllowed(KernelError):
    status = "PERMISSION_DENIED"


class NotFound(KernelError):
    status = "NOT_FOUND"


class Conflict(KernelError):
    status = "FAILED_PRECONDITION"


class AlreadyExists(KernelError):
    status = "ALREADY_EXISTS"


class Exhausted(KernelError):
    status = "RESOURCE_EXHAUSTED"


class Aborted(KernelError):
    status = "ABORTED"


class Unavailable(KernelError):
    status = "UNAVAILABLE"


class Stalled(KernelError):
    """A caller has stopped in the middle of a call."""

    status = "DEADLINE_EXCEEDED"

    def __init__(self, sentence: str) -> None:
        super().__init__("CALL_STALLED", f"{sentence}; call again")


class LeaseLost(Aborted):
    """Another owner took the person over: the kernel leaves, the message is the other's."""

    def __init__(self) -> None:
        super().__init__("LEASE_LOST", "another process took this person over; call again")


class StoreUnavailable(Unavailable):
    """The database does not answer. Whatever the call carried was not accepted."""

    def __init__(self) -> None:
        super().__init__("STORE_UNAVAILABLE", "the database does not answer; call again later")


class VendorUnavailable(Unavailable):
    """The model's or the tools' vendor is away, slow or refuses us. `retry_after` is in seconds.

    `problem` is a short code for operators (`model_unavailable`, `tools_unavailable`, `model_rejects_key`).
    `unanswered`: the request was sent and no answer came, so the vendor may bill it all the same.
    """

    def __init__(self, problem: str, retry_after: float | None = None, *, unanswered: bool = False) -> None:
        super().__init__("VENDOR_UNAVAILABLE", "a vendor does not answer; it is tried again")
        self.problem = problem
        self.retry_after = retry_after
        self.unanswered = unanswered


class Busy(VendorUnavailable):
    """Not asked, since others are before: come again in `retry_after` seconds, the person's place is kept till then."""

    retry_after: float

    def __init__(self, problem: str, retry_after: float) -> None:
        super().__init__(problem, retry_after)
