"""One-time codes as an authenticator app and its verifier make them: RFC 6238, SHA-1, six digits, 30 seconds.

The only place of the stand-in that reads the real clock: the archiver's codes come from the real clock too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
import time

STEP = 30  # seconds


def code_at(secret: str, seconds: float) -> str:
    """The code of the step that contains `seconds` since the epoch."""
    return _code(secret, int(seconds) // STEP)


def _code(secret: str, step: int) -> str:
    key = base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True)
    digest = hmac.new(key, struct.pack(">Q", step), hashlib.sha1).digest()
    place = digest[-1] & 0x0F
    return f"{(struct.unpack_from('>I', digest, place)[0] & 0x7FFFFFFF) % 1_000_000:06d}"


class Verifier:
    """Accepts the code of this step or a neighbouring one, and each step's code only once (RFC 6238, 5.2)."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._spent: set[int] = set()

    def accepts(self, code: str, seconds: float | None = None) -> bool:
        this = int(time.time() if seconds is None else seconds) // STEP
        for step in (this, this - 1, this + 1):
            if step not in self._spent and hmac.compare_digest(
                _code(self._secret, step).encode(), code.strip().encode()
            ):
                self._spent.add(step)
                return True
        return False
