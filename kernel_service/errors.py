"""The errors that a caller is told of, each with its gRPC status. A test compares this tree with the classes.

KernelError
├── CallerError            INVALID_ARGUMENT     the call is wrong; nothing was stored
├── Unauthenticated        UNAUTHENTICATED      the token is missing or unknown
├── NotAllowed             PERMISSION_DENIED    the caller may not
├── NotFound               NOT_FOUND            no such thing
├── AlreadyExists          ALREADY_EXISTS       the id was used for something else
├── Conflict               FAILED_PRECONDITION  it contradicts what is known
├── Exhausted              RESOURCE_EXHAUSTED   there is no room now
├── Aborted                ABORTED              somebody else was first; call again
│   └── LeaseLost
├── Stalled                DEADLINE_EXCEEDED    the caller stopped in the middle
├── Unreadable                                  something stored does not open
│   ├── SealedValueDamaged DATA_LOSS
│   └── SealingKeyUnknown  INTERNAL
└── Unavailable            UNAVAILABLE          try again
    ├── StoreUnavailable
    └── VendorUnavailable
        ├── Busy
        └── UnansweredError (composio/wire.py)
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class KernelError(Exception):
    """Carries the reason (an ErrorReason without its prefix), a sentence for the caller, and ids for machines.

    The sentence never holds what a person said, nor a token, phone number or link. `field` is the path of the request's
    field that is at fault (`aliases[1].user_id`); empty: none is.
    """

    status = "INTERNAL"
    retry_after: float | None = None
    """In how many seconds a call may do; None: not known."""

    def __init__(
        self, reason: str, sentence: str, *, field: str = "", retry_after: float | None = None, **metadata: str
    ) -> None:
        super().__init__(sentence)
        self.field = field
        self.reason = reason
        self.sentence = sentence
        self.metadata = metadata
        if retry_after is not None:
            self.retry_after = retry_after


class CallerError(KernelError):
    status = "INVALID_ARGUMENT"


@contextmanager
def within(path: str) -> Iterator[None]:
    """The fields that a CallerError names inside are those of the message at this path."""
    try:
        yield
    except CallerError as error:
        error.field = f"{path}.{error.field}"
        raise


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


class Unreadable(KernelError):
    """Something stored does not open. It stays as it is: an operator can still mend it."""


class SealedValueDamaged(Unreadable):
    """It was changed, moved or cut behind the service's back."""

    status = "DATA_LOSS"

    def __init__(self, sentence: str, *, person_id: str = "") -> None:
        super().__init__("SEALED_VALUE_DAMAGED", sentence)
        self.metadata = {"person_id": person_id} if person_id else {}


class SealingKeyUnknown(Unreadable):
    """It is sealed with a master key that this process does not hold."""

    def __init__(self, sentence: str, *, key_id: str = "") -> None:
        super().__init__("SEALING_KEY_UNKNOWN", sentence)
        self.metadata = {"key_id": key_id} if key_id else {}


class LeaseLost(Aborted):
    """Another owner took the person over: this kernel stops, and the message belongs to the other owner."""

    def __init__(self) -> None:
        super().__init__("LEASE_LOST", "another process took this person over; call again")


class StoreUnavailable(Unavailable):
    """The database does not answer. Whatever the call carried was not accepted."""

    def __init__(self) -> None:
        super().__init__("STORE_UNAVAILABLE", "the database does not answer; call again later")


class VendorUnavailable(Unavailable):
    """The model's or the tools' vendor is down, slow or refuses us. `retry_after` is in seconds.

    `problem` is a short code for operators (`model_unavailable`, `tools_unavailable`, `model_rejects_key`).
    `unanswered`: the request was sent and no answer came, so the vendor may bill it all the same.
    """

    def __init__(self, problem: str, retry_after: float | None = None, *, unanswered: bool = False) -> None:
        super().__init__("VENDOR_UNAVAILABLE", "a vendor does not answer; it is tried again")
        self.problem = problem
        self.retry_after = retry_after
        self.unanswered = unanswered


class Busy(VendorUnavailable):
    """The vendor was not asked, since others come first: try again in `retry_after` seconds, with the place kept."""

    retry_after: float

    def __init__(self, problem: str, retry_after: float) -> None:
        super().__init__(problem, retry_after)
