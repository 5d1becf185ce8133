"""A person answers a challenge on the hand-over page, in a browser of their own; and nobody else gets in."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from queue import Queue
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from playwright.sync_api import Browser, Page, sync_playwright

from archiver.demo.moods import Mood, Visit
from archiver.demo.moods.challenges import ImageCaptcha, SmsCode
from archiver.demo.seller import Seller
from archiver.demo.stand_in import StandIn
from archiver.errors import ArchiverError, Interrupted, PersonNeeded, UsageError
from archiver.portal import browser as browsers
from archiver.portal.hand_over.desk import Terminal
from archiver.portal.hand_over.page import Address, HandOverPage
from archiver.portal.pace import Pace
from archiver.portal.person import Task
from archiver.portal.tab import Tab
from archiver.signin import Screen
from archiver.site.sitemap import load
from tests.browser.conftest import ACCOUNT, NOW, Opener, door

LOOPBACK = Address("127.0.0.1", 0)


@dataclass
class Both:
    """Two moods, one after the other."""

    first: Mood
    second: Mood
    name: str = "both"

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        return await self.first.answer(visit) or await self.second.answer(visit)


@dataclass
class Someone:
    """A person, in a thread of their own; `does` gets the link. What they found wrong is in `failed`."""

    does: Callable[[str], None]
    links: Queue[str] = field(default_factory=Queue)
    told: list[Task] = field(default_factory=list)
    failed: list[BaseException] = field(default_factory=list)
    has_left: bool = False

    def tell(self, task: Task, link: str) -> None:
        self.told.append(task)
        if link:
            self.links.put(link)

    @contextmanager
    def at_hand(self) -> Iterator[None]:
        thread = threading.Thread(target=self._act)
        thread.start()
        try:
            yield
        finally:
            self.links.put("")
            thread.join()

    def halt(self) -> ArchiverError | None:
        """A person who failed is not waited for."""
        return Interrupted("The person failed.", hint="See why.") if self.failed else None

    def _act(self) -> None:
        try:
            link = self.links.get(timeout=60)
            if link:
                self.does(link)
        except BaseException as error:  # a thread's own: it is looked at by the test
            self.failed.append(error)
        self.has_left = True


def with_a_browser(does: Callable[[Page], None]) -> Callable[[str], None]:
    """A person who opens the link in a browser of their own, as anyone's: the archiver's has no WebSockets."""

    def act(link: str) -> None:
        flags = ["--no-sandbox"] if browsers.runs_as_root() else []
        with sync_playwright() as playwright:
            mine = playwright.chromium.launch(executable_path=browsers.find(None), args=flags)
            page = mine.new_page(viewport={"width": 1300, "height": 900}, locale="zh-CN")
            page.goto(link)
            does(page)
            mine.close()

    return act


def what_is_shown(page: Page, words: str) -> None:
    """Wait until the page says this and shows a picture."""
    page.locator("#what", has_text=words).wait_for()
    deadline = time.monotonic() + 20
    while page.evaluate("document.getElementById('live').naturalWidth") < 1600:
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)


def test_a_captcha_and_a_code_are_answered_through_the_page(
    browser: Browser, small_seller: Seller, tmp_path: Path
) -> None:
    captcha, sms = ImageCaptcha(), SmsCode()
    home = ""

    def answer(page: Page) -> None:
        what_is_shown(page, "captcha")
        page.focus("#live")
        page.keyboard.press("Tab")
        page.keyboard.type(captcha.answer_text)
        page.keyboard.press("Enter")
        what_is_shown(page, "verification code")
        # As on a phone: the box and the buttons below the picture.
        page.click("[data-key=Tab]")
        page.fill("#text", sms.code)
        page.click("#typing [type=submit]")
        page.click("[data-key=Enter]")
        page.wait_for_selector("body.over")

    someone = Someone(with_a_browser(answer))
    with StandIn(small_seller, now=NOW, moods=(Both(captcha, sms),)) as site:
        page = HandOverPage(LOOPBACK, someone.tell)
        with (
            suppress(Interrupted),
            door(site, tmp_path, page, someone.halt) as way,
            someone.at_hand(),
            way.inside(browser) as portal,
        ):
            home = portal.page.url
        counters = site.counters

    assert someone.failed == []
    assert [task.screen for task in someone.told] == ["IMAGE_CAPTCHA", "CVF_CODE"]
    assert home.startswith(site.origin)
    assert (counters.email_submissions, counters.password_submissions, counters.writes) == (1, 1, 0)


# --- the page by itself -----------------------------------------------------------------------------------------


class Uncounted:
    """Nothing is sent to a site here."""

    def count_requests(self, number: int) -> None: ...

    def requests_of_last_hours(self, hours: int) -> int:
        return 0


BUTTON = "<button style='position:absolute;left:1200px;top:800px' onclick='document.title = 1'>x</button>"


def attend(browser: Browser, someone: Someone, lasts_s: float = 60) -> bool:
    """A person is asked to a page of ours with a button, until it is pressed or they leave; whether it was pressed."""
    context = browser.new_context(viewport={"width": 1600, "height": 1200})
    tab = Tab(context)
    tab.page.set_content(BUTTON)
    until = datetime.now(UTC) + timedelta(seconds=lasts_s)
    task = Task(ACCOUNT, Screen.IMAGE_CAPTCHA, "Please press it.", "Hint.", until)
    pace = Pace(tab, someone.halt, lambda: 0, Uncounted())
    desk = HandOverPage(LOOPBACK, someone.tell)
    pressed = False
    try:
        with suppress(Interrupted), someone.at_hand():
            desk.attend(tab.page, tab.session, task, pace, lambda: tab.page.title() == "1" or someone.has_left)
            pressed = tab.page.title() == "1"
            desk.leave()
    finally:
        desk.leave()
        context.close()
    return pressed


def press(page: Page) -> None:
    """Click the button where the picture shows it."""
    what_is_shown(page, "press")
    shown = page.locator("#live").bounding_box()
    assert shown is not None
    scale = shown["width"] / 1600
    page.mouse.click(shown["x"] + 1210 * scale, shown["y"] + 812 * scale)
    page.wait_for_selector("body.over")


def test_a_click_lands_where_it_is_made_and_the_port_is_closed_after(browser: Browser) -> None:
    links: list[str] = []

    def act(link: str) -> None:
        links.append(link)
        with_a_browser(press)(link)

    someone = Someone(act)
    pressed = attend(browser, someone)

    assert someone.failed == []
    assert pressed
    with pytest.raises(ConnectionRefusedError):
        ask(links[0], "GET", "/")


def test_nobody_comes_and_the_wait_ends(browser: Browser) -> None:
    began = time.monotonic()
    pressed = attend(browser, Someone(lambda link: time.sleep(2)), lasts_s=1)

    assert not pressed
    assert 0.9 < time.monotonic() - began < 10


# --- the whole program ------------------------------------------------------------------------------------------


def test_a_scheduled_run_waits_for_a_person_and_goes_on(open_office: Opener, small_seller: Seller) -> None:
    captcha = ImageCaptcha()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

    def answer(page: Page) -> None:
        what_is_shown(page, "captcha")
        page.focus("#live")
        page.keyboard.press("Tab")
        page.keyboard.type(captcha.answer_text)
        page.keyboard.press("Enter")
        page.wait_for_selector("body.over")

    someone = Someone(with_a_browser(answer))
    with StandIn(small_seller, now=NOW, moods=(captcha,)) as site, someone.at_hand():
        office = open_office(site)
        before = office.run("login", ACCOUNT, "--link")
        office.configure(site.origin, f'[handover]\nlisten = "127.0.0.1:{port}"')
        run = office.start("sync", "--source", "performance-notifications")
        while (found := office.run("--json", "login", ACCOUNT, "--link")).returncode and run.poll() is None:
            time.sleep(0.1)
        link = json.loads(found.stdout)["link"]
        beside = office.run("login", ACCOUNT)
        someone.links.put(link)
        out, err = run.communicate(timeout=120)
        after = office.run("login", ACCOUNT, "--link")

    assert someone.failed == []
    assert run.returncode == 0, err
    assert "a person is needed" in err
    assert f"archiver login {ACCOUNT} --link" in err
    assert token_of(link) not in out + err
    assert link.startswith(f"http://127.0.0.1:{port}/#")
    assert (beside.returncode, before.returncode, after.returncode) == (3, 1, 1)
    assert "waits for you" in beside.stderr
    assert "No run of" in after.stderr


# --- who is kept out --------------------------------------------------------------------------------------------


@dataclass
class Answer:
    status: int
    text: str
    headers: dict[str, str]


def ask(link: str, method: str, path: str, *, body: str = "", **headers: str) -> Answer:
    """One request to the page's server; by our own origin and host where no other is named."""
    parts = urlsplit(link)
    origin = f"{parts.scheme}://{parts.netloc}"
    connection = HTTPConnection(parts.hostname or "", parts.port or 0, timeout=10)
    try:
        connection.request(method, path, body or None, {"Origin": origin, **headers})
        answer = connection.getresponse()
        return Answer(answer.status, answer.read().decode(), dict(answer.getheaders()))
    finally:
        connection.close()


