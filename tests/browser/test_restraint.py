"""Honesty and restraint: every request is on record, the budget is kept, and a stop is a stop."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from playwright.sync_api import Browser

from archiver import __version__
from archiver.demo.moods import Visit
from archiver.demo.seller import Seller
from archiver.demo.stand_in import StandIn
from archiver.model import Kind
from tests.browser.conftest import ACCOUNT, NOW, Office, Opener


def _requests(office: Office) -> list[dict[str, Any]]:
    """What the run records say was sent, oldest first."""
    lines: list[str] = []
    with office.opened() as archive:
        for _, entry in archive._chain().entries():
            if entry.kind is Kind.RUN:
                [sent] = archive.read_capture(entry.id).named("requests")
                lines += sent.body.decode().splitlines()
    return [json.loads(line) for line in lines]


def test_the_run_record_names_every_request_the_site_saw(office: Office) -> None:
    office.done("sync")
    requests = _requests(office)
    sent = Counter((r["method"], urlsplit(r["url"]).path) for r in requests)
    seen = Counter((method, urlsplit(path).path) for method, path, _ in office.site.log)
    answered = {(r["method"], urlsplit(r["url"]).path, r["status"]) for r in requests if r["status"] is not None}

    assert seen - sent == Counter()
    assert answered <= {(method, urlsplit(path).path, status) for method, path, status in office.site.log}
    assert {path for _, path in sent} - {path for _, path, _ in answered} <= {"/favicon.ico"}
    assert {method for method, _ in sent} == {"GET", "POST"}
    assert {path for method, path in sent if method == "POST"} <= {
        "/ap/signin",
        "/hill/hillservice/mons-api/SearchForCases",
    }


def test_a_spent_budget_ends_the_run_and_bars_the_next(office: Office) -> None:
    office.config.write_text(office.config.read_text() + "requests = { day = 150 }\n")
    first = office.run("sync")
    after_first = office.site.counters.requests
    second = office.run("sync")

    assert (first.returncode, second.returncode) == (4, 4)
    assert "budget of 150 requests" in second.stderr
    # The budget is looked at before each page, and a page is some thirty requests.
    assert 100 < after_first < 200
    assert office.site.counters.requests == after_first


def test_a_stop_takes_effect_within_seconds_in_a_run_under_way(office: Office) -> None:
    process = office.start("sync")
    while office.site.counters.case_searches == 0 and process.poll() is None:
        time.sleep(0.05)
    office.done("stop-access", "--reason", "audit")
    began = time.monotonic()
    time.sleep(1.5)  # the guard looks once a second
    requests = office.site.counters.requests
    _, err = process.communicate(timeout=60)

    assert time.monotonic() - began < 5
    assert process.returncode == 5, err
    assert "audit" in err
    assert office.site.counters.requests == requests


class NotesUserAgents:
    """A mood that changes nothing."""

    name = "notes user agents"

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        self.seen[visit.request.headers.get("User-Agent", "")] += 1
        return None


def test_every_request_says_that_it_is_automation_and_whom_to_ask(open_office: Opener, small_seller: Seller) -> None:
    mood = NotesUserAgents()
    with StandIn(small_seller, now=NOW, moods=(mood,)) as site:
        office = open_office(site)
        office.configure(site.origin, '[browser]\ncontact = "ops@acme.example"')
        office.done("sync", "--source", "performance-notifications")
    [said] = mood.seen

    assert sum(mood.seen.values()) > 50
    assert f"archiver/{__version__} (automated software, acting for the seller; contact: ops@acme.example)" in said
    assert "HeadlessChrome/" in said


def test_the_browser_says_to_scripts_that_it_is_driven(browser: Browser) -> None:
    page = browser.new_page()
    driven = page.evaluate("navigator.webdriver")
    page.close()

    assert driven is True


class _StopsHalfway:
    """Lets the archiver in, shows it the list of notifications and two of them, and then asks it to stop."""

    name = "stops halfway"

    def __init__(self) -> None:
        self.asked = 0

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if self.asked or visit.request.path.startswith("/performance/notifications/"):
            self.asked += 1
        if self.asked <= 4:  # a notification is a page and what stands in its frame
            return None
        page = (
            "<html><body><h1>Access denied</h1><p>Automated access to this account is not permitted.</p></body></html>"
        )
        return web.Response(status=403, text=page, content_type="text/html")


def test_a_page_that_asks_automation_to_stop_ends_the_run_and_every_later_one(
    open_office: Opener, small_seller: Seller
) -> None:
    with StandIn(small_seller, now=NOW, moods=[_StopsHalfway()]) as site:
        office = open_office(site)
        first = office.run("sync", "--source", "performance-notifications")
        asked = site.counters.requests
        second = office.run("sync")
        check = office.run("account", "check", ACCOUNT)
    with office.opened() as archive:
        kept = [entry.id for _, entry in archive._chain().entries() if entry.kind is Kind.SIGN_IN]
        [page] = [archive.read_capture(capture) for capture in kept]

    assert (first.returncode, second.returncode, check.returncode) == (5, 5, 5), first.stderr
    assert f"archiver allow-access --account {ACCOUNT}" in first.stderr
    assert site.counters.requests == asked
    assert (page.stamp, page.url.startswith(site.origin)) == ("STOP_ASKED", True)


class _Busy:
    """Asks for two seconds at the first case, and for an hour at the second."""

    name = "busy"

    def __init__(self) -> None:
        self.asked_at: list[float] = []

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if not visit.request.path.endswith("/ViewCase"):
            return None
        self.asked_at.append(time.monotonic())
        wanted = {1: "2", 3: "3600"}.get(len(self.asked_at))
        return web.Response(status=429, headers={"Retry-After": wanted}) if wanted else None


def test_a_busy_site_is_left_alone_for_as_long_as_it_asks(open_office: Opener, small_seller: Seller) -> None:
    busy = _Busy()
    with StandIn(small_seller, now=NOW, moods=[busy]) as site:
        office = open_office(site)
        ended = office.run("sync", "--source", "cases")

    assert ended.returncode == 4, ended.stderr
    assert "asks to come back in 60 min" in ended.stderr
    assert len(busy.asked_at) == 3
    assert busy.asked_at[1] - busy.asked_at[0] >= 2
