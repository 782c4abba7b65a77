"""The keys that seal what is kept, and the store's port for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A master key by its id, and what it seals: people's data keys, the service's secrets, ids that await a person."""

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
        """The service starts without it, and everything is read."""
        return self.configured and not (self.current or self.rows)


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation has done so far: keys sealed with the current master key, values sealed for their places, people
    whose values all are; and keys and values that do not open, which stay as they are.
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
        """A secret key for one purpose, the same in every process on the database; 32 bytes."""
        ...

    async def use(self) -> tuple[list[KeyUse], int]:
        """The master keys, and the people some of whose values are not sealed for their places yet."""
        ...

    def rotate(self) -> AsyncGenerator[Rotated]:
        """Seal with the current master key what others have sealed, and for its place what is not. After each
        transaction: what was done so far. It may be cut anywhere, run again, and run twice at once.
        """
        ...

    async def seal_clear_ids(self) -> int:
        """Seal the message ids that an earlier release kept in clear, in small steps; how many rows were looked at."""
        ...
