"""A TOTP secret is understood as text, as an otpauth URI and as a picture of its QR code; nothing else is."""

from __future__ import annotations

import base64
from io import BytesIO
from urllib.parse import quote

import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from archiver import otpauth
from archiver.errors import UsageError

SECRET = "MFRGGZDFMZTWQ2LKNNWG23TPOA"
URI = f"otpauth://totp/Amazon%3Aops%40acme.example?secret={SECRET}&issuer=Amazon"


def picture(*texts: str, kind: str = "PNG") -> bytes:
    """A screenshot: QR codes beside each other on a grey page."""
    page = Image.new("RGB", (400 * max(len(texts), 1), 420), "#dddddd")
    for number, text in enumerate(texts):
        drawn = BytesIO()
        segno.make_qr(text).save(drawn, kind="png", scale=4)
        page.paste(Image.open(drawn), (400 * number + 40, 60))
    file = BytesIO()
    page.save(file, kind)
    return file.getvalue()


def test_text_is_the_secret_itself() -> None:
    assert otpauth.read(f"  {SECRET}\r\n".encode()) == otpauth.Given(SECRET)


def test_a_uri_gives_the_secret_and_whose_it_is() -> None:
    assert otpauth.read(URI.encode()) == otpauth.Given(SECRET, "ops@acme.example")


@given(st.binary(min_size=10, max_size=40), st.text(min_size=1, max_size=30), st.text(max_size=20))
def test_a_secret_survives_every_label_and_issuer(key: bytes, label: str, issuer: str) -> None:
    secret = base64.b32encode(key).decode().rstrip("=")
    uri = f"otpauth://totp/{quote(label, safe='')}?issuer={quote(issuer + 'x', safe='')}&secret={secret}"

    assert otpauth.read(uri.encode()).secret == secret


def test_the_usual_parameters_may_be_spelt_out() -> None:
    assert otpauth.read(f"{URI}&algorithm=sha1&digits=6&period=30".encode()).secret == SECRET


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_a_picture_of_the_code_is_read(kind: str) -> None:
    assert otpauth.read(picture(URI, kind=kind)) == otpauth.Given(SECRET, "ops@acme.example")


def test_another_code_in_the_picture_does_not_disturb() -> None:
    assert otpauth.read(picture("https://amazon.example/help", URI)).secret == SECRET


@pytest.mark.parametrize(
    "content, sentence",
    [
        (f"otpauth://hotp/x?secret={SECRET}&counter=1".encode(), "go by the clock"),
        (f"{URI}&digits=8".encode(), "another digits than Amazon's 6"),
        (f"{URI}&period=60".encode(), "another period than Amazon's 30"),
        (f"{URI}&algorithm=SHA256".encode(), "another algorithm than Amazon's SHA1"),
        (f"{URI}&secret=JBSWY3DPEHPK3PXP".encode(), "no secret, or several"),
        (b"otpauth://totp/Amazon?issuer=Amazon", "no secret, or several"),
        (b"otpauth://totp/Amazon", "no secret, or several"),
        (b"otpauth://[totp/Amazon", "cannot be read"),
        (b"otpauth-migration://offline?data=CjEKCkhlbGxvId6tvu8", "export of an authenticator app"),
        (f"https://totp/x?secret={SECRET}".encode(), "not one of an authenticator app"),
        (b"\xff\xfe\x00secret", "neither text nor a picture"),
        (b"\x89PNG\r\n\x1a\nhalf a picture", "cannot be opened"),
        (picture(), "No QR code was found"),
        (picture("https://amazon.example/help"), "not one for an authenticator app"),
        (picture(URI, URI.replace(SECRET, "JBSWY3DPEHPK3PXP")), "several QR codes"),
    ],
)
def test_what_is_none_is_one_sentence_that_repeats_no_secret(content: bytes, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        otpauth.read(content)

    assert sentence in str(refused.value)
    assert refused.value.hint
    assert SECRET not in str(refused.value)
