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
    ("whatsapp_gateway", "timers"): 2.5,
    ("kernel_service", "tasks"): 6,
    ("kernel_service", "timers"): 1.5,
    ("kernel_service", "units"): 5.6,
    ("kernel_service", "statements"): 22.8,
    ("kernel_service", "commits"): 4.6,
    ("kernel_service", "grpc_messages"): 10,
    ("vendors", "requests"): 3,
}
"""By process and name, on an idle machine. A message that comes alone shares nothing, so it costs the most."""
TOLERANCE = 0.75
"""Less than one: what happens at most once a second is not the message's, and does not divide evenly."""
GATHERED = {"units": 1, "commits": 2, "statements": 3, "timers": 1}
"""A busy machine gathers less or more: the opening commits alone and each report makes a call, or reports share one.

Tests of the store count the statements of each unit exactly (test_plain_messages, test_turn_statements,
test_reply_statements).
"""


def test_a_message_costs_the_work_that_is_stated_here(tmp_path: Path) -> None:
    with databases.sqlite(tmp_path) as new_database:
        measured = uvloop.run(counts_per_message(tmp_path, new_database()))
    table = "\n".join(f"{process} {name}: {count:.1f}" for (process, name), count in sorted(measured.items()))

    differ = [
        f"{process} {name}"
        for (process, name), count in sorted(measured.items())
        if abs(count - COUNTS.get((process, name), 0)) > TOLERANCE + GATHERED.get(name, 0)
    ]

    assert not differ, f"update COUNTS, or repair what adds work: {differ}\n{table}"
