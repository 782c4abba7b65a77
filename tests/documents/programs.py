"""Programs of a page that this machine lacks, replaced by scripts."""

import os
from pathlib import Path


def path_with(folder: Path, **scripts: str) -> str:
    """A PATH on which each name is a shell script. A script's lines record or answer what the page asks for."""
    folder.mkdir(exist_ok=True)
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"
