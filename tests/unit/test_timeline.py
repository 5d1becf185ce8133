"""The map of time never calls a day covered that no complete run saw while it was listed, and names every gap."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from archiver.timeline import Day, Gap, Look, Seen, days, gaps

KEEPS = timedelta(days=90)
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def at(days_ago: float) -> datetime:
    return NOON - timedelta(days=days_ago)


def day(days_ago: int) -> date:
    return at(days_ago).date()


def told(*looks: Look, since: int = 100, now: datetime = NOON) -> dict[date, Day]:
    return {found.day: found for found in days(looks, day(since), day(0), now, KEEPS)}


def test_the_day_that_is_not_over_is_not_judged() -> None:
    assert max(told(Look(at(0), "COMPLETE"))) == day(1)


def test_a_complete_run_covers_what_was_listed_when_it_ran_and_not_the_day_it_ran_on() -> None:
    found = told(Look(at(10), "COMPLETE"))

    assert [found[day(n)].seen for n in (11, 99)] == [Seen.COVERED, Seen.COVERED]
    assert found[day(10)] == Day(day(10), Seen.UNSEEN, "no run looked yet", found[day(10)].until)
    assert found[day(100)].seen is Seen.BEFORE


def test_what_was_gone_when_the_archive_began_is_no_gap() -> None:
    found = told(Look(at(2), "COMPLETE"), since=120)

    assert found[day(93)].seen is Seen.BEFORE
    assert list(gaps([found[day(n)] for n in range(120, 92, -1)])) == []


def test_a_list_that_went_further_back_covers_more_than_was_assumed() -> None:
    found = told(Look(at(2), "COMPLETE", oldest_visible=at(110)), since=120)

    assert [found[day(n)].seen for n in (109, 110, 111)] == [Seen.COVERED, Seen.BEFORE, Seen.BEFORE]


def test_a_day_that_nobody_looked_at_in_time_is_lost() -> None:
    found = told(Look(at(200), "COMPLETE"), Look(at(5), "COMPLETE"), since=200)
    [gap] = gaps([found[day(n)] for n in range(200, 90, -1)])

    assert gap == Gap(day(200), day(95), Seen.UNSEEN, "no run looked in time", None)


def test_a_day_that_still_can_be_closed_says_until_when() -> None:
    found = told(Look(at(3), "PARTIAL", ("a case was missed",)))
    [open_gap, since_then] = gaps(list(found.values())[-19:])

    assert (open_gap.seen, open_gap.why) == (Seen.PARTLY, "a case was missed")
    assert open_gap.until == datetime(2026, 10, 13, tzinfo=UTC) + KEEPS
    assert since_then.why == "no run looked yet"


def test_what_was_missed_once_is_covered_by_a_later_complete_run() -> None:
    found = told(Look(at(30), "FAILED", ("the site was down",)), Look(at(20), "SUSPECT"), Look(at(1), "COMPLETE"))

    assert {found[day(n)].seen for n in range(2, 91)} == {Seen.COVERED}


def test_the_reason_of_a_failed_run_is_named() -> None:
    found = told(Look(at(30), "FAILED", ("the site was down",)))

    assert found[day(40)].why == "the site was down"


LOOKS = st.builds(
    Look,
    at=st.floats(0, 400).map(at),
    state=st.sampled_from(["COMPLETE", "PARTIAL", "SUSPECT", "FAILED"]),
    reasons=st.just(("why",)),
)


@given(st.lists(LOOKS, max_size=12))
def test_no_day_is_covered_but_by_a_complete_run_while_it_was_listed(looks: list[Look]) -> None:
    for found in days(looks, day(500), day(0), NOON, KEEPS):
        start = datetime(found.day.year, found.day.month, found.day.day, tzinfo=UTC)
        saw = [x for x in looks if x.state == "COMPLETE" and start + timedelta(days=1) <= x.at <= start + KEEPS]

        assert (found.seen is Seen.COVERED) == bool(saw)
        assert bool(found.why) == (found.seen not in (Seen.COVERED, Seen.BEFORE))


@given(st.lists(LOOKS, max_size=12))
def test_every_day_that_is_not_covered_is_in_exactly_one_gap(looks: list[Look]) -> None:
    found = days(looks, day(500), day(0), NOON, KEEPS)
    in_gaps = [g.first + timedelta(days=n) for g in gaps(found) for n in range((g.last - g.first).days + 1)]

    assert in_gaps == [d.day for d in found if d.seen not in (Seen.COVERED, Seen.BEFORE)]
