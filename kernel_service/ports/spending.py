"""What requests to the model cost: the limits of a day, and what one may cost before anybody knows."""

from __future__ import annotations

from dataclasses import dataclass


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
