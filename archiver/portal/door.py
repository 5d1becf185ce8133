"""Enters and leaves: browser started, guard on, session taken up or sign-in played; undone in reverse.

What is behind the door is a `Portal`: one signed-in browser context, in one marketplace at a time, because the site
keeps the selection for the whole session [C].
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, CDPSession, Page
from playwright.sync_api import Error as PlaywrightError

from archiver.errors import ArchiverError, BrowserFailed, Exit, PageUnknown, SiteUnreachable, WrongIdentity
from archiver.model import Capture, Event, Identified, Kind, Known, Scope
from archiver.portal import browser as browsers
from archiver.portal import camera, sign_in
from archiver.portal.camera import Recorder
from archiver.portal.guard import Guard, Rules
from archiver.portal.pace import Budget, Counted, Pace
from archiver.portal.person import Person, Task
from archiver.portal.sign_in import Secrets
from archiver.portal.walk import SIGNED_OUT, Walk
from archiver.signin import Move, Screen
from archiver.site.sitemap import SiteMap, trusted_origins
from archiver.site.sources import READERS

_MOST_RENEWALS = 12
"""Sessions hold for weeks [L]. One that ends a dozen times in a run is fought over, and each renewal is a sign-in."""

_PERSON_TIMEOUT = timedelta(minutes=25)
"""As long as Amazon waits for an approval [C]."""


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
    """The way into one account. `site` is an origin; `label` names the account where a sign-in sees several."""

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
    full: bool = False
    headed: bool = False
    person: Person | None = None
    saw: Callable[[Screen], None] = lambda _: None
    approval_s: float = _PERSON_TIMEOUT.total_seconds()
    """How long an approval on a phone is awaited where no person can be asked to the page."""

    @contextmanager
    def enter(self) -> Iterator[Portal]:
        """A signed-in portal for as long as the context lasts.

        Raises BrowserMissing, BrowserFailed, SiteUnreachable, CredentialRefused, PersonNeeded or PageUnknown.
        """
        with browsers.running(self.executable, headed=self.headed) as browser, self.inside(browser) as portal:
            yield portal

    @contextmanager
    def inside(self, browser: Browser) -> Iterator[Portal]:
        """The same, in a browser that runs already and goes on running; it is under this door's guard meanwhile."""
        rules = Rules(site=self.site, origins=trusted_origins(self.site), map=self.sitemap.guard)
        guard = Guard(rules, self._why_closed)
        watching = guard.watch(browser)
        context = self._context(browser)
        try:
            guard.close_web_sockets(context)
            guard.watch_answers(context)
            page = context.new_page()
            session = context.new_cdp_session(page)
            pace = Pace(page, self.halt, lambda: len(guard.sent), self.memory, self.pace_s, self.budget)
            portal = Portal(self, context, page, session, Recorder(page), guard, pace)
            portal.sign_in()
            try:
                yield portal
            finally:
                portal.keep_session()
        except PlaywrightError as error:
            raise BrowserFailed(
                f"The browser failed in the middle of the work ({type(error).__name__}).",
                hint="Nothing to do: what was captured is kept, and the next run goes on from there.",
            ) from None  # Playwright's message may repeat what was typed
        finally:
            with suppress(PlaywrightError):  # the browser may be gone
                context.close()
                watching.detach()  # no page is left that it could let go

    def _why_closed(self) -> str | None:
        stopped = self.halt()
        return None if stopped is None else "the run is to stop"

    def _context(self, browser: Browser) -> BrowserContext:
        kept = self.memory.session()
        return browser.new_context(
            user_agent=browsers.user_agent(browser),
            viewport={"width": camera.VIEWPORT_WIDTH_PX, "height": camera.VIEWPORT_HEIGHT_PX},
            service_workers="block",
            accept_downloads=False,
            permissions=[],
            storage_state=json.loads(kept) if kept else None,
        )


@dataclass(slots=True)
class Portal:
    """A signed-in browser."""

    door: Door
    context: BrowserContext
    page: Page
    session: CDPSession
    recorder: Recorder
    guard: Guard
    pace: Pace
    chosen: str = ""
    renewals: int = 0

    # --- the way in --------------------------------------------------------------------------------------------

    def sign_in(self) -> None:
        """From whatever the site shows to a signed-in page; the session is kept for the next run."""
        door = self.door
        self._load(door.site + door.sitemap.home)
        try:
            sign_in.play(
                self.page,
                self.recorder,
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
        self.sign_in()

    def _signed_out(self) -> bool:
        self._load(self.door.site + self.door.sitemap.home)
        return sign_in.showing(self.page, self.door.sitemap) in SIGNED_OUT

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
            return door.person.attend(self.page, self.session, task, self.pace, lambda: self._shows_another(screen))
        finally:
            self.guard.person_attends = False

    def _shows_another(self, screen: Screen) -> bool:
        return sign_in.showing(self.page, self.door.sitemap) is not screen

    def _keep_unknown(self, screen: Screen) -> None:
        artifacts = camera.photograph(self.page, self.session)
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
        self.recorder.start()
        try:
            response = self.page.goto(url, wait_until="domcontentloaded", timeout=sign_in.PAGE_TIMEOUT_S * 1000)
        except PlaywrightError as error:
            reason = error.message.splitlines()[0].removeprefix("Page.goto: ").split(" at ")[0]
            raise SiteUnreachable(
                f"{urlsplit(url).netloc} did not answer ({reason}).",
                hint="Check `site` in the configuration and this machine's network; the next run tries again.",
            ) from error
        if response is not None and response.status >= 500:
            raise SiteUnreachable(
                f"{urlsplit(url).netloc} answered {response.status}.",
                hint="Nothing to do: the next scheduled run tries again.",
            )
        camera.settle(self.page, self.recorder, timeout_s=sign_in.PAGE_TIMEOUT_S)

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
        camera.settle(self.page, self.recorder, timeout_s=sign_in.PAGE_TIMEOUT_S)

    def _account_row(self) -> Any:
        switcher = self.door.sitemap.switcher
        rows = self.page.locator(switcher.row)
        try:
            if sign_in.showing(self.page, self.door.sitemap) in SIGNED_OUT:
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
        sitemap = self.door.sitemap
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
            page=self.page,
            session=self.session,
            recorder=self.recorder,
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
        """What left and what was refused so far, counted: for the run record."""
        return {
            "passed": dict(self.guard.passed),
            "refused": [
                {"method": r.method, "url": r.url, "why": r.why, "count": n}
                for r, n in sorted(self.guard.refusals.items(), key=lambda item: (item[0].url, item[0].why))
            ],
        }

    def requests(self) -> Iterator[dict[str, Any]]:
        """Every request that left, in order: the proof that nothing was changed. URLs are without their queries."""
        for sent in self.guard.sent:
            yield {"at": sent.at.isoformat(), "method": sent.method, "url": sent.url, "status": sent.status}
