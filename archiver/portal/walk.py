"""Turns the pages of one source and tells what it sees, as events. Keeps nothing, claims nothing.

First the list to its end through the site's own pager, then each thread that is new or changed, the one that leaves
the window first before the others. What is seen is told (`Seen`) before anything reads it; one thread's failure is
an event, and the walk goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote, urlsplit

from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Locator, Page, Response
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from archiver import signin
from archiver.attachments import trouble
from archiver.errors import ArchiverError, BrowserFailed
from archiver.model import (
    Artifact,
    Capture,
    Ended,
    Event,
    Kind,
    Known,
    Listed,
    Listing,
    Missed,
    Ref,
    Relisted,
    Scope,
    Seen,
    Unchanged,
    Unread,
    listing_digest,
)
from archiver.portal import camera, sign_in
from archiver.portal.pace import Pace
from archiver.portal.tab import Tab
from archiver.site.interface import Reader
from archiver.site.sitemap import SiteMap, SourceMap

_MOST_PAGES = 10_000
_ROWS_A_PAGE = 10
"""The least any of the lists shows on a full page [C]."""
_READY_S = 5.0
_RETRIES = 3
_LATE_ANSWER_S = 5.0
_MOST_CRASHES = 2
_MOST_MOVES = 2
"""How often a list that changed while it was read is read again. A busy inbox comes to rest between two messages."""
_CRASHED = f"the page brought its browser tab down {_MOST_CRASHES} times"


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a page is not what was asked for. `shown`: it is what the site shows there now, and so worth keeping."""

    why: str
    shown: bool


class SignedOut(Exception):
    """The site shows its sign-in in the middle of the work. Caught where the work can be begun again."""


class _Crashed(Exception):
    """The page killed its renderer. Caught where the work can be begun again, in a new one."""


class _Busy(Exception):
    """The site asked to come back later, and that time has passed: the list is to be opened again."""


@dataclass(slots=True)
class _Pass:
    """What one way through the list showed of whether it stood still."""

    rows: int = 0
    ids: set[str] = field(default_factory=set)
    totals: set[int] = field(default_factory=set)

    def take(self, event: Event) -> None:
        if isinstance(event, Listed):
            self.rows += len(event.listing.rows or event.listing.refs)
            self.ids |= _rows(event.listing)
            self.totals |= set() if event.listing.total is None else {event.listing.total}

    @property
    def moved(self) -> bool:
        """A row came twice, or the site's own count changed, or is another than ours."""
        return self.rows != len(self.ids) or bool(self.totals and self.totals != {len(self.ids)})


