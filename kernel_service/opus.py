"""Opus in OGG, as WhatsApp's voice messages have it. Sources: RFC 3533 (pages), RFC 7845 (Opus in OGG)."""

from __future__ import annotations

from typing import Final

_PAGE: Final = b"OggS"
_HEAD: Final = b"OpusHead"
_HEAD_WITHIN: Final = 64
"""The first page holds the head and nothing else."""
_GRANULE: Final = slice(6, 14)
_RATE: Final = 48_000
"""The position of a page counts samples at this rate, whatever the rate of the recording."""
_LONGEST_SECONDS: Final = 86_400


def is_opus(data: bytes) -> bool:
    return data.startswith(_PAGE) and _HEAD in data[:_HEAD_WITHIN]


def seconds_of(data: bytes) -> float:
    """The length of a recording, by the position of its last page; 0: unknown."""
    start = data.rfind(_PAGE)
    granule = int.from_bytes(data[start:][_GRANULE], "little", signed=True) if start >= 0 else 0
    seconds = granule / _RATE
    return seconds if 0 < seconds < _LONGEST_SECONDS else 0.0
