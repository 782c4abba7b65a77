"""What makes a secret no secret: a phrase that follows the secret's name and never quotes it, or "" for a good one."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from serving.demo import DEMO_KEY, PUBLISHED

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORTEST: Final = 16
"""Characters of a token."""
_FEWEST_VALUES: Final = 5
"""Of 16 random hexadecimal digits fewer are different once in two million times."""

_PUBLISHED: Final = "stands in this project's own files, where everybody can read it"


def published(secret: str) -> str:
    """Whether it is one of the demo or of an example."""
    return _PUBLISHED if secret.strip() in PUBLISHED else ""


def weak_token(token: str) -> str:
    """Whether somebody may guess it, or know it already."""
    if weakness := published(token):
        return weakness
    if len(token.strip()) < SHORTEST:
        return f"has fewer than {SHORTEST} characters"
    return "follows a simple pattern" if _is_regular(token.strip().encode(errors="surrogatepass")) else ""


def weak_key(key: bytes) -> str:
    """The same of an encryption key's bytes."""
    if key == DEMO_KEY:
        return _PUBLISHED
    return "follows a simple pattern" if _is_regular(key) else ""


def _is_regular(values: Sequence[int]) -> bool:
    """A few values, a short part again and again, or most of it counted up or down."""
    steps = [(after - before) % 256 for before, after in pairwise(values)]
    counted = 3 * max(map(steps.count, steps), default=0) > 2 * len(steps)
    periods = range(1, min(SHORTEST, len(values) // 2 + 1))
    repeated = any(values[period:] == values[:-period] for period in periods)
    return len(set(values)) < _FEWEST_VALUES or counted or repeated
