"""Master keys by their ids."""

from __future__ import annotations

import base64

from kernel_service.storage.sealing.ciphers import MasterKeys


def keys(*ids: str) -> MasterKeys:
    return MasterKeys.parse(key_setting(*ids))


def key_setting(*ids: str) -> str:
    """A value of KERNEL_ENCRYPTION_KEYS."""
    return ",".join(f"{name}:{base64.b64encode(name.encode().ljust(32)).decode()}" for name in ids)
