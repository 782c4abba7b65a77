"""The accounts that people connected."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.messages import Notice


class ConnectionStatus(StrEnum):
    PENDING = "pending"
    UNCONFIRMED = "unconfirmed"
    ACTIVE = "active"
    EXPIRED = "expired"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class Connection:
    """A person's account of a toolkit. `link` is a bearer URL: sealed at rest, never logged. Times: epoch seconds.

    `account_id` is empty until a browser follows the link. `made_for` is the person under whom the vendor keeps the
    account, if they were merged into this one; else empty. `remove_due`: the vendor must still remove the account.
    `toolkit_name` is the display name of the toolkit; `name` is the person's name for the account, if they have
    several of the toolkit.
    """

    id: str
    person_id: str
    toolkit: str
    toolkit_name: str
    account_id: str
    status: ConnectionStatus
    link: str
    created_at: float
    confirmed_at: float | None = None
    made_for: str = ""
    remove_due: bool = False
    name: str = ""

    @property
    def holder(self) -> str:
        """The person who owns the account at the vendor, which permits its use only in a session of that person."""
        return self.made_for or self.person_id


class SessionStore(Protocol):
    """Each person's session at the tools' vendor."""

    async def of_person(self, person_id: str) -> tuple[str, str] | None:
        """The person's session id and its configuration."""
        ...

    async def keep(self, person_id: str, session_id: str, configuration: str) -> str:
        """Replace a session that has another configuration. Returns the session that is kept now.

        The first writer of a configuration wins: an existing session with the same configuration stays. One that
        is not kept becomes a `Revocation`. NotFound PERSON_NOT_FOUND: no session is kept.
        """
        ...


class ConnectionStore(Protocol):
    """People's connections to accounts. Each method is one transaction."""

    async def of_person(self, person_id: str) -> list[Connection]:
        """All connections of the person (or of the one into whom they were merged), oldest first."""
        ...

    async def of_account(self, account_id: str) -> Connection | None: ...

    async def bar(
        self, connection: Connection, to: ConnectionStatus, *, remove: bool, notice: Notice | None = None
    ) -> Connection | None:
        """Bar the connection (expired, disconnected) if its status still equals the given one's. None: it does not.

        Returns the new state. A pending attempt to connect it ends. `remove`: the vendor must remove its account, even
        one that it got after it was read. The notice to its person is written with it.
        """
        ...

    async def to_remove(self, *, after: str = "", limit: int) -> Sequence[Connection]:
        """Barred connections whose accounts the vendor must still remove, ordered by id, those after `after`.

        No sealed value is opened, so that a missing key leaves no account at the vendor. The result has no names.
        """
        ...

    async def mark_removed(self, connection_id: str, account_id: str) -> None:
        """Note that the vendor has removed the account, if it is still the connection's."""
        ...
