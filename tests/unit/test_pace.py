"""What a `Retry-After` asks for, in both of its forms."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from archiver.portal.pace import asked_to_wait_s

NOON_S = 1_793_534_400.0


@pytest.mark.parametrize(
    "retry_after, seconds",
    [
        ("0", 0.0),
        ("120", 120.0),
        (formatdate(NOON_S + 90, usegmt=True), 90.0),
        (formatdate(NOON_S - 90, usegmt=True), 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("9" * 400, None),
    ],
)
def test_a_retry_after_is_a_number_of_seconds_or_a_date(retry_after: str, seconds: float | None) -> None:
    assert asked_to_wait_s(retry_after, NOON_S) == seconds
