"""The way out in a real browser: which address the world sees, through which proxy, and that there is no other way."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web
from playwright.sync_api import Browser
from playwright.sync_api import Error as PlaywrightError

from archiver import config
from archiver.archive.archive import Archive
from archiver.archive.keyring import KeyFile
from archiver.archive.vault import ProxySignIn, SignIn
from archiver.cli.echo import application
from archiver.demo.moods import Visit
from archiver.demo.seller import Seller
from archiver.demo.stand_in import StandIn
from archiver.errors import Exit, WrongEgress
from archiver.model import Kind
from archiver.portal import browser as browsers
from archiver.portal.door import Door, Portal
from archiver.portal.egress import Egress, Pin
from archiver.portal.guard import Guard, Rules
from archiver.portal.relay import Proxy, Relay
from archiver.portal.sign_in import Secrets
from archiver.site.sitemap import load
from archiver.wiring import VaultMemory, sign_in_once
from tests.browser.conftest import ACCOUNT, NOW, Office, Opener
from tests.browser.proxies import PASSWORD, USER, Certificate, PasswordProxy

T = TypeVar("T")

SITE, ECHO = "seller.test", "echo.test"
"""Names that only a test's proxy can resolve."""


@dataclass
class Noted:
    """A mood that answers nothing and notes who asked: the peer's address of every request."""

    name: str = "noted"
    peers: list[str] = field(default_factory=list)

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        self.peers.append(visit.request.remote or "")
        return None


