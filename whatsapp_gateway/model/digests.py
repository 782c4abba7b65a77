"""SHA-256 digests as WhatsApp writes them."""

import base64
import binascii
from typing import Any, Final

SHA256_BYTES: Final = 32


def read_sha256(text: Any) -> bytes:
    """The digest, which comes as base64 or as hex; empty if it is neither."""
    if not isinstance(text, str):
        return b""
    try:
        digest = bytes.fromhex(text) if len(text) == 2 * SHA256_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""
    return digest if len(digest) == SHA256_BYTES else b""