def token_of(link: str) -> str:
    return urlsplit(link).fragment


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def live(link: str, cookie: str, **headers: str) -> Answer:
    return ask(link, "GET", "/live", **{**UPGRADE, "Cookie": cookie, **headers})


def strangers(browser: Browser, does: Callable[[str], None]) -> None:
    """`does` tries its ways in while a run waits."""
    someone = Someone(does)
    attend(browser, someone)
    assert someone.failed == []


def test_a_second_visitor_with_the_same_link_is_refused(browser: Browser) -> None:
    def act(link: str) -> None:
        first = ask(link, "POST", "/redeem", body=token_of(link))
        second = ask(link, "POST", "/redeem", body=token_of(link))
        cookie = first.headers["Set-Cookie"].split(";")[0]

        assert (first.status, second.status) == (200, 403)
        assert "used already" in second.text
        assert "HttpOnly" in first.headers["Set-Cookie"]
        assert "SameSite=Strict" in first.headers["Set-Cookie"]
        assert live(link, "archiver_hand_over=guess").status == 403
        assert live(link, "").status == 403
        assert live(link, cookie).status == 101

    strangers(browser, act)


def test_an_expired_link_and_a_wrong_token_are_refused(browser: Browser) -> None:
    def act(link: str) -> None:
        assert ask(link, "POST", "/redeem", body=token_of(link)[:-1] + "~").status == 403
        assert ask(link, "POST", "/redeem", body="").status == 403
        time.sleep(1.2)  # the task lasts a second, and the page stays up a moment longer
        late = ask(link, "POST", "/redeem", body=token_of(link))
        assert (late.status, "expired" in late.text) == (403, True)

    late_page(browser, act)