@contextmanager
def served(app: web.Application, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """An aiohttp application on loopback in a thread of its own; its port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()

    asyncio.run_coroutine_threadsafe(start(), loop).result()
    yield runner.addresses[0][1]
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def apart(work: Callable[[], T]) -> T:
    """In a thread of its own: Playwright allows one of itself in a thread, and the suite's browser has this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(timeout=120)


@dataclass
class World:
    """A site and an echo service, and a way to the door of the site."""

    folder: Path
    site: StandIn
    noted: Noted
    echo_port: int

    @property
    def names(self) -> dict[str, tuple[str, int]]:
        return {SITE: ("127.0.0.1", int(self.site.origin.rpartition(":")[2])), ECHO: ("127.0.0.1", self.echo_port)}

    def enter(
        self,
        inside: Callable[[Portal], T],
        proxy: Proxy | None,
        pinned: Collection[str] = ("127.0.0.2",),
        proven_every_s: float = 600.0,
        at_end: Callable[[Portal], None] = lambda portal: None,
    ) -> T:
        """What `inside` makes of the signed-in portal."""
        self.site.origin = f"http://{SITE}"  # what it calls itself, in a return address

        def work() -> T:
            seller = self.site.seller
            with Archive.create(self.folder / "archive", [KeyFile(self.folder / "archive.key")]) as archive:
                door = Door(
                    site=f"http://{SITE}",
                    account=ACCOUNT,
                    secrets=Secrets(seller.email, seller.password, seller.totp_secret),
                    memory=VaultMemory(archive, ACCOUNT),
                    sitemap=load(),
                    executable=browsers.find(None),
                    run="run",
                    keep=archive.keep,
                    halt=lambda: None,
                    pace_s=0.0,
                    label=seller.label,
                    proxy=proxy,
                    pin=Pin(frozenset(map(ip_address, pinned)), (f"http://{ECHO}/",)) if pinned else None,
                    proven_every_s=proven_every_s,
                    at_end=at_end,
                )
                with door.enter() as portal:
                    return inside(portal)

        return apart(work)


@pytest.fixture
def world(tmp_path: Path, small_seller: Seller) -> Iterator[World]:
    noted = Noted()
    with StandIn(small_seller, now=NOW, moods=[noted]) as site, served(application()) as echo_port:
        yield World(tmp_path, site, noted, echo_port)


def through(proxy: PasswordProxy, password: str = PASSWORD) -> Proxy:
    return Proxy("socks5" if proxy.scheme == "socks5" else "http", "127.0.0.1", proxy.port, USER, password)


# --- the whole way, through a proxy -----------------------------------------------------------------------------


def test_everything_goes_through_the_proxy_and_names_are_resolved_there(world: World) -> None:
    with PasswordProxy("socks5", world.names) as proxy:
        seen = world.enter(lambda portal: portal.traffic()["egress"], through(proxy))

    assert {(sighting["address"], sighting["echo"]) for sighting in seen} == {("127.0.0.2", ECHO)}
    assert len(world.noted.peers) > 10
    assert set(world.noted.peers) == {"127.0.0.2"}
    assert set(proxy.asked) == {(SITE, 80), (ECHO, 80)}
    assert proxy.asked[0] == (ECHO, 80)


def test_from_a_wrong_address_the_site_is_not_asked_at_all(world: World) -> None:
    left: list[dict[str, object]] = []

    with (
        PasswordProxy("socks5", world.names, leaves_from="127.0.0.3") as proxy,
        pytest.raises(WrongEgress) as stopped,
    ):
        world.enter(
            lambda portal: None,
            through(proxy),
            pinned=("127.0.0.2", "2001:db8::2"),
            at_end=lambda portal: left.append(portal.traffic()),
        )

    assert world.noted.peers == []
    assert set(proxy.asked) == {(ECHO, 80)}
    assert str(stopped.value) == (
        f"The world sees {ACCOUNT} from 127.0.0.3, and its `egress_ip` is 127.0.0.2 or 2001:db8::2. Nothing is sent to "
        "the site from there. Mend the way out (VPN, proxy, router), or, if the address has changed for good, correct "
        "`egress_ip`."
    )
    assert stopped.value.exit_code is Exit.WRONG_EGRESS
    assert [seen["address"] for seen in left[0]["egress"]] == ["127.0.0.3"]  # type: ignore[attr-defined]


def test_an_address_that_changes_in_the_middle_ends_the_run_before_the_next_page(world: World) -> None:
    requests: list[int] = []
    fetched: list[str] = []

    with PasswordProxy("http", world.names) as proxy:

        def changing(portal: Portal) -> None:
            proxy.leaves_from = "127.0.0.3"
            requests.append(len(world.noted.peers))
            try:
                portal.choose("DE")
            finally:
                try:
                    fetched.append(portal.page.evaluate("fetch('/home').then(a => a.status)"))
                except PlaywrightError:
                    fetched.append("refused")

        with pytest.raises(WrongEgress, match=r"from 127\.0\.0\.3"):
            world.enter(changing, through(proxy), proven_every_s=0.0)

    assert len(world.noted.peers) == requests[0]
    assert set(world.noted.peers) == {"127.0.0.2"}
    assert fetched == ["refused"]


def test_an_address_that_changed_is_noticed_when_the_work_is_done(world: World) -> None:
    with PasswordProxy("socks5", world.names) as proxy, pytest.raises(WrongEgress, match=r"from 127\.0\.0\.4"):
        world.enter(lambda portal: setattr(proxy, "leaves_from", "127.0.0.4"), through(proxy))

    assert set(world.noted.peers) == {"127.0.0.2"}


@pytest.mark.parametrize("scheme, pinned", [("socks5", ()), ("http", ("127.0.0.2",))])
def test_a_wrong_password_for_the_proxy_is_one_clear_sentence(
    world: World, scheme: str, pinned: tuple[str, ...]
) -> None:
    with PasswordProxy(scheme, world.names) as proxy, pytest.raises(WrongEgress) as stopped:
        world.enter(lambda portal: None, through(proxy, "wrong"), pinned)

    assert str(stopped.value) == (
        f"The proxy {scheme}://127.0.0.1:{proxy.port} refused the name or the password. Keep the right ones in the "
        f"vault: `archiver account proxy {ACCOUNT} --user NAME`."
    )
    assert proxy.asked == []
    assert world.noted.peers == []


def test_a_proxy_that_is_down_is_not_gone_around(world: World) -> None:
    with PasswordProxy("socks5") as proxy:
        pass

    with pytest.raises(WrongEgress) as stopped:
        world.enter(lambda portal: None, through(proxy), pinned=())

    assert stopped.value.message == f"The proxy socks5://127.0.0.1:{proxy.port} cannot be reached: Connection refused."
    assert world.noted.peers == []


def test_a_proxy_that_goes_down_in_the_middle_ends_the_run_and_is_named(world: World) -> None:
    with PasswordProxy("socks5", world.names) as proxy:

        def breaking(portal: Portal) -> None:
            proxy.stop()
            portal.choose("DE")

        with pytest.raises(WrongEgress, match="cannot be reached: Connection refused"):
            world.enter(breaking, through(proxy))


def test_a_login_takes_the_configured_proxy_with_what_the_vault_knows_even_to_this_machine(
    tmp_path: Path, small_seller: Seller
) -> None:
    noted = Noted()
    with (
        StandIn(small_seller, now=NOW, moods=[noted]) as site,
        served(application()) as echo_port,
        PasswordProxy("http") as proxy,
    ):
        path = tmp_path / "config.toml"
        path.write_text(
            f'[archive]\npath = "archive"\n[egress]\necho = "http://127.0.0.1:{echo_port}"\n'
            f'[[account]]\nname = "{ACCOUNT}"\nsite = "{site.origin}"\nmarketplaces = ["DE"]\n'
            f'egress_ip = ["127.0.0.2", "2001:db8::2"]\nproxy = "http://127.0.0.1:{proxy.port}"\n'
        )

        def work() -> None:
            loaded = config.load(path)
            with Archive.create(tmp_path / "archive", [KeyFile(tmp_path / "archive.key")]) as archive:
                seller = site.seller
                archive.vault.add_account(SignIn(ACCOUNT, seller.email, seller.password, seller.totp_secret))
                archive.vault.put_proxy_sign_in(ACCOUNT, ProxySignIn(USER, PASSWORD))
                sign_in_once(loaded, archive, loaded.accounts[0], headed=False, tell=lambda *_: None, ask=None)

        apart(work)

    assert len(noted.peers) > 5
    assert set(noted.peers) == {"127.0.0.2"}
    assert proxy.asked[0] == ("127.0.0.1", echo_port)


# --- what the echo service says ---------------------------------------------------------------------------------


@dataclass
class Echoes:
    """A server with echo services of several kinds, by path; `asked` is every path it was asked for."""

    origin: str = ""
    asked: list[str] = field(default_factory=list)

    def __call__(self, *paths: str) -> tuple[str, ...]:
        return tuple(self.origin + path for path in paths)


@pytest.fixture
def echoes() -> Iterator[Echoes]:
    noted = Echoes()
    answers = {
        "/text": web.Response(text="127.0.0.1\n"),
        "/json": web.json_response({"ip": "127.0.0.1", "country": "DE"}),
        "/mapped": web.Response(text="::ffff:127.0.0.1"),
        "/other": web.Response(text="198.51.100.9"),
        "/down": web.Response(status=503, text="127.0.0.1"),
        "/page": web.Response(text="<p>127.0.0.1</p>", content_type="text/html"),
        "/moved": web.Response(status=302, headers={"Location": "/text"}),
        "/long": web.Response(text="127.0.0.1" + " " * 2000),
        "/empty": web.Response(text=""),
        "/list": web.json_response(["127.0.0.1"]),
        "/number": web.json_response({"ip": 2130706433}),
    }

    async def answer(request: web.Request) -> web.StreamResponse:
        noted.asked.append(request.path)
        made = answers.get(request.path, answers["/text"])
        return web.Response(status=made.status, body=made.body, headers=made.headers)

    app = web.Application()
    app.router.add_get("/{any:.*}", answer)
    with served(app) as port:
        noted.origin = f"http://127.0.0.1:{port}"
        yield noted


@pytest.fixture
def guard(browser: Browser) -> Iterator[Guard]:
    site = "https://seller.test"
    made = Guard(Rules(site=site, origins=frozenset({site}), map=load().guard))
    session = made.watch(browser)
    yield made
    session.detach()  # the next test has a guard of its own, in the same browser


def egress(browser: Browser, guard: Guard, urls: tuple[str, ...], every_s: float = 600.0) -> Egress:
    return Egress(browser, guard, ACCOUNT, Pin(frozenset({ip_address("127.0.0.1")}), urls), None, every_s)


@pytest.mark.parametrize("path", ["/text", "/json", "/mapped"])
def test_an_echo_service_may_answer_text_or_json(browser: Browser, guard: Guard, echoes: Echoes, path: str) -> None:
    asking = egress(browser, guard, echoes(path))
    before = guard.unproven
    asking.check()

    assert before == "nobody has said yet what address the world sees"
    assert guard.unproven == ""
    assert [str(seen.address) for seen in asking.seen] == ["127.0.0.1"]


@pytest.mark.parametrize(
    "path, why",
    [
        ("/down", "answered 503"),
        ("/page", "answered something that is not an address"),
        ("/long", "answered something that is not an address"),
        ("/empty", "answered something that is not an address"),
        ("/list", "answered something that is not an address"),
        ("/number", "answered something that is not an address"),
        ("/moved", "did not answer (net::ERR_BLOCKED_BY_CLIENT)"),
    ],
)
def test_an_echo_service_that_gives_no_address_keeps_the_guard_shut(
    browser: Browser, guard: Guard, echoes: Echoes, path: str, why: str
) -> None:
    asking = egress(browser, guard, echoes(path))
    with pytest.raises(WrongEgress) as stopped:
        asking.check()

    host = echoes.origin.removeprefix("http://")
    assert stopped.value.message == f"Nobody said what address the world sees {ACCOUNT} from: {host} {why}."
    assert guard.unproven == stopped.value.message


def test_an_echo_service_that_is_down_is_no_answer(browser: Browser, guard: Guard) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    with pytest.raises(WrongEgress, match=r"did not answer \(net::ERR_CONNECTION_REFUSED\)"):
        egress(browser, guard, (url,)).check()


def test_the_next_echo_service_is_asked_where_one_says_nothing(browser: Browser, guard: Guard, echoes: Echoes) -> None:
    egress(browser, guard, echoes("/down", "/text", "/other")).check()

    assert [path for path in echoes.asked if path != "/favicon.ico"] == ["/down", "/text"]


def test_the_first_answer_counts_even_if_another_would_please_more(
    browser: Browser, guard: Guard, echoes: Echoes
) -> None:
    asking = egress(browser, guard, echoes("/other", "/text"))
    with pytest.raises(WrongEgress, match=r"from 198\.51\.100\.9"):
        asking.check()

    assert "/text" not in echoes.asked


def test_what_was_wrong_once_stays_wrong(browser: Browser, guard: Guard, echoes: Echoes) -> None:
    asking = egress(browser, guard, echoes("/other"), every_s=0.0)
    first = asking.halt()
    asked = len(echoes.asked)
    with pytest.raises(WrongEgress) as again:
        asking.check()

    assert first is not None
    assert asking.halt() is first is again.value
    assert len(echoes.asked) == asked


def test_the_echo_service_is_asked_again_only_when_it_is_time(browser: Browser, guard: Guard, echoes: Echoes) -> None:
    asking = egress(browser, guard, echoes("/text"))
    answers = [asking.halt() for _ in range(3)]
    asking.every_s = 0.0
    answers.append(asking.halt())

    assert answers == [None] * 4
    assert [path for path in echoes.asked if path != "/favicon.ico"] == ["/text", "/text"]


def test_a_page_cannot_ask_the_echo_service_or_anything_else_before_the_way_out_is_proven(
    browser: Browser, echoes: Echoes
) -> None:
    guard = Guard(Rules(site=echoes.origin, origins=frozenset({echoes.origin}), map=load().guard))
    session = guard.watch(browser)
    asking = egress(browser, guard, echoes("/text"))
    page = browser.new_page()
    with pytest.raises(PlaywrightError, match="ERR_BLOCKED_BY_CLIENT"):
        page.goto(echoes.origin + "/text")
    before = list(echoes.asked)
    asking.check()
    answer = page.goto(echoes.origin + "/home")
    page.close()
    session.detach()

    assert before == []
    assert answer is not None
    assert answer.status == 200


# --- no way around ----------------------------------------------------------------------------------------------

_UNSEEN = """async ([stun, turn]) => {
    new WebSocket(location.origin.replace('http', 'ws') + '/socket');
    const peer = new RTCPeerConnection({iceServers: [
        {urls: `stun:127.0.0.1:${stun}`},
        {urls: `turn:127.0.0.1:${turn}?transport=tcp`, username: 'a', credential: 'b'}]});
    peer.createDataChannel('any');
    await peer.setLocalDescription(await peer.createOffer());
    await new Promise(done => setTimeout(done, 1500));
}"""


@pytest.mark.parametrize("relayed", [True, False], ids=["proxy", "direct"])
def test_what_the_guard_does_not_see_has_no_way_out_webrtc_and_websockets(echoes: Echoes, relayed: bool) -> None:
    port = int(echoes.origin.rpartition(":")[2])
    with (
        PasswordProxy("socks5", {SITE: ("127.0.0.1", port)}) as proxy,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stun,
        socket.create_server(("127.0.0.1", 0)) as turn,
    ):
        stun.bind(("127.0.0.1", 0))
        stun.setblocking(False)
        turn.setblocking(False)

        def work() -> None:
            origin = f"http://{SITE}" if relayed else f"http://localhost:{port}"
            rules = Rules(site=origin, origins=frozenset({origin}), map=load().guard)
            with _browser(through(proxy) if relayed else None, rules) as browser:
                page = browser.new_page()
                page.goto(origin)
                page.evaluate(_UNSEEN, [stun.getsockname()[1], turn.getsockname()[1]])

        apart(work)
        with pytest.raises(BlockingIOError):
            stun.recv(2000)
        with pytest.raises(BlockingIOError):
            turn.accept()

    assert set(echoes.asked) - {"/favicon.ico"} == {"/"}
    assert set(proxy.asked) <= {(SITE, 80)}


@contextmanager
def _browser(proxy: Proxy | None, rules: Rules) -> Iterator[Browser]:
    """A browser with its guard, as the door starts it."""
    guard = Guard(rules)
    if proxy is None:
        with browsers.running(browsers.find(None), hosts=rules.hosts) as browser:
            guard.watch(browser)
            yield browser
        return
    with (
        Relay(proxy, ACCOUNT, rules.may_reach) as relay,
        browsers.running(browsers.find(None), relay=relay.address) as browser,
    ):
        guard.watch(browser, relay)
        yield browser


@pytest.mark.parametrize("scheme", ["socks5", "http"])
def test_a_site_behind_tls_is_reached_through_a_tunnel_at_the_first_request(tmp_path: Path, scheme: str) -> None:
    tls = Certificate.made(tmp_path / "site.pem", SITE).server()
    rules = Rules(site=f"https://{SITE}", origins=frozenset({f"https://{SITE}"}), map=load().guard)

    def work() -> tuple[int, str]:
        with _browser(through(proxy), rules) as browser:
            page = browser.new_context(ignore_https_errors=True).new_page()
            answer = page.goto(f"https://{SITE}/")
            assert answer is not None
            return answer.status, page.inner_text("body").strip()

    with (
        served(application(), tls) as port,
        PasswordProxy(scheme, {SITE: ("127.0.0.1", port)}) as proxy,
    ):
        seen = apart(work)

    assert seen == (200, "127.0.0.2")
    assert set(proxy.asked) == {(SITE, 443)}


# --- the whole program ------------------------------------------------------------------------------------------


def _last_run(office: Office) -> dict[str, Any]:
    """The record of the last run."""
    with office.opened() as archive:
        last = [entry.id for _, entry in archive._chain().entries() if entry.kind is Kind.RUN][-1]
        [record] = archive.read_capture(last).named("json/0")
    said: dict[str, Any] = json.loads(record.body)
    return said


def test_a_run_from_a_wrong_address_ends_with_code_6_and_says_what_to_do(
    open_office: Opener, small_seller: Seller
) -> None:
    with StandIn(small_seller, now=NOW) as site, served(application()) as echo_port:
        office = open_office(site)
        pinned = 'egress_ip = ["203.0.113.7", "2001:db8::7"]\n'
        office.configure(site.origin, f'[egress]\necho = "http://127.0.0.1:{echo_port}/"\n')
        office.config.write_text(office.config.read_text() + pinned)
        # What this machine sets for other programs is not for this one: nobody listens there.
        office.environ |= dict.fromkeys(("http_proxy", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
        ended = office.run("sync")
        requests = site.counters.requests

    assert ended.returncode == Exit.WRONG_EGRESS
    assert (
        f"The world sees {ACCOUNT} from 127.0.0.1, and its `egress_ip` is 2001:db8::7 or 203.0.113.7." in ended.stderr
    )
    assert "correct `egress_ip`" in ended.stderr
    assert requests == 0
    assert _last_run(office)["traffic"][ACCOUNT]["egress"][0]["address"] == "127.0.0.1"
