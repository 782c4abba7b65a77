"""The effect of a tool, as far as its vendor states it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernel_service.approvals.words import CONTRADICTING, among, words_of_tool
from kernel_service.ports.hints import Effect, Hints

if TYPE_CHECKING:
    from collections.abc import Collection

_KINDS: Final = frozenset({"readOnlyHint", "createHint", "updateHint", "destructiveHint"})


def hints_of(toolkit: str, name: str, tags: Collection[str]) -> Hints:
    """From a tool's name and Composio's tags (docs.composio.dev/docs/tool-tags), given on a best-effort basis."""
    effect = _effect_of(tags)
    first = next(iter(words_of_tool(name, toolkit)), "")
    contradicted = effect is Effect.READS and among(first, CONTRADICTING)
    return Hints(toolkit, Effect.UNKNOWN if contradicted else effect)


def _effect_of(tags: Collection[str]) -> Effect:
    """A tool that creates and updates counts as one that updates.

    `openWorldHint` is ignored: Composio also gives it to tools that list the person's own tasks.
    """
    kinds = _KINDS.intersection(tags)
    if kinds == {"readOnlyHint"}:
        return Effect.READS
    if kinds == {"createHint"}:
        return Effect.CREATES
    if kinds in ({"updateHint"}, {"createHint", "updateHint"}):
        return Effect.UPDATES
    return Effect.UNKNOWN
