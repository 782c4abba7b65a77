"""A start that installs packages says so before it falls silent."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("target", [".venv/runtime", ".venv/development", ".venv/supply"])
def test_each_installation_is_announced(target: str) -> None:
    command = ["make", "--dry-run", "--always-make", "--no-print-directory", target]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    steps = [line for line in told if line.startswith("echo ") or "pip install" in line]
    assert steps[0].startswith("echo ")
    assert "pip" in steps[0]
    for before, step in pairwise(steps):
        is_next_lock = step.endswith(("-dev.txt", "-supply.txt"))
        assert not is_next_lock or before.startswith("echo ")
