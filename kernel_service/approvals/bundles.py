"""The calls of one step in as few prompts as can show them: one for all, otherwise one for each half."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.approvals.prompt import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kernel_service.approvals.prompt import Shown
    from kernel_service.ports.approvals import Approval

Bundle = tuple[tuple["Approval", ...], "Shown | None"]
"""Calls, and their common prompt. None: it is a single call that no prompt can show."""


def bundles(approvals: Sequence[Approval]) -> Iterator[Bundle]:
    """The bundles in order. Each call is in one of them."""
    if not approvals:
        return
    together = shown(approvals)
    if together is not None or len(approvals) == 1:
        yield tuple(approvals), together
        return
    middle = len(approvals) // 2
    yield from bundles(approvals[:middle])
    yield from bundles(approvals[middle:])
