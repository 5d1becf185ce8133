"""Captcha pictures: letters that a person can read, drawn without a drawing library."""

from __future__ import annotations

import random
import struct
import zlib

_GLYPHS = {
    "A": "01110 10001 10001 11111 10001 10001 10001",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "F": "11111 10000 10000 11110 10000 10000 10000",
    "H": "10001 10001 10001 11111 10001 10001 10001",
    "K": "10001 10010 10100 11000 10100 10010 10001",
    "M": "10001 11011 10101 10101 10001 10001 10001",
    "P": "11110 10001 10001 11110 10000 10000 10000",
    "R": "11110 10001 10001 11110 10100 10010 10001",
    "T": "11111 00100 00100 00100 00100 00100 00100",
    "X": "10001 10001 01010 00100 01010 10001 10001",
    "Y": "10001 10001 01010 00100 00100 00100 00100",
}
LETTERS = "".join(_GLYPHS)
_WIDTH, _HEIGHT, _DOT = 240, 80, 6  # pixels


def captcha(text: str) -> bytes:
    """A PNG of 240 by 80 pixels with these letters (of `LETTERS`, six at most), leaning, with a line through them."""
    rng = random.Random(text)
    rows = [bytearray(b"\xf4" * _WIDTH) for _ in range(_HEIGHT)]
    for place, letter in enumerate(text):
        left, top, lean = 12 + place * 37, 16 + rng.randint(-6, 6), rng.uniform(-0.18, 0.18)
        for y, line in enumerate(_GLYPHS[letter].split()):
            for x, ink in enumerate(line):
                if ink == "1":
                    for dy in range(_DOT):
                        start = left + x * _DOT + round(lean * (y * _DOT + dy))
                        rows[top + y * _DOT + dy][start : start + _DOT] = b"\x30" * _DOT
    for x in range(_WIDTH):
        rows[40 + round(x / 12) % 9][x] = 0x30
    raw = b"".join(b"\0" + bytes(row) for row in rows)
    header = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(raw)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
