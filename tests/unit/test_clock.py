"""The site's clock is known from its Date headers, as narrowly as they allow and never more."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.portal.clock import SiteClock

NOON_S = 1_793_534_400.0


def hear(clock: SiteClock, ahead_s: float, asked_s: float, on_the_way_s: float, back_s: float) -> None:
    """One answer of a site whose clock is so far ahead."""
    dated = formatdate(asked_s + on_the_way_s + ahead_s, usegmt=True)
    clock.hear(dated, asked_s, asked_s + on_the_way_s + back_s)


def test_without_an_answer_our_own_clock_counts() -> None:
    clock = SiteClock()

    assert (clock.is_known, clock.ahead_s) == (False, 0.0)


@given(
    st.floats(-5000, 5000),
    st.lists(st.tuples(st.floats(0, 90), st.floats(0, 2), st.floats(0, 2)), min_size=1, max_size=20),
)
def test_the_true_difference_is_always_within_the_bounds(
    ahead_s: float, answers: list[tuple[float, float, float]]
) -> None:
    clock = SiteClock()
    for asked_s, on_the_way_s, back_s in answers:
        hear(clock, ahead_s, NOON_S + asked_s, on_the_way_s, back_s)

    assert clock.least_s - 1e-3 <= ahead_s <= clock.most_s + 1e-3


def test_each_answer_narrows_what_is_known() -> None:
    clock = SiteClock()
    doubts = []
    for asked_s in (0.1, 0.35, 0.6, 0.85):
        hear(clock, 90.0, NOON_S + asked_s, 0.05, 0.05)
        doubts.append(clock.most_s - clock.least_s)

    assert doubts == sorted(doubts, reverse=True)
    assert doubts[-1] < 0.5
    assert clock.ahead_s == pytest.approx(90, abs=0.3)


def test_a_difference_that_may_be_none_is_none() -> None:
    clock = SiteClock()
    hear(clock, 0.4, NOON_S, 0.2, 0.2)

    assert clock.is_known
    assert clock.ahead_s == 0.0


def test_after_a_clock_was_set_the_newest_answer_counts() -> None:
    clock = SiteClock()
    hear(clock, 300.0, NOON_S, 0.1, 0.1)
    hear(clock, 2.0, NOON_S + 5, 0.1, 0.1)

    assert clock.ahead_s == pytest.approx(2, abs=0.7)


@pytest.mark.parametrize(
    "date",
    [
        "",
        "yesterday",
        "Tue, 99 Nov 2026 12:00:00 GMT",
        "Tue, 24 Nov 99999 12:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        formatdate(NOON_S + 2 * 24 * 3600, usegmt=True),
        formatdate(NOON_S - 2 * 24 * 3600, usegmt=True),
    ],
)
def test_a_date_that_is_none_or_absurd_is_passed_over(date: str) -> None:
    clock = SiteClock()
    clock.hear(date, NOON_S, NOON_S + 1)

    assert not clock.is_known
