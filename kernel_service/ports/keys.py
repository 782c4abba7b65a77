"""The keys that seal stored values, and the store's port for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A master key by id, and counts of what it seals: people's data keys, service secrets, ids that await a person."""

    key_id: str
    current: bool
    configured: bool
    people: int
    secrets: int
    awaiting: int

    @property
    def rows(self) -> int:
        return self.people + self.secrets + self.awaiting

    @property
    def removable(self) -> bool:
        """Whether the service can start without it and read everything."""
        return self.configured and not (self.current or self.rows)


@dataclass(frozen=True, slots=True)
class Rotated:
    """The progress of a rotation.

    Counted are keys sealed with the current master key, values sealed for their places, and people whose values are all
    sealed for their places. Keys and values that do not open are counted and stay unchanged.
    """

    keys: int = 0
    values: int = 0
    people: int = 0
    unreadable: int = 0

    def __add__(self, more: Rotated) -> Rotated:
        return Rotated(
            self.keys + more.keys,
            self.values + more.values,
            self.people + more.people,
            self.unreadable + more.unreadable,
        )


class KeyStore(Protocol):
    async def secret_for(self, purpose: str) -> bytes:
        """A secret key for one purpose, 32 bytes, the same in every process that uses the database."""
        ...

    async def use(self) -> tuple[list[KeyUse], int]:
        """The master keys, and the number of people with values that are not sealed for their places yet."""
        ...

    def rotate(self) -> AsyncGenerator[Rotated]:
        """Reseal with the current master key the values of other keys, and seal each value for its place.

        Yields the progress after each transaction. It can be interrupted, repeated, and run twice at once.
        """
        ...

    def forget_opened(self) -> None:
        """Read people's keys again soon, because another node has rotated them."""
        ...

    async def seal_clear_ids(self) -> int:
        """Seal message ids that an earlier release stored in clear, in small steps. Returns the rows visited."""
        ...
