"""A command of a page, run as in a reader's terminal."""

import subprocess
from collections.abc import Mapping
from pathlib import Path


def printed(command: str, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """The output of a command that ends with success."""
    shell = ["sh", "-ec", command]
    done = subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
