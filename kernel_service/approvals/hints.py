"""What a vendor says of a tool: which toolkit it belongs to, and what a call does there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from kernel_service.approvals.words import CONTRADICTING, among, words_of_tool

if TYPE_CHECKING:
    from collections.abc import Collection


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

    @classmethod
    def of(cls, toolkit: str, name: str, tags: Collection[str]) -> Hints:
        """From a tool's name and Composio's tags (docs.composio.dev/docs/tool-tags), given on a best-effort basis."""
        effect = _effect_of(tags)
        first = next(iter(words_of_tool(name, toolkit)), "")
        contradicted = effect is Effect.READS and among(first, CONTRADICTING)
        return cls(toolkit, Effect.UNKNOWN if contradicted else effect)


_KINDS: Final = frozenset({"readOnlyHint", "createHint", "updateHint", "destructiveHint"})


def _effect_of(tags: Collection[str]) -> Effect:
    """A tool that creates and updates counts as one that updates.

    `openWorldHint` tells nothing: Composio also gives it to tools that list the person's own tasks.
    """
    kinds = _KINDS.intersection(tags)
    if kinds == {"readOnlyHint"}:
        return Effect.READS
    if kinds == {"createHint"}:
        return Effect.CREATES
    if kinds in ({"updateHint"}, {"createHint", "updateHint"}):
        return Effect.UPDATES
    return Effect.UNKNOWN
