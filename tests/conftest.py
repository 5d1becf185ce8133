"""The one browser of the suite: Playwright allows one of itself in a thread, and starting Chromium takes a second."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from archiver.portal import browser as browsers


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """For the tests that look at single pages; whole runs start their own, in a process of their own."""
    with browsers.running(browsers.find(None)) as running:
        yield running
