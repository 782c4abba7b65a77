"""Tokens of leases: each begins with a mark of its instance, by which a later process recognises them."""

from __future__ import annotations

import hashlib
import secrets
from functools import lru_cache


def new_token(instance: str) -> str:
    return mark_of(instance) + secrets.token_urlsafe(18)


@lru_cache(maxsize=64)
def mark_of(instance: str) -> str:
    """The prefix of an instance's tokens."""
    return hashlib.sha256(instance.encode()).hexdigest()[:16] + "."
