"""The machine and the time of a measurement."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("grpcio", "aiohttp", "uvloop", "sqlalchemy", "openai")


@dataclass(frozen=True, slots=True)
class Machine:
    date: str
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
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        system=platform.platform(terse=True),
        python=platform.python_version(),
        load=os.getloadavg()[0],
        database=database,
        versions=", ".join(f"{package} {version(package)}" for package in _PACKAGES),
    )


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
