"""The range of a numeric setting: a value beyond it would hang, overflow, or silently stop the service's work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, slots=True)
class Range:
    """The annotation of a number's type. `or_zero`: 0 is below it and allowed, since it means "no limit" or "never"."""

    least: float
    most: float
    or_zero: bool = False

    def __str__(self) -> str:
        return f"from {self.least:,} to {self.most:,}{', or 0' if self.or_zero else ''}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self.checked, handler(source))

    def checked(self, value: _Number) -> _Number:
        """The value. Raises a ValueError whose text follows the setting's name."""
        if self.least <= value <= self.most or (self.or_zero and value == 0):  # never for NaN
            return value
        raise ValueError(f"must be {self}")
