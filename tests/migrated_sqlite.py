"""Stores on a migrated SQLite file. The schema is migrated once in a process, and each test gets a copy of the file."""

from __future__ import annotations

import base64
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.sealing.ciphers import MasterKeys

if TYPE_CHECKING:
    from kernel_service.storage.store import Store

KEYS = f"k1:{base64.b64encode(b'the master key of the tests'.ljust(32)).decode()}"

_folder = tempfile.TemporaryDirectory(prefix="migrated-")
_templates: dict[str, Path] = {}


async def copy_migrated(path: Path, keys: str = KEYS) -> None:
    """Create an empty database there. Its data keys are sealed with `keys`, in the form of KERNEL_ENCRYPTION_KEYS."""
    template = _templates.get(keys)
    if template is None:
        template = Path(_folder.name) / f"{len(_templates)}.db"
        store = await open_store(f"sqlite:///{template}", MasterKeys.parse(keys))
        await store.close()
        _templates[keys] = template
    shutil.copy(template, path)


async def open_migrated(folder: Path, keys: str = KEYS) -> Store:
    """A new store in this folder. The caller closes it."""
    await copy_migrated(folder / "kernel.db", keys)
    return await open_store(f"sqlite:///{folder}/kernel.db", MasterKeys.parse(keys))