def late_page(browser: Browser, does: Callable[[str], None]) -> None:
    """As `strangers`, but the page is left only after they are done."""
    context = browser.new_context()
    tab = Tab(context)
    tab.page.set_content(BUTTON)
    someone = Someone(does)
    desk = HandOverPage(LOOPBACK, someone.tell)
    until = datetime.now(UTC) + timedelta(seconds=1)
    task = Task(ACCOUNT, Screen.IMAGE_CAPTCHA, "Please press it.", "Hint.", until)
    with someone.at_hand():
        desk.attend(tab.page, tab.session, task, Pace(tab, lambda: None, lambda: 0, Uncounted()), lambda: False)
    desk.leave()
    context.close()
    assert someone.failed == []


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", ""])
def test_another_origin_gets_nothing_done(browser: Browser, origin: str) -> None:
    def act(link: str) -> None:
        assert ask(link, "POST", "/redeem", body=token_of(link), Origin=origin).status == 403
        cookie = ask(link, "POST", "/redeem", body=token_of(link)).headers["Set-Cookie"].split(";")[0]
        assert live(link, cookie, Origin=origin).status == 403

    strangers(browser, act)


@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1:1"])
def test_another_host_name_gets_nothing_at_all(browser: Browser, host: str) -> None:
    def act(link: str) -> None:
        assert ask(link, "GET", "/", Host=host).status == 421
        assert ask(link, "POST", "/redeem", body=token_of(link), Host=host).status == 421

    strangers(browser, act)


