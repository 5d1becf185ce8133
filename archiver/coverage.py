"""What we can honestly claim to have: a fold over the events of one walk. Pure.

The verdict is never better than the evidence. COMPLETE needs all of it: every page of the list to its end, every
listed thread captured or unchanged and no other, the site's own total equal to ours and steady, every capture
readable, and one account and marketplace proven before the first and after the last look.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from archiver.model import (
    Alarm,
    Ended,
    Event,
    Identified,
    Kind,
    Known,
    Left,
    Listed,
    Listing,
    Missed,
    Ref,
    Relisted,
    Returned,
    Scope,
    Seen,
    Unchanged,
    Unread,
)

_MANY = 6
"""Below this a list that is half as long as it should be may be so by a thread or two."""


class Verdict(StrEnum):
    """COMPLETE: all that was listed is kept. PARTIAL: some is known to be missing. SUSPECT: what the site showed
    cannot be trusted. FAILED: nothing can be said."""

    COMPLETE = "COMPLETE"
    PARTIAL = "PARTIAL"
    SUSPECT = "SUSPECT"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Coverage:
    """One source of one marketplace in one run. `ever_had`: threads of it in the archive before the run that its list
    should still show.

    Threads and pages are kept by name and counted at the end: two captures of one thread are no stand-in for
    another. `repeated` counts rows that came a second time. `looks` counts what was seen of the site so far, and
    each identity stands with the count it was asked at: that is how a proof came before, or after, all else.
    """

    scope: Scope
    ever_had: int
    listed: frozenset[str] = frozenset()
    captured_threads: frozenset[str] = frozenset()
    unchanged_threads: frozenset[str] = frozenset()
    missed: tuple[Missed, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    unread: tuple[tuple[str, Unread], ...] = ()
    page_numbers: frozenset[int] = frozenset()
    totals: tuple[int, ...] = ()
    rows: frozenset[str] = frozenset()
    repeated: int = 0
    relisted: tuple[str, ...] = ()
    left: tuple[Left, ...] = ()
    returned: tuple[Returned, ...] = ()
    oldest_visible: datetime | None = None
    elsewhere: tuple[tuple[str, int], ...] = ()
    looks: int = 0
    identities: tuple[tuple[int, Identified], ...] = ()
    ended: Ended | None = None

    def after(self, event: Event) -> Coverage:
        """The coverage once this has happened too."""
        match event:
            case Seen(capture):
                threads = {capture.site_thread} if capture.kind is Kind.THREAD else set()
                return replace(self, captured_threads=self.captured_threads | threads, looks=self.looks + 1)
            case Listed(listing, page):
                return self._after_page(listing, page)
            case Relisted(why):
                return self._begun_anew(why)
            case Left():
                return replace(self, left=(*self.left, event))
            case Returned():
                return replace(self, returned=(*self.returned, event))
            case Unchanged(ref):
                return replace(self, unchanged_threads=self.unchanged_threads | {ref.site_thread})
            case Missed():
                return replace(self, missed=(*self.missed, event))
            case Alarm():
                return replace(self, alarms=(*self.alarms, event))
            case Ended():
                # Who once did not reach the end is not believed when he says later that he did.
                return self if self.ended is not None and not self.ended.reached_end else replace(self, ended=event)
            case Identified():
                return replace(self, identities=(*self.identities, (self.looks, event)))

    def _begun_anew(self, why: str) -> Coverage:
        return replace(
            self,
            listed=frozenset(),
            page_numbers=frozenset(),
            totals=(),
            rows=frozenset(),
            repeated=0,
            oldest_visible=None,
            elsewhere=(),
            relisted=(*self.relisted, why),
        )

    def _after_page(self, listing: Listing, page: int) -> Coverage:
        listed = self.listed | {ref.site_thread for ref in listing.refs}
        ids = listing.rows or tuple(ref.site_thread for ref in listing.refs)
        rows = self.rows | set(ids)
        times = [ref.active_at for ref in listing.refs if ref.active_at is not None]
        if self.oldest_visible is not None:
            times.append(self.oldest_visible)
        elsewhere = dict(self.elsewhere)
        for marketplace_id, count in listing.elsewhere:
            elsewhere[marketplace_id] = elsewhere.get(marketplace_id, 0) + count
        return replace(
            self,
            listed=listed,
            page_numbers=self.page_numbers | {page},
            totals=self.totals if listing.total is None else (*self.totals, listing.total),
            rows=rows,
            repeated=self.repeated + len(ids) - (len(rows) - len(self.rows)),
            oldest_visible=min(times, default=None),
            elsewhere=tuple(sorted(elsewhere.items())),
            looks=self.looks + 1,
        )

    def unreadable(self, site_thread: str, unread: Unread) -> Coverage:
        """A thread is kept, and what it says could not be made out."""
        return replace(self, unread=(*self.unread, (site_thread, unread)))

    # --- counted -----------------------------------------------------------------------------------------------

    @property
    def captured(self) -> int:
        return len(self.captured_threads)

    @property
    def unchanged(self) -> int:
        """Threads that were not captured, because the archive has them as they are."""
        return len(self.unchanged_threads - self.captured_threads)

    @property
    def pages(self) -> int:
        return len(self.page_numbers)

    @property
    def total(self) -> int | None:
        """The site's own count of the list, as it said it last."""
        return self.totals[-1] if self.totals else None

    def departures(self, known: Known, since: datetime) -> Iterator[Left | Returned | Alarm]:
        """What left the list, and what came back to it, as far as this list can tell; in the order of their names.

        Only a list that was read to its end, and that nothing speaks against, proves that a thread is not on it.
        `since`: what was active before it may have left because its time had come.
        """
        if not self._reached_end or any(self._identity_doubts) or any(self._list_doubts):
            return
        early: list[str] = []
        for name in sorted(set(known.stamps) - self.listed - known.left):
            active_at = known.active.get(name)
            left = Left(self.scope, name, active_at, aged_out=active_at is not None and active_at < since)
            early += [] if left.aged_out else [left.thread]
            yield left
        for name in sorted(self.listed & known.left):
            yield Returned(Ref(self.scope, name, ""))
        if early:
            yield Alarm(
                None,
                f"{_some(len(early), 'thread')} left the list before the time: {', '.join(early[:5])}"
                + (" and others." if len(early) > 5 else "."),
                f"What was captured is kept: `archiver show {early[0]}`. Look in your own browser whether the site "
                "took it away or moved it.",
            )

    # --- judged ------------------------------------------------------------------------------------------------

    @property
    def verdict(self) -> Verdict:
        return self._judged[0]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the verdict is not better; empty for COMPLETE. Where the walk broke off, that comes first."""
        return self._judged[1]

    @property
    def complete(self) -> bool:
        return self.verdict is Verdict.COMPLETE

    @property
    def _judged(self) -> tuple[Verdict, tuple[str, ...]]:
        why = self.ended.why if self.ended is not None else ""
        if not self.page_numbers:
            return Verdict.FAILED, (why,) if why else _once("the list was never seen", *self._identity_doubts)
        broken_off = () if self._reached_end else (why or "the end of the list was not reached",)
        doubts = (*self._identity_doubts, *self._list_doubts)
        gaps = tuple(self._gaps)
        if doubts:
            return Verdict.SUSPECT, _once(*broken_off, *doubts, *gaps)
        if broken_off or gaps:
            return Verdict.PARTIAL, _once(*broken_off, *gaps)
        return Verdict.COMPLETE, ()

    @property
    def _reached_end(self) -> bool:
        return self.ended is not None and self.ended.reached_end

    @property
    def _identity_doubts(self) -> Iterator[str]:
        unproven = [
            identity.why or "the site did not say whose it is" for _, identity in self.identities if not identity.proven
        ]
        yield from unproven
        proven = [(at, identity) for at, identity in self.identities if identity.proven]
        if not unproven and not any(at == 0 for at, _ in proven):
            yield "account and marketplace were not proven before the first page"
        # A walk that broke off had no chance of a second proof, and claims no completeness that would need it.
        if not unproven and self._reached_end and not any(at == self.looks for at, _ in proven):
            yield "account and marketplace were not proven after the last page"
        shown = list(dict.fromkeys(f"{identity.account_label} ({identity.marketplace_id})" for _, identity in proven))
        if len(shown) > 1:
            yield f"the site showed {' and then '.join(shown)}"

    @property
    def _list_doubts(self) -> Iterator[str]:
        if not self.listed and self.ever_had:
            yield f"the list is empty, and the archive has {self.ever_had} threads that it should show"
        elif self.ever_had >= _MANY and len(self.listed) * 2 < self.ever_had:
            yield f"the list shows {len(self.listed)}, and the archive has {self.ever_had} threads that it should show"
        early = sum(not left.aged_out for left in self.left)
        if early:
            yield f"{_some(early, 'thread')} left the list before the time"
        skipped = set(range(1, max(self.page_numbers))) - self.page_numbers
        if skipped:
            yield f"page {min(skipped)} of the list was not read"
        strays = (self.captured_threads | self.unchanged_threads) - self.listed
        if strays:
            yield f"{len(strays)} threads were seen that the list does not name"
        if not self._reached_end:
            if self.repeated:
                yield f"{self.repeated} rows of the list came twice"
            return
        if len(set(self.totals)) > 1:
            yield f"the site counts {self.totals[-1]}, and {self.totals[0]} before: the list changed while it was read"
        if self.total is not None and self.total != len(self.listed):
            yield f"the site counts {self.total}, its list shows {len(self.listed)}"
        if self.total is None and self.repeated:
            # What pushed a row down to the next page came, or moved up, to where we had already looked.
            yield f"{self.repeated} rows of the list came twice: it changed while it was read"

    @property
    def _gaps(self) -> Iterator[str]:
        for missed in self.missed:
            yield missed.why or "something was missed"
        for _, unread in self.unread:
            yield f"kept but not read: {unread.why}"
        missed_threads = {missed.ref.site_thread for missed in self.missed if missed.ref is not None}
        left = self.listed - self.captured_threads - self.unchanged_threads - missed_threads
        if left:
            yield f"{len(left)} listed threads were not looked at"

    def to_json(self) -> dict[str, Any]:
        """The line of the command line's contract, and after it what else is known."""
        scope = self.scope
        return {
            "account": scope.account,
            "marketplace": scope.marketplace,
            "source": scope.source,
            "listed": len(self.listed),
            "captured": self.captured,
            "unchanged": self.unchanged,
            "failed": len(self.missed),
            "complete": self.complete,
            "oldest_visible": self.oldest_visible.isoformat() if self.oldest_visible else None,
            "state": str(self.verdict),
            "reasons": list(self.reasons),
            "unread": len(self.unread),
            "site_total": self.total,
            "pages": self.pages,
            "reached_end": self._reached_end,
            "elsewhere": dict(self.elsewhere),
            "relisted": list(self.relisted),
            "left": [
                {
                    "thread": left.thread,
                    "active_at": left.active_at.isoformat() if left.active_at else None,
                    "aged_out": left.aged_out,
                }
                for left in self.left
            ],
            "returned": [returned.ref.thread for returned in self.returned],
            "account_label": next((i.account_label for _, i in self.identities if i.account_label), ""),
            "alarms": [
                {"thread": alarm.ref.thread if alarm.ref else None, "why": alarm.why, "next": alarm.hint}
                for alarm in self.alarms
            ],
            "missed": [
                {"thread": missed.ref.thread if missed.ref else None, "why": missed.why} for missed in self.missed
            ],
        }


def _once(*reasons: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reasons))


def _some(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
