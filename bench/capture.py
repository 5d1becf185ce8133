"""What capturing costs: time per thread as a ratio to a bare Playwright loop over the same pages, in one run.

The bare loop loads each page, waits until its thread shows and takes a full-page screenshot, and throws it away. The
archiver passes every request through the guard, keeps JSON, DOM, MHTML, attachments and the picture, seals them,
makes them durable and files the messages. Both use the same browser, window and stand-in; they run in turn, and the
median of the rounds counts.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
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
    rounds: int = parser.parse_args().rounds
    seller = _seller()
    bare_s: list[float] = []
    ours_s: list[float] = []
    for _ in range(rounds):
        # A site of its own for each: it takes a one-time code once, and both sign in.
        with _site() as origin:
            urls = _thread_pages(origin)
            bare_s.append(_bare(origin, seller, urls))
        with _site() as origin:
            ours_s.append(_ours(origin, seller, len(urls)))
    bare, ours = statistics.median(bare_s), statistics.median(ours_s)
    print(f"threads per round        {len(urls)}, rounds {rounds}")
    print(f"bare Playwright loop     {bare * 1000:6.0f} ms per thread   (rounds: {_ms(bare_s)})")
    print(f"archiver                 {ours * 1000:6.0f} ms per thread   (rounds: {_ms(ours_s)})")
    print(f"ratio                    {ours / bare:6.2f}   (aim: at most 1.3)")
    return 0


def _seller() -> Seller:
    return make_seller(now=NOW, cases=30, threads=60, notifications=12)


@contextmanager
def _site() -> Iterator[str]:
    """The origin of a stand-in in a process of its own, as a site is."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs,))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("end")
        process.join()


def _serve(pipe: Connection) -> None:
    with StandIn(_seller(), now=NOW) as site:
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


def _ours(origin: str, seller: Seller, expected: int) -> float:
    """Seconds per thread of a first sync: from the end of each list to the last thread kept and filed."""
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
    if report.exit != 0 or clock.threads != expected:
        sys.exit(f"the sync ended with {report.exit} after {clock.threads} of {expected} threads")
    return clock.spent_s / clock.threads


class _Clock:
    """Counts the time between events, where a thread was what came next."""

    def __init__(self) -> None:
        self.spent_s = 0.0
        self.threads = 0
        self._last_s = 0.0

    def tell(self, event: Event, coverage: Coverage) -> None:
        now_s = time.perf_counter()
        if isinstance(event, Seen) and event.capture.kind is Kind.THREAD:
            self.spent_s += now_s - self._last_s
            self.threads += 1
        if isinstance(event, (Seen, Listed)):
            self._last_s = now_s


if __name__ == "__main__":
    sys.exit(main())
