"""What we claim to have is never better than the evidence: COMPLETE needs all of it, whatever order it came in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.coverage import Coverage, Verdict
from archiver.model import (
    Alarm,
    Artifact,
    Capture,
    Ended,
    Event,
    Identified,
    Kind,
    Known,
    Left,
    Listed,
    Listing,
    Missed,
    Ref,
    Relisted,
    Returned,
    Scope,
    Seen,
    Source,
    Unchanged,
    Unread,
    thread_id,
)

SCOPE = Scope("acme", "DE", Source.CASES)
NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)
PROVEN = Identified(True, "ACME", "A1PA6795UKMFR9")
END = Ended(reached_end=True)


def ref(name: str, *, days: int | None = None) -> Ref:
    return Ref(SCOPE, name, "1", None if days is None else NOON - timedelta(days=days))


def listed(page: int, *names: str, total: int | None = None) -> Listed:
    return Listed(Listing(tuple(ref(name) for name in names), total=total), page)


def seen(name: str) -> Seen:
    return Seen(Capture(SCOPE, Kind.THREAD, NOON, "https://x.invalid", (Artifact("dom", "", b""),), site_thread=name))


def seen_page(number: int) -> Seen:
    return Seen(Capture(SCOPE, Kind.LIST, NOON, "https://x.invalid", (), page=number))


def folded(*events: Event, ever_had: int = 0) -> Coverage:
    coverage = Coverage(SCOPE, ever_had)
    for event in events:
        coverage = coverage.after(event)
    return coverage


# Two pages of three threads, one of which the archive has as it is. Every piece is needed.
WHOLE: tuple[Event, ...] = (
    PROVEN,
    seen_page(1),
    listed(1, "a", "b", total=3),
    seen_page(2),
    listed(2, "c", total=3),
    Unchanged(ref("b")),
    seen("a"),
    seen("c"),
    END,
    PROVEN,
)


def without(*indices: int, events: tuple[Event, ...] = WHOLE) -> list[Event]:
    return [event for index, event in enumerate(events) if index not in indices]


# --- complete, and what takes it away ---------------------------------------------------------------------------


def test_all_the_evidence_is_complete_and_needs_no_excuse() -> None:
    coverage = folded(*WHOLE, ever_had=2)

    assert (coverage.verdict, coverage.reasons, coverage.complete) == (Verdict.COMPLETE, (), True)
    assert (coverage.captured, coverage.unchanged, coverage.pages, coverage.total) == (2, 1, 2, 3)


@pytest.mark.parametrize(
    "events",
    [
        (PROVEN, listed(1), END, PROVEN),
        (PROVEN, listed(1, total=0), END, PROVEN),
        (PROVEN, listed(1, "a"), Unchanged(ref("a")), END, PROVEN),
        (PROVEN, listed(1, "a"), listed(2, "b"), Unchanged(ref("a")), Unchanged(ref("b")), END, PROVEN),
        (PROVEN, listed(1, "a", total=None), listed(2, "b", total=2), seen("a"), seen("b"), END, PROVEN),
        # The site's count is reached, so a row that came twice hides nothing.
        (PROVEN, listed(1, "a", "b", total=3), listed(2, "b", "c", total=3), *map(seen, "abc"), END, PROVEN),
    ],
)
def test_less_can_be_complete_too(events: tuple[Event, ...]) -> None:
    assert folded(*events).verdict is Verdict.COMPLETE


@pytest.mark.parametrize(
    "left_out, verdict, reason",
    [
        ([0], Verdict.SUSPECT, "account and marketplace were not proven before the first page"),
        ([9], Verdict.SUSPECT, "account and marketplace were not proven after the last page"),
        ([0, 9], Verdict.SUSPECT, "account and marketplace were not proven before the first page"),
        ([2], Verdict.SUSPECT, "page 1 of the list was not read"),
        ([4], Verdict.SUSPECT, "1 threads were seen that the list does not name"),
        ([4, 7], Verdict.SUSPECT, "the site counts 3, its list shows 2"),
        ([5], Verdict.PARTIAL, "1 listed threads were not looked at"),
        ([6], Verdict.PARTIAL, "1 listed threads were not looked at"),
        ([5, 6, 7], Verdict.PARTIAL, "3 listed threads were not looked at"),
        ([8], Verdict.PARTIAL, "the end of the list was not reached"),
        ([2, 4], Verdict.FAILED, "the list was never seen"),
    ],
)
def test_without_this_piece_it_is_not_complete_and_says_why(left_out: list[int], verdict: Verdict, reason: str) -> None:
    coverage = folded(*without(*left_out))

    assert coverage.verdict is verdict
    assert reason in coverage.reasons


@pytest.mark.parametrize(
    "index", [index for index, event in enumerate(WHOLE) if event not in (seen_page(1), seen_page(2))]
)
def test_every_piece_is_needed(index: int) -> None:
    coverage = folded(*without(index))

    assert not coverage.complete
    assert coverage.reasons


@pytest.mark.parametrize(
    "more, verdict, reason",
    [
        (Missed(ref("a"), "the page was not drawn"), Verdict.PARTIAL, "the page was not drawn"),
        (Missed(None, "page 3 was not read"), Verdict.PARTIAL, "page 3 was not read"),
        (Missed(None, ""), Verdict.PARTIAL, "something was missed"),
        (Ended(False, "it was too long"), Verdict.PARTIAL, "it was too long"),
        (Ended(False), Verdict.PARTIAL, "the end of the list was not reached"),
        (Identified(False, "", "", "it shows FR"), Verdict.SUSPECT, "it shows FR"),
        (Identified(False, "", ""), Verdict.SUSPECT, "the site did not say whose it is"),
        (
            Identified(True, "OTHER", "A1PA6795UKMFR9"),
            Verdict.SUSPECT,
            "the site showed ACME (A1PA6795UKMFR9) and then OTHER (A1PA6795UKMFR9)",
        ),
        (listed(3, total=3), Verdict.SUSPECT, "account and marketplace were not proven after the last page"),
        (seen("a"), Verdict.SUSPECT, "account and marketplace were not proven after the last page"),
        (Unchanged(ref("x")), Verdict.SUSPECT, "1 threads were seen that the list does not name"),
    ],
)
def test_with_this_besides_it_is_not_complete_and_says_why(more: Event, verdict: Verdict, reason: str) -> None:
    coverage = folded(*WHOLE, more)

    assert coverage.verdict is verdict
    assert reason in coverage.reasons


def test_one_thread_seen_twice_does_not_stand_in_for_another() -> None:
    coverage = folded(PROVEN, listed(1, "a", "b"), seen("a"), seen("a"), END, PROVEN)

    assert (coverage.verdict, coverage.captured) == (Verdict.PARTIAL, 1)
    assert coverage.reasons == ("1 listed threads were not looked at",)


def test_a_thread_captured_and_unchanged_does_not_stand_in_for_another() -> None:
    coverage = folded(PROVEN, listed(1, "a", "b"), Unchanged(ref("a")), seen("a"), END, PROVEN)

    assert (coverage.verdict, coverage.captured, coverage.unchanged) == (Verdict.PARTIAL, 1, 0)


def test_a_thread_the_list_does_not_name_does_not_stand_in_for_one_it_does() -> None:
    coverage = folded(PROVEN, listed(1, "a", "b"), seen("a"), seen("x"), END, PROVEN)

    assert coverage.reasons == (
        "1 threads were seen that the list does not name",
        "1 listed threads were not looked at",
    )


def test_a_capture_that_cannot_be_read_is_kept_and_not_complete() -> None:
    coverage = folded(*WHOLE).unreadable("a", Unread("there is no `caseTitle`", "source.cases.keys.title"))

    assert (coverage.verdict, coverage.captured) == (Verdict.PARTIAL, 2)
    assert coverage.reasons == ("kept but not read: there is no `caseTitle`",)


def test_an_empty_list_where_there_was_one_means_that_our_eyes_failed() -> None:
    coverage = folded(PROVEN, listed(1), END, PROVEN, ever_had=7)

    assert coverage.verdict is Verdict.SUSPECT
    assert coverage.reasons == ("the list is empty, and the archive has 7 threads that it should show",)


def test_a_page_left_out_in_the_middle_is_named() -> None:
    coverage = folded(PROVEN, listed(1, "a"), listed(3, "c"), seen("a"), seen("c"), END, PROVEN)

    assert coverage.reasons == ("page 2 of the list was not read",)


def test_a_count_that_changes_between_two_pages_is_not_trusted() -> None:
    # Something left the list after page 1, page 2 moved up by one, and one thread was on neither.
    coverage = folded(PROVEN, listed(1, "a", "b", total=4), listed(2, "d", total=3), *map(seen, "abd"), END, PROVEN)

    assert coverage.verdict is Verdict.SUSPECT
    assert coverage.reasons == ("the site counts 3, and 4 before: the list changed while it was read",)


def test_a_row_that_comes_twice_in_a_list_without_a_count_is_not_trusted() -> None:
    # A thread moved to the top after page 1; the last row of page 1 is the first of page 2, and it is on neither.
    coverage = folded(PROVEN, listed(1, "a", "b"), listed(2, "b", "c"), *map(seen, "abc"), END, PROVEN)

    assert coverage.verdict is Verdict.SUSPECT
    assert coverage.reasons == ("1 rows of the list came twice: it changed while it was read",)


@pytest.mark.parametrize("total, listed_names", [(0, "a"), (2, "a"), (1, "ab")])
def test_the_sites_own_count_must_be_ours(total: int, listed_names: str) -> None:
    coverage = folded(PROVEN, listed(1, *listed_names, total=total), *map(seen, listed_names), END, PROVEN)

    assert coverage.verdict is Verdict.SUSPECT
    assert coverage.reasons == (f"the site counts {total}, its list shows {len(listed_names)}",)


def test_two_proofs_before_the_first_page_are_none_after_the_last() -> None:
    coverage = folded(PROVEN, *without(9))

    assert coverage.reasons == ("account and marketplace were not proven after the last page",)


def test_two_proofs_after_the_last_page_are_none_before_the_first() -> None:
    coverage = folded(*without(0), PROVEN)

    assert coverage.reasons == ("account and marketplace were not proven before the first page",)


def test_a_walk_that_broke_off_says_that_first() -> None:
    coverage = folded(*WHOLE[:6], Ended(False, "A person asked the run to stop."))

    assert coverage.verdict is Verdict.PARTIAL
    assert coverage.reasons == ("A person asked the run to stop.", "2 listed threads were not looked at")


def test_an_end_that_was_not_reached_is_not_reached_by_saying_so_later() -> None:
    coverage = folded(*without(8), Ended(False, "the list did not answer"), END)

    assert coverage.verdict is Verdict.PARTIAL
    assert coverage.reasons == ("the list did not answer",)


def test_nothing_seen_is_failed_and_says_each_reason_once() -> None:
    unproven = Identified(False, "", "", "the site shows FR, not DE")
    never = folded()
    refused = folded(unproven, Ended(False, unproven.why))

    assert never.verdict is Verdict.FAILED
    assert never.reasons[0] == "the list was never seen"
    assert (refused.verdict, refused.reasons) == (Verdict.FAILED, ("the site shows FR, not DE",))


# --- the property -----------------------------------------------------------------------------------------------

NAMES = st.sampled_from("abcd")
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(seen, NAMES),
    st.builds(seen_page, st.integers(1, 3)),
    st.builds(lambda name: Unchanged(ref(name)), NAMES),
    st.builds(
        lambda page, names, total: listed(page, *names, total=total),
        st.integers(1, 3),
        st.lists(NAMES, max_size=3),
        st.none() | st.integers(0, 4),
    ),
    st.builds(Missed, st.none() | st.builds(ref, NAMES), st.sampled_from(["", "lost"])),
    st.builds(Ended, st.booleans(), st.sampled_from(["", "broken off"])),
    st.sampled_from([PROVEN, replace(PROVEN, proven=False), replace(PROVEN, account_label="OTHER")]),
)


@st.composite
def shuffled(draw: st.DrawFn) -> list[Event]:
    """A good run with some of it left out, some of it moved, some of it twice, and anything at all in between."""
    kept = [event for event in WHOLE if draw(st.integers(0, 9)) > 0]
    kept = draw(st.permutations(kept)) if draw(st.booleans()) else kept
    for event in draw(st.lists(EVENTS | st.sampled_from(WHOLE), max_size=3)):
        kept = [*kept]
        kept.insert(draw(st.integers(0, len(kept))), event)
    return list(kept)


def missing_evidence(events: Iterable[Event], ever_had: int) -> set[str]:
    """What stands between these events and COMPLETE, said a second time and in another way: over the whole list."""
    story = list(events)
    pages = [event for event in story if isinstance(event, Listed)]
    rows = Counter(ref.site_thread for page in pages for ref in page.listing.refs)
    had = {event.capture.site_thread for event in story if isinstance(event, Seen)} - {""}
    had |= {event.ref.site_thread for event in story if isinstance(event, Unchanged)}
    totals = {page.listing.total for page in pages} - {None}
    looks = [index for index, event in enumerate(story) if isinstance(event, (Seen, Listed))]
    identities = [(index, event) for index, event in enumerate(story) if isinstance(event, Identified)]
    ends = [event for event in story if isinstance(event, Ended)]
    lacking = {
        "a page": not pages,
        "every page": {page.page for page in pages} != set(range(1, len({page.page for page in pages}) + 1)),
        "the end": not ends or not all(end.reached_end for end in ends),
        "every thread": set(rows) != had,
        "the count": bool(totals) and totals != {len(rows)},
        "a steady list": not totals and max(rows.values(), default=0) > 1,
        "nothing missed": any(isinstance(event, Missed) for event in story),
        "a list at all": not rows and bool(ever_had),
        "a proof before": not any(not looks or index < looks[0] for index, _ in identities),
        "a proof after": not any(not looks or index > looks[-1] for index, _ in identities),
        "one account": (any(event != PROVEN for _, event in identities) and len({event for _, event in identities}) > 1)
        or any(not event.proven for _, event in identities),
    }
    return {what for what, is_lacking in lacking.items() if is_lacking}


@given(shuffled(), st.integers(0, 1))
def test_complete_is_claimed_exactly_where_no_evidence_is_missing(events: list[Event], ever_had: int) -> None:
    coverage = folded(*events, ever_had=ever_had)
    missing = missing_evidence(events, ever_had)

    assert coverage.complete == (not missing), missing
    assert coverage.complete == (coverage.reasons == ())
    assert "" not in coverage.reasons


@given(shuffled())
def test_complete_means_that_listed_is_captured_or_unchanged(events: list[Event]) -> None:
    coverage = folded(*events)
    claim = coverage.to_json()

    if coverage.complete:
        assert coverage.listed == coverage.captured_threads | coverage.unchanged_threads
        assert claim["listed"] == claim["captured"] + claim["unchanged"]
        assert claim["failed"] == claim["unread"] == 0


@given(st.lists(EVENTS, max_size=12), st.integers(0, 3))
def test_whatever_happens_there_is_a_verdict_and_a_line(events: list[Event], ever_had: int) -> None:
    claim = folded(*events, ever_had=ever_had).to_json()

    assert json.loads(json.dumps(claim)) == claim
    assert claim["complete"] == (claim["state"] == "COMPLETE")
    assert bool(claim["reasons"]) != claim["complete"]


def test_an_alarm_takes_nothing_from_what_is_complete() -> None:
    coverage = folded(*WHOLE, Alarm(ref("a"), "It does not open.", "Look at it."), END, PROVEN)

    assert coverage.complete == folded(*WHOLE, END, PROVEN).complete
    assert [alarm.why for alarm in coverage.alarms] == ["It does not open."]


# --- what left the list -----------------------------------------------------------------------------------------


def known(*names: str, left: str = "", **ages_days: int) -> Known:
    active = {name: NOON - timedelta(days=days) for name, days in ages_days.items()}
    return Known(stamps=dict.fromkeys(names, "1"), pages={}, active=active, left=frozenset(left))


def test_what_is_listed_no_more_has_left_before_its_time_or_aged_out() -> None:
    had = known("a", "b", "c", "d", "e", d=20, e=100)
    found = list(folded(*WHOLE).departures(had, NOON - timedelta(days=89)))

    assert [(f.site_thread, f.aged_out) for f in found if isinstance(f, Left)] == [("d", False), ("e", True)]
    assert [f.why for f in found if isinstance(f, Alarm)] == [
        f"1 thread left the list before the time: {thread_id(SCOPE, 'd')}."
    ]


def test_what_had_left_is_not_told_again_and_what_comes_back_is() -> None:
    had = known("a", "d", left="ad", a=3, d=20)
    found = list(folded(*WHOLE).departures(had, NOON - timedelta(days=89)))

    assert [f.ref.site_thread for f in found if isinstance(f, Returned)] == ["a"]
    assert [f for f in found if not isinstance(f, Returned)] == []


def test_a_thread_that_left_before_its_time_makes_the_run_suspect() -> None:
    coverage = folded(*WHOLE).after(Left(SCOPE, "d", NOON, aged_out=False))

    assert (coverage.verdict, coverage.reasons) == (Verdict.SUSPECT, ("1 thread left the list before the time",))
    assert folded(*WHOLE).after(Left(SCOPE, "e", NOON, aged_out=True)).complete


def test_a_list_half_as_long_as_it_should_be_takes_nothing_for_gone() -> None:
    coverage = folded(*WHOLE, ever_had=7)

    assert coverage.reasons == ("the list shows 3, and the archive has 7 threads that it should show",)
    assert list(coverage.departures(known(*"abcdefg"), NOON)) == []


@given(shuffled(), st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")))
def test_only_a_list_that_nothing_speaks_against_says_that_a_thread_has_left(
    events: list[Event], had: set[str], left: set[str]
) -> None:
    coverage = folded(*events)
    found = list(coverage.departures(known(*had, left="".join(left)), NOON))
    gone = {f.site_thread for f in found if isinstance(f, Left)}

    assert gone <= had - coverage.listed - left
    if gone:
        assert coverage.verdict in (Verdict.COMPLETE, Verdict.PARTIAL)
        assert coverage.ended is not None
        assert coverage.ended.reached_end


def test_a_list_that_is_read_again_counts_by_its_last_pages_alone() -> None:
    moved = [PROVEN, listed(1, "a", "b", total=3), listed(2, "b", total=2), Relisted("it changed"), *WHOLE[1:]]
    coverage = folded(*moved)

    assert (coverage.verdict, coverage.relisted) == (Verdict.COMPLETE, ("it changed",))
    assert coverage.listed == folded(*WHOLE).listed


# --- what else it tells -----------------------------------------------------------------------------------------


def test_the_oldest_visible_is_the_oldest_of_all_pages() -> None:
    pages = [
        Listed(Listing((ref("a", days=1), ref("b", days=80))), 1),
        Listed(Listing((ref("c"), ref("d", days=5))), 2),
        Listed(Listing(()), 3),
    ]

    assert folded(*pages).oldest_visible == NOON - timedelta(days=80)
    assert folded(pages[2]).oldest_visible is None


def test_rows_of_other_marketplaces_are_counted_over_all_pages() -> None:
    pages = [
        Listed(Listing((), elsewhere=(("B", 2), ("A", 1))), 1),
        Listed(Listing((), elsewhere=(("A", 3),)), 2),
    ]

    assert folded(*pages).elsewhere == (("A", 4), ("B", 2))


def test_the_line_keeps_its_contract() -> None:
    events = [*WHOLE[:5], Missed(ref("b"), "gone"), seen("a"), seen("c"), END, PROVEN]
    events.insert(-2, Alarm(ref("c"), "It does not open.", "Look at it."))
    coverage = folded(*events, ever_had=2).unreadable("a", Unread("no title"))

    assert coverage.to_json() == {
        "account": "acme",
        "marketplace": "DE",
        "source": "cases",
        "listed": 3,
        "captured": 2,
        "unchanged": 0,
        "failed": 1,
        "complete": False,
        "oldest_visible": None,
        "state": "PARTIAL",
        "reasons": ["gone", "kept but not read: no title"],
        "unread": 1,
        "site_total": 3,
        "pages": 2,
        "reached_end": True,
        "elsewhere": {},
        "relisted": [],
        "left": [],
        "returned": [],
        "account_label": "ACME",
        "alarms": [{"thread": ref("c").thread, "why": "It does not open.", "next": "Look at it."}],
        "missed": [{"thread": ref("b").thread, "why": "gone"}],
    }


def test_a_row_of_another_marketplace_that_comes_twice_is_a_list_that_moved() -> None:
    ours = Listing((ref("a"),), rows=("a", "theirs"))
    next_page = Listing((ref("b"),), rows=("theirs", "b"))
    coverage = folded(PROVEN, Listed(ours, 1), Listed(next_page, 2), seen("a"), seen("b"), END, PROVEN)

    assert coverage.verdict is Verdict.SUSPECT
    assert "twice" in coverage.reasons[0]
