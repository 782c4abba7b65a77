"""Output that cannot be written ends a command in one line or none, and doctor's exit code is not that of findings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

FULL = Path("/dev/full")

each_command = pytest.mark.parametrize(
    "command",
    [["doctor", "--only", "settings"], ["doctor", "--only", "settings", "--json"], ["--help"], ["doctor", "--help"]],
    ids=" ".join,
)


@each_command
@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_named_in_one_line(command: list[str], tmp_path: Path) -> None:
    with FULL.open("w") as full:
        done = run(command, full, tmp_path)
    assert done.stderr == "kernelctl: the output cannot be written: No space left on device\n"
    assert done.returncode == 2


@each_command
def test_a_closed_pipe_ends_it_without_a_word(command: list[str], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        done = run(command, pipe, tmp_path)
    assert (done.stderr, done.returncode) == ("", 141)


def run(command: list[str], stdout: IO[str], folder: Path) -> subprocess.CompletedProcess[str]:
    code = "from kernelctl.kernelctl import main; main()"
    (folder / ".env").touch()
    return subprocess.run(
        [sys.executable, "-c", code, *command],
        check=False,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )
