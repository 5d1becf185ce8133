"""Lists that move, circle, shrink, come late or do not come: each ends in the verdict an honest person would give."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from archiver import wiring
from archiver.coverage import Verdict
from archiver.demo.moods.lists import BUYERS, Empty, ListMood, list_moods
from archiver.demo.seller import Seller, make_seller
from archiver.demo.stand_in import StandIn
from archiver.model import Scope, Source, thread_id
from tests.browser.conftest import ACCOUNT, NOW, door, run_inside

TODAY = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def long_seller() -> Seller:
    """More than a page of each source in one marketplace, and no more than that."""
    return make_seller(seed=11, now=NOW, cases=30, threads=16, notifications=3)


@pytest.fixture(scope="module")
def present_seller() -> Seller:
    """As of today, so that what ages out does so by the real clock."""
    return make_seller(seed=12, now=TODAY, cases=3, threads=4, notifications=6)


@pytest.mark.parametrize("mood", list_moods(), ids=lambda mood: mood.name)
def test_a_list_ends_in_its_verdict_where_the_site_shows(
    mood: ListMood, long_seller: Seller, browser: Browser, tmp_path: Path
) -> None:
    source = Source(mood.source)
    with StandIn(long_seller, now=NOW, moods=(mood,)) as site, door(site, tmp_path, label=site.seller.label) as way:
        [coverage] = run_inside(way, browser, ("UK", source)).coverages
        listed = {m.site_thread for m in site.truth() if m.source == source and m.marketplace == "UK"}

    assert (coverage.verdict, bool(coverage.reasons)) == (Verdict(mood.ends), mood.ends != "COMPLETE")
    assert coverage.captured_threads >= coverage.listed
    if coverage.complete:
        assert coverage.captured_threads == listed


def test_a_list_that_is_suddenly_empty_is_suspect_and_nothing_is_taken_for_gone(
    present_seller: Seller, browser: Browser, tmp_path: Path
) -> None:
    mood = Empty("suddenly empty", BUYERS, "SUSPECT", on=False)
    scope = ("UK", Source.BUYER_MESSAGES)
    with (
        StandIn(present_seller, now=TODAY, moods=(mood,)) as site,
        door(site, tmp_path, label=site.seller.label) as way,
    ):
        [before] = run_inside(way, browser, scope).coverages
        mood.on = True
        [empty] = run_inside(way, browser, scope).coverages
        mood.on = False
        [after] = run_inside(way, browser, scope).coverages

    assert [c.verdict for c in (before, empty, after)] == [Verdict.COMPLETE, Verdict.SUSPECT, Verdict.COMPLETE]
    assert "that it should show" in empty.reasons[0]
    assert empty.left == after.left == ()


def test_a_thread_that_leaves_before_its_time_is_told_once_and_again_when_it_returns(
    present_seller: Seller, browser: Browser, tmp_path: Path
) -> None:
    scope = ("UK", Source.PERFORMANCE_NOTIFICATIONS)
    since = TODAY - timedelta(days=89)
    with StandIn(present_seller, now=TODAY) as site, door(site, tmp_path, label=site.seller.label) as way:
        [whole] = run_inside(way, browser, scope, since=since).coverages
        gone = max(whole.listed)
        site.withdraw(gone)
        [first] = run_inside(way, browser, scope, since=since).coverages
        [second] = run_inside(way, browser, scope, since=since).coverages
        site.seller = present_seller
        [back] = run_inside(way, browser, scope, since=since).coverages
        assert isinstance(way.memory, wiring.VaultMemory)
        left_now = way.memory.archive.thread(gone).left_at

    assert first.verdict is Verdict.SUSPECT
    assert [(left.site_thread, left.aged_out) for left in first.left] == [(gone, False)]
    assert thread_id(Scope(ACCOUNT, *scope), gone) in first.alarms[0].why
    assert (second.verdict, second.left, second.alarms) == (Verdict.COMPLETE, (), ())
    assert [returned.ref.site_thread for returned in back.returned] == [gone]
    assert left_now is None
