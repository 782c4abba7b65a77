"""A vendor's hints on a tool: its toolkit, and the effect of a call."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    READS = "reads"
    CREATES = "creates"
    UPDATES = "updates"
    UNKNOWN = "unknown"
    """It may be destructive, its hints contradict each other or its name, or it has none."""


@dataclass(frozen=True, slots=True)
class Hints:
    """`toolkit` is the vendor's name for the toolkit, such as `asana`."""

    toolkit: str
    effect: Effect
