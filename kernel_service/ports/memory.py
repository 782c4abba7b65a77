"""The port of what the assistant remembers about a person: a few facts, and where they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_FACTS: Final = 50
"""Of one person."""
MOST_FACT_CHARS: Final = 200


class FactLabel(StrEnum):
    """Of a labelled fact a person has one: a new one replaces it."""

    NONE = ""
    NAME = "name"
    LANGUAGE = "language"


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of text. `number`: the person's name for it. A later fact has a higher number."""

    number: int
    text: str = field(repr=False)
    label: FactLabel = FactLabel.NONE


@dataclass(frozen=True, slots=True)
class Memory:
    """All that is remembered about a person, the oldest fact first.

    `time_zone`: theirs, by its IANA name; empty: unknown. `said_zone`: they said it themselves.
    """

    facts: tuple[Fact, ...] = ()
    time_zone: str = field(default="", repr=False)
    said_zone: bool = False


@dataclass(frozen=True, slots=True)
class Recalled:
    """The model's input that shows it the facts. It holds no message of the person."""

    facts: tuple[Fact, ...]


class KeptAs(Enum):
    """The result of keeping a fact."""

    NEW = auto()
    REPLACED = auto()
    KNOWN = auto()
    """It was there before."""
    NOT_KEPT = auto()
    """There are MOST_FACTS."""


class MemoryStore(Protocol):
    """Each method is one transaction, answered after its commit. NotFound PERSON_NOT_FOUND: no such person."""

    async def of_person(self, person_id: str) -> Memory: ...

    async def remember(
        self, person_id: str, text: str, label: FactLabel = FactLabel.NONE, *, now: float
    ) -> tuple[KeptAs, int]:
        """Keep a fact. Returns the result and its number (0: NOT_KEPT). A repeat changes nothing.

        `text` is one line of at most MOST_FACT_CHARS characters.
        """
        ...

    async def forget(self, person_id: str, numbers: Sequence[int] | None) -> Sequence[Fact]:
        """Delete the facts of these numbers; None: all of them. Returns those that were there."""
        ...

    async def move_to(self, person_id: str, time_zone: str) -> None:
        """The person says that they are in this time zone. It counts until they say another; empty: forget it.

        Then the zone that a channel reports counts.
        """
        ...
