"""The guard in a real browser: a page that tries every way out, and a server that notes what arrived."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page

from archiver.portal.guard import Guard, Rules
from archiver.site.sitemap import load

LISTING = "/hill/hillservice/mons-api/SearchForCases"


@dataclass
class Hostile:
    """A site that notes (method, path) of what it is asked, and serves `pages`."""

    pages: dict[str, str] = field(default_factory=dict)
    arrived: list[tuple[str, str]] = field(default_factory=list)
    origin: str = ""


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    site = Hostile()

    class Answers(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Quiet: what arrived is noted in `arrived`."""

        def answer(self) -> None:
            site.arrived.append((self.command, self.path))
            self.rfile.read(int(self.headers.get("content-length") or 0))
            if "?to=" in self.path:
                self.send_response(307)
                self.send_header("Location", self.path.partition("?to=")[2])
                self.end_headers()
                return
            self.send_response(200)
            script = self.path.endswith(".js")
            self.send_header("Content-Type", "text/javascript" if script else "text/html; charset=utf-8")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(site.pages.get(self.path, "<p>page</p>").encode())

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = answer

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    site.origin = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def guarded(browser: Browser, hostile: Hostile) -> Iterator[tuple[Guard, Page]]:
    guard = Guard(Rules(site=hostile.origin, origins=frozenset({hostile.origin}), map=load().guard))
    session = guard.watch(browser)
    context = browser.new_context(service_workers="block", accept_downloads=False)
    guard.watch_answers(context)
    page = context.new_page()
    page.goto(hostile.origin + "/")
    yield guard, page
    context.close()
    session.detach()  # the next test has a guard of its own, in the same browser


