"""The clock of demos and tests: all processes see a jump at once, and it never goes back."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from serving.emulated_clock import MOST_SECONDS, EmulatedClock
from tests.read_only import enterable, read_only

if TYPE_CHECKING:
    from pathlib import Path

NOON = 1_800_000_000.0
DAY = 86_400.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "var" / "clock"


def test_it_begins_at_the_real_time_and_follows_it(file: Path) -> None:
    real = [NOON]
    time = EmulatedClock(file).over(lambda: real[0])
    assert time() == NOON
    real[0] += 5
    assert time() == NOON + 5


def test_every_process_sees_a_jump_at_once(file: Path) -> None:
    clock, other = EmulatedClock(file), EmulatedClock(file).over(lambda: NOON)
    clock.advance(DAY)
    assert other() == NOON + DAY
    script = f"from pathlib import Path; from serving.emulated_clock import EmulatedClock; print(EmulatedClock(Path({str(file)!r})).ahead)"  # noqa: E501
    elsewhere = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(elsewhere.stdout) == DAY


def test_jumps_add_up_and_outlive_the_process(file: Path) -> None:
    EmulatedClock(file).advance(600)
    EmulatedClock(file).advance(0.5)
    assert EmulatedClock(file).ahead == 600.5


@pytest.mark.parametrize("seconds", [-1, -0.001, float("nan"), float("inf"), -float("inf"), MOST_SECONDS + 1])
def test_it_goes_neither_back_nor_out_of_range(file: Path, seconds: float) -> None:
    clock = EmulatedClock(file)
    clock.advance(60)
    with pytest.raises(ValueError, match=r"time only goes forward|days ahead"):
        clock.advance(seconds)
    assert clock.ahead == 60


@pytest.mark.parametrize("content", [b"SQLite format 3\0", b"\xff" * 8, b"x"])
def test_another_file_is_refused_and_kept(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(ValueError, match="not an emulated clock"):
        EmulatedClock(file)
    assert file.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_named(file: Path) -> None:
    file.parent.write_text("a file")
    with pytest.raises(ValueError, match=r"/var/clock cannot be used: It is no folder \(KERNEL_EMULATED_CLOCK\)"):
        EmulatedClock(file)


def test_a_read_only_folder_is_named_with_the_remedy() -> None:
    with enterable() as folder, read_only(folder):
        remedy = f"Let this user write to the folder {folder} and the files in it"
        with pytest.raises(ValueError, match=f"/clock cannot be used: Permission denied. {remedy}"):
            EmulatedClock(folder / "clock")


def test_the_file_is_its_owners_alone(file: Path) -> None:
    EmulatedClock(file)
    assert file.stat().st_mode & 0o777 == 0o600
