"""How fast the site is read: a least time between pages, with jitter; a budget of requests; an open ear for a stop.

The only place that waits on purpose. Nothing here waits for a page: it waits for the clock, because the site, the
budget or good manners ask for it.
"""

from __future__ import annotations

import random
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Protocol

from archiver.errors import ArchiverError, Exit
from archiver.portal.clock import SiteClock
from archiver.portal.tab import Tab

_LISTEN_S = 0.5
"""How long a wait may go on without asking whether the run is to stop."""

_JITTER = 0.4
"""A page comes up to this part later than the pace asks for: a person does not tick."""

_BACK_OFF_S = 2.0

_LONGEST_BACK_OFF_S = 15 * 60.0
"""A site that asks for more is left alone until the next run."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The most requests in a minute, in an hour of the clock, and in 24 such hours, over all runs of an account."""

    minute: int
    hour: int
    day: int


class BudgetSpent(ArchiverError):
    """The day's requests are used up. The next run goes on from there."""

    exit_code = Exit.INCOMPLETE


class SiteBusy(ArchiverError):
    """The site asked to be left alone for longer than a run should wait. The next run goes on from there."""

    exit_code = Exit.INCOMPLETE


class Counted(Protocol):
    """Where requests are counted across runs; durable when a call returns."""

    def count_requests(self, number: int) -> None: ...

    def requests_of_last_hours(self, hours: int) -> int: ...


@dataclass(slots=True)
class Pace:
    """Between two pages of one account. `sent` is how many requests have left so far in this run."""

    tab: Tab
    halt: Callable[[], ArchiverError | None]
    sent: Callable[[], int]
    counted: Counted
    least_s: float = 0.0
    budget: Budget | None = None
    clock: SiteClock = field(default_factory=SiteClock)
    _last_s: float = float("-inf")
    _told: int = 0
    _minute: deque[tuple[float, int]] = field(default_factory=deque)

    def before_page(self) -> None:
        """Wait until the next page may be asked for. Raises what `halt` gives, and BudgetSpent."""
        self._count()
        self.wait(self._last_s + self.least_s * (1 + random.random() * _JITTER) - time.monotonic())  # noqa: S311  jitter
        if self.budget is not None:
            self._keep(self.budget)
        self._last_s = time.monotonic()

    def back_off(self, retry_after: str, attempt: int) -> None:
        """Wait because the site is busy: as long as its `Retry-After` asks, else 2, 4, 8 s and a little.

        Raises SiteBusy where it asks for more than a quarter of an hour, and what `halt` gives.
        """
        asked_s = asked_to_wait_s(retry_after, self.clock.now_s())
        if asked_s is None:
            asked_s = _BACK_OFF_S * 2**attempt * (1 + random.random() * _JITTER)  # noqa: S311  jitter
        if asked_s > _LONGEST_BACK_OFF_S:
            raise SiteBusy(
                f"The site asks to come back in {asked_s / 60:.0f} min.",
                hint="Nothing to do: what was captured is kept, and the next run goes on from there.",
            )
        self.wait(asked_s)

    def wait(self, seconds: float) -> None:
        """Let time pass, and the browser's events in. Raises what `halt` gives."""
        deadline = time.monotonic() + seconds
        while True:
            stopped = self.halt()
            if stopped is not None:
                raise stopped
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return
            self.tab.page.wait_for_timeout(min(left_s, _LISTEN_S) * 1000)

    def _count(self) -> None:
        new = self.sent() - self._told
        if new:
            self.counted.count_requests(new)
            self._told += new
            self._minute.append((time.monotonic(), new))

    def _keep(self, budget: Budget) -> None:
        if self.counted.requests_of_last_hours(24) >= budget.day:
            raise BudgetSpent(
                f"The budget of {budget.day} requests in 24 hours is used up.",
                hint="Nothing to do: what was captured is kept, and the next run goes on from there.",
            )
        while self.counted.requests_of_last_hours(1) >= budget.hour:
            self.wait(60)
        while sum(number for at, number in self._minute if at > time.monotonic() - 60) >= budget.minute:
            self.wait(1)
        while self._minute and self._minute[0][0] <= time.monotonic() - 60:
            self._minute.popleft()


def asked_to_wait_s(retry_after: str, now_s: float) -> float | None:
    """The seconds that a `Retry-After` asks for (RFC 9110, 10.2.3: a number of them, or a date); None: it asks nothing.

    `now_s` is the site's time, in seconds since 1970.
    """
    if re.fullmatch("[0-9]{1,9}", retry_after):
        return float(retry_after)
    try:
        return max(parsedate_to_datetime(retry_after).timestamp() - now_s, 0.0)
    except (ValueError, OverflowError):
        return None
