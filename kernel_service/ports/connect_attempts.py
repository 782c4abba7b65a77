"""One attempt to connect an account, from the link to the person's code, and the port to store attempts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.connections import Connection
    from kernel_service.ports.messages import Notice
    from kernel_service.ports.resuming import ParkedRequest


class ConnectAttemptState(StrEnum):
    """The progress of an attempt, then how it ended."""

    OPEN = "open"
    """Its link was issued."""
    CLAIMED = "claimed"
    """One browser continues it, and no other browser can."""
    STARTED = "started"
    """That browser was sent to the vendor for consent."""
    RETURNED = "returned"
    """Consent was given, and the code was shown. The account is barred until the code arrives in the chat."""
    COMPLETING = "completing"
    """The correct code arrived and the vendor is being notified. After a crash it is unknown whether it was."""
    CONNECTED = "connected"
    DENIED = "denied"
    LAPSED = "lapsed"
    WRONG_PERSON = "wrong_person"
    WRONG_CODES = "wrong_codes"
    WRONG_BROWSER = "wrong_browser"
    """Consent was given in a different browser than the one that started: perhaps that of another person."""
    REMOVED = "removed"
    """The connection was ended another way: by the person, an operator or the vendor."""


LIVE: Final = (
    ConnectAttemptState.OPEN,
    ConnectAttemptState.CLAIMED,
    ConnectAttemptState.STARTED,
    ConnectAttemptState.RETURNED,
    ConnectAttemptState.COMPLETING,
)
AWAITING_CODE: Final = (ConnectAttemptState.RETURNED, ConnectAttemptState.COMPLETING)


class ConnectAttemptKey(StrEnum):
    """The secret by which an attempt is found, by the attribute that holds its digest."""

    LINK = "link_digest"
    RETURN = "return_digest"
    CODE = "code_digest"


@dataclass(frozen=True, slots=True)
class ConnectAttempt:
    """An attempt and its owner. Digests are SHA-256 of random secrets; None: not set yet.

    `browser_digest` identifies the browser that makes every step, from the link to the code. `consent_url`,
    `session_uri` (the verifier's, valid once) and `code` are sealed at rest. The attempt expires at `deadline` (epoch
    seconds) unless it progresses. `connection` is the account that it connects.
    """

    connection: Connection
    channel: str
    address: str
    state: ConnectAttemptState
    deadline: float
    link_digest: bytes
    return_digest: bytes | None = None
    browser_digest: bytes | None = None
    code_digest: bytes | None = None
    consent_url: str = ""
    session_uri: str = ""
    code: str = ""
    wrong_codes: int = 0

    @property
    def person_id(self) -> str:
        return self.connection.person_id

    @property
    def toolkit(self) -> str:
        return self.connection.toolkit

    @property
    def toolkit_name(self) -> str:
        return self.connection.toolkit_name

    @property
    def live(self) -> bool:
        return self.state in LIVE


class ConnectAttemptStore(Protocol):
    """Each method is one transaction, which also writes the attempt's connection."""

    async def add(self, attempt: ConnectAttempt, *, now: float) -> bool:
        """Add an attempt whose link is unfollowed. False: the person has such a link of the toolkit already."""
        ...

    async def find(self, key: ConnectAttemptKey, digest: bytes) -> ConnectAttempt | None: ...

    async def in_browser(self, browser_digest: bytes) -> list[ConnectAttempt]:
        """Attempts that were sent to the vendor and have not returned, newest first."""
        ...

    async def live(self, person_id: str) -> list[ConnectAttempt]:
        """The person's live attempts, oldest first."""
        ...

    async def advance(self, attempt: ConnectAttempt, *, was: ConnectAttemptState, notice: Notice | None = None) -> bool:
        """Compare-and-swap: write the attempt and the notice to its person if it still equals `was`; whether it did."""
        ...

    async def confirm(self, attempt: ConnectAttempt, *, was: ConnectAttemptState, seq: int, now: float) -> bool:
        """Like advance(). The requests that waited for the toolkit resume with the person's message `seq`."""
        ...

    async def resumed_by(self, person_id: str, seq: int) -> list[ParkedRequest]:
        """The requests that resume with this message, oldest first, without those that the person has revoked."""
        ...

    async def count_wrong_code(self, person_id: str) -> list[ConnectAttempt]:
        """Count a wrong code on each attempt of the person that awaits a code. Returns these attempts."""
        ...

    async def lapsing(self, *, now: float, after: str = "", limit: int) -> Sequence[str]:
        """Live attempts past their deadlines: the ids of their connections, in order, those after `after`.

        An attempt that awaits a code does not expire while a code that came in time waits in the person's inbox.
        """
        ...

    async def lapsing_one(self, connection_id: str, *, now: float) -> ConnectAttempt | None:
        """The attempt of this connection, if it is still past its deadline. Unreadable."""
        ...


class UnmatchedSessionStore(Protocol):
    """Verifier sessions that arrived in a browser that had no attempt."""

    async def is_known(self, session_digest: bytes) -> bool:
        """Whether a verifier's session arrived, within the last day, in a browser that had no attempt."""
        ...

    async def note(self, session_digest: bytes, *, now: float) -> None: ...

    async def note_many(self, digests: Sequence[bytes], *, now: float) -> None:
        """Note what a flood brings, in one row: the first 16 bytes of each digest."""
        ...

    async def noted_since(self, at: float) -> Sequence[bytes]:
        """The beginnings that `note_many` has noted since then."""
        ...
