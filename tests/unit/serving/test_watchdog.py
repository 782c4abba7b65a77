"""A hanging loop ends its process. The log names the places of its threads, without any values."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from serving.beats import HUNG
from serving.watchdog import watched

if TYPE_CHECKING:
    from pathlib import Path

SPINS = """
import asyncio, logging, time
from serving.watchdog import watched

def answer_a_person(words):
    while True:
        time.sleep(0.01)

async def main():
    async with watched({seconds}):
        print("ready", flush=True)
        await asyncio.sleep(0)
        answer_a_person("private words")

logging.basicConfig()
asyncio.run(main())
"""


def test_a_loop_that_hangs_ends_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", SPINS.format(seconds=2)], check=False, capture_output=True, text=True)
    assert ended.returncode == HUNG
    assert "the event loop has not run for 2 s" in ended.stderr
    assert "in answer_a_person" in ended.stderr
    assert "private words" not in ended.stderr


def test_an_unwatched_loop_is_left_alone() -> None:
    process = subprocess.Popen([sys.executable, "-c", SPINS.format(seconds=0)], stdout=subprocess.PIPE)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(4)
    process.kill()
    process.communicate()


async def test_a_running_loop_continues_and_the_watch_ends_with_the_block() -> None:
    ended: list[float] = []
    async with watched(1.5, ended.append):
        for _ in range(30):
            await asyncio.sleep(0.1)
    assert ended == []


async def test_a_supervisor_gets_heartbeats_and_the_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        async with watched(10):
            told = await asyncio.get_running_loop().sock_recv(supervisor, 100)
    assert told == b"WATCHDOG=1\nWATCHDOG_USEC=10000000"


async def test_a_missing_supervisor_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    async with watched(10):
        await asyncio.sleep(0)


MODULE = """
import asyncio, os, signal, sys, time
from serving.watchdog import watched

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with watched(2):
        await asyncio.sleep(0)
        print("pid", os.getpid(), flush=True)
        {body}

asyncio.run(main())
{after}
"""


class Supervised:
    """A module of the test, run under `serving.supervise`."""

    def __init__(self, folder: Path, body: str, after: str = "") -> None:
        (folder / "supervised.py").write_text(MODULE.format(body=body, after=after))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "serving.supervise", "supervised"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.pid = int(self.process.stdout.readline().split()[1])

    def ended(self) -> tuple[int, str]:
        _, told = self.process.communicate(timeout=60)
        return self.process.returncode, told


def test_a_stopped_process_is_killed(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, "await stop.wait()")
    os.kill(supervised.pid, signal.SIGSTOP)
    code, told = supervised.ended()
    assert code == HUNG
    assert "supervise: supervised has not run for 2 s and is killed" in told
    with pytest.raises(ProcessLookupError):
        os.kill(supervised.pid, 0)


def test_sigterm_is_passed_on_and_the_exit_code_returned(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, "await stop.wait()", "sys.exit(3)")
    supervised.process.terminate()
    assert supervised.ended() == (3, "")


def test_death_by_signal_gives_the_exit_code_of_a_shell(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, "await stop.wait()")
    os.kill(supervised.pid, signal.SIGKILL)
    assert supervised.ended() == (128 + signal.SIGKILL, "")


def test_a_process_that_holds_the_interpreter_lock_is_killed_with_a_traceback(tmp_path: Path) -> None:
    # PyDLL holds the interpreter's lock, so no thread of the process can check anything.
    supervised = Supervised(tmp_path, "import ctypes; ctypes.PyDLL(None).sleep(600)")
    code, told = supervised.ended()
    assert code == HUNG
    assert "in main" in told


def test_a_supervisor_without_a_module_prints_its_usage() -> None:
    told = subprocess.run([sys.executable, "-m", "serving.supervise"], check=False, capture_output=True, text=True)
    assert told.returncode == 2
    assert "python -m serving.supervise MODULE" in told.stderr
