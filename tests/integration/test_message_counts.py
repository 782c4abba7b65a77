"""The work that one answered message costs, by kind, so that a change that adds some is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import uvloop

from benchmarks import databases
from benchmarks.per_message import counts_per_message

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

COUNTS = {
    ("whatsapp_gateway", "tasks"): 9,
    ("whatsapp_gateway", "timers"): 2.8,
    ("kernel_service", "tasks"): 6,
    ("kernel_service", "timers"): 1.9,
    ("kernel_service", "units"): 6.2,
    ("kernel_service", "statements"): 24.2,
    ("kernel_service", "commits"): 5.2,
    ("kernel_service", "grpc_messages"): 10,
    ("vendors", "requests"): 3,
}
"""By process and name. A message that comes alone shares nothing, so it costs the most."""
TOLERANCE = 0.75
"""Less than one: what happens at most once a second is not the message's, and does not divide evenly."""


def test_a_message_costs_the_work_that_is_stated_here(tmp_path: Path) -> None:
    with databases.sqlite(tmp_path) as new_database:
        measured = uvloop.run(counts_per_message(tmp_path, new_database()))
    table = "\n".join(f"{process} {name}: {count:.1f}" for (process, name), count in sorted(measured.items()))

    differ = [
        f"{process} {name}"
        for (process, name), count in sorted(measured.items())
        if abs(count - COUNTS.get((process, name), 0)) > TOLERANCE
    ]

    assert not differ, f"update COUNTS, or repair what adds work: {differ}\n{table}"
