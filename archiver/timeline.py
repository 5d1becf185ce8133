"""The map of time: for each day, whether what the site showed of it was ever looked at while it showed it. Pure.

A day is covered only where a run that was COMPLETE looked after the day was over and while its messages were still
listed. Everything else is named: what was seen of it, why it is not covered, and whether it still can be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import groupby

_DAY = timedelta(days=1)


class Seen(StrEnum):
    """How well a day is known.

    COVERED: a complete run saw it whole. PARTLY: only runs that missed something. SUSPECT: only runs that could not be
    trusted. UNSEEN: no run read the list while it showed that day. BEFORE: it was gone when the archive began.
    """

    COVERED = "covered"
    PARTLY = "partly"
    SUSPECT = "suspect"
    UNSEEN = "unseen"
    BEFORE = "before"


@dataclass(frozen=True, slots=True)
class Look:
    """One run's look at one scope. `state` is its verdict; `reasons` are why it is not COMPLETE."""

    at: datetime
    state: str
    reasons: tuple[str, ...] = ()
    oldest_visible: datetime | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """One day (UTC) of one scope. `until`: the last moment a run can still close it, None where it is lost or covered.

    `why` is empty where it is covered or before the archive.
    """

    day: date
    seen: Seen
    why: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Days in a row that are not covered for one and the same reason; `until` is the nearest of theirs."""

    first: date
    last: date
    seen: Seen
    why: str
    until: datetime | None


def days(looks: Sequence[Look], since: date, until: date, now: datetime, keeps: timedelta) -> tuple[Day, ...]:
    """Each day from `since` to `until` (both included; none that is not over yet).

    `keeps`: how long the site lists a message. `looks` in any order. Without any, every day that is still listed is
    UNSEEN and every earlier one is BEFORE.
    """
    ordered = sorted(looks, key=lambda look: look.at)
    began = ordered[0].at if ordered else now
    last = min(until, now.astimezone(UTC).date() - _DAY)
    return tuple(_day(since + n * _DAY, ordered, began, now, keeps) for n in range((last - since).days + 1))


def gaps(of: Sequence[Day]) -> Iterator[Gap]:
    """The days that are not covered, those in a row for one reason together; what can be closed stands apart."""

    def alike(day: Day) -> tuple[Seen, str, bool]:
        return day.seen, day.why, day.until is None

    for (seen, why, lost), same in groupby(of, alike):
        if seen not in (Seen.COVERED, Seen.BEFORE):
            run = list(same)
            nearest = None if lost else min(day.until for day in run if day.until is not None)
            yield Gap(run[0].day, run[-1].day, seen, why, nearest)


def _day(day: date, looks: Sequence[Look], began: datetime, now: datetime, keeps: timedelta) -> Day:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    over = start + _DAY
    if began > start + keeps and not _showed(day, looks[:1]):
        return Day(day, Seen.BEFORE)
    until = start + keeps if start + keeps > now else None
    # A look at a list that went further back than we reckon with has seen the day, too.
    while_listed = [look for look in looks if look.at >= over and (look.at <= start + keeps or _showed(day, [look]))]
    if any(look.state == "COMPLETE" for look in while_listed):
        return Day(day, Seen.COVERED)
    for state, seen in (("PARTIAL", Seen.PARTLY), ("SUSPECT", Seen.SUSPECT)):
        found = [look for look in while_listed if look.state == state]
        if found:
            return Day(day, seen, "; ".join(found[-1].reasons) or "the run could not say", until)
    if while_listed:
        return Day(day, Seen.UNSEEN, "; ".join(while_listed[-1].reasons) or "the run failed", until)
    return Day(day, Seen.UNSEEN, "no run looked yet" if until is not None else "no run looked in time", until)


def _showed(day: date, looks: Sequence[Look]) -> bool:
    """Whether one of these saw the list reach back to the beginning of this day."""
    return any(look.oldest_visible is not None and look.oldest_visible.astimezone(UTC).date() < day for look in looks)
