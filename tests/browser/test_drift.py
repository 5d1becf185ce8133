"""Amazon changes a page: nothing is lost, the key to mend is named, and two lines mend it without asking the site."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from playwright.sync_api import Browser

from archiver import wiring
from archiver.coverage import Verdict
from archiver.demo.moods.pages import RenamedField, RenamedHeading
from archiver.demo.seller import make_seller
from archiver.demo.stand_in import StandIn
from archiver.model import Direction, Source
from archiver.site.sitemap import load
from archiver.site.sources import read
from tests.browser.conftest import NOW, door, run_inside

MENDED = """
source.cases.keys.messages = "contacts"
source.performance-notifications.heading = ["kat-page-header@header"]
"""


def test_a_renamed_field_and_a_renamed_heading_are_mended_by_two_lines_and_a_reindex(
    browser: Browser, tmp_path: Path
) -> None:
    seller = make_seller(seed=3, now=NOW, cases=3, threads=1, notifications=3)
    moods = (RenamedField("renamed field", "contactList", "contacts"), RenamedHeading("renamed heading"))
    with StandIn(seller, now=NOW, moods=moods) as site, door(site, tmp_path, label=seller.label) as way:
        scopes = [("UK", source) for source in (Source.CASES, Source.PERFORMANCE_NOTIFICATIONS)]
        coverages = run_inside(way, browser, *scopes).coverages
        asked = len(site.log)
        truth = [m for m in site.truth() if m.marketplace == "UK" and m.source in (Source.CASES, scopes[1][1])]
        (tmp_path / "site.toml").write_text(MENDED)
        assert isinstance(way.memory, wiring.VaultMemory)
        archive = way.memory.archive
        unread = {(thread.site_thread, thread.unread.key) for thread in archive.threads() if thread.unread}
        archive.rebuild(partial(read, sitemap=load(tmp_path / "site.toml")))
        mended = [(t.site_thread, s.message) for t in archive.threads() for s in t.messages]
        left = [thread.unread for thread in archive.threads() if thread.unread]
        asked_after = len(site.log)

    assert [coverage.verdict for coverage in coverages] == [Verdict.PARTIAL, Verdict.PARTIAL]
    assert all(coverage.unread and coverage.captured == len(coverage.listed) for coverage in coverages)
    assert {key for _, key in unread} == {"source.cases.keys.messages", "source.performance-notifications.heading"}
    assert {name for name, _ in unread} == {m.site_thread for m in truth}
    assert left == []
    assert sorted((name, m.site_message, m.body) for name, m in mended) == sorted(
        (m.site_thread, m.site_message, m.body) for m in truth
    )
    assert {m.direction for _, m in mended} == {Direction.IN, Direction.OUT}
    assert asked_after == asked
