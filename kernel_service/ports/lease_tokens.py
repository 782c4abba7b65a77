"""Tokens of leases: each begins with the marks of the instance that got it and of the node that gave it.

A later process of the instance recognises its leases by the first mark, and the nodes recognise the leases of a dead
node by the second. A token of an earlier release has no mark of a node.
"""

from __future__ import annotations

import hashlib
import secrets
from functools import lru_cache
from typing import Final

MARK_LENGTH: Final = 16
NODE_MARK_START: Final = MARK_LENGTH + 1
"""The place of the node's mark, from 0."""


def new_token(instance: str, node: str) -> str:
    return f"{prefix_of(instance)}{mark_of(node)}.{secrets.token_urlsafe(18)}"


def prefix_of(instance: str) -> str:
    """The beginning of an instance's tokens."""
    return f"{mark_of(instance)}."


@lru_cache(maxsize=256)
def mark_of(name: str) -> str:
    """The mark of an instance, or of a node."""
    return hashlib.sha256(name.encode()).hexdigest()[:MARK_LENGTH]


def node_mark_in(token: str) -> str:
    """The mark of the node that gave the lease; some other text for a token of an earlier release."""
    return token[NODE_MARK_START : NODE_MARK_START + MARK_LENGTH]
