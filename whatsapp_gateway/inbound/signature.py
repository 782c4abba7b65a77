"""Verifies that a webhook comes from WhatsApp."""

import hmac
from collections.abc import Iterable
from functools import lru_cache

_PREFIX = b"sha256="


def is_signed(raw: bytes, header: str | None, secrets: Iterable[bytes]) -> bool:
    """Whether X-Hub-Signature-256 is the HMAC-SHA256 of the body exactly as received, under any of the secrets.

    All secrets are tried, so that the time does not reveal which one matched. Compared as bytes: hmac.compare_digest
    raises an error for a non-ASCII str.
    """
    if not header:
        return False
    given = header.encode(errors="surrogateescape")
    matches = False
    for secret in secrets:
        code = _keyed(secret).copy()
        code.update(raw)
        matches |= hmac.compare_digest(_PREFIX + code.hexdigest().encode(), given)
    return matches


@lru_cache(maxsize=16)
def _keyed(secret: bytes) -> hmac.HMAC:
    """To copy its state costs less than half of a new one for each webhook."""
    return hmac.new(secret, digestmod="sha256")
