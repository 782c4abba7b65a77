"""Files and folders that nobody else on the machine may read: private from their first moment, whatever the umask is.

What an earlier run or an operator left open is closed at start, where it is ours. Where it is not, as on a volume that
belongs to another user, a warning says so and the service starts.
"""

from __future__ import annotations

import logging
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def make_folder(folder: Path) -> None:
    """With those above it that are missing."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(FOLDER_MODE)
    except FileExistsError:
        if not folder.is_dir():  # else somebody was quicker
            raise


def make_file(file: Path) -> None:
    """An empty one, unless it is there."""
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))


def close_folder(folder: Path) -> None:
    """Unless it holds more than ours: the working folder or one above it, one where everybody may make files."""
    if _holds_more(folder):
        return
    _close(folder)


def close_file(file: Path) -> None:
    """One that is not there is no concern."""
    if file.exists():
        _close(file)


def _holds_more(folder: Path) -> bool:
    folder, here = folder.resolve(), folder.cwd()
    return folder == here or folder in here.parents or bool(folder.stat().st_mode & stat.S_ISVTX)


def _close(path: Path) -> None:
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    if not mode & _OTHERS:
        return
    if found.st_uid == os.geteuid() and _changed(path, mode & ~_OTHERS):
        log.info("%s was open to others on this machine (mode %04o); it is closed to them now", path, mode)
        return
    log.warning(
        "%s is open to others on this machine (mode %04o) and belongs to user %d: its owner should take these rights"
        " away (chmod go= %s)",
        path,
        mode,
        found.st_uid,
        path,
    )


def _changed(path: Path, mode: int) -> bool:
    try:
        path.chmod(mode)
    except OSError:  # a volume that keeps no modes, or is read-only
        return False
    return True
