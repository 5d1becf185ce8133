"""One-time codes from a TOTP secret (RFC 6238: SHA-1, six digits, 30 s), and which time step they belong to."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from archiver.errors import UsageError

STEP_S = 30
DIGITS = 6


def secret_bytes(secret: str) -> bytes:
    """The bytes of a base-32 secret as authenticator apps show it: case, spaces, hyphens and padding do not matter.

    Raises UsageError when it is not base 32 or is shorter than 80 bits.
    """
    letters = "".join(secret.split()).replace("-", "").rstrip("=")
    try:
        key = base64.b32decode(letters + "=" * (-len(letters) % 8), casefold=True)
    except ValueError:  # binascii.Error is one; a letter beyond ASCII is another
        key = b""
    if len(key) < 10:
        raise UsageError(
            "The TOTP secret is not one.",
            hint="It is the base-32 text (letters A-Z and digits 2-7) behind “can't scan the barcode?” in Amazon's "
            "two-step verification settings.",
        )
    return key


def step_at(epoch_s: float) -> int:
    """The number of the time step that holds this moment."""
    return int(epoch_s // STEP_S)


def code(secret: str, step: int) -> str:
    """The code of one time step."""
    # RFC 6238 allows short keys; Amazon's are 26 characters and longer. enforce_key_length would refuse 80-bit ones.
    totp = TOTP(secret_bytes(secret), DIGITS, SHA1(), STEP_S, enforce_key_length=False)  # noqa: S303  RFC 6238's hash
    return totp.generate(step * STEP_S).decode()
