"""What goes wrong in an office: one clear sentence with what to do, the right exit code, nothing stored is touched."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import socket
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import web

from archiver.demo.moods import Visit
from archiver.demo.seller import Seller
from archiver.demo.stand_in import StandIn
from tests.browser.conftest import NOW, Office, Opener


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _sealed(office: Office) -> dict[str, str]:
    """Every file of the captures, by its hash."""
    return {
        str(path.relative_to(office.archive)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (office.archive / "captures").rglob("*")
        if path.is_file()
    }


def test_a_site_that_is_down_is_said_in_one_sentence(office: Office) -> None:
    before = _sealed(office)
    office.configure(f"http://127.0.0.1:{_free_port()}")

    ended = office.run("sync")

    assert ended.returncode == 1
    assert "did not answer" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert {k: v for k, v in _sealed(office).items() if k in before} == before


def test_a_missing_browser_is_said_with_what_to_install(office: Office) -> None:
    office.configure(office.site.origin, '[browser]\nexecutable = "/nowhere/chromium"')

    ended = office.run("sync")

    assert ended.returncode == 2
    assert "no browser at /nowhere/chromium" in ended.stderr
    assert "browser.executable" in ended.stderr
    assert office.site.counters.requests == 0


def test_the_kill_switch_keeps_every_request_back_until_it_is_released(office: Office) -> None:
    office.done("stop-access", "--reason", "lawyers are looking")
    stopped = office.run("sync")
    requests = office.site.counters.requests
    office.done("allow-access")

    assert stopped.returncode == 5
    assert "lawyers are looking" in stopped.stderr
    assert "archiver allow-access" in stopped.stderr
    assert requests == 0
    assert office.run("sync", "--source", "performance-notifications").returncode == 0


@pytest.fixture
def wrong(open_office: Opener, small_seller: Seller) -> Iterator[Office]:
    """An office that was given a wrong password."""
    with StandIn(small_seller, now=NOW) as site:
        yield open_office(site, password="not the password")


def test_a_refused_password_is_submitted_once_and_never_again_by_itself(wrong: Office) -> None:
    first = wrong.run("sync")
    again = wrong.run("sync")
    third = wrong.run("--json", "sync")

    assert [first.returncode, again.returncode, third.returncode] == [3, 3, 3]
    assert wrong.site.counters.password_submissions == 1
    assert "archiver account add" in first.stderr + again.stderr
    assert json.loads(third.stdout.splitlines()[-1])["exit"] == 3


def test_a_corrected_password_signs_in(wrong: Office) -> None:
    wrong.run("sync")
    wrong.add_account()

    assert wrong.run("sync", "--source", "cases").returncode == 0


def test_the_unified_sign_in_is_walked_too(open_office: Opener, small_seller: Seller) -> None:
    with StandIn(small_seller, now=NOW, sign_in="unified") as site:
        office = open_office(site)
        ended = office.run("sync", "--source", "performance-notifications")
        counters = site.counters

    assert ended.returncode == 0, ended.stderr
    assert (counters.email_submissions, counters.password_submissions, counters.code_submissions) == (1, 1, 1)


class ThreadsFail:
    """A mood: the JSON of one kind of thread is answered with 503, as on a bad day."""

    name = "threads fail"

    def __init__(self, part: str) -> None:
        self.part = part

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if visit.stage == "json" and self.part in visit.request.path:
            return web.Response(status=503, headers={"retry-after": "0"})
        return None


class Answers:
    """A mood: every request for data or a file whose path has this part is answered like this."""

    name = "answers"

    def __init__(self, part: str, body: str, media_type: str, status: int = 200) -> None:
        self.part, self.body, self.media_type, self.status = part, body, media_type, status

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if visit.stage in ("json", "attachment") and self.part in visit.request.path:
            return web.Response(text=self.body, content_type=self.media_type, status=self.status)
        return None


@pytest.mark.parametrize(
    "mood",
    [
        Answers("/ViewCase", '{"cases": "elsewhere"}', "application/json"),
        Answers("/ViewCase", "older than one year", "text/plain", 404),
    ],
    ids=["another shape", "not found"],
)
def test_a_page_that_changed_is_kept_whole_and_said(open_office: Opener, small_seller: Seller, mood: Answers) -> None:
    with StandIn(small_seller, now=NOW, moods=(mood,)) as site:
        office = open_office(site)
        ended = office.run("--json", "sync", "--source", "cases")
        cases = {t.site_thread for t in site.truth() if t.source == "cases"}
    with office.opened() as archive:
        kept = {t.site_thread: archive.read_capture(t.captures[-1].id) for t in archive.threads()}
        unread = [t.unread for t in archive.threads()]

    assert ended.returncode == 4
    assert set(_states(ended.stdout).values()) == {"PARTIAL"}
    assert set(kept) == cases
    assert all(c.named("dom") and c.named("mhtml") and c.named("screenshot") for c in kept.values())
    assert None not in unread


def test_a_page_in_place_of_a_file_is_no_file(open_office: Opener, small_seller: Seller) -> None:
    with StandIn(small_seller, now=NOW, moods=(Answers("attachments", "<p>sign in</p>", "text/html"),)) as site:
        office = open_office(site)
        ended = office.run("--json", "sync", "--source", "cases")
        again = office.run("--json", "sync", "--source", "cases")

    assert (ended.returncode, again.returncode) == (4, 4)
    assert "a page came in its place" in ended.stdout
    assert "an attachment was not fetched" in again.stdout


class Slow:
    """A mood: the answer to the password comes late."""

    name = "slow"

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if visit.stage == "password":
            await asyncio.sleep(22)
        return None


def test_a_slow_answer_is_no_refusal(open_office: Opener, small_seller: Seller) -> None:
    with StandIn(small_seller, now=NOW, moods=(Slow(),)) as site:
        ended = open_office(site).run("sync", "--source", "performance-notifications")
        submissions = site.counters.password_submissions

    assert ended.returncode == 0, ended.stderr
    assert submissions == 1


class KillsItsRenderer:
    """A mood: one case's page takes its renderer down, so many times, as one that eats all memory does."""

    name = "kills its renderer"

    def __init__(self, times: int) -> None:
        self.times = times
        self.killed = 0
        self.case = self.run_folder = ""

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        request = visit.request
        if "/ViewCase" in request.path and request.query.get("caseId") == self.case and self.times:
            self.times -= 1
            for process in _renderers(self.run_folder):
                os.kill(process, signal.SIGKILL)
                self.killed += 1
        return None


