"""The worst values that vendors, tools and people may send."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

ODD_TEXT = st.text(st.one_of(st.characters(codec=None), st.sampled_from("\0\ud83d\ude00\udfff\ufffe\u202e😀")))
"""Texts with NUL, unpaired surrogates in any order, and code points that are not characters."""

JSON_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**400]),
        st.floats(),
        ODD_TEXT,
    ),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(ODD_TEXT, values, max_size=4),
    max_leaves=12,
)


def nested(levels: int) -> list[Any]:
    """Lists nested to this many levels."""
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value
