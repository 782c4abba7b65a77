"""Lines of JSON in compressed segments: appending costs what is appended, and old lines are compressed together.

A new segment absorbs the ones before it that are at most four times its size. So a history of n lines has about log(n)
segments, and each line is compressed about log(n) times. Small segments would compress badly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import zstandard

if TYPE_CHECKING:
    from collections.abc import Sequence

ABSORBED: Final = 4
MOST_BYTES: Final = 65_536
"""A segment of this size, uncompressed, is complete: larger ones hardly compress better."""

# Measured on 50 turns: level 6 saves 0.1 % of the memory for four times the time, level 15 6 % for 30 times the time.
_compressor: Final = zstandard.ZstdCompressor(level=3)
_decompressor: Final = zstandard.ZstdDecompressor()


def appended(segments: tuple[bytes, ...], lines: Sequence[bytes]) -> tuple[bytes, ...]:
    """The segments with these lines after theirs. A line has no line break, as orjson writes JSON."""
    if not lines:
        return segments
    plain = b"\n".join(lines)
    kept = len(segments)
    while kept and _size(segments[kept - 1]) <= min(ABSORBED * len(plain), MOST_BYTES):
        kept -= 1
        plain = unpacked(segments[kept]) + b"\n" + plain
    return *segments[:kept], packed(plain)


def packed(plain: bytes) -> bytes:
    """In a buffer of exactly its size.

    The compressor's own buffer has room for the worst case and is then cut. The part that is cut off is too small for
    the next such buffer: the memory of a process would grow to three times its segments.
    """
    return bytes(memoryview(_compressor.compress(plain)))


def lines_of(segments: Sequence[bytes]) -> list[bytes]:
    """All lines, oldest first."""
    return b"\n".join(map(unpacked, segments)).split(b"\n") if segments else []


def unpacked(segment: bytes) -> bytes:
    return _decompressor.decompress(segment)


def _size(segment: bytes) -> int:
    return zstandard.frame_content_size(segment)