@dataclass(slots=True)
class Walk:
    """One walk over one source in one marketplace.

    `full` looks into unchanged threads as well. `renew` signs in again, into the same marketplace, or raises.
    """

    tab: Tab
    site: str
    sitemap: SiteMap
    map: SourceMap
    reader: Reader
    scope: Scope
    run: str
    pace: Pace
    renew: Callable[[], None]
    full: bool = False
    _came_to_rest: bool = False
    """Whether the page that was visited last did."""

    @property
    def page(self) -> Page:
        return self.tab.page

    def events(self, known: Known) -> Iterator[Event]:
        """The whole walk; ends with exactly one `Ended`, unless the browser or the sign-in fails on the way.

        A session that ends on the way is renewed, and the same page or thread is looked at again. Nothing is told of a
        page or thread before it is whole.
        """
        refs: dict[str, Ref] = {}
        ended = Ended(reached_end=False, why="the list was not read")
        for event in self._list_pages(known):
            if isinstance(event, Ended):
                ended = event
                continue
            if isinstance(event, Listed):
                refs.update((ref.site_thread, ref) for ref in event.listing.refs)
            yield event
        wanted: list[Ref] = []
        for ref in refs.values():
            if not self.full and known.stamps.get(ref.site_thread) == ref.stamp:
                yield Unchanged(ref)
            else:
                wanted.append(ref)
        for ref in sorted(wanted, key=_deadline):
            yield from self._whole_thread(ref)
        yield ended

    # --- the list ----------------------------------------------------------------------------------------------

    def _list_pages(self, known: Known) -> Iterator[Event]:
        """Page by page to the end. A list that moved while it was read, or had to be opened again, is read from its
        beginning once more; a page that says what it said before is not kept a second time.
        """
        kept = dict(known.pages)
        busy = crashes = moved = 0
        begun = False
        why = ""
        while True:
            try:
                if begun:
                    yield Relisted(why)
                begun = True
                one = _Pass()
                for event in self._pages(kept):
                    if isinstance(event, Ended) and one.moved and moved < _MOST_MOVES:
                        break
                    one.take(event)
                    yield event
                else:
                    return
                moved += 1
                why = "it changed while it was read"
            except SignedOut:
                why = "the session ended while it was read"
                self.renew()
            except _Crashed:
                why = "its page brought the browser tab down"
                crashes += 1
                if crashes == _MOST_CRASHES:
                    yield Missed(None, _CRASHED)
                    yield Ended(reached_end=False, why=_CRASHED)
                    return
            except _Busy:
                why = "the site was too busy to go on with it"
                busy += 1
                if busy == _RETRIES:
                    yield Missed(None, "the site asked to come back later, again and again")
                    yield Ended(reached_end=False, why="the site is too busy")
                    return

    def _pages(self, kept: dict[int, str]) -> Iterator[Event]:
        """The events of one way through the list. `kept` has the digest of each page as it was last kept."""
        failure = self._open_list()
        ids: set[str] = set()
        number = 1
        while failure is None and number <= _MOST_PAGES:
            try:
                capture = self._list_capture(kept, number)
                control = self._next_control()
            except PlaywrightError as error:
                failure = f"page {number} of the list could not be kept: {self._first_line(error)}"
                break
            digest = listing_digest(capture)
            if kept.get(number) != digest:
                yield Seen(capture)
                kept[number] = digest
            listing = self.reader.listing(capture, self.sitemap)
            if isinstance(listing, Unread):
                failure = f"page {number} of the list could not be read: {listing.why} (mend {listing.key})"
                break
            yield Listed(listing, number)
            new = _rows(listing) - ids
            if number > 1 and not new and _rows(listing):
                yield Ended(reached_end=False, why=f"page {number} of the list shows only what pages before it showed")
                return
            number += 1
            ids |= new
            if control is None:
                why = self._doubt_of_end(listing, len(ids))
                yield Ended(reached_end=not why, why=why)
                return
            failure = self._act(control)
        failure = failure or f"the list did not end after {_MOST_PAGES} pages"
        yield Missed(None, failure)
        yield Ended(reached_end=False, why=failure)

    def _doubt_of_end(self, listing: Listing, seen: int) -> str:
        """Why a pager that shows no way on is not the end of the list; empty where something says that it is.

        A pager we do not know looks like no pager.
        """
        if listing.last is False:
            return "the answer names more pages, the pager shows none"
        shows_pager = any(self.page.locator(f"{selector} >> visible=true").count() for selector in self.map.next)
        rows = len(listing.rows or listing.refs)
        if listing.last or listing.total == seen or shows_pager or rows < _ROWS_A_PAGE:
            return ""
        return f"nothing says that the list ends here (mend source.{self.map.source}.next)"

    def _list_capture(self, kept: Mapping[int, str], number: int) -> Capture:
        """This page of the list; with its picture where the archive does not have it as it is."""
        answers = self._list_answers()
        capture = self._capture(Kind.LIST, answers, page=number)
        if kept.get(number) == listing_digest(capture):
            return capture
        return self._capture(Kind.LIST, (*answers, *camera.photograph(self.page, self.tab.session)), page=number)

    def _open_list(self) -> str | None:
        """Go to the list and bring up all of it. What went wrong, or None."""
        failure = self._visit(self.site + self.map.list, None if self.map.open else self._is_list_answer)
        if failure is not None or not self.map.open:
            return failure.why if failure is not None else None
        if self.tab.recorder.answered(self._is_list_answer) is not None:
            return None  # the list opened on all of it by itself
        for selector in self.map.open:
            control = self.page.locator(selector).first
            if control.is_visible():
                return self._act(control)
        return f"the way to the whole list was not found (mend source.{self.map.source}.open)"

    def _next_control(self) -> Locator | None:
        """A way to the next page that shows and can be pressed, or None."""
        shown = (self.page.locator(f"{selector} >> visible=true").first for selector in self.map.next)
        return next((control for control in shown if control.count() and control.evaluate(_IS_ON)), None)

    def _act(self, control: Locator) -> str | None:
        """Press what makes the page fetch its list, and wait for the answer. What went wrong, or None."""
        self.pace.before_page()
        self.tab.recorder.start()
        try:
            with self.page.expect_response(
                lambda response: self._is_list_answer(response.url), timeout=sign_in.PAGE_TIMEOUT_S * 1000
            ) as answering:
                control.click(timeout=sign_in.PAGE_TIMEOUT_S * 1000)
            answer = answering.value
            camera.settle(self.page, self.tab.recorder, timeout_s=sign_in.PAGE_TIMEOUT_S)
        except PlaywrightError as error:
            return f"the list did not answer: {self._first_line(error)}"
        if _is_busy(answer):
            self.pace.back_off(answer.headers.get("retry-after", ""), 0)
            raise _Busy
        if answer.status == 200 and not _has_data(answer):
            again = self._visit(self.site + self.map.list, None)
            return again.why if again is not None else "the list answered a page where data was expected"
        return None

    def _is_list_answer(self, url: str) -> bool:
        parts = urlsplit(url)
        if parts.path != self.map.list_json:
            return False
        asked = parse_qs(parts.query)
        return all(value in asked.get(key, []) for key, [value] in parse_qs(self.map.list_query).items())

    def _list_answers(self) -> tuple[Artifact, ...]:
        return self.tab.recorder.artifacts(self._is_list_answer)

    # --- a thread ----------------------------------------------------------------------------------------------

    def _whole_thread(self, ref: Ref) -> Iterator[Event]:
        """What there is to tell of one thread; from the beginning where the session ended before anything was told."""
        for _ in range(_MOST_CRASHES):
            with suppress(_Crashed):
                while True:
                    try:
                        yield from self._thread(ref)
                        return
                    except SignedOut:
                        self.renew()
        yield Missed(ref, _CRASHED)

    def _thread(self, ref: Ref) -> Iterator[Event]:
        path = self.map.thread.replace("{id}", quote(ref.site_thread, safe=""))
        endpoint = self.map.thread_json.replace("{id}", quote(ref.site_thread, safe=""))

        def is_answer(url: str) -> bool:
            parts = urlsplit(url)
            if not endpoint or parts.path != endpoint:
                return False
            # Where the path is the same for every thread, the query says whose answer it is.
            return "{id}" in self.map.thread_json or [ref.site_thread] in parse_qs(parts.query).values()

        failure = self._visit(self.site + path, is_answer if endpoint else None)
        if failure is not None and not failure.shown:
            yield Missed(ref, failure.why)
            return
        try:
            at_rest = self._show_all()
            seen = (*self.tab.recorder.artifacts(is_answer), *camera.photograph(self.page, self.tab.session))
        except PlaywrightError as error:
            yield Missed(ref, f"the page was not drawn: {self._first_line(error)}")
            return
        try:
            files, lost = self._attachments(seen)
        except (ArchiverError, _Crashed):
            yield Seen(self._capture(Kind.THREAD, seen, ref=replace(ref, stamp="")))
            raise
        # An empty stamp equals no listed one: what may be had tomorrow is asked for again tomorrow.
        again = not at_rest or any(file.status in _TRANSIENT or file.status >= 500 for file in files)
        yield Seen(self._capture(Kind.THREAD, (*seen, *files), ref=replace(ref, stamp="") if again else ref))
        if failure is not None:
            lost.append(failure.why)
        if not at_rest:
            lost.append("the page did not come to rest; it is kept as it was")
        for why in lost:
            yield Missed(ref, why)

    def _show_all(self) -> bool:
        """Wait for what the page is known to show, unfold it, and let every frame load. Whether it came to rest."""
        for selector in self.map.thread_ready:
            with suppress(PlaywrightTimeoutError):  # a page that changed is kept as it is
                self.page.locator(f"{selector} >> visible=true").first.wait_for(timeout=_READY_S * 1000)
        unfolded = self._expand()
        still = self._came_to_rest and not unfolded and not self.tab.recorder.busy
        if still and not self.map.thread_ready and len(self.page.frames) == 1:
            return True  # nothing has happened since
        for frame in self.page.frames:
            frame.wait_for_load_state("load", timeout=sign_in.PAGE_TIMEOUT_S * 1000)
        return camera.settle(self.page, self.tab.recorder, timeout_s=sign_in.PAGE_TIMEOUT_S)

    def _expand(self) -> bool:
        """Unfold what the page folded, so that the picture shows all of it. Whether there was anything."""
        found = False
        for selector in self.map.expand:
            folded = self.page.locator(f"{selector} >> visible=true")
            left = folded.count()
            while left:
                found = True
                folded.first.click(timeout=sign_in.PAGE_TIMEOUT_S * 1000)
                before, left = left, folded.count()
                if left >= before:
                    break  # it unfolds nothing
        return found

    def _attachments(self, seen: tuple[Artifact, ...]) -> tuple[list[Artifact], list[str]]:
        """The files, and for each that could not be had, why. No name of one: what is missed is said in the log."""
        files: list[Artifact] = []
        lost: list[str] = []
        for link in self.reader.links(seen, self.sitemap):
            if not link.url:
                lost.append("an attachment was not fetched: the site names no place to fetch it from")
                continue
            fetched = camera.fetch(self.page, link.url)
            if fetched.path in self.sitemap.guard.sign_in_posts:
                self.renew()
                fetched = camera.fetch(self.page, link.url)
            if fetched.status == 200 and trouble(link.name, link.media_type or fetched.media_type, fetched.body):
                # It may have been damaged on the way; what comes the second time is what the site has.
                again = camera.fetch(self.page, link.url)
                fetched = again if again.status == 200 else fetched
            if fetched.status != 200:
                lost.append(f"an attachment was not fetched: the site answered {fetched.status or 'nothing'}")
            elif _is_page(fetched.media_type) and not _is_page(link.media_type) and not link.name.endswith(_PAGES):
                fetched = replace(fetched, status=_NOT_THE_FILE)
                lost.append("an attachment was not fetched: a page came in its place")
            files.append(
                Artifact(
                    f"attachment/{len(files)}",
                    fetched.media_type or link.media_type,
                    fetched.body,
                    url=link.url,
                    title=link.name,
                    status=fetched.status,
                )
            )
        return files, lost

    # --- moving about ------------------------------------------------------------------------------------------

    def _visit(self, url: str, awaited: Callable[[str], bool] | None) -> _Failure | None:
        """Load a page and let it settle. What went wrong, or None. Raises SignedOut, BrowserFailed, PersonNeeded."""
        failure = _Failure("the page was not asked for", shown=False)
        for attempt in range(_RETRIES):
            self.pace.before_page()
            if self.tab.crashed:
                self.tab.reopen()
            self.tab.recorder.start()
            try:
                camera.reset_window(self.page)
                response = self.page.goto(url, wait_until="domcontentloaded", timeout=sign_in.PAGE_TIMEOUT_S * 1000)
                settled = self._came_to_rest = camera.settle(
                    self.page, self.tab.recorder, timeout_s=sign_in.PAGE_TIMEOUT_S
                )
                self._look_for_challenge()
                answer = self._answer(awaited) if awaited else response
            except PlaywrightError as error:
                failure = _Failure(f"the page did not load: {self._first_line(error)}", shown=False)
                continue
            if answer is None:
                why = "the page did not fetch what it shows" if settled else "the page did not come to rest"
                failure = _Failure(why, shown=True)
            elif answer.status == 200 and awaited and not _has_data(answer):
                # A session that has ended answers so [L]; loading the page again shows the sign-in, or data.
                failure = _Failure("the site answered a page where data was expected", shown=True)
            elif answer.status == 200:
                return None
            else:
                failure = _Failure(f"the site answered {answer.status}", shown=not _is_busy(answer))
                if failure.shown:
                    return failure
                self.pace.back_off(answer.headers.get("retry-after", ""), attempt)
        return failure

    def _look_for_challenge(self) -> None:
        """Raises SignedOut where the sign-in is to be played: it is asked for, or a person, which is its matter too."""
        if signin.interrupts(sign_in.showing(self.page, self.sitemap)):
            raise SignedOut

    def _answer(self, awaited: Callable[[str], bool]) -> Response | None:
        """The answer the page shows. A page that asks in turn, here and there, may still be waiting for its last."""
        answer = self.tab.recorder.answered(awaited)
        if answer is None or 400 <= answer.status < 500:
            try:
                self.page.wait_for_event(
                    "response", lambda r: awaited(r.url) and r.status == 200, timeout=_LATE_ANSWER_S * 1000
                )
            except PlaywrightTimeoutError:
                return answer
            camera.settle(self.page, self.tab.recorder, timeout_s=sign_in.PAGE_TIMEOUT_S)
        return self.tab.recorder.answered(awaited)

    def _first_line(self, error: PlaywrightError) -> str:
        """What Playwright says, in a line. Raises _Crashed, and BrowserFailed where there is no browser any more."""
        if self.tab.crashed:
            raise _Crashed from error
        if self.page.is_closed():
            raise BrowserFailed(
                "The browser went away in the middle of the work.",
                hint="Nothing to do: what was captured is kept, and the next run goes on from there.",
            ) from error
        return error.message.splitlines()[0]

    def _capture(
        self, kind: Kind, artifacts: tuple[Artifact, ...], *, ref: Ref | None = None, page: int = 0
    ) -> Capture:
        return Capture(
            scope=self.scope,
            kind=kind,
            taken_at=datetime.now(UTC),
            url=self.page.url,
            artifacts=artifacts,
            run=self.run,
            site_thread=ref.site_thread if ref else "",
            stamp=ref.stamp if ref else "",
            page=page,
        )


