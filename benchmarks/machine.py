"""The machine and the time of a measurement."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("grpcio", "aiohttp", "uvloop", "sqlalchemy", "openai")


@dataclass(frozen=True, slots=True)
class Machine:
    date: str
    commit: str
    cpu: str
    cores: int
    system: str
    python: str
    load: float
    database: str
    versions: str


def this_machine(database: str) -> Machine:
    return Machine(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        commit=_commit(),
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        system=platform.platform(terse=True),
        python=platform.python_version(),
        load=os.getloadavg()[0],
        database=database,
        versions=", ".join(f"{package} {version(package)}" for package in _PACKAGES),
    )


def _commit() -> str:
    """The commit that is measured, with a mark if the tree differs from it."""
    asked = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    return told.stdout.strip() or "no commit"


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
