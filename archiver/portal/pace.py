"""How fast the site is read: a least time between pages, with jitter; a budget of requests; an open ear for a stop.

The only place that waits on purpose. Nothing here waits for a page: it waits for the clock, because the site, the
budget or good manners ask for it.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from archiver.errors import ArchiverError, Exit
from archiver.portal.clock import SiteClock
from archiver.portal.tab import Tab

_LISTEN_S = 0.5
"""How long a wait may go on without asking whether the run is to stop."""

_JITTER = 0.4
"""A page comes up to this part later than the pace asks for: a person does not tick."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The most requests in a minute, in an hour of the clock, and in 24 such hours, over all runs of an account."""

    minute: int
    hour: int
    day: int


class BudgetSpent(ArchiverError):
    """The day's requests are used up. The next run goes on from there."""

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