_TRANSIENT = frozenset({0, 408, 429})
_PAGES = (".htm", ".html")
_NOT_THE_FILE = 406
"""Ours, for an answer of 200 that is not the file: the site answers so for addresses it does not know [C]."""

# Not switched off: neither by itself nor by what it stands in, a list item or the host of a shadow root.
_IS_ON = """element => {
    const off = e => e.disabled || e.getAttribute('aria-disabled') === 'true' || e.hasAttribute('disabled')
        || /(^|[\\s-])disabled(\\s|$)/.test(e.getAttribute('class') || '');
    return ![element, element.parentElement, element.getRootNode().host].some(e => e && off(e));
}"""


def _rows(listing: Listing) -> set[str]:
    return set(listing.rows or (ref.site_thread for ref in listing.refs))


def _deadline(ref: Ref) -> tuple[bool, datetime | None, str]:
    """Oldest activity first: it leaves the window first. Threads without a time come before all others."""
    return (ref.active_at is not None, ref.active_at, ref.site_thread)


def _has_data(answer: Response) -> bool:
    return not _is_page(answer.headers.get("content-type", ""))


def _is_page(media_type: str) -> bool:
    return "html" in media_type


def _is_busy(answer: Response) -> bool:
    return answer.status == 429 or answer.status >= 500
