"""What capturing costs: time per thread as a ratio to a bare Playwright loop over the same pages, and memory.

The bare loop loads each page, waits until its thread shows and takes a full-page screenshot, and throws it away. The
archiver passes every request through the guard, keeps JSON, DOM, MHTML, attachments and the picture, seals them,
makes them durable and files the messages. Both use the same browser, window and stand-in; they run in turn, and the
median of the rounds counts. `--threads 5000 --rounds 1` shows whether a long run stays flat, in time and in memory.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from archiver import config, wiring
from archiver.archive.archive import Archive
from archiver.archive.keyring import KeyFile, make_key_file
from archiver.archive.vault import SignIn
from archiver.coverage import Coverage
from archiver.demo.seller import Seller, make_seller
from archiver.demo.stand_in import StandIn
from archiver.demo.totp import code_at
from archiver.model import Event, Kind, Listed, Seen
from archiver.portal import browser as browsers
from archiver.portal import camera

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PAGES = {
    "cases": ("/cu/case-dashboard/view-case?caseID={id}", ".contacts"),
    "buyer-messages": ("/messaging/inbox?fi=caseId&ss={id}&cc={id}", ".thread"),
    "performance-notifications": ("/performance/notifications/{id}", "iframe"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=90, help="about as many threads a round")
    options = parser.parse_args()
    threads: int = options.threads
    seller = _seller(threads)
    bare_s: list[float] = []
    ours: list[_Taken] = []
    for _ in range(options.rounds):
        # A site of its own for each: it takes a one-time code once, and both sign in.
        with _site(threads) as origin:
            urls = _thread_pages(origin)
            bare_s.append(_bare(origin, seller, urls))
        with _site(threads) as origin:
            ours.append(_in_a_process_of_its_own(origin, seller, len(urls)))
    ours_s = [taken.mean_s for taken in ours]
    bare, archiver = statistics.median(bare_s), statistics.median(ours_s)
    print(f"threads per round        {len(urls)}, rounds {options.rounds}")
    print(f"bare Playwright loop     {bare * 1000:6.0f} ms per thread   (rounds: {_ms(bare_s)})")
    print(f"archiver                 {archiver * 1000:6.0f} ms per thread   (rounds: {_ms(ours_s)})")
    print(f"ratio                    {archiver / bare:6.2f}   (aim: at most 1.25)")
    part = max(1, len(urls) // 5)
    first, last = (statistics.mean(times) for times in (ours[-1].each_s[:part], ours[-1].each_s[-part:]))
    print(
        f"first and last fifth     {first * 1000:6.0f} and {last * 1000:.0f} ms per thread (ratio {last / first:.2f})"
    )
    print(f"peak memory of Python    {max(taken.peak_mb for taken in ours):6.0f} MB   (aim: below 300)")
    return 0


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a sync took: seconds for each thread, in the order they were kept; the process's peak in MB."""

    each_s: list[float]
    peak_mb: float

    @property
    def mean_s(self) -> float:
        return statistics.mean(self.each_s)


def _seller(threads: int) -> Seller:
    """Two marketplaces, of which the bench reads one, and a fifth more for what is outside the window."""
    most = threads * 2 * 120 // 100
    return make_seller(now=NOW, cases=most * 30 // 100, threads=most * 60 // 100, notifications=most * 10 // 100)


@contextmanager
def _site(threads: int) -> Iterator[str]:
    """The origin of a stand-in in a process of its own, as a site is."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, threads))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("end")
        process.join()


def _serve(pipe: Connection, threads: int) -> None:
    with StandIn(_seller(threads), now=NOW) as site:
        pipe.send(site.origin)
        pipe.recv()


def _thread_pages(origin: str) -> list[tuple[str, str]]:
    """The address of each thread of one marketplace, and what shows that it is drawn."""
    with urllib.request.urlopen(f"{origin}/__stand_in__/truth") as answer:  # noqa: S310  a loopback address of ours
        truth = json.load(answer)
    threads = {(t["source"], t["site_thread"]) for t in truth if t["marketplace"] == "UK"}
    return sorted((origin + PAGES[s][0].replace("{id}", thread), PAGES[s][1]) for s, thread in threads)


def _ms(times_s: list[float]) -> str:
    return ", ".join(f"{t * 1000:.0f}" for t in times_s)


def _bare(origin: str, seller: Seller, urls: list[tuple[str, str]]) -> float:
    """Seconds per thread of the bare loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browsers.find(None), args=["--no-sandbox"] if browsers.runs_as_root() else []
        )
        page = browser.new_page(viewport={"width": camera.VIEWPORT_WIDTH_PX, "height": camera.VIEWPORT_HEIGHT_PX})
        _sign_in(page, origin, seller)
        began = time.perf_counter()
        for url, shows in urls:
            page.goto(url)
            page.wait_for_selector(shows)
            page.screenshot(full_page=True)
        took = time.perf_counter() - began
        browser.close()
    return took / len(urls)


def _sign_in(page: Page, origin: str, seller: Seller) -> None:
    page.goto(origin + "/home")
    page.fill("#ap_email", seller.email)
    page.click("#continue")
    page.fill("#ap_password", seller.password)
    page.click("#signInSubmit")
    page.fill("#auth-mfa-otpcode", code_at(seller.totp_secret, time.time()))
    page.click("#auth-signin-button")
    page.locator(".full-page-account-switcher-account-details").first.click()
    page.get_by_text("United Kingdom").first.click()
    page.click('kat-button[data-test="confirm-selection"]')
    page.wait_for_load_state()


def _in_a_process_of_its_own(origin: str, seller: Seller, expected: int) -> _Taken:
    """Its memory is then that of a sync, and of nothing the bench did before."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_sync, args=(theirs, origin, seller, expected))
    process.start()
    taken: _Taken = ours.recv()
    process.join()
    return taken


def _sync(pipe: Connection, origin: str, seller: Seller, expected: int) -> None:
    each_s = _ours(origin, seller, expected)
    pipe.send(_Taken(each_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def _ours(origin: str, seller: Seller, expected: int) -> list[float]:
    """Seconds for each thread of a first sync: from the end of each list to the last thread kept and filed."""
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "archive.key"
        path = Path(folder) / "config.toml"
        path.write_text(
            f'[archive]\npath = "archive"\nkey = {{ file = "{key}" }}\n[[account]]\nname = "bench"\n'
            f'site = "{origin}"\nmarketplaces = ["UK"]\nlabel = "{seller.label}"\n'
        )
        configured = config.load(path)
        make_key_file(key)
        Archive.create(configured.archive.path, [KeyFile(key)]).close()
        clock = _Clock()
        with wiring.opened(configured, write=True) as archive:
            archive.vault.add_account(SignIn("bench", seller.email, seller.password, seller.totp_secret))
            report = wiring.sync_accounts(configured, archive, configured.accounts, tell=clock.tell, halt=lambda: None)
    if report.exit != 0 or len(clock.each_s) != expected:
        sys.exit(f"the sync ended with {report.exit} after {len(clock.each_s)} of {expected} threads")
    return clock.each_s


class _Clock:
    """Counts the time between events, where a thread was what came next."""

    def __init__(self) -> None:
        self.each_s: list[float] = []
        self._last_s = 0.0

    def tell(self, event: Event, coverage: Coverage) -> None:
        now_s = time.perf_counter()
        if isinstance(event, Seen) and event.capture.kind is Kind.THREAD:
            self.each_s.append(now_s - self._last_s)
        if isinstance(event, (Seen, Listed)):
            self._last_s = now_s


if __name__ == "__main__":
    sys.exit(main())
