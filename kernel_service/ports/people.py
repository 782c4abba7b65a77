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
    """The result of a link: the person, who was merged into them, and from whom they are kept apart (empty: none).

    `is_new` is False for a repeated event. `then`: the results of earlier events on changes of the new id.
    """

    outcome: LinkOutcome
    person_id: str = ""
    merged_id: str = ""
    other_id: str = ""
    is_new: bool = True
    then: tuple[Linked, ...] = ()


class PeopleStore(Protocol):
    """People, and the ids that channels know them by. Each method is one transaction; times are epoch seconds."""

    async def person_of(self, user_id: str, *, now: float) -> str | None:
        """The person whom this id resolves to by itself, as in a message that carries no other id.

        Conflict IDENTITY_CONFLICT: it belongs to different people in different scopes.
        """
        ...

    async def last_person_of(self, user_id: str) -> str | None:
        """The last person with this id, even if it no longer resolves to them. For operators."""
        ...

    async def channels_of(self, person_id: str) -> list[str]:
        """The channels that know the person, sorted. Also of a person whose values do not open."""
        ...

    async def ids_in(self, person_id: str, channel: str) -> list[Alias]:
        """The current ids of the person in the channel: strong ones first, the newest last."""
        ...

    async def surviving(self, person_id: str) -> str:
        """The person, or the one into whom they were merged. NotFound PERSON_NOT_FOUND."""
        ...


class MergingStore(Protocol):
    """Changed ids, and people who are merged. Like PeopleStore otherwise."""

    async def link(self, previous: Alias, current: Alias, *, now: float) -> Linked:
        """Note that the previous id became the current one, both of one channel (people.linking). Idempotent.

        Earlier events on changes of the current id, which did not match then, are applied in the same transaction.
        A merge ends both leases: kernels of either person can no longer write.
        """
        ...

    async def merge(self, one_id: str, other_id: str, *, now: float) -> Linked:
        """Merge the newer of two people into the older, connections too. NotFound PERSON_NOT_FOUND."""
        ...

    async def kept_apart_from(self, person_id: str) -> list[str]:
        """The people whom a channel reports to be the same person, although both have connections."""
        ...

    async def kept_apart_pairs(self) -> int:
        """The number of such pairs that wait for an operator."""
        ...
