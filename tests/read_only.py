"""A folder whose files can be read, and not written, also by tests that run as root."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOBODY = 65534


@contextmanager
def enterable() -> Iterator[Path]:
    """A new folder that other users may enter, unlike `tmp_path`."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@contextmanager
def read_only(folder: Path, *, whole: bool = True) -> Iterator[None]:
    """The files in the folder and, by default, the folder. This process is another user meanwhile if it is root."""
    was_root = os.geteuid() == 0
    for path in (*folder.iterdir(), folder):
        if was_root:
            os.chown(path, _NOBODY, _NOBODY)
        path.chmod(0o400 if path.is_file() else 0o500 if whole else 0o700)
    try:
        if was_root:
            os.seteuid(_NOBODY)
        yield
    finally:
        if was_root:
            os.seteuid(0)
        folder.chmod(0o700)
