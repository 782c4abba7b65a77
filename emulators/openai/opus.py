"""A real, tiny recording: silence of any length, as Opus in OGG. Sources: RFC 3533 (pages), RFC 7845 (Opus in OGG)."""

import math
import struct
from typing import Final

_SILENCE: Final = b"\xf8\xff\xfe"
"""A packet of 20 ms."""
_SAMPLES: Final = 960
"""Of a packet, at 48 kHz."""
_PACKETS_PER_SECOND: Final = 50
_POLYNOMIAL: Final = 0x04C11DB7
_MASK: Final = 0xFFFFFFFF
_TOP_BIT: Final = 0x80000000
_FIRST, _LAST = 2, 4


def silence(seconds: float, comment: str = "") -> bytes:
    """At least one packet. The comment is in the header."""
    packets = max(1, math.ceil(seconds * _PACKETS_PER_SECOND))
    pages = [_page(0, 0, _FIRST, [_head()]), _page(1, 0, 0, [_tags(comment)])]
    for start in range(0, packets, _PACKETS_PER_SECOND):
        count = min(_PACKETS_PER_SECOND, packets - start)
        flags = _LAST if start + count == packets else 0
        pages.append(_page(len(pages), (start + count) * _SAMPLES, flags, [_SILENCE] * count))
    return b"".join(pages)


def _head() -> bytes:
    version, channels, skipped, rate, gain, family = 1, 1, 0, 48_000, 0, 0
    return b"OpusHead" + struct.pack("<BBHIhB", version, channels, skipped, rate, gain, family)


def _tags(comment: str) -> bytes:
    vendor, comments = b"emulator", [f"COMMENT={comment}".encode()] if comment else []
    listed = b"".join(struct.pack("<I", len(each)) + each for each in comments)
    return b"OpusTags" + struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(comments)) + listed


def _page(number: int, granule: int, flags: int, packets: list[bytes]) -> bytes:
    lacing = b"".join(b"\xff" * (len(each) // 255) + bytes([len(each) % 255]) for each in packets)
    header = b"OggS" + struct.pack("<BBqIII", 0, flags, granule, 1, number, 0) + bytes([len(lacing)]) + lacing
    page = header + b"".join(packets)
    return page[:22] + struct.pack("<I", _checksum(page)) + page[26:]


def _checksum(data: bytes) -> int:
    total = 0
    for byte in data:
        total = ((total << 8) & _MASK) ^ _TABLE[(total >> 24) ^ byte]
    return total


def _row(byte: int) -> int:
    total = byte << 24
    for _ in range(8):
        total = ((total << 1) ^ (_POLYNOMIAL if total & _TOP_BIT else 0)) & _MASK
    return total


_TABLE: Final = tuple(map(_row, range(256)))
