"""Files and folders that no other user of the machine may read, from their creation and under any umask.

A path that an earlier run or an operator left open is closed at start, if it belongs to this user. If it does not, as
on a volume of another user, the service logs a warning and starts.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
_READ_ONLY: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def make_folder(folder: Path) -> None:
    """Create it, with any missing parents. Raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(FOLDER_MODE)
    except FileExistsError:
        if not folder.is_dir():  # another process may have created it first
            raise FileExistsError(errno.EEXIST, "It is no folder", str(folder)) from None


def make_file(file: Path) -> None:
    """Create an empty file unless it exists."""
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))


def why_unusable(file: Path, problem: OSError) -> str:
    """The reason why a file cannot be created or opened for writing and, of a read-only folder, the remedy."""
    reason = f"{file} cannot be used: {problem.strerror}"
    if problem.errno not in _READ_ONLY:
        return reason
    return f"{reason}. Let this user write to the folder {file.parent.absolute()} and the files in it"


def close_folder(folder: Path) -> None:
    """Close it unless it may hold other files: the working folder, a parent of it, or a folder with the sticky bit."""
    if _holds_more(folder):
        return
    _close(folder)


def close_file(file: Path) -> None:
    """Close it if it exists."""
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
        "%s is open to others on this machine (mode %04o) and belongs to user %d: its owner should remove these rights"
        " (chmod go= %s)",
        path,
        mode,
        found.st_uid,
        path,
    )


def _changed(path: Path, mode: int) -> bool:
    try:
        path.chmod(mode)
    except OSError:  # a volume without modes, or a read-only one
        return False
    return True
