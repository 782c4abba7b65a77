"""The calls of one step as few questions as can show them: all in one, else halves of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.approvals.prompt import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kernel_service.approvals.prompt import Shown
    from kernel_service.ports.approvals import Approval

Bundle = tuple[tuple["Approval", ...], "Shown | None"]
"""Calls, and what shows them together. None: there is but one, and no message shows it."""


def bundles(approvals: Sequence[Approval]) -> Iterator[Bundle]:
    """In order. Each call is in one of them."""
    if not approvals:
        return
    together = shown(approvals)
    if together is not None or len(approvals) == 1:
        yield tuple(approvals), together
        return
    middle = len(approvals) // 2
    yield from bundles(approvals[:middle])
    yield from bundles(approvals[middle:])
