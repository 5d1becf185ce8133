"""Enters and leaves: browser started, guard on, way out proven, session taken up or sign-in played; undone in reverse.

What is behind the door is a `Portal`: one signed-in browser context, in one marketplace at a time, because the site
keeps the selection for the whole session [C].
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page
from playwright.sync_api import Error as PlaywrightError

from archiver import signin
from archiver.errors import ArchiverError, BrowserFailed, Exit, PageUnknown, SiteUnreachable, WrongEgress, WrongIdentity
from archiver.model import Capture, Event, Identified, Kind, Known, Scope
from archiver.portal import browser as browsers
from archiver.portal import camera, sign_in
from archiver.portal.clock import SiteClock
from archiver.portal.egress import Egress, Pin
from archiver.portal.guard import Guard, Rules
from archiver.portal.pace import Budget, Counted, Pace
from archiver.portal.person import Person, Task
from archiver.portal.relay import Proxy, Relay
from archiver.portal.sign_in import Secrets
from archiver.portal.tab import Tab
from archiver.portal.walk import Walk
from archiver.signin import Move, Screen
from archiver.site.sitemap import SiteMap, trusted_origins
from archiver.site.sources import READERS

_MOST_RENEWALS = 12
"""Sessions hold for weeks [L]. One that ends a dozen times in a run is fought over, and each renewal is a sign-in."""

_PERSON_TIMEOUT = timedelta(minutes=25)
"""As long as Amazon waits for an approval [C]."""

_PROVEN_EVERY_S = 600.0
"""How long an address that was seen is taken to be the address still. A line that changes it does so by the day."""

_PORTS = {"http": 80, "https": 443}


class SessionEnded(ArchiverError):
    """The site keeps signing the archiver out. The next run signs in and goes on from there."""

    exit_code = Exit.INCOMPLETE


class Memory(sign_in.Memory, Counted, Protocol):
    """What the door must remember across runs: attempts, the browser's session, how many requests were sent."""

    def session(self) -> bytes | None: ...

    def keep_session(self, state: bytes) -> None: ...

    def merchant(self, marketplace: str) -> str:
        """The merchant id the site named in earlier runs; empty before the first."""
        ...

    def keep_merchant(self, marketplace: str, merchant: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Door:
    """The way into one account. `site` is an origin; `label` names the account where a sign-in sees several.

    `at_end` is told of the portal when it is left, whatever came of it, so that what left is on record.
    """

    site: str
    account: str
    secrets: Secrets = field(repr=False)
    memory: Memory
    sitemap: SiteMap
    executable: Path | None
    run: str
    keep: Callable[[Capture], object]
    halt: Callable[[], ArchiverError | None]
    pace_s: float
    budget: Budget | None = None
    label: str = ""
    contact: str = ""
    full: bool = False
    headed: bool = False
    person: Person | None = None
    proxy: Proxy | None = None
    pin: Pin | None = None
    proven_every_s: float = _PROVEN_EVERY_S
    at_end: Callable[[Portal], None] = lambda portal: None
    saw: Callable[[Screen], None] = lambda _: None
    approval_s: float = _PERSON_TIMEOUT.total_seconds()
    """How long an approval on a phone is awaited where no person can be asked to the page."""

    @contextmanager
    def enter(self, *, as_stranger: bool = False) -> Iterator[Portal]:
        """A signed-in portal for as long as the context lasts. An earlier session is kept until there is a new one.

        Raises what `approach` raises, CredentialRefused, PersonNeeded or PageUnknown.
        """
        with self.approach(as_stranger=as_stranger) as portal, _signed_in(portal):
            yield portal

    @contextmanager
    def approach(self, *, as_stranger: bool = False) -> Iterator[Portal]:
        """A portal that stands before the site: the browser runs, the way out is proven, nothing is asked of the site.

        With the session of earlier runs, unless it is to come `as_stranger`.

        Raises BrowserMissing, BrowserFailed, WrongEgress or SiteUnreachable. WrongEgress is raised on leaving, too: the
        way out is proven once more when the work is done.
        """
        rules = self._rules()
        with (
            self._relay(rules) as relay,
            browsers.running(
                self.executable,
                headed=self.headed,
                relay=relay.address if relay is not None else "",
                hosts=rules.hosts | {urlsplit(echo).hostname or "" for echo in self._echoes()},
                given_up=lambda: self.halt() is not None,
            ) as browser,
        ):
            guard = Guard(rules, self._why_closed)
            guard.watch(browser, relay)
            context = self._context(browser, None if as_stranger else self.memory.session())
            with self._portal(guard, relay, browser, context) as portal:
                yield portal

    @contextmanager
    def inside(self, browser: Browser) -> Iterator[Portal]:
        """`enter`, in a browser that runs already and goes on running; it is under this door's guard meanwhile."""
        guard = Guard(self._rules(), self._why_closed)
        watching = guard.watch(browser)
        context = self._context(browser, self.memory.session())
        try:
            with self._portal(guard, None, browser, context) as portal, _signed_in(portal):
                yield portal
        finally:
            with suppress(PlaywrightError):  # the browser may be gone
                context.close()
                watching.detach()  # no page is left that it could let go

    @contextmanager
    def _portal(self, guard: Guard, relay: Relay | None, browser: Browser, context: BrowserContext) -> Iterator[Portal]:
        egress = Egress(browser, guard, self.account, self.pin, relay, self.proven_every_s)
        guard.watch_answers(context)
        tab = Tab(context)
        # Asked in every wait, and before every page: while a person is at the page the site is asked as well.
        pace = Pace(
            tab,
            lambda: self._why_stop(egress),
            lambda: len(guard.sent),
            self.memory,
            self.pace_s,
            self.budget,
        )
        pace.clock.watch(context, guard.rules.origins)
        portal = Portal(self, context, tab, guard, egress, pace)
        try:
            self._prove(egress)
            yield portal
            self._prove(egress)
        except (PlaywrightError, BrowserFailed) as error:
            # Where a stop was kept waiting, the browser was ended for it.
            stopped = self.halt()
            if stopped is not None:
                raise stopped from None
            if isinstance(error, BrowserFailed):
                raise
            raise BrowserFailed(
                f"The browser failed in the middle of the work ({type(error).__name__}).",
                hint="Nothing to do: what was captured is kept, and the next run goes on from there.",
            ) from None  # Playwright's message may repeat what was typed
        finally:
            self.at_end(portal)

    def _rules(self) -> Rules:
        return Rules(site=self.site, origins=trusted_origins(self.site), map=self.sitemap.guard)

    # A stop that comes while the echo service is asked keeps the answer away, and then it is the stop that counts.

    def _why_stop(self, egress: Egress) -> ArchiverError | None:
        wrong = egress.halt()
        return self.halt() or wrong

    def _prove(self, egress: Egress) -> None:
        try:
            egress.check()
        except WrongEgress as wrong:
            raise self.halt() or wrong from None

    def _relay(self, rules: Rules) -> AbstractContextManager[Relay | None]:
        if self.proxy is None:
            return nullcontext()
        echoes = {(parts.hostname, parts.port or _PORTS[parts.scheme]) for parts in map(urlsplit, self._echoes())}
        return Relay(self.proxy, self.account, lambda host, port: (host, port) in echoes or rules.may_reach(host, port))

    def _echoes(self) -> tuple[str, ...]:
        return self.pin.echoes if self.pin is not None else ()

    def _why_closed(self) -> str | None:
        stopped = self.halt()
        return None if stopped is None else "the run is to stop"

    def _context(self, browser: Browser, kept: bytes | None) -> BrowserContext:
        return browser.new_context(
            user_agent=browsers.user_agent(browser, self.contact),
            viewport={"width": camera.VIEWPORT_WIDTH_PX, "height": camera.VIEWPORT_HEIGHT_PX},
            service_workers="block",
            accept_downloads=False,
            permissions=[],
            storage_state=json.loads(kept) if kept else None,
        )


@contextmanager
def _signed_in(portal: Portal) -> Iterator[None]:
    portal.sign_in()
    try:
        yield
    finally:
        portal.keep_session()


@dataclass(slots=True)
class Portal:
    """A signed-in browser."""

    door: Door
    context: BrowserContext
    tab: Tab
    guard: Guard
    egress: Egress
    pace: Pace
    chosen: str = ""
    renewals: int = 0

    @property
    def page(self) -> Page:
        return self.tab.page

    # --- the way in --------------------------------------------------------------------------------------------

    def sign_in(self) -> None:
        """From whatever the site shows to a signed-in page; the session is kept for the next run."""
        self._load(self.door.site + self.door.sitemap.home)
        self._play()

    def _play(self) -> None:
        door = self.door
        try:
            sign_in.play(
                self.page,
                self.tab.recorder,
                self.guard,
                door.sitemap,
                door.account,
                door.secrets,
                door.memory,
                self.pace,
                self._keep_unknown,
                self._hand_over,
                saw=door.saw,
                approval_s=door.approval_s if door.person is None else 0.0,
            )
        except PlaywrightError as error:
            raise BrowserFailed(
                f"The browser failed during the sign-in ({type(error).__name__}).",
                hint="Nothing to do: the next scheduled run tries again.",
            ) from None  # Playwright's message may repeat what was typed
        finally:
            if door.person is not None:
                door.person.leave()
        self.keep_session()

    def renew(self) -> None:
        """After the session ended on the way: sign in again, and choose the same marketplace.

        Raises what `sign_in` and `choose` raise; SessionEnded when it keeps ending.
        """
        self._sign_in_again()
        if self.chosen:
            self.choose(self.chosen)

    def _sign_in_again(self) -> None:
        self.renewals += 1
        if self.renewals > _MOST_RENEWALS:
            raise SessionEnded(
                f"The site ended the session {self.renewals} times in one run.",
                hint="Nothing to do: the next run signs in again and goes on from there. If it goes on so, see who "
                "else uses this sign-in.",
            )
        # The page that asks is the one to answer: it may ask for more than the others do, or want to be seen.
        if self.tab.crashed or not self._interrupted():
            self._load(self.door.site + self.door.sitemap.home)
        self._play()

    def _interrupted(self) -> bool:
        return signin.interrupts(sign_in.showing(self.page, self.door.sitemap))

    def _signed_out(self) -> bool:
        self._load(self.door.site + self.door.sitemap.home)
        return self._interrupted()

    def keep_session(self) -> None:
        """Cookies and storage, from memory straight to the vault."""
        try:
            state = self.context.storage_state()
        except PlaywrightError:
            return  # the browser is gone; the session kept after the sign-in stands
        self.door.memory.keep_session(json.dumps(state).encode())

    def _hand_over(self, screen: Screen, move: Move) -> bool:
        """Get a person to the page; whether it shows another screen since."""
        door = self.door
        if door.person is None:
            return False
        task = Task(door.account, screen, move.why, move.hint, datetime.now(UTC) + _PERSON_TIMEOUT)
        self.guard.person_attends = True
        try:
            return door.person.attend(self.page, self.tab.session, task, self.pace, lambda: self._shows_another(screen))
        finally:
            self.guard.person_attends = False

    def _shows_another(self, screen: Screen) -> bool:
        return sign_in.showing(self.page, self.door.sitemap) is not screen

    def _keep_unknown(self, screen: Screen) -> None:
        artifacts = camera.photograph(self.page, self.tab.session)
        self.door.keep(
            Capture(
                scope=Scope(self.door.account),
                kind=Kind.SIGN_IN,
                taken_at=datetime.now(UTC),
                url=self.page.url.split("?")[0],
                artifacts=artifacts,
                run=self.door.run,
                stamp=str(screen),
            )
        )

    def _load(self, url: str) -> None:
        self.pace.before_page()
        if self.tab.crashed:
            self.tab.reopen()
        self.tab.recorder.start()
        try:
            response = self.page.goto(url, wait_until="domcontentloaded", timeout=sign_in.PAGE_TIMEOUT_S * 1000)
        except PlaywrightError as error:
            self._blame_the_way_out()
            reason = error.message.splitlines()[0].removeprefix("Page.goto: ").split(" at ")[0]
            raise SiteUnreachable(
                f"{urlsplit(url).netloc} did not answer ({reason}).",
                hint="Check `site` in the configuration and this machine's network; the next run tries again.",
            ) from error
        camera.settle(self.page, self.tab.recorder, timeout_s=sign_in.PAGE_TIMEOUT_S)
        if sign_in.showing(self.page, self.door.sitemap) is Screen.STOP_ASKED:
            self._play()  # it answers that by stopping, whatever the status and whoever asked for the page
        if response is not None and (response.status == 429 or response.status >= 500):
            self._blame_the_way_out()
            raise SiteUnreachable(
                f"{urlsplit(url).netloc} answered {response.status}.",
                hint="Nothing to do: the next scheduled run tries again.",
            )

    def _blame_the_way_out(self) -> None:
        """Where it is the proxy that does not answer, say so, and not that the site does not."""
        if self.egress.trouble is not None:
            raise self.egress.trouble.why

    def site_clock(self) -> SiteClock:
        """The site's clock, asked for with one page, and nobody signed in. Raises SiteUnreachable."""
        if not self.pace.clock.is_known:
            self._load(self.door.site + self.door.sitemap.home)
        return self.pace.clock

    # --- which account, which marketplace ----------------------------------------------------------------------

    def choose(self, marketplace: str) -> None:
        """Select a marketplace in the account switcher, as a person does. Raises WrongIdentity, PageUnknown."""
        self.chosen = marketplace
        while not self.identify(marketplace).proven:
            try:
                self._choose(marketplace)
                return
            except PageUnknown:
                if not self._signed_out():
                    raise
                self._sign_in_again()

    def _choose(self, marketplace: str) -> None:
        switcher = self.door.sitemap.switcher
        self._load(self.door.site + self.door.sitemap.switcher_path)
        row = self._account_row()
        names = self.door.sitemap.marketplaces[marketplace][1:]
        try:
            if not any(row.page.get_by_text(name, exact=True).first.is_visible() for name in names):
                row.locator(switcher.details).first.click(timeout=sign_in.PAGE_TIMEOUT_S * 1000)
            for name in names:
                choice = self.page.locator(switcher.row).get_by_text(name, exact=True)
                if choice.count():
                    choice.last.click(timeout=sign_in.PAGE_TIMEOUT_S * 1000)
                    break
            else:
                raise WrongIdentity(
                    f"The account switcher offers no marketplace {marketplace}.",
                    hint="Correct `marketplaces` of this account in the configuration.",
                )
            confirm = next(c for c in switcher.confirm if self.page.locator(c).first.is_visible())
            with self.page.expect_navigation(wait_until="domcontentloaded"):
                self.page.locator(confirm).first.click(timeout=sign_in.PAGE_TIMEOUT_S * 1000)
        except (PlaywrightError, StopIteration) as error:
            raise PageUnknown(
                f"The account switcher could not be worked to choose {marketplace}.",
                hint="Mend `switcher` in site.toml, then run `archiver sync` again.",
            ) from error
        camera.settle(self.page, self.tab.recorder, timeout_s=sign_in.PAGE_TIMEOUT_S)

    def _account_row(self) -> Any:
        switcher = self.door.sitemap.switcher
        rows = self.page.locator(switcher.row)
        try:
            if self._interrupted():
                raise PageUnknown("The site shows its sign-in.", hint="Nothing to do: it is signed in again.")
            rows.first.wait_for(timeout=sign_in.PAGE_TIMEOUT_S * 1000)
        except PlaywrightError as error:
            raise PageUnknown(
                "The account switcher shows no account.",
                hint="Mend `switcher.row` in site.toml, then run `archiver sync` again.",
            ) from error
        labels = [text.strip() for text in rows.locator(switcher.label).all_inner_texts()]
        if self.door.label:
            if self.door.label not in labels:
                raise WrongIdentity(
                    f"The sign-in sees no account called “{self.door.label}”; it sees {', '.join(labels) or 'none'}.",
                    hint="Correct `label` of this account in the configuration.",
                )
            return rows.nth(labels.index(self.door.label))
        if len(labels) > 1:
            raise WrongIdentity(
                f"The sign-in sees several accounts: {', '.join(labels)}.",
                hint="Say which one is meant with `label` of this account in the configuration.",
            )
        return rows.first

    def identify(self, marketplace: str) -> Identified:
        """Ask the site which account and marketplace it shows. The header is the truth, not the host name [C]."""
        self.pace.wait(0)  # it is asked for between pages, and where a run is to end, it is not
        sitemap = self.door.sitemap
        if self.tab.crashed:
            self._load(self.door.site + sitemap.home)
        fetched = camera.fetch(self.page, sitemap.identity_path)
        if "json" not in fetched.media_type and self._signed_out():
            self._sign_in_again()
            fetched = camera.fetch(self.page, sitemap.identity_path)
        wanted = sitemap.marketplace_id(marketplace)
        try:
            if fetched.status != 200 or "json" not in fetched.media_type:
                raise ValueError(f"the site answered {fetched.status or 'nothing'} ({fetched.media_type or 'no type'})")
            tree = json.loads(fetched.body)
            label = str(tree["globalAccount"]["label"])
            merchant = str(tree["regionalAccount"]["ids"]["mons_sel_dir_mcid"])
            shown = str(tree["regionalAccount"]["ids"]["mons_sel_mkid"]).rpartition(".")[2]
        except (ValueError, KeyError, TypeError) as error:
            return Identified(False, "", "", f"the site does not say which account it shows: {error}")
        if shown != wanted:
            there = sitemap.marketplace_code(shown) or shown
            return Identified(False, label, shown, f"the site shows {there}, not {marketplace}")
        if self.door.label and label != self.door.label:
            return Identified(False, label, shown, f"the site shows the account “{label}”")
        known = self.door.memory.merchant(marketplace)
        if not known:
            self.door.memory.keep_merchant(marketplace, merchant)
        elif known != merchant:
            return Identified(False, label, shown, "the site shows another merchant than in earlier runs")
        return Identified(True, label, shown)

    # --- the work ----------------------------------------------------------------------------------------------

    def walk(self, scope: Scope, known: Known) -> Iterator[Event]:
        """One source of the chosen marketplace, as events."""
        if scope.source is None:
            raise ValueError("a walk needs a source")
        return Walk(
            tab=self.tab,
            site=self.door.site,
            sitemap=self.door.sitemap,
            map=self.door.sitemap.sources[scope.source],
            reader=READERS[scope.source],
            scope=scope,
            run=self.door.run,
            pace=self.pace,
            renew=self.renew,
            full=self.door.full,
        ).events(known)

    def traffic(self) -> dict[str, Any]:
        """What left and what was refused so far, counted, and how far our clock is off: for the run record."""
        clock = self.pace.clock
        return {
            "site_clock_ahead_s": round(clock.ahead_s, 1) if clock.is_known else None,
            "passed": dict(self.guard.passed),
            "refused": [
                {"method": r.method, "url": r.url, "why": r.why, "count": n}
                for r, n in sorted(self.guard.refusals.items(), key=lambda item: (item[0].url, item[0].why))
            ],
            "egress": [
                {"at": seen.at.isoformat(), "address": str(seen.address), "echo": seen.echo}
                for seen in self.egress.seen
            ],
        }

    def requests(self) -> Iterator[dict[str, Any]]:
        """Every request that left, in order: the proof that nothing was changed. URLs are without their queries."""
        for sent in self.guard.sent:
            yield {"at": sent.at.isoformat(), "method": sent.method, "url": sent.url, "status": sent.status}
