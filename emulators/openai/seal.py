"""Opaque content (`encrypted_content`) that only the emulator can create. It is stateless, as at the vendor."""

import base64
import binascii
import hashlib
import hmac
from typing import Any

import orjson

from emulators.openai.errors import refused
from emulators.vendor import RefusedError


def unreadable(sealed: str) -> RefusedError:
    """The refusal of content that cannot be opened."""
    return refused(
        f"The encrypted content {sealed[:4]}...{sealed[-4:]} could not be verified. "
        "Reason: Encrypted content could not be decrypted or parsed.",
        code="invalid_encrypted_content",
    )


class Sealer:
    """Seals content with its person's id, so that a reasoning item in another person's request is detected."""

    def __init__(self, key: str) -> None:
        self._key = hashlib.sha256(key.encode()).digest()

    def seal(self, person: str, **content: Any) -> str:
        plain = orjson.dumps({"person": person, **content})
        return base64.urlsafe_b64encode(self._mark(plain) + plain).decode()

    def open(self, sealed: str) -> dict[str, Any]:
        """Raises RefusedError, in OpenAI's words, for what was not sealed here or was changed."""
        try:
            raw = base64.urlsafe_b64decode(sealed)
        except (binascii.Error, ValueError):
            raw = b""
        mark, plain = raw[:32], raw[32:]
        if not hmac.compare_digest(mark, self._mark(plain)):
            raise unreadable(sealed)
        content: dict[str, Any] = orjson.loads(plain)
        return content

    def _mark(self, plain: bytes) -> bytes:
        return hmac.new(self._key, plain, hashlib.sha256).digest()
