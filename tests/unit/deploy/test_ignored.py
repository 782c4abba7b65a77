"""Keys and people's data do not get into a repository by `git add`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PRIVATE = [
    *(".env", ".env.backup-20260101-120000", "secrets/openai_api_key"),
    *("var/keys.env", "var/kernel.db", "var/before/kernel.db", "backups/kernel.db", "backups/kernel.dump"),
]
"""The paths that the how-to guides tell people to create."""


@pytest.mark.parametrize("project", [".", "templates/bot"])
def test_private_files_are_ignored(project: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / project / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    command = ["git", "-C", str(tmp_path), "check-ignore", *PRIVATE, ".env.example"]
    ignored = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ignored.stdout.split() == PRIVATE
