"""Turns the pages of one source and tells what it sees, as events. Keeps nothing, claims nothing.

First the list to its end through the site's own pager, then each thread that is new or changed, the one that leaves
the window first before the others. What is seen is told (`Seen`) before anything reads it; one thread's failure is
an event, and the walk goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote, urlsplit

from playwright.sync_api import CDPSession, Locator, Page, Response
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from archiver.errors import BrowserFailed
from archiver.model import (
    Artifact,
    Capture,
    Ended,
    Event,
    Kind,
    Known,
    Listed,
    Missed,
    Ref,
    Scope,
    Seen,
    Unchanged,
    Unread,
    listing_digest,
)
from archiver.portal import camera, sign_in
from archiver.portal.camera import Recorder
from archiver.portal.pace import Pace
from archiver.signin import Screen
from archiver.site.interface import Reader
from archiver.site.sitemap import SiteMap, SourceMap

_MOST_PAGES = 10_000
_RETRIES = 3
_BACK_OFF_S = 2.0
_LATE_ANSWER_S = 5.0


class SignedOut(Exception):
    """The site shows its sign-in in the middle of the work. Caught where the work can be begun again."""


class _Busy(Exception):
    """The site asked to come back later, and that time has passed: the list is to be opened again."""


@dataclass(slots=True)
class Walk:
    """One walk over one source in one marketplace.

    `full` looks into unchanged threads as well. `renew` signs in
    again, into the same marketplace, or raises.
    """

    page: Page
    session: CDPSession
    recorder: Recorder
    site: str
    sitemap: SiteMap
    map: SourceMap
    reader: Reader
    scope: Scope
    run: str
    pace: Pace
    renew: Callable[[], None]
    full: bool = False

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
        """Page by page to the end. Where it has to be opened again, pages that were told are passed over."""
        told = 0
        busy = 0
        while True:
            try:
                for number, event in self._pages(known):
                    if number > told:
                        yield event
                    if isinstance(event, Listed):
                        told = max(told, number)
                return
            except SignedOut:
                self.renew()
            except _Busy:
                busy += 1
                if busy == _RETRIES:
                    yield Missed(None, "the site asked to come back later, again and again")
                    yield Ended(reached_end=False, why="the site is too busy")
                    return

    def _pages(self, known: Known) -> Iterator[tuple[int, Event]]:
        """The events of one way through the list, each with the number of its page; what ends it is of no page told."""
        failure = self._open_list()
        number = 1
        while failure is None and number <= _MOST_PAGES:
            try:
                capture = self._list_capture(known, number)
                control = self._next_control()
            except PlaywrightError as error:
                failure = f"page {number} of the list could not be kept: {self._first_line(error)}"
                break
            if known.pages.get(number) != listing_digest(capture):
                yield number, Seen(capture)
            listing = self.reader.listing(capture, self.sitemap)
            if isinstance(listing, Unread):
                failure = f"page {number} of the list could not be read: {listing.why} (mend {listing.key})"
                break
            yield number, Listed(listing, number)
            number += 1
            if control is None:
                # The pager shows no way on. Where the answer itself names more, the pager is not believed.
                why = "" if listing.last is not False else "the answer names more pages, the pager shows none"
                yield number, Ended(reached_end=not why, why=why)
                return
            failure = self._act(control)
        failure = failure or f"the list did not end after {_MOST_PAGES} pages"
        yield _MOST_PAGES + 1, Missed(None, failure)
        yield _MOST_PAGES + 1, Ended(reached_end=False, why=failure)

    def _list_capture(self, known: Known, number: int) -> Capture:
        """This page of the list; with its picture where the archive does not have it as it is."""
        answers = self._list_answers()
        capture = self._capture(Kind.LIST, answers, page=number)
        if known.pages.get(number) == listing_digest(capture):
            return capture
        return self._capture(Kind.LIST, (*answers, *camera.photograph(self.page, self.session)), page=number)

    def _open_list(self) -> str | None:
        """Go to the list and bring up all of it. What went wrong, or None."""
        failure = self._visit(self.site + self.map.list, None if self.map.open else self._is_list_answer)
        if failure is not None or not self.map.open:
            return failure
        if self.recorder.answered(self._is_list_answer) is not None:
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
        self.recorder.start()
        try:
            with self.page.expect_response(
                lambda response: self._is_list_answer(response.url), timeout=sign_in.PAGE_TIMEOUT_S * 1000
            ) as answering:
                control.click(timeout=sign_in.PAGE_TIMEOUT_S * 1000)
            answer = answering.value
            camera.settle(self.page, self.recorder, timeout_s=sign_in.PAGE_TIMEOUT_S)
        except PlaywrightError as error:
            return f"the list did not answer: {self._first_line(error)}"
        if _is_busy(answer):
            self.pace.wait(_back_off_s(answer, 0))
            raise _Busy
        if answer.status == 200 and not _has_data(answer):
            return self._visit(self.site + self.map.list, None) or "the list answered a page where data was expected"
        return None

    def _is_list_answer(self, url: str) -> bool:
        parts = urlsplit(url)
        if parts.path != self.map.list_json:
            return False
        asked = parse_qs(parts.query)
        return all(value in asked.get(key, []) for key, [value] in parse_qs(self.map.list_query).items())

    def _list_answers(self) -> tuple[Artifact, ...]:
        return self.recorder.artifacts(self._is_list_answer)

    # --- a thread ----------------------------------------------------------------------------------------------

    def _whole_thread(self, ref: Ref) -> list[Event]:
        """What there is to tell of one thread, once nothing of it was cut off by a session that ended."""
        while True:
            try:
                return list(self._thread(ref))
            except SignedOut:
                self.renew()

    def _thread(self, ref: Ref) -> Iterator[Event]:
        path = self.map.thread.replace("{id}", quote(ref.site_thread, safe=""))
        endpoint = self.map.thread_json.replace("{id}", quote(ref.site_thread, safe=""))

        def is_answer(url: str) -> bool:
            return bool(endpoint) and urlsplit(url).path == endpoint

        failure = self._visit(self.site + path, is_answer if endpoint else None)
        if failure is not None:
            yield Missed(ref, failure)
            return
        try:
            for selector in self.map.thread_ready:
                self.page.locator(selector).first.wait_for(timeout=sign_in.PAGE_TIMEOUT_S * 1000)
            self._expand()
            answers = self.recorder.artifacts(is_answer)
            seen = (*answers, *camera.photograph(self.page, self.session))
        except PlaywrightError as error:
            yield Missed(ref, f"the page was not drawn: {self._first_line(error)}")
            return
        files, lost = self._attachments(seen)
        # An empty stamp equals no listed one: what may be had tomorrow is asked for again tomorrow.
        again = any(file.status in _TRANSIENT or file.status >= 500 for file in files)
        yield Seen(self._capture(Kind.THREAD, (*seen, *files), ref=replace(ref, stamp="") if again else ref))
        for why in lost:
            yield Missed(ref, why)

    def _expand(self) -> None:
        """Unfold what the page folded, so that the picture shows all of it."""
        found = False
        for selector in self.map.expand:
            folded = self.page.locator(f"{selector} >> visible=true")
            left = folded.count()
            found = found or left > 0
            while left:
                folded.first.click(timeout=sign_in.PAGE_TIMEOUT_S * 1000)
                before, left = left, folded.count()
                if left >= before:
                    break  # it unfolds nothing
        if found:
            camera.settle(self.page, self.recorder, timeout_s=sign_in.PAGE_TIMEOUT_S)

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
                raise SignedOut
            if fetched.status != 200:
                lost.append(f"an attachment was not fetched: the site answered {fetched.status or 'nothing'}")
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

    def _visit(self, url: str, awaited: Callable[[str], bool] | None) -> str | None:
        """Load a page and let it settle. What went wrong, or None. Raises SignedOut, BrowserFailed."""
        why = ""
        for attempt in range(_RETRIES):
            self.pace.before_page()
            self.recorder.start()
            try:
                camera.reset_window(self.page)
                response = self.page.goto(url, wait_until="domcontentloaded", timeout=sign_in.PAGE_TIMEOUT_S * 1000)
                settled = camera.settle(self.page, self.recorder, timeout_s=sign_in.PAGE_TIMEOUT_S)
                if sign_in.showing(self.page, self.sitemap) in SIGNED_OUT:
                    raise SignedOut
                answer = self._answer(awaited) if awaited else response
            except PlaywrightError as error:
                why = f"the page did not load: {self._first_line(error)}"
                continue
            if answer is None:
                why = "the page did not fetch what it shows" if settled else "the page did not come to rest"
                continue
            if answer.status == 200 and awaited and not _has_data(answer):
                # A session that has ended answers so [L]; loading the page again shows the sign-in, or data.
                why = "the site answered a page where data was expected"
                continue
            if answer.status == 200:
                return None
            why = f"the site answered {answer.status}"
            if not _is_busy(answer):
                return why
            self.pace.wait(_back_off_s(answer, attempt))
        return why

    def _answer(self, awaited: Callable[[str], bool]) -> Response | None:
        """The answer the page shows. A page that asks in turn, here and there, may still be waiting for its last."""
        answer = self.recorder.answered(awaited)
        if answer is None or 400 <= answer.status < 500:
            try:
                self.page.wait_for_event(
                    "response", lambda r: awaited(r.url) and r.status == 200, timeout=_LATE_ANSWER_S * 1000
                )
            except PlaywrightTimeoutError:
                return answer
            camera.settle(self.page, self.recorder, timeout_s=sign_in.PAGE_TIMEOUT_S)
        return self.recorder.answered(awaited)

    def _first_line(self, error: PlaywrightError) -> str:
        """What Playwright says, in a line. Raises BrowserFailed where it says that there is no page any more."""
        if self.page.is_closed() or "crashed" in error.message:
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

SIGNED_OUT = frozenset({Screen.EMAIL, Screen.PASSWORD, Screen.MFA_OTP})

# Not switched off: neither by itself nor by what it stands in, a list item or the host of a shadow root.
_IS_ON = """element => {
    const off = e => e.disabled || e.getAttribute('aria-disabled') === 'true' || e.hasAttribute('disabled')
        || /(^|[\\s-])disabled(\\s|$)/.test(e.getAttribute('class') || '');
    return ![element, element.parentElement, element.getRootNode().host].some(e => e && off(e));
}"""


def _deadline(ref: Ref) -> tuple[bool, datetime | None, str]:
    """Oldest activity first: it leaves the window first. Threads without a time come before all others."""
    return (ref.active_at is not None, ref.active_at, ref.site_thread)


def _has_data(answer: Response) -> bool:
    return "json" in answer.headers.get("content-type", "")


def _is_busy(answer: Response) -> bool:
    return answer.status == 429 or answer.status >= 500


def _back_off_s(answer: Response, attempt: int) -> float:
    """What `Retry-After` asks for in seconds, else 2, 4, 8 s; at most a minute."""
    asked = answer.headers.get("retry-after", "")
    return min(float(asked) if asked.isdigit() else _BACK_OFF_S * 2**attempt, 60.0)
