"""Whether a file that came with a message is what it is said to be, and opens. Bytes in, a sentence out; never raises.

An appeal fails on a file that does not open, and the day to find out is the day it can be asked for again. What comes
from strangers is opened within bounds: so many pixels, so many bytes unpacked.
"""

from __future__ import annotations

import warnings
from io import BytesIO

_PDF, _PNG, _JPEG, _GIF, _WEBP = "PDF", "PNG picture", "JPEG picture", "GIF picture", "WebP picture"
_ZIP, _XLSX, _DOCX, _OLE = "ZIP archive", "Excel file", "Word file", "older Office file"
_TEXT, _MAIL, _HTML = "text", "e-mail", "web page"

_BY_TYPE = {
    "application/pdf": _PDF,
    "image/png": _PNG,
    "image/jpeg": _JPEG,
    "image/jpg": _JPEG,
    "image/gif": _GIF,
    "image/webp": _WEBP,
    "application/zip": _ZIP,
    "application/x-zip-compressed": _ZIP,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": _XLSX,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": _DOCX,
    "application/vnd.ms-excel": _OLE,
    "application/msword": _OLE,
    "text/plain": _TEXT,
    "text/csv": _TEXT,
    "text/html": _HTML,
    "message/rfc822": _MAIL,
}
_BY_ENDING = {
    "pdf": _PDF,
    "png": _PNG,
    "jpg": _JPEG,
    "jpeg": _JPEG,
    "gif": _GIF,
    "webp": _WEBP,
    "zip": _ZIP,
    "xlsx": _XLSX,
    "docx": _DOCX,
    "xls": _OLE,
    "doc": _OLE,
    "txt": _TEXT,
    "csv": _TEXT,
    "htm": _HTML,
    "html": _HTML,
    "eml": _MAIL,
}
_PICTURES = (_PNG, _JPEG, _GIF, _WEBP)
_WRITTEN = (_TEXT, _MAIL, _HTML)
_MAIN_PART = {_XLSX: "xl/workbook.xml", _DOCX: "word/document.xml"}

_MOST_PIXELS = 100_000_000
_MOST_UNPACKED_BYTES = 128 * 1024 * 1024
_MOST_PARTS = 10_000


def trouble(name: str, media_type: str, body: bytes) -> str | None:
    """Why this file cannot be used, as the end of a sentence ("it …"); empty where it opens; None where we cannot say.

    `name` and `media_type` are as the site declares them; either may be empty or wrong, and where they contradict each
    other either will do.
    """
    if not body:
        return "it is empty"
    is_ = _kind(body)
    declared = {_BY_TYPE.get(media_type.partition(";")[0].strip().lower()), _BY_ENDING.get(_ending(name))}
    said = {kind for kind in declared if kind is not None}
    office, words = said & set(_MAIN_PART), said & set(_WRITTEN)
    if is_ == _ZIP and office:
        kind: str | None = min(office)  # an Office file is a ZIP
    elif is_ is None and words:
        kind = min(words)  # words begin with anything
    elif said and is_ not in said:
        return f"it is said to be: {' or '.join(sorted(said))}; and it is {f'a {is_}' if is_ else 'not that'}"
    else:
        kind = is_
    try:
        return _opened(kind, body)
    except Exception as error:  # parsers raise whatever a stranger's bytes lead them to
        return f"it does not open as a {kind} ({type(error).__name__})"


def _ending(name: str) -> str:
    return name.rpartition(".")[2].strip().lower()


def _kind(body: bytes) -> str | None:
    """What the first bytes say."""
    if b"%PDF-" in body[:1024]:
        return _PDF
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return _PNG
    if body.startswith(b"\xff\xd8\xff"):
        return _JPEG
    if body.startswith((b"GIF87a", b"GIF89a")):
        return _GIF
    if body.startswith(b"RIFF") and body[8:12] == b"WEBP":
        return _WEBP
    if body.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _ZIP
    if body.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _OLE
    if body[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html")):
        return _HTML
    return None


def _opened(kind: str | None, body: bytes) -> str | None:
    if kind == _PDF:
        return _pdf(body)
    if kind in _PICTURES:
        return _picture(body)
    if kind in (_ZIP, *_MAIN_PART):
        return _zip(body, _MAIN_PART.get(kind, ""))
    if kind in _WRITTEN:
        return _words(body)
    return None


def _pdf(body: bytes) -> str:
    from pypdf import PdfReader

    if b"%%EOF" not in body[-2048:]:
        return "it ends in the middle"
    reader = PdfReader(BytesIO(body))
    if reader.is_encrypted:
        return "it asks for a password"
    return "" if len(reader.pages) and reader.pages[0].mediabox else "it has no page"


def _picture(body: bytes) -> str:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Image.open(BytesIO(body)) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                return f"it has {picture.width} by {picture.height} pixels, too many to look at"
            picture.load()
    return ""


def _zip(body: bytes, main_part: str) -> str:
    from zipfile import ZipFile

    with ZipFile(BytesIO(body)) as packed:
        parts = packed.infolist()
        if len(parts) > _MOST_PARTS or sum(part.file_size for part in parts) > _MOST_UNPACKED_BYTES:
            return "it unpacks to more than is safe to open"
        if any(part.flag_bits & 1 for part in parts):
            return "it asks for a password"
        if main_part and main_part not in packed.namelist():
            return f"it has no {main_part}"
        broken = packed.testzip()
    return "" if broken is None else "a part of it is damaged"


def _words(body: bytes) -> str:
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        body.decode("utf-16")
        return ""
    return "it is not text" if b"\0" in body else ""
