"""One-time codes are RFC 6238's, and a secret is understood however a person copied it."""

from __future__ import annotations

import base64

import pytest

from archiver.errors import UsageError
from archiver.portal import totp

# RFC 6238, appendix B, SHA-1: eight digits there, of which a six-digit code is the last six.
RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()
RFC_CODES = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
    20000000000: "65353130",
}


@pytest.mark.parametrize("epoch_s, eight_digits", RFC_CODES.items())
def test_a_code_is_the_one_of_the_rfc(epoch_s: int, eight_digits: str) -> None:
    code = totp.code(RFC_SECRET, totp.step_at(epoch_s))

    assert code == eight_digits[-6:]


@pytest.mark.parametrize("epoch_s, step", [(0, 0), (29.999, 0), (30, 1), (59, 1), (60.0, 2), (1111111109, 37037036)])
def test_a_step_lasts_thirty_seconds(epoch_s: float, step: int) -> None:
    assert totp.step_at(epoch_s) == step


@pytest.mark.parametrize(
    "spelling",
    [
        "JBSWY3DPEHPK3PXP",
        "jbswy3dpehpk3pxp",
        "JBSW Y3DP EHPK 3PXP",
        "jbsw-y3dp-ehpk-3pxp",
        "  JBSWY3DP\tEHPK3PXP\r\n",
        "JBSW\u00a0Y3DP\u3000EHPK 3PXP",
        "JBSWY3DPEHPK3PXP====",
        "JbSwY3dPeHpK3pXp",
    ],
)
def test_a_secret_is_understood_in_every_human_spelling(spelling: str) -> None:
    assert totp.secret_bytes(spelling) == b"Hello!\xde\xad\xbe\xef"


def test_a_secret_of_amazons_length_needs_no_padding() -> None:
    secret = "MFRGGZDFMZTWQ2LKNNWG23TPOA"  # 26 letters, which are 16 bytes

    assert totp.secret_bytes(secret) == b"abcdefghijklmnop"


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "   ",
        "====",
        "JBSWY3DP",
        "JBSWY3DPEHPK3PX",
        "JBSWY3DPEHPK3PX1",
        "JBSWY3DPEHPK3PX0",
        "JBSWY3DPEHPK3PX8",
        "JBSW=Y3DPEHPK3PXP",
        "JBSWY3DPEHPK3PXPA",
        "JBSWY3DPEHPK3PX!",
        "otpauth://totp/Amazon:me?secret=JBSWY3DPEHPK3PXP",
        "JBSWY3DPEHPK3PXß",
        "JBSWY3DP\u200bEHPK3PXP",
        "JBSWY3DPEHPK3PſP",
        "退款退款退款退款",
        "ＪＢＳＷＹ３ＤＰＥＨＰＫ３ＰＸＰ",
    ],
)
def test_what_is_no_secret_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(UsageError) as refused:
        totp.secret_bytes(secret)

    assert str(refused.value).startswith("The TOTP secret is not one. It is the base-32 text")
    assert not secret.strip("= ") or secret not in str(refused.value)


def test_a_short_secret_is_taken_where_it_has_eighty_bits() -> None:
    code = totp.code("JBSWY3DPEHPK3PXP", 1)

    assert code == "996554"
