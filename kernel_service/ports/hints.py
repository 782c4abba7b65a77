"""What a vendor says of a tool: which toolkit it belongs to, and what a call does there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    READS = "reads"
    CREATES = "creates"
    UPDATES = "updates"
    UNKNOWN = "unknown"
    """It may destroy something, its hints contradict each other or its name, or it has none."""


@dataclass(frozen=True, slots=True)
class Hints:
    """`toolkit` is the vendor's name of it, as `asana`."""

    toolkit: str
    effect: Effect
