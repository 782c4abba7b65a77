"""Unguessable tokens: nonces in addresses, browsers' cookies, codes. Only their digests are stored and looked up."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

from kernel_service.inbox.codes import CODE_LETTERS

NONCE_BYTES: Final = 32
_MAC_BYTES: Final = 8


def new_nonce() -> str:
    """256 random bits, as URL-safe text of 43 characters."""
    return secrets.token_urlsafe(NONCE_BYTES)


class Nonces:
    """Nonces of our links: 192 random bits, and a MAC of 64 bits that is checked before anything is looked up.

    The MAC authorizes nothing: it makes a flood of forged links cheap to refuse. `key` is any secret.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def new(self) -> str:
        """As new_nonce() gives them: URL-safe text of 43 characters."""
        random = secrets.token_bytes(NONCE_BYTES - _MAC_BYTES)
        return base64.urlsafe_b64encode(random + self._mac(random)).decode().rstrip("=")

    def is_ours(self, nonce: bytes) -> bool:
        """Also False for a nonce of an earlier release."""
        try:
            given = base64.b64decode(nonce + b"=", altchars=b"-_", validate=True)
        except ValueError:
            return False
        random, mac = given[:-_MAC_BYTES], given[-_MAC_BYTES:]
        return len(given) == NONCE_BYTES and hmac.compare_digest(mac, self._mac(random))

    def _mac(self, random: bytes) -> bytes:
        return hmac.digest(self._key, random, hashlib.sha256)[:_MAC_BYTES]


def new_code() -> str:
    """About 34 random bits, as `BCDF-GHJK`. It is valid for some minutes, and five wrong codes end the attempt."""
    letters = "".join(secrets.choice(CODE_LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


def digest(secret: str) -> bytes:
    """SHA-256; accepts any text that a browser may send as a secret."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
