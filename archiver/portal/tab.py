"""The one page of a run, and what belongs to it; opened again where a page of the site killed its renderer."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, CDPSession, Page

from archiver.portal.camera import Recorder


class Tab:
    """A page with its DevTools session and its recorder. Hold the tab, not the page: `reopen` replaces all three."""

    page: Page
    session: CDPSession
    recorder: Recorder
    crashed: bool
    """Whether the renderer died (out of memory, a fault of its own). Nothing on this page answers any more."""

    def __init__(self, context: BrowserContext) -> None:
        self._context = context
        self._open()

    def reopen(self) -> None:
        """A new page in the place of one that crashed. Raises Playwright's Error where the browser is gone."""
        self.page.close()
        self._open()

    def _open(self) -> None:
        self.page = self._context.new_page()
        self.session = self._context.new_cdp_session(self.page)
        self.recorder = Recorder(self.page)
        self.crashed = False
        self.page.on("crash", self._crash)

    def _crash(self, page: Page) -> None:
        self.crashed = self.crashed or page is self.page
