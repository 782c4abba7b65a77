"""People and the ids that channels know them by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kernel_service.ports.messages import Alias


class LinkOutcome(StrEnum):
    LINKED = "linked"
    MERGED = "merged"
    KEPT_APART = "kept_apart"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Linked:
    """What was done: for whom, who was merged into them, and with whom they are kept apart (empty: nobody).

    `news` is False if the same was told before. `then`: what followed, of changes of the new id told earlier.
    """

    outcome: LinkOutcome
    person_id: str = ""
    merged_id: str = ""
    other_id: str = ""
    news: bool = True
    then: tuple[Linked, ...] = ()


class PeopleStore(Protocol):
    """People, and the ids that channels know them by. Each method is one transaction; times are epoch seconds."""

    async def person_of(self, user_id: str, *, now: float) -> str | None:
        """The person whom this id finds if a channel gives it by itself, as a message that bears no other would.

        Conflict IDENTITY_CONFLICT: different people's in different scopes.
        """
        ...

    async def bearer_of(self, user_id: str) -> str | None:
        """Who bore this id last, even if it finds nobody any more. For operators."""
        ...

    async def aliases_of(self, person_id: str) -> list[Alias]:
        """Strong ones first, then in the order in which they came."""
        ...

    async def ids_in(self, person_id: str, channel: str) -> list[Alias]:
        """By which ids the channel knows them now: strong ones first, the newest last."""
        ...

    async def surviving(self, person_id: str) -> str:
        """The person, or the one into whom they were merged. NotFound PERSON_NOT_FOUND."""
        ...

    async def keep_time_zone(self, person_id: str, name: str) -> None:
        """The person's time zone from now on, by its IANA name."""
        ...


class MergingStore(Protocol):
    """Ids that changed, and people who turn out to be one. As in PeopleStore."""

    async def link(self, previous: Alias, current: Alias, *, now: float) -> Linked:
        """Note that the previous id became the current one, both of one channel (people.linking). Idempotent.

        Changes of the current id that were told too early are made up for in the same transaction.
        A merging takes both leases away: what runs for either writes no more.
        """
        ...

    async def merge(self, one_id: str, other_id: str, *, now: float) -> Linked:
        """Merge the newer of two people into the older, connections too. NotFound PERSON_NOT_FOUND."""
        ...

    async def kept_apart_from(self, person_id: str) -> list[str]:
        """The people whom a channel takes for the same as this one, while both have connections."""
        ...

    async def kept_apart_pairs(self) -> int:
        """How many such pairs wait for an operator."""
        ...
