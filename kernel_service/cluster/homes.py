"""Rendezvous hashing: every node computes the same home for a person, and a node that leaves moves only its own people.

Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (1998): the node with the highest hash of
(node, person) is the home.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def home_of(person_id: str, node_ids: Sequence[str]) -> str:
    """`node_ids` must not be empty; their order does not matter."""
    return max(node_ids, key=lambda node_id: (_weight(node_id, person_id), node_id))


def _weight(node_id: str, person_id: str) -> bytes:
    return blake2b(person_id.encode(), key=node_id.encode()[:64], digest_size=8).digest()
