"""Lines of JSON in compressed segments: appending costs what is appended, and old lines are compressed together.

A new segment absorbs the ones before it that are at most twice its size, so a history of n lines has about log(n)
segments and each line is compressed about log(n) times. Small segments would compress badly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import zstandard

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_BYTES: Final = 65_536
"""A segment of this size, uncompressed, is complete: larger ones hardly compress better."""

# Measured on real conversations: level 3 shrinks 37 KB to 9 KB in 0.3 ms; higher levels cost more than they save.
_compressor: Final = zstandard.ZstdCompressor(level=3)
_decompressor: Final = zstandard.ZstdDecompressor()


def appended(segments: tuple[bytes, ...], lines: Sequence[bytes]) -> tuple[bytes, ...]:
    """The segments with these lines after theirs. A line has no line break, as orjson writes JSON."""
    if not lines:
        return segments
    plain = b"\n".join(lines)
    kept = len(segments)
    while kept and _size(segments[kept - 1]) <= min(2 * len(plain), MOST_BYTES):
        kept -= 1
        plain = _unpacked(segments[kept]) + b"\n" + plain
    return *segments[:kept], _compressor.compress(plain)


def lines_of(segments: Sequence[bytes]) -> list[bytes]:
    """All lines, oldest first."""
    return b"\n".join(map(_unpacked, segments)).split(b"\n") if segments else []


def _unpacked(segment: bytes) -> bytes:
    return _decompressor.decompress(segment)


def _size(segment: bytes) -> int:
    return zstandard.frame_content_size(segment)
