"""A run whose output is lost ends in order: quietly with its terminal or pipe, in one line on a full disk."""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from tests.unit.local_run.services import SERVES, service

RUN = """
import asyncio, os, sys
from local_run.__main__ import _until_signalled
from local_run.plan import LocalRun, Service
from local_run.emulated_vendors import EMULATED_VENDORS
services = Service("serves", dict(os.environ), sys.argv[1]),
sys.exit(asyncio.run(_until_signalled(LocalRun(services, {}, EMULATED_VENDORS, "", ""))))
"""


@pytest.mark.slow
def test_a_closed_pipe_ends_it_without_a_word(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        done = run(pipe, tmp_path)
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_named_in_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = run(full, tmp_path)
    assert done.stderr == "The output cannot be written: No space left on device. Ending …\n"
    assert done.returncode == 2


def run(stdout: IO[str], folder: Path) -> subprocess.CompletedProcess[str]:
    serves = service(folder, "serves", SERVES)
    paths = os.pathsep.join([serves.environment["PYTHONPATH"], *sys.path])
    return subprocess.run(
        [sys.executable, "-c", RUN, serves.ready_url],
        check=False,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=serves.environment | {"PYTHONPATH": paths},
        timeout=60,
    )
