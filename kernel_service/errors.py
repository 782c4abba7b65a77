"""The errors that a caller can get, each with its gRPC status. A test compares this tree with the classes.

KernelError
├── CallerError            INVALID_ARGUMENT     the call is wrong; nothing was stored
├── Unauthenticated        UNAUTHENTICATED      the token is missing or unknown
├── NotAllowed             PERMISSION_DENIED    the caller lacks the permission
├── NotFound               NOT_FOUND            it does not exist
├── AlreadyExists          ALREADY_EXISTS       the id was used for something else
├── Conflict               FAILED_PRECONDITION  it contradicts stored data
├── Exhausted              RESOURCE_EXHAUSTED   a limit is reached now
├── Aborted                ABORTED              another caller was first; call again
│   └── LeaseLost
│       └── OwnedElsewhere
├── Stalled                DEADLINE_EXCEEDED    the caller stopped within the call
├── Unreadable                                  a stored value does not open
│   ├── SealedValueDamaged DATA_LOSS
│   └── SealingKeyUnknown  INTERNAL
└── Unavailable            UNAVAILABLE          try again
    ├── StoreUnavailable
    ├── NodeUnavailable
    └── VendorUnavailable
        ├── Busy
        └── UnansweredError (composio/wire.py)
"""

from __future__ import annotations


class KernelError(Exception):
    """Carries the reason (an ErrorReason without its prefix), a sentence for the caller, and ids for machines.

    The sentence never holds what a person said, nor a token, phone number or link. `field` is the path of the request's
    invalid field (`aliases[1].user_id`); empty: none.
    """

    status = "INTERNAL"
    retry_after: float | None = None
    """Seconds after which a retry may succeed; None: unknown."""

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

    def add_path(self, path: str) -> None:
        """Prefix the field, which lies in the message at this path."""
        self.field = f"{path}.{self.field}"


class within:  # noqa: N801 - called like a function, as contextlib.suppress is
    """Prefixes the field of a CallerError that is raised inside with this path."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, CallerError):
            error.add_path(self._path)


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
    """A caller has stopped within a call."""

    status = "DEADLINE_EXCEEDED"

    def __init__(self, sentence: str) -> None:
        super().__init__("CALL_STALLED", f"{sentence}; call again")


class Unreadable(KernelError):
    """A stored value does not open. It stays unchanged, so that an operator can still repair it."""


class SealedValueDamaged(Unreadable):
    """The value was changed, moved or truncated outside the service."""

    status = "DATA_LOSS"

    def __init__(self, sentence: str, *, person_id: str = "") -> None:
        super().__init__("SEALED_VALUE_DAMAGED", sentence)
        self.metadata = {"person_id": person_id} if person_id else {}


class SealingKeyUnknown(Unreadable):
    """The value is sealed with a master key that this process does not have."""

    def __init__(self, sentence: str, *, key_id: str = "") -> None:
        super().__init__("SEALING_KEY_UNKNOWN", sentence)
        self.metadata = {"key_id": key_id} if key_id else {}


class LeaseLost(Aborted):
    """Another owner took over the person. This kernel stops, and the message belongs to the other owner."""

    def __init__(self) -> None:
        super().__init__("LEASE_LOST", "another process took this person over; call again")


class OwnedElsewhere(LeaseLost):
    """The lease was not given: a live node, whose id is `owner`, has it. Empty: it was released just now."""

    def __init__(self, owner: str) -> None:
        super().__init__()
        self.owner = owner


class StoreUnavailable(Unavailable):
    """The database does not answer. The call was not accepted."""

    def __init__(self) -> None:
        super().__init__("STORE_UNAVAILABLE", "the database does not answer; call again later")


class NodeUnavailable(Unavailable):
    """A node has just ended, is not reached at the address that it advertises, or has another admin token."""

    def __init__(self, node_id: str) -> None:
        super().__init__(
            "NODE_UNAVAILABLE",
            "a node that is asked for this does not answer; call again, and check its KERNEL_ADVERTISE and "
            "KERNEL_ADMIN_TOKEN",
            node_id=node_id,
        )


class VendorUnavailable(Unavailable):
    """The model's or the tools' vendor is down, slow or refuses all requests. `retry_after` is in seconds.

    `problem` is a short code for operators (`model_unavailable`, `tools_unavailable`, `model_rejects_key`).
    `unanswered`: the request was sent and no answer came, so the vendor may bill it anyway.
    """

    def __init__(self, problem: str, retry_after: float | None = None, *, unanswered: bool = False) -> None:
        super().__init__("VENDOR_UNAVAILABLE", "a vendor does not answer; it is tried again")
        self.problem = problem
        self.retry_after = retry_after
        self.unanswered = unanswered


class Busy(VendorUnavailable):
    """The vendor was not asked, since others precede. Retry in `retry_after` seconds; the queue keeps the place."""

    retry_after: float

    def __init__(self, problem: str, retry_after: float) -> None:
        super().__init__(problem, retry_after)
