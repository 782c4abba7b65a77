"""SHA-256 digests in WhatsApp's formats."""

import base64
import binascii
from typing import Any, Final

SHA256_BYTES: Final = 32


def read_sha256(text: Any) -> bytes:
    """The digest, given as base64 or hex; empty if it is neither."""
    if not isinstance(text, str):
        return b""
    try:
        digest = bytes.fromhex(text) if len(text) == 2 * SHA256_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""
    return digest if len(digest) == SHA256_BYTES else b""
