"""Secrets that the operator need not choose."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Final

from serving.secret_files import file_setting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEY_BYTES: Final = 32


def _encryption_key() -> str:
    return f"key1:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


def _token() -> str:
    """Letters and digits alone, as PostgreSQL's password must be."""
    return secrets.token_hex(32)


CREATED: Final[Mapping[str, Callable[[], str]]] = {
    "KERNEL_ENCRYPTION_KEYS": _encryption_key,
    "KERNEL_TOKEN": _token,
    "KERNEL_ADMIN_TOKEN": _token,
    "POSTGRES_PASSWORD": _token,
    "WHATSAPP_VERIFY_TOKEN": _token,
}


def missing_secrets(values: Mapping[str, str], *, is_whatsapp_real: bool) -> dict[str, str]:
    """New ones for those that are neither set nor in a file. Emulated phones have a verify token."""
    return {
        name: make()
        for name, make in CREATED.items()
        if not (values.get(name) or values.get(file_setting(name)))
        and (is_whatsapp_real or name != "WHATSAPP_VERIFY_TOKEN")
    }
