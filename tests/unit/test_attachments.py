"""A file is what it is said to be and opens, or there is a sentence that says why not; whatever a stranger sent."""

from __future__ import annotations

import random
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pypdf import PdfWriter

from archiver.attachments import trouble

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def pdf(password: str = "") -> bytes:
    writer = PdfWriter()
    writer.add_blank_page(200, 200)
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    file = BytesIO()
    writer.write(file)
    return file.getvalue()


def picture(kind: str) -> bytes:
    file = BytesIO()
    noise = random.Random(1).randbytes(64 * 64 * 3)
    Image.frombytes("RGB", (64, 64), noise).save(file, kind)
    return file.getvalue()


def packed(**parts: bytes) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, body in parts.items():
            archive.writestr(name.replace("__", "/").replace("_xml", ".xml"), body)
    return file.getvalue()


GOOD = [
    ("invoice.pdf", "application/pdf", pdf()),
    ("photo.png", "image/png", picture("PNG")),
    ("photo.JPG", "image/jpeg", picture("JPEG")),
    ("photo.gif", "", picture("GIF")),
    ("", "image/webp", picture("WEBP")),
    ("list.xlsx", XLSX, packed(xl__workbook_xml=b"<workbook/>")),
    ("letter.docx", "application/octet-stream", packed(word__document_xml=b"<document/>")),
    ("all.zip", "application/zip", packed(a=b"1")),
    ("notes.txt", "text/plain; charset=utf-8", "退款 Größe".encode()),
    ("table.csv", "application/octet-stream", "a;b\n1;2".encode("utf-16")),
    ("mail.eml", "message/rfc822", b"From: a@example.com\n\nhello"),
    # One says nothing, and the file opens.
    ("IMG_0001", "application/octet-stream", picture("PNG")),
]


@pytest.mark.parametrize("name, media_type, body", GOOD, ids=lambda value: value if isinstance(value, str) else "")
def test_a_good_file_is_no_trouble(name: str, media_type: str, body: bytes) -> None:
    assert trouble(name, media_type, body) == ""


@pytest.mark.parametrize(
    "name, media_type, body, why",
    [
        ("invoice.pdf", "application/pdf", b"", "it is empty"),
        ("invoice.pdf", "application/pdf", pdf()[:-40], "it ends in the middle"),
        ("invoice.pdf", "application/pdf", pdf("secret"), "it asks for a password"),
        ("invoice.pdf", "application/pdf", b"<!DOCTYPE html><p>Sorry", "it is said to be: PDF; and it is a web page"),
        ("invoice.pdf", "", b"nothing", "it is said to be: PDF; and it is not that"),
        ("photo.png", "image/png", picture("PNG")[:400], "it does not open as a PNG picture (OSError)"),
        ("photo.png", "image/png", picture("JPEG"), "it is said to be: PNG picture; and it is a JPEG picture"),
        ("list.xlsx", XLSX, packed(word__document_xml=b"<document/>"), "it has no xl/workbook.xml"),
        (
            "list.xlsx",
            XLSX,
            packed(xl__workbook_xml=b"<workbook/>")[:30],
            "it does not open as a Excel file (BadZipFile)",
        ),
        ("notes.txt", "text/plain", b"\x01\x00\x02", "it is not text"),
    ],
)
def test_a_file_that_does_not_open_is_told_with_why(name: str, media_type: str, body: bytes, why: str) -> None:
    assert trouble(name, media_type, body) == why


def test_a_file_that_unpacks_without_end_is_not_opened() -> None:
    bomb = packed(**{f"part{n}": bytes(48 * 1024 * 1024) for n in range(3)})

    assert trouble("all.zip", "application/zip", bomb) == "it unpacks to more than is safe to open"


def test_of_a_kind_nobody_knows_nothing_is_said() -> None:
    assert trouble("drawing.dwg", "application/acad", b"AC1032") is None


@given(st.sampled_from(GOOD), st.binary(max_size=64), st.integers(0, 4000))
def test_whatever_is_in_it_there_is_an_answer(good: tuple[str, str, bytes], junk: bytes, at: int) -> None:
    name, media_type, body = good
    broken = body[:at] + junk + body[at + len(junk) :]

    assert isinstance(trouble(name, media_type, broken), str | None)
