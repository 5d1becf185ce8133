"""Honesty and restraint: every request is on record, the budget is kept, and a stop is a stop."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from playwright.sync_api import Browser

from archiver import __version__
from archiver.demo.moods import Visit
from archiver.demo.moods.sign_in import sign_in_moods
from archiver.demo.seller import Seller
from archiver.demo.stand_in import StandIn
from archiver.errors import ArchiverError, PersonNeeded, SiteUnreachable
from archiver.model import Kind
from archiver.portal import sign_in
from archiver.portal.pace import Budget
from archiver.signin import Screen
from archiver.site.sitemap import load
from tests.browser.conftest import ACCOUNT, NOW, Office, Opener, door


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


EVERYTHING = """<html><head><meta name="anti-csrftoken-a2z" content="x">
<link rel="prefetch" href="/gp/flex/sign-out.html?prefetch"><link rel="preload" as="fetch" href="/gp/sign-out.html">
<script src="/gp/flex/sign-out.html?script"></script><link rel="stylesheet" href="/messaging/no-response-needed?t=1">
<meta http-equiv="refresh" content="2;url=http://localhost:PORT/gp/flex/sign-out.html"></head><body>
<img src="/gp/flex/sign-out.html"><iframe src="/messaging/no-response-needed?m=1"></iframe>
<iframe name="sink"></iframe>
<form id="form" method="post" action="/messaging/api/send" target="sink"><input name="a"></form>
<form id="new" method="post" action="/messaging/api/send" target="_blank"></form>
<a id="out" href="/gp/flex/sign-out.html" target="sink">x</a>
<a id="get" href="/gp/sign-out.html" download>x</a>
<script>
const write = '/messaging/api/send', out = '/gp/flex/sign-out.html', post = {method: 'POST', body: 'x'};
const tried = [
    () => fetch(write, post), () => fetch(write, {...post, keepalive: true}), () => fetch(write, {method: 'PUT'}),
    () => fetch(write, {method: 'DELETE'}), () => fetch('//localhost:PORT' + write, {...post, mode: 'no-cors'}),
    () => navigator.sendBeacon(write, 'x'), () => new WebSocket(`ws://${location.host}/ws`),
    () => new EventSource(out), () => navigator.serviceWorker.register('/sw.js'),
    () => new Worker(URL.createObjectURL(new Blob([`fetch('${location.origin}${write}', {method: 'POST'})`]))),
    () => window.open(out), () => { form.submit(); }, () => { document.getElementById('new').submit(); },
    () => { document.getElementById('out').click(); }, () => { document.getElementById('get').click(); },
    () => { const x = new XMLHttpRequest(); x.open('POST', write); x.send('x'); },
    () => { history.pushState({}, '', '/x'); fetch('..' + out); fetch('/gp/%66lex/sign-out.html'); },
    () => { new Image().src = '/x/..%2fgp/flex/sign-out.html'; },
];
for (const one of tried) try { Promise.resolve(one()).catch(() => 0); } catch { /* the next one */ }
</script></body></html>"""


class TriesEverything:
    """A mood: one page tries every way there is to change something."""

    name = "tries everything"

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if visit.request.path == "/hostile":
            port = str(urlsplit(str(visit.request.url)).port)
            return web.Response(text=EVERYTHING.replace("PORT", port), content_type="text/html")
        return None


def test_a_page_that_tries_everything_changes_nothing(browser: Browser, small_seller: Seller, tmp_path: Path) -> None:
    with StandIn(small_seller, now=NOW, moods=(TriesEverything(),)) as site:
        with door(site, tmp_path) as way, way.inside(browser) as portal:
            before = site.counters
            portal.page.goto(site.origin + "/hostile")
            portal.page.wait_for_timeout(3500)  # the refresh comes after two seconds; what is refused never comes
            refused = portal.guard.refusals
            still = sign_in.showing(portal.page, load())
            portal.page.goto(site.origin + "/home")
            at_home = sign_in.showing(portal.page, load())
        after = site.counters
        arrived = {(method, path) for method, path, _ in site.log}

    assert (after.writes, after.forbidden_gets, after.noise_posts) == (0, 0, 0)
    assert after.password_submissions == before.password_submissions
    assert not any(method not in ("GET", "HEAD") and "/ap/signin" not in path for method, path in arrived)
    assert {refusal.why for refusal in refused} >= {
        "a GET that changes state",
        "a POST that is not named in the site map",
        "another host",
        "method PUT",
        "WebSockets are off",
    }
    assert still is not Screen.EMAIL
    assert at_home in (Screen.AUTHENTICATED, Screen.SELECT_ACCOUNT)


class Roulette:
    """A mood: each page of the sign-in is that of another mood, by lot."""

    name = "roulette"

    def __init__(self, seed: int) -> None:
        self.lot = random.Random(seed)
        self.moods = [mood for mood in sign_in_moods() if "approval" not in mood.name and "WAF" not in mood.name]

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if visit.stage not in ("door", "email", "password", "code", "challenge") or self.lot.random() < 0.3:
            return None
        return await self.lot.choice(self.moods).answer(visit)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_pages_come_a_sign_in_ends_within_its_budget(
    browser: Browser, small_seller: Seller, tmp_path: Path, seed: int
) -> None:
    budget = Budget(minute=1000, hour=1000, day=40)
    with StandIn(small_seller, now=NOW, moods=(Roulette(seed),)) as site:
        with door(site, tmp_path, budget=budget, approval_s=0.1) as way, suppress(ArchiverError):
            for _ in range(3):
                with suppress(PersonNeeded, SiteUnreachable), way.inside(browser):
                    pass
        seen = site.counters

    # The budget is looked at before each page, and a page of the sign-in is some ten requests.
    assert seen.requests <= 40 + 20
    assert max(seen.email_submissions, seen.password_submissions, seen.code_submissions) <= 3
    assert (seen.writes, seen.forbidden_gets, seen.resends) == (0, 0, 0)


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
