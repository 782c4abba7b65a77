"""The keys of local runs in one directory: created once, kept next to the database, private to the user."""

import base64
import os
import secrets
from pathlib import Path
from tempfile import TemporaryFile

from local_run.env_files import settings_in
from serving.private_files import close_file, close_folder, make_folder

NAMES = ("KERNEL_ENCRYPTION_KEYS", "KERNEL_TOKEN", "KERNEL_ADMIN_TOKEN")


def local_keys(file: Path) -> dict[str, str]:
    """The encryption key, the gateway's token and the admin token. Creates the file if it is missing.

    Raises OSError, and ValueError for a file that is no text, or whose lines are not all settings.
    """
    make_folder(file.parent)
    close_folder(file.parent)
    close_file(file)
    if not file.exists():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
            written.write(_new_keys())
    return settings_in(file)


def unwritable(folder: Path) -> str:
    """The reason why the run cannot keep its data in its folder, with the remedy; empty: it can."""
    try:
        with TemporaryFile(dir=folder):
            pass
        for file in filter(Path.is_file, folder.iterdir()):
            os.close(os.open(file, os.O_RDWR | os.O_CLOEXEC))
    except OSError as problem:
        return (
            f"The folder {folder.absolute()}, or a file in it, cannot be written: {problem.strerror}. The local run"
            " keeps its keys and its database there. Let this user write to all of it, or start the run elsewhere."
        )
    return ""


def _new_keys() -> str:
    return (
        "# Created by the local run. The database in this directory is unreadable without this file.\n"
        f"KERNEL_ENCRYPTION_KEYS=local1:{base64.b64encode(secrets.token_bytes(32)).decode()}\n"
        f"KERNEL_TOKEN={secrets.token_urlsafe(32)}\n"
        f"KERNEL_ADMIN_TOKEN={secrets.token_urlsafe(32)}\n"
    )
