"""The site's clock, by the Date headers of its answers: a one-time code counts by that clock, not by this machine's."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Response

_TICK_S = 1.0
"""A Date header says whole seconds (RFC 9110, 5.6.7)."""

_BELIEVED_S = 24 * 3600.0
"""Where the two clocks are further apart, one does not know what day it is, and that may be the site's."""


@dataclass(slots=True)
class SiteClock:
    """How far the site's clock is ahead of ours, as a pair of bounds in seconds that each page narrows.

    An answer dated D that was asked for at a and had come by b says that the clock is ahead by D - b to D + 1 - a.
    Answers that contradict each other mean that a clock was set meanwhile, and the newest counts.
    """

    least_s: float = float("-inf")
    most_s: float = float("inf")

    def watch(self, context: BrowserContext, origins: Collection[str]) -> None:
        """Hear the answers of these origins to page loads: what is made for one asker has the date of now."""
        context.on("response", lambda response: self._answered(response, origins))

    def _answered(self, response: Response, origins: Collection[str]) -> None:
        parts = urlsplit(response.url)
        timing = response.request.timing
        # What came from a cache is dated by when it went into it, and was not asked for now.
        is_fresh = timing["requestStart"] >= 0 and response.headers.get("age", "0") == "0"
        is_page = response.request.resource_type == "document"
        if is_page and is_fresh and f"{parts.scheme}://{parts.netloc}" in origins:
            self.hear(response.headers.get("date", ""), timing["startTime"] / 1000, time.time())

    def hear(self, date: str, asked_s: float, answered_s: float) -> None:
        """Take in one answer: its Date header, and when it was asked for and had come by our clock (Unix time).

        A Date that is none, or cannot be believed, is passed over.
        """
        try:
            dated_s = parsedate_to_datetime(date).timestamp()
        except (ValueError, OverflowError):
            return
        least_s, most_s = dated_s - answered_s, dated_s + _TICK_S - asked_s
        if least_s > most_s or abs(least_s) > _BELIEVED_S:
            return  # our own clock was set between the two, or one of the clocks was never set
        self.least_s, self.most_s = max(self.least_s, least_s), min(self.most_s, most_s)
        if self.least_s > self.most_s:
            self.least_s, self.most_s = least_s, most_s

    @property
    def is_known(self) -> bool:
        return self.least_s > float("-inf")

    @property
    def ahead_s(self) -> float:
        """How far the site is ahead: 0 where that is possible, or where nothing was heard."""
        if not self.is_known or self.least_s <= 0 <= self.most_s:
            return 0.0
        return (self.least_s + self.most_s) / 2

    def now_s(self) -> float:
        """The site's time, as Unix time."""
        return time.time() + self.ahead_s
