"""Finds weaknesses of secrets. Each check returns a phrase that follows the secret's name, or "" for a good secret.

A phrase never quotes the secret.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from serving.demo import DEMO_KEY, PUBLISHED

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORTEST: Final = 16
"""The fewest characters of a token."""
_FEWEST_VALUES: Final = 5
"""Sixteen random hexadecimal digits have fewer distinct values once in two million times."""

_PUBLISHED: Final = "is published in this project's own files"


def published(secret: str) -> str:
    """Whether it is a secret of the demo or of an example."""
    return _PUBLISHED if secret.strip() in PUBLISHED else ""


def weak_token(token: str) -> str:
    """Whether it is published, short or easy to guess."""
    if weakness := published(token):
        return weakness
    if len(token.strip()) < SHORTEST:
        return f"has fewer than {SHORTEST} characters"
    return "follows a simple pattern" if _is_regular(token.strip().encode(errors="surrogatepass")) else ""


def weak_key(key: bytes) -> str:
    """Whether an encryption key is published or easy to guess."""
    if key == DEMO_KEY:
        return _PUBLISHED
    return "follows a simple pattern" if _is_regular(key) else ""


def _is_regular(values: Sequence[int]) -> bool:
    """Whether it has only a few distinct values, repeats a short part, or mostly counts up or down."""
    steps = [(after - before) % 256 for before, after in pairwise(values)]
    counted = 3 * max(map(steps.count, steps), default=0) > 2 * len(steps)
    periods = range(1, min(SHORTEST, len(values) // 2 + 1))
    repeated = any(values[period:] == values[:-period] for period in periods)
    return len(set(values)) < _FEWEST_VALUES or counted or repeated
