"""A small real picture, drawn from the prompt, so that an image answer can be decoded and shown."""

from __future__ import annotations

import hashlib
import struct
import zlib


def draw(prompt: str, side: int = 32) -> bytes:
    """A `side` x `side` RGB PNG: a gradient between two colours that the prompt decides."""
    seed = hashlib.sha256(prompt.encode()).digest()
    rows = b"".join(b"\0" + _row(seed, y, side) for y in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _row(seed: bytes, y: int, side: int) -> bytes:
    return bytes(
        (seed[c] * (2 * side - x - y) + seed[c + 3] * (x + y)) // (2 * side) for x in range(side) for c in range(3)
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
