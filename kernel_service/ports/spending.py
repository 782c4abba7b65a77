"""What requests to the model cost: the limits of a day, and what one may cost before anybody knows."""

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
    """Tokens of one request: what it is shown, what an answer to it takes as a rule, and what it takes at most."""

    input_tokens: int
    output_tokens: int = 0
    most_output_tokens: int = 0

    @property
    def most(self) -> int:
        return self.input_tokens + self.most_output_tokens


class BudgetSpentError(Exception):
    """The person has had their tokens of the day, or all people together theirs."""


class SpendingStore(Protocol):
    """What people have spent, by day. Times are epoch seconds; days are of UTC, counted from 1970-01-01."""

    async def reserve(
        self, person_id: str, estimate: Estimate, budgets: Budgets, *, anyway: bool = False, now: float
    ) -> str:
        """Count a request to the model before it is made; the id of the reservation, until a write settles it.

        BudgetSpentError; Busy while requests of others may spend what is left. `anyway`: neither of them.
        """
        ...

    async def spent_today(self, person_id: str | None, *, now: float) -> int:
        """Tokens of the UTC day, of one person or of all (None), with what is reserved for requests under way."""
        ...

    async def by_day(self, person_id: str | None, *, first: int, last: int) -> list[DayUsage]:
        """Of the days from `first` to `last` (since 1970-01-01, UTC) on which something was spent, oldest first."""
        ...
