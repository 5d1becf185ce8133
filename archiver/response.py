"""How long answers took, and whether the same thing was asked twice. Pure: exchanges in, figures out.

What is unknown stays unknown: a thread that nobody answered has no first response, one whose status does not say that
it is closed has no resolution.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations

from archiver.model import Scope, Source
from archiver.text import index_terms

_CLOSED = frozenset({"resolved", "closed", "cancelled", "solved"})
"""Statuses that end a thread: RESOLVED, CLOSED, CANCELLED of a case [C], SOLVED of a buyer's thread [L]."""

_FILED_TWICE_WITHIN = timedelta(days=14)
_ALIKE = 0.9
"""The part of their terms that two requests share before they are called the same: a changed greeting, no more."""

_FEWEST_TERMS = 8
"""Shorter requests ("please help") are alike without being the same."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One thread as an exchange. `answered_at` is the first message of the side that did not begin, None without one.

    `request` is the text of the seller's first message, empty where the seller wrote none.
    """

    thread: str
    scope: Scope
    category: str
    status: str
    opened_at: datetime
    answered_at: datetime | None
    last_at: datetime
    request: str = ""

    @property
    def closed(self) -> bool:
        return self.status.strip().lower() in _CLOSED

    @property
    def open(self) -> bool:
        """A notification has no status, and nobody closes it."""
        return bool(self.status) and not self.closed

    @property
    def response(self) -> timedelta | None:
        return None if self.answered_at is None else self.answered_at - self.opened_at

    @property
    def resolution(self) -> timedelta | None:
        """From the first message to the last, where the status says that it is closed."""
        return self.last_at - self.opened_at if self.closed else None


@dataclass(frozen=True, slots=True)
class Figures:
    """What a group of threads came to. Medians and 90th percentiles are None where no thread of the group has one."""

    group: str
    threads: int
    open: int
    answered: int
    response_median: timedelta | None
    response_p90: timedelta | None
    resolution_median: timedelta | None
    resolution_p90: timedelta | None


def figures(exchanges: Iterable[Exchange], group_of: Callable[[Exchange], str]) -> tuple[Figures, ...]:
    """The figures of each group, by its name."""
    groups: dict[str, list[Exchange]] = {}
    for exchange in exchanges:
        groups.setdefault(group_of(exchange), []).append(exchange)
    return tuple(_figures(group, of) for group, of in sorted(groups.items()))


def _figures(group: str, of: Sequence[Exchange]) -> Figures:
    responses = [e.response for e in of if e.response is not None]
    resolutions = [e.resolution for e in of if e.resolution is not None]
    return Figures(
        group=group,
        threads=len(of),
        open=sum(e.open for e in of),
        answered=len(responses),
        response_median=_at(responses, 0.5),
        response_p90=_at(responses, 0.9),
        resolution_median=_at(resolutions, 0.5),
        resolution_p90=_at(resolutions, 0.9),
    )


def _at(spans: Sequence[timedelta], part: float) -> timedelta | None:
    if not spans:
        return None
    seconds = sorted(span.total_seconds() for span in spans)
    if part == 0.5:
        return timedelta(seconds=statistics.median(seconds))
    # The least span that this part of all does not exceed: one that happened, also among few.
    return timedelta(seconds=seconds[min(len(seconds) - 1, int(part * len(seconds)))])


def filed_twice(exchanges: Iterable[Exchange]) -> Iterator[tuple[Exchange, Exchange]]:
    """Pairs of cases, the earlier first, that look like one request filed with Seller Support twice.

    In one marketplace of one account, begun within two weeks, with nearly the same words. A likeness, no proof; sellers
    report that filing twice only lengthens the wait [3P].
    """
    of_scope: dict[Scope, list[tuple[Exchange, frozenset[str]]]] = {}
    for exchange in exchanges:
        terms = frozenset(index_terms(exchange.request))
        if exchange.scope.source is Source.CASES and len(terms) >= _FEWEST_TERMS:
            of_scope.setdefault(exchange.scope, []).append((exchange, terms))
    for cases in of_scope.values():
        cases.sort(key=lambda case: (case[0].opened_at, case[0].thread))
        for (first, one), (second, other) in combinations(cases, 2):
            soon = second.opened_at - first.opened_at <= _FILED_TWICE_WITHIN
            if soon and len(one & other) >= _ALIKE * len(one | other):
                yield first, second
