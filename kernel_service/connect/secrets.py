"""What cannot be guessed: nonces in addresses, browsers' cookies, codes. Only digests of them are looked up."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from kernel_service.kernels.codes import CODE_LETTERS

NONCE_BYTES: Final = 32


def new_nonce() -> str:
    """256 random bits, as URL-safe text of 43 characters."""
    return secrets.token_urlsafe(NONCE_BYTES)


def new_code() -> str:
    """About 34 random bits, as `BCDF-GHJK`: it lives for minutes, and five wrong ones end what it is for."""
    letters = "".join(secrets.choice(CODE_LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


def digest(secret: str) -> bytes:
    """SHA-256; of anything that a browser may bring as a secret."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