def test_a_replayed_message_is_refused_and_a_message_of_another_shape_too(browser: Browser) -> None:
    outcomes: dict[str, int] = {}

    def act(page: Page) -> None:
        what_is_shown(page, "press")
        for name, messages in MESSAGES.items():
            outcomes[name] = page.evaluate(SEND, messages)

    someone = Someone(with_a_browser(act))
    pressed = attend(browser, someone)

    assert someone.failed == []
    # Each went over a connection of its own; the second of a pair is taken only where it is numbered higher.
    assert outcomes == {"in order": 0, "replayed": 1, "lower": 1, "no number": 1, "no JSON": 1, "too long": 1}
    assert not pressed


CLICK = '{"kind": "scroll", "dy": 1, "n": %d}'
MESSAGES = {
    "in order": [CLICK % 1000, CLICK % 1001],
    "replayed": [CLICK % 1002, CLICK % 1002],
    "lower": [CLICK % 1001],
    "no number": ['{"kind": "scroll", "dy": 1}'],
    "no JSON": ["click"],
    "too long": ["[" * 5000],
}
# Whether the server closed the connection over these messages.
SEND = """messages => new Promise(done => {
    const socket = new WebSocket(location.origin.replace('http', 'ws') + '/live');
    socket.onopen = () => { messages.forEach(m => socket.send(m)); setTimeout(() => done(0), 700); };
    socket.onclose = () => done(1);
})"""


def test_the_page_may_load_nothing_from_elsewhere_and_is_kept_nowhere(browser: Browser) -> None:
    def act(link: str) -> None:
        page = ask(link, "GET", "/", **{"Accept-Language": "zh-CN"})
        assert "需要人工操作" in page.text
        assert token_of(link) not in page.text
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["X-Content-Type-Options"] == "nosniff"

    strangers(browser, act)


def test_an_address_that_is_taken_is_one_sentence(browser: Browser, small_seller: Seller, tmp_path: Path) -> None:
    with StandIn(small_seller, now=NOW, moods=(ImageCaptcha(),)) as site:
        taken = Address("127.0.0.1", urlsplit(site.origin).port or 0)
        with (
            door(site, tmp_path, HandOverPage(taken, lambda *_: None)) as way,
            pytest.raises(UsageError, match="hand-over page cannot listen") as refused,
            way.inside(browser),
        ):
            pytest.fail("signed in")

    assert "[handover]" in refused.value.hint


# --- at the terminal --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed, signs_in",
    [(["482913\n"], True), (["000000\n", "482913\n"], True), (["000000\n", "\n"], False), ([""], False)],
)
def test_a_code_is_typed_at_the_terminal(
    browser: Browser, small_seller: Seller, tmp_path: Path, typed: list[str], signs_in: bool
) -> None:
    sms = SmsCode()
    assert sms.code == "482913"
    left = list(typed)
    nobody = HandOverPage(LOOPBACK, lambda *_: pytest.fail("the page was opened"))
    person = Terminal(load().fills, lambda task, number: left.pop(0), nobody)
    ended = None
    with StandIn(small_seller, now=NOW, moods=(sms,)) as site, door(site, tmp_path, person) as way:
        try:
            with way.inside(browser):
                pass
        except PersonNeeded as needed:
            ended = needed
        passwords = site.counters.password_submissions

    assert (ended is None) == signs_in
    assert left == []
    assert passwords == 1
