"""Durations by labels, with the outcome of a block."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kernel_service.rate_limits.wait_histogram import Latencies

if TYPE_CHECKING:
    from collections.abc import Callable


def failing(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("block", "outcome"),
    [
        (lambda: None, "OK"),
        (failing(ValueError()), "ValueError"),
        (failing(asyncio.CancelledError()), "cancelled"),
    ],
)
def test_the_outcome_of_a_block_is_a_label(block: Callable[[], None], outcome: str) -> None:
    latencies = Latencies()
    for _ in range(2):
        try:
            with latencies.timed("GetKernel", "OK", lambda error: type(error).__name__):
                block()
        except (ValueError, asyncio.CancelledError):
            pass
    assert latencies.keys() == {("GetKernel", outcome)}
    assert latencies["GetKernel", outcome].cumulative()[-1] == ("+Inf", 2)
