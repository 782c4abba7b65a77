"""Compressed bodies that are small until they are decompressed, and the headers that announce them."""

from __future__ import annotations

import gzip

MIB = 1024 * 1024
BOMB = gzip.compress(bytes(64 * MIB))
"""64 kB; 64 MB once it is decompressed."""

PACKED = {
    "gzip": {"Content-Encoding": "gzip"},
    "upper case": {"Content-Encoding": "GZIP"},
    "x-gzip": {"Content-Encoding": "x-gzip"},
    "deflate": {"Content-Encoding": "deflate"},
    "brotli": {"Content-Encoding": "br"},
    "zstd": {"Content-Encoding": "zstd"},
    "several": {"Content-Encoding": "gzip, gzip"},
    "behind identity": {"Content-Encoding": "identity, gzip"},
    "unknown": {"Content-Encoding": "aes128gcm"},
    "spaces": {"Content-Encoding": "  gzip "},
}
