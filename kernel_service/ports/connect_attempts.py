"""One attempt to connect an account, from the link to the person's word, and the port of where attempts are kept."""

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
    """How far an attempt has come, then how it ended."""

    OPEN = "open"
    """Its link was given out."""
    CLAIMED = "claimed"
    """One browser goes on with it, and no other may."""
    STARTED = "started"
    """That browser was sent to the vendor for consent."""
    RETURNED = "returned"
    """It is back, consent was given; the code was shown, and the account is barred until it comes in the chat."""
    COMPLETING = "completing"
    """The right code came, and the vendor is being told: whether it was may not be known after a crash."""
    CONNECTED = "connected"
    DENIED = "denied"
    LAPSED = "lapsed"
    WRONG_PERSON = "wrong_person"
    WRONG_CODES = "wrong_codes"
    WRONG_BROWSER = "wrong_browser"
    """Consent was given in another browser than the one that had been sent for it: perhaps somebody else's."""
    REMOVED = "removed"
    """The connection was ended otherwise: by the person, an operator, the vendor."""


LIVE: Final = (
    ConnectAttemptState.OPEN,
    ConnectAttemptState.CLAIMED,
    ConnectAttemptState.STARTED,
    ConnectAttemptState.RETURNED,
    ConnectAttemptState.COMPLETING,
)
AWAITING_CODE: Final = (ConnectAttemptState.RETURNED, ConnectAttemptState.COMPLETING)


class ConnectAttemptKey(StrEnum):
    """By which secret an attempt is found."""

    DOOR = "door_digest"
    RETURN = "return_digest"
    CODE = "code_digest"


@dataclass(frozen=True, slots=True)
class ConnectAttempt:
    """An attempt and whose it is. Digests are SHA-256 of random secrets; None: there is none yet.

    `browser_digest` names the browser that goes the whole way, from the link to the code. `consent_url`, `session_uri`
    (the verifier's, good once) and `code` are sealed at rest. `deadline` (epoch seconds) is when the attempt lapses
    unless it gets further. `connection` is the account that it is about.
    """

    connection: Connection
    channel: str
    address: str
    state: ConnectAttemptState
    deadline: float
    door_digest: bytes
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
    """Each method is one transaction; the attempt's connection is kept with it."""

    async def add(self, attempt: ConnectAttempt, *, now: float) -> None: ...

    async def find(self, key: ConnectAttemptKey, digest: bytes) -> ConnectAttempt | None: ...

    async def in_browser(self, browser_digest: bytes) -> list[ConnectAttempt]:
        """Those that were sent to the vendor and are not back, newest first."""
        ...

    async def live(self, person_id: str) -> list[ConnectAttempt]:
        """Oldest first."""
        ...

    async def advance(self, attempt: ConnectAttempt, *, was: ConnectAttemptState, notice: Notice | None = None) -> bool:
        """Keep it as it is given, and what its person is told of it, if it is still as it `was`; whether it was."""
        ...

    async def confirm(self, attempt: ConnectAttempt, *, was: ConnectAttemptState, seq: int, now: float) -> bool:
        """As advance(), and what waited for the toolkit goes on with the person's message `seq`."""
        ...

    async def resumed_by(self, person_id: str, seq: int) -> list[ParkedRequest]:
        """The requests that go on with this message, oldest first, without what the person has taken back."""
        ...

    async def count_wrong_code(self, person_id: str) -> list[ConnectAttempt]:
        """Count it on each attempt of the person that awaits its code; these attempts."""
        ...

    async def lapsing(self, *, now: float, after: str = "", limit: int) -> Sequence[str]:
        """Live ones past their deadlines: the ids of their connections, in order, from behind `after` on.

        Those that await a code do not lapse while a code that came in time waits in the person's inbox.
        """
        ...

    async def lapsing_one(self, connection_id: str, *, now: float) -> ConnectAttempt | None:
        """One of those, if it still is. Unreadable."""
        ...


class StraySessionStore(Protocol):
    """A verifier's sessions that came with a browser that nobody had sent on."""

    async def is_known(self, session_digest: bytes) -> bool:
        """Whether a verifier's session came, within the last day, with a browser that nobody had sent on."""
        ...

    async def note(self, session_digest: bytes, *, now: float) -> None: ...
