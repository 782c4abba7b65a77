"""The names in .env and the environment that no program reads, as misspelt ones, found by `kernelctl doctor`."""

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from local_run.plan import OURS

_CHECK = ("doctor", "--only", "settings.names", "--json")


async def unknown_names(directory: Path, environ: Mapping[str, str]) -> list[str]:
    """A line for each of them. It takes a second, unless nothing is set."""
    if not (directory / ".env").exists() and not any(name.startswith(OURS) for name in environ):
        return []
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kernelctl", *_CHECK),
        cwd=directory,
        env=dict(environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        process_group=0,
    )
    try:
        told, _ = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    return _findings(told)


def _findings(told: bytes) -> list[str]:
    """None if the check could not run: the services say why when they start."""
    try:
        checks = json.loads(told)["checks"]
    except ValueError:
        return []
    results = [result for check in checks for result in check["results"] if result["status"] == "warning"]
    return [f"{result['text']}: it has no effect. {result['fix']}" for result in results]