def _renderers(run_folder: str) -> list[int]:
    """The renderer processes of the browser whose files lie there: descendants of one that was told so."""
    lines, parents = {}, {}
    for process in Path("/proc").iterdir():
        with suppress(OSError):  # not a process, or gone
            lines[process.name] = (process / "cmdline").read_bytes()
            parents[process.name] = (process / "stat").read_text().rpartition(")")[2].split()[1]
    found = []
    for name, line in lines.items():
        above: str | None = name
        while above is not None and f"--user-data-dir={run_folder}/".encode() not in lines.get(above, b""):
            above = parents.get(above)
        if above is not None and b"--type=renderer" in line:
            found.append(int(name))
    return found


@pytest.mark.parametrize("times, code", [(1, 0), (100, 4)], ids=["once", "each time"])
def test_a_page_that_kills_its_renderer_costs_no_other_thread(
    open_office: Opener, small_seller: Seller, times: int, code: int
) -> None:
    mood = KillsItsRenderer(times)
    with StandIn(small_seller, now=NOW, moods=(mood,)) as site:
        cases = [t.site_thread for t in site.truth() if t.source == "cases"]
        office = open_office(site)
        mood.case, mood.run_folder = cases[1], str(office.run_folder)
        ended = office.run("--json", "sync", "--source", "cases")
    with office.opened() as archive:
        kept = {t.site_thread for t in archive.threads()}

    assert mood.killed
    assert ended.returncode == code, ended.stderr
    assert kept == set(cases) - ({mood.case} if code else set())
    assert ("brought its browser tab down" in ended.stdout) == bool(code)


