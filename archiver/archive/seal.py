"""Bytes sealed, bytes opened. The format, version 1:

    01 | nonce, 12 random bytes | AES-256-GCM ciphertext and 16-byte tag

with one 32-byte key for each thread (or for each capture that is of no thread), and as associated data the JSON list
["archiver sealed 1", capture id, name], so that a blob opens only in its place. The `name` of a capture's header is
empty. A key encrypts far fewer than 2^32 blobs, so random nonces do not meet.
"""

from __future__ import annotations

import json
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_VERSION = b"\x01"
_NONCE_BYTES = 12


class SealBroken(Exception):
    """A blob is not what was sealed, or not for this key or place. Who opens it knows the file and says so."""


def new_key() -> bytes:
    """A fresh seal key."""
    return secrets.token_bytes(KEY_BYTES)


def seal(content: bytes, key: bytes, capture: str, name: str) -> bytes:
    """`content`, sealed for its place."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, content, _place(capture, name))


def unseal(blob: bytes, key: bytes, capture: str, name: str) -> bytes:
    """What was sealed. Raises SealBroken."""
    if blob[:1] != _VERSION:
        raise SealBroken("it has a format this version does not know")
    begin = 1 + _NONCE_BYTES
    try:
        return AESGCM(key).decrypt(blob[1:begin], blob[begin:], _place(capture, name))
    except (InvalidTag, ValueError):
        raise SealBroken("its seal is broken") from None


def _place(capture: str, name: str) -> bytes:
    return json.dumps(["archiver sealed 1", capture, name], separators=(",", ":")).encode()