WAYS_OUT = {
    "fetch": "fetch('/write', {method: 'POST', body: 'x'})",
    "put": "fetch('/write', {method: 'PUT', body: 'x'})",
    "delete": "fetch('/write', {method: 'DELETE'})",
    "patch": "fetch('/write', {method: 'PATCH', body: 'x'})",
    "xhr": "{const x = new XMLHttpRequest(); x.open('POST', '/write'); x.send('x')}",
    "beacon": "navigator.sendBeacon('/write', 'x')",
    "keepalive": "fetch('/write', {method: 'POST', body: 'x', keepalive: true})",
    "form": "{const f = document.createElement('form'); f.method = 'POST'; f.action = '/write';"
    "document.body.append(f); f.submit()}",
    "form in a new window": "{const f = document.createElement('form'); f.method = 'POST'; f.action = '/write';"
    "f.target = '_blank'; document.body.append(f); f.submit()}",
    "worker": "new Worker(URL.createObjectURL(new Blob([`fetch('${location.origin}/write', {method: 'POST'})`])))",
    "frame": "{const f = document.createElement('iframe');"
    "f.srcdoc = '<script>fetch(`/write`, {method: `POST`})</script>'; document.body.append(f)}",
    "sign-in post": "fetch('/ap/signin', {method: 'POST', body: 'x'})",
    "sign-out": "fetch('/gp/flex/sign-out.html')",
    "sign-out by picture": "new Image().src = '/gp/flex/sign-out.html?a=1'",
    "sign-out by link": "location.assign('/gp/flex/sign-out.html')",
    "sign-out by redirect": "fetch('/page?to=/gp/flex/sign-out.html')",
    "sign-out by prefetch": "{const l = document.createElement('link'); l.rel = 'prefetch';"
    "l.href = '/gp/flex/sign-out.html'; document.head.append(l)}",
    "write by redirect": f"fetch('{LISTING}?to=/write', {{method: 'POST', body: JSON.stringify({{page: 0}})}})",
    "listing of another shape": f"fetch('{LISTING}', {{method: 'POST', body: JSON.stringify({{close: 1}})}})",
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_no_way_out_leads_to_a_write(way: str, hostile: Hostile, guarded: tuple[Guard, Page]) -> None:
    guard, page = guarded
    page.evaluate(f"() => {{ {WAYS_OUT[way]} }}")
    _await(page, lambda: bool(guard.refusals))
    # What the guard refused never arrives, so there is nothing to wait for but the time it would have taken.
    page.wait_for_timeout(200)

    arrived = [(method, path.partition("?")[0]) for method, path in hostile.arrived]

    assert [a for a in arrived if (a[0] not in ("GET", "HEAD") and a[1] != LISTING) or "sign-out" in a[1]] == []
    assert sum(guard.refusals.values()) >= 1


def test_another_host_is_never_reached(hostile: Hostile, guarded: tuple[Guard, Page]) -> None:
    guard, page = guarded
    elsewhere = hostile.origin.replace("127.0.0.1", "localhost")
    page.evaluate("elsewhere => { new Image().src = elsewhere + '/pixel'; }", elsewhere)
    _await(page, lambda: bool(guard.refusals))

    assert ("GET", "/pixel") not in hostile.arrived
    assert {refusal.why for refusal in guard.refusals} == {"another host"}


SOCKETS = {
    "page": "new WebSocket(`ws://${location.host}/ws`)",
    "frame": "{const f = document.createElement('iframe');"
    "f.srcdoc = `<script>new WebSocket('ws://${location.host}/ws')</script>`; document.body.append(f)}",
    "worker": "new Worker(URL.createObjectURL(new Blob([`new WebSocket('ws://${location.host}/ws')`])))",
}


@pytest.mark.parametrize("where", SOCKETS)
def test_a_web_socket_goes_nowhere(where: str, hostile: Hostile, guarded: tuple[Guard, Page]) -> None:
    guard, page = guarded
    page.evaluate(f"() => {{ {SOCKETS[where]} }}")
    _await(page, lambda: bool(guard.refusals))
    page.wait_for_timeout(200)  # the time it would have taken to arrive

    assert ("GET", "/ws") not in hostile.arrived
    assert [refusal.method for refusal in guard.refusals] == ["WEBSOCKET"]


def test_there_are_no_shared_workers_to_open_one_unseen(guarded: tuple[Guard, Page]) -> None:
    _, page = guarded

    assert page.evaluate("() => typeof SharedWorker + ' ' + typeof WebSocketStream") == "undefined undefined"


def test_the_post_that_lists_is_let_through(hostile: Hostile, guarded: tuple[Guard, Page]) -> None:
    _, page = guarded
    page.evaluate("path => fetch(path, {method: 'POST', body: JSON.stringify({page: 0, caseFilters: {}})})", LISTING)

    assert ("POST", LISTING) in hostile.arrived


def test_a_sign_in_post_leaves_once_for_each_submission(hostile: Hostile, guarded: tuple[Guard, Page]) -> None:
    guard, page = guarded
    guard.sign_in_posts = 1
    page.evaluate("() => fetch('/ap/signin', {method: 'POST', body: 'email=x'})")
    again = page.evaluate("() => fetch('/ap/signin', {method: 'POST', body: 'email=x'}).catch(() => 'refused')")

    assert hostile.arrived.count(("POST", "/ap/signin")) == 1
    assert again == "refused"


def test_a_link_to_a_new_window_stays_under_guard(hostile: Hostile, guarded: tuple[Guard, Page]) -> None:
    _, page = guarded
    hostile.pages["/popup"] = "<script>fetch('/write', {method: 'POST'})</script>"
    page.evaluate("() => { window.open('/popup'); }")
    page.wait_for_timeout(500)  # a popup that is blocked tells nobody

    assert ("POST", "/write") not in hostile.arrived


def _await(page: Page, holds: object, timeout_s: float = 10) -> None:
    assert callable(holds)
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail("what was waited for did not come")
        page.wait_for_timeout(20)  # lets the browser's events in


def test_what_a_page_still_wants_when_the_run_ends_does_not_leave(hostile: Hostile) -> None:
    hostile.pages["/"] = "<script>setInterval(() => fetch('/write', {method: 'POST'}).catch(() => 0), 2)</script>"
    watching = (
        "import sys\n"
        "from archiver.portal import browser as b\n"
        "from archiver.portal.guard import Guard, Rules\n"
        "from archiver.site.sitemap import load\n"
        "guard = Guard(Rules(site=sys.argv[1], origins=frozenset({sys.argv[1]}), map=load().guard))\n"
        "with b.running(b.find(None)) as browser:\n"
        "    guard.watch(browser)\n"
        "    page = browser.new_context().new_page()\n"
        "    page.goto(sys.argv[1] + '/')\n"
        "    page.wait_for_timeout(300)\n"
        "print(sum(guard.refusals.values()))\n"
    )
    # In a process of its own: Playwright allows one of itself in a thread.
    ended = subprocess.run([sys.executable, "-c", watching, hostile.origin], capture_output=True, text=True, timeout=60)

    assert int(ended.stdout) > 5, ended.stderr
    assert [arrived for arrived in hostile.arrived if arrived[0] == "POST"] == []