class Empties:
    """A mood: the list of cases is empty once it is told so."""

    name = "empties"
    empty = False

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if self.empty and visit.request.path.endswith("/SearchForCases"):
            return web.json_response({"caseSearchResultList": [], "totalNumberOfResults": 0})
        return None


def _states(said: str) -> dict[tuple[str, str], str]:
    lines = [json.loads(line) for line in said.splitlines()][:-1]
    return {(line["marketplace"], line["source"]): line["state"] for line in lines}


def test_threads_that_fail_are_partial_and_the_next_run_gets_them(open_office: Opener, small_seller: Seller) -> None:
    with StandIn(small_seller, now=NOW, moods=(ThreadsFail("/ViewCase"),)) as site:
        office = open_office(site)
        ended = office.run("--json", "sync")
    states = _states(ended.stdout)
    with StandIn(small_seller, now=NOW) as site:
        office.configure(site.origin)
        healed = office.run("--json", "sync")

    assert ended.returncode == 4
    assert states["UK", "cases"] == "PARTIAL"
    assert states["UK", "buyer-messages"] == "COMPLETE"
    assert healed.returncode == 0, healed.stderr
    assert set(_states(healed.stdout).values()) == {"COMPLETE"}


def test_an_empty_list_where_there_was_something_is_an_alarm(open_office: Opener, small_seller: Seller) -> None:
    mood = Empties()
    with StandIn(small_seller, now=NOW, moods=(mood,)) as site:
        office = open_office(site)
        office.done("sync", "--source", "cases")
        mood.empty = True
        ended = office.run("--json", "sync", "--source", "cases")

    assert ended.returncode == 4
    assert _states(ended.stdout)["UK", "cases"] == "SUSPECT"


def test_another_account_than_the_configured_one_is_not_read(office: Office) -> None:
    office.config.write_text(office.config.read_text().replace(office.site.seller.label, "Somebody Else Ltd"))

    ended = office.run("sync")

    assert ended.returncode != 0
    assert "Somebody Else Ltd" in ended.stderr
    assert office.site.counters.case_searches == 0


class Forgets:
    """A mood: at these visits of a signed-in browser, counted over all stages but scripts, everyone is signed out."""

    name = "forgets"

    def __init__(self, moments: Collection[int]) -> None:
        self.moments = set(moments)
        self.visits = 0
        self.site: StandIn | None = None

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if visit.signed_in and visit.stage not in ("static", "noise"):
            self.visits += 1
            if self.visits in self.moments and self.site is not None:
                self.site.expire_sessions()
        return None


def test_a_session_that_dies_ten_times_costs_no_message(open_office: Opener, small_seller: Seller) -> None:
    moments = random.Random(11).sample(range(20, 400), 10)
    mood = Forgets(moments)
    with StandIn(small_seller, now=NOW, moods=(mood,), remembers_device=True) as site:
        mood.site = site
        office = open_office(site)
        ended = office.run("--json", "sync")
        truth = {(t.site_thread, t.site_message): t.body for t in site.truth()}
        counters = site.counters
    with office.opened() as archive:
        kept = {(t.site_thread, m.message.site_message): m.message.body for t in archive.threads() for m in t.messages}
        captures = [archive.read_capture(info.id) for thread in archive.threads() for info in thread.captures]
        pages = [artifact.body for capture in captures for artifact in (*capture.named("json"), *capture.named("dom"))]

    assert ended.returncode == 0, ended.stderr
    assert set(_states(ended.stdout).values()) == {"COMPLETE"}
    assert kept == truth
    # One sign-in at the start, and one for each death that came while there was still something to read.
    assert counters.password_submissions == 1 + sum(moment <= mood.visits for moment in moments) > 8
    assert [page for page in pages if b"ap_password" in page or b"ap_email" in page] == []


def test_a_session_that_will_not_hold_is_not_fought_for(open_office: Opener, small_seller: Seller) -> None:
    mood = Forgets(range(10, 5000, 10))
    with StandIn(small_seller, now=NOW, moods=(mood,), remembers_device=True) as site:
        mood.site = site
        ended = open_office(site).run("sync")
        submissions = site.counters.password_submissions

    assert ended.returncode == 4
    assert "the next run signs in again" in ended.stderr
    assert submissions < 15
