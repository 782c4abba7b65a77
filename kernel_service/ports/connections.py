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

    `account_id` is empty until somebody follows the link. `made_for` is the person under whom the vendor keeps the
    account, if they were merged into this one; else empty. `remove_due`: the vendor is still to remove the account.
    `toolkit_name` is the toolkit's as people know it; `name` is what the person calls the account, where they have
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
        """Whose the account is at the vendor, who lets it be used in a session of that person only."""
        return self.made_for or self.person_id


class SessionStore(Protocol):
    """Each person's session at the tools' vendor."""

    async def of_person(self, person_id: str) -> tuple[str, str] | None:
        """The person's session id and its configuration."""
        ...

    async def keep(self, person_id: str, session_id: str, configuration: str) -> str:
        """Keep it in place of one with another configuration; returns the session that is kept now.

        The first writer of a configuration wins: if one with the same configuration is there, that one stays.
        """
        ...


class ConnectionStore(Protocol):
    """People's connections to accounts. Each method is one transaction."""

    async def of_person(self, person_id: str) -> list[Connection]:
        """All of the person (or of the one into whom they were merged), oldest first."""
        ...

    async def of_account(self, account_id: str) -> Connection | None: ...

    async def bar(
        self, connection: Connection, to: ConnectionStatus, *, remove: bool, notice: Notice | None = None
    ) -> Connection | None:
        """Bar it (expired, disconnected), if its status is still the given one's; as it is now. None: it was not.

        An attempt to connect it that is under way ends. `remove`: the vendor is to remove its account, which it may
        have come to only since it was read. What its person is told of it is kept with it.
        """
        ...

    async def to_remove(self, *, after: str = "", limit: int) -> Sequence[Connection]:
        """Barred connections whose accounts the vendor is still to remove, in the order of their ids, behind `after`.

        Nothing sealed is opened, so that a missing key leaves no account there: they have no name here.
        """
        ...

    async def mark_removed(self, connection_id: str) -> None:
        """The vendor has removed it."""
        ...
