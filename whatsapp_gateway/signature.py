"""Whether a webhook comes from WhatsApp."""

import hmac

_PREFIX = b"sha256="


def is_signed(raw: bytes, header: str | None, secret: bytes) -> bool:
    """Whether X-Hub-Signature-256 is the HMAC-SHA256 of the body exactly as received.

    Compared as bytes: hmac.compare_digest refuses a str with anything but ASCII in it.
    """
    if not header:
        return False
    expected = _PREFIX + hmac.digest(secret, raw, "sha256").hex().encode()
    return hmac.compare_digest(expected, header.encode(errors="surrogateescape"))
