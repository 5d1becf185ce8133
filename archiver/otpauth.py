"""A TOTP secret as a person has it: base-32 text, an `otpauth://` URI, or a picture of the QR code Amazon shows.

The URI is the one of Google Authenticator's "Key Uri Format", which every authenticator app reads [A of Google, not of
Amazon]. A picture is decoded in memory, and nothing of it is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from urllib.parse import parse_qs, unquote, urlsplit

from archiver.errors import UsageError

_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM")
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
_AGAIN = "Open Amazon's two-step verification settings, add an authenticator app, and take what it shows there."


@dataclass(frozen=True, slots=True)
class Given:
    """The base-32 secret, not yet looked at, and whose it says it is (empty where it does not say)."""

    secret: str = field(repr=False)
    email: str = ""


def is_picture(content: bytes) -> bool:
    return content.startswith(_PICTURES)


def read(content: bytes) -> Given:
    """The secret in a file's content, or in what was typed. Raises UsageError, which never repeats any of it."""
    if is_picture(content):
        return _of_uri(_in_picture(content))
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise UsageError("The TOTP secret is neither text nor a picture.", hint=_AGAIN) from error
    return _of_uri(text) if "://" in text else Given(text)


def _of_uri(uri: str) -> Given:
    try:
        parts = urlsplit(uri)
        asked = parse_qs(parts.query, strict_parsing=True, max_num_fields=20)
    except ValueError as error:
        raise UsageError("The otpauth URI cannot be read.", hint=_AGAIN) from error
    scheme = parts.scheme.lower()
    if scheme == "otpauth-migration":
        raise UsageError(
            "This is an export of an authenticator app, with every account in it.",
            hint="Give the archiver an authenticator entry of its own instead. " + _AGAIN,
        )
    if scheme != "otpauth":
        raise UsageError("The URI is not one of an authenticator app (otpauth://).", hint=_AGAIN)
    if parts.netloc.lower() != "totp":
        raise UsageError("The otpauth URI is not for codes that go by the clock (totp).", hint=_AGAIN)
    for name, ours in (("algorithm", "SHA1"), ("digits", "6"), ("period", "30")):
        if any(value.upper() != ours for value in asked.get(name, [])):
            raise UsageError(
                f"The otpauth URI asks for another {name} than Amazon's {ours}.",
                hint="Look whether it is Amazon's. " + _AGAIN,
            )
    secrets = set(asked.get("secret", []))
    if len(secrets) != 1:
        raise UsageError("The otpauth URI holds no secret, or several.", hint=_AGAIN)
    label = unquote(parts.path).removeprefix("/").rpartition(":")[2].strip()
    return Given(secrets.pop(), label if "@" in label else "")


def _in_picture(content: bytes) -> str:
    import zxingcpp
    from PIL import Image

    try:
        with Image.open(BytesIO(content), formats=_FORMATS) as picture:
            only = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
            codes = zxingcpp.read_barcodes(picture.convert("RGB"), formats=only)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UsageError("The picture cannot be opened.", hint="Save it as PNG, and name that file.") from error
    found = {code.text for code in codes}
    uris = {text for text in found if text.lower().startswith(("otpauth://", "otpauth-migration://"))}
    if len(uris) == 1:
        return uris.pop()
    if uris:
        raise UsageError(
            "The picture shows several QR codes of authenticator apps.", hint="Cut it to the one that is meant."
        )
    if found:
        raise UsageError("The QR code in the picture is not one for an authenticator app.", hint=_AGAIN)
    raise UsageError("No QR code was found in the picture.", hint="Take the picture again, larger and whole.")
