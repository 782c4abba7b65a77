"""Output that cannot be written ends a command with one line, and doctor's exit code is not that of findings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@pytest.mark.parametrize(
    "command",
    [["doctor", "--only", "settings"], ["doctor", "--only", "settings", "--json"], ["--help"]],
    ids=" ".join,
)
def test_a_full_disk_is_named_in_one_line(command: list[str], tmp_path: Path) -> None:
    code = "from kernelctl.kernelctl import main; main()"
    (tmp_path / ".env").touch()
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, *command],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
    assert done.stderr == "kernelctl: the output cannot be written: No space left on device\n"
    assert done.returncode == 2
