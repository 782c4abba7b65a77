"""The cost of model requests: daily limits, and estimates before the cost is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kernel_service.ports.admin import DayUsage


@dataclass(frozen=True, slots=True)
class Budgets:
    """Tokens of a UTC day: of all people together, and of each; 0: no limit."""

    all_people: int = 0
    per_person: int = 0

    def __bool__(self) -> bool:
        return bool(self.all_people or self.per_person)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Tokens of one request: its input, the typical output, and the most output."""

    input_tokens: int
    output_tokens: int = 0
    most_output_tokens: int = 0

    @property
    def most(self) -> int:
        return self.input_tokens + self.most_output_tokens


class BudgetSpentError(Exception):
    """The daily tokens of the person, or of all people together, are spent."""


class SpendingStore(Protocol):
    """The usage of people, by day. Times are epoch seconds; days are UTC, counted from 1970-01-01."""

    async def reserve(
        self, person_id: str, estimate: Estimate, budgets: Budgets, *, anyway: bool = False, now: float
    ) -> str:
        """Reserve a model request before it is made. Returns the id of the reservation, which a later write settles.

        BudgetSpentError; Busy while requests of others may spend the rest. `anyway`: none of them is raised. NotFound
        PERSON_NOT_FOUND.
        """
        ...

    async def spent_today(self, person_id: str | None, *, now: float) -> int:
        """Tokens of the UTC day, of one person or of all (None), including reservations of pending requests."""
        ...

    async def by_day(self, person_id: str | None, *, first: int, last: int) -> list[DayUsage]:
        """The days with usage from `first` to `last` (since 1970-01-01, UTC), oldest first."""
        ...
