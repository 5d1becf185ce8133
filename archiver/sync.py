"""THE STORY: one run from the first page to the last. Does nothing itself; what it needs it names as Protocols.

Keep first, read second: a capture is in the archive, whole, before any reader looks at it. One thread's failure is
an event, one source's failure ends that source, only what would meet every source ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from archiver.coverage import Coverage
from archiver.errors import ArchiverError, PageUnknown, WrongIdentity
from archiver.model import (
    Alarm,
    Capture,
    Ended,
    Event,
    Identified,
    Kind,
    Known,
    Missed,
    Ref,
    Scope,
    Seen,
    Thread,
    Unchanged,
    Unread,
)


class Portal(Protocol):
    """A signed-in look at the site."""

    def choose(self, marketplace: str) -> None: ...

    def identify(self, marketplace: str) -> Identified: ...

    def walk(self, scope: Scope, known: Known) -> Iterator[Event]: ...


class Door(Protocol):
    """The way in."""

    def enter(self) -> AbstractContextManager[Portal]: ...


class Archive(Protocol):
    """Where captures go. `keep` is durable when it returns."""

    def known(self, scope: Scope) -> Known: ...

    def keep(self, capture: Capture) -> str: ...

    def file(self, capture_id: str, reading: Thread | Unread | None) -> None: ...


Read = Callable[[Capture], Thread | Unread]
Tell = Callable[[Event, Coverage], None]
Halt = Callable[[], ArchiverError | None]
"""Why the run is to stop now (asked to, kill switch), or None. Asked between events."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to: a coverage for each scope that was to be read, and what somebody must hear of.

    `failure` is what ended the run early; where nothing did, what first ended one of its sources.
    """

    coverages: tuple[Coverage, ...]
    failure: ArchiverError | None = None


ALWAYS = datetime.min.replace(tzinfo=UTC)
"""For a site that keeps everything."""

_OF_ONE_SOURCE = (PageUnknown, WrongIdentity)
"""What says nothing about the next source or marketplace. Everything else (the disk, the browser, the session, a site
that is down, a person who said stop) would meet every other one, too, and ends the run."""


def sync(
    scopes: Sequence[Scope], door: Door, archive: Archive, read: Read, tell: Tell, halt: Halt, since: datetime = ALWAYS
) -> Outcome:
    """Read every scope once, a marketplace at a time. Every scope gets a coverage, whatever happens.

    `since`: what was active then or later, the site should still list.
    """
    coverages = {scope: Coverage(scope, ever_had=0) for scope in scopes}
    first: ArchiverError | None = None
    try:
        for scope in scopes:
            coverages[scope] = Coverage(scope, ever_had=len(archive.known(scope).listed_still(since)))
        with door.enter() as portal:
            for marketplace in sorted({scope.marketplace for scope in scopes}):
                _raise_if(halt())
                here = [scope for scope in scopes if scope.marketplace == marketplace]
                try:
                    portal.choose(marketplace)
                except _OF_ONE_SOURCE as error:
                    first = first or error
                    coverages |= {scope: _ended(coverages[scope], error.message) for scope in here}
                    continue
                for scope in here:
                    _raise_if(halt())
                    try:
                        for coverage in _sync_one(coverages[scope], portal, archive, read, tell, halt, since):
                            coverages[scope] = coverage
                    except _OF_ONE_SOURCE as error:
                        first = first or error
                        coverages[scope] = _ended(coverages[scope], error.message)
    except ArchiverError as failure:
        return Outcome(tuple(_ended(coverage, failure.message) for coverage in coverages.values()), failure)
    return Outcome(tuple(_ended(coverage, "the walk told of no end") for coverage in coverages.values()), first)


def failed(scopes: Sequence[Scope], failure: ArchiverError) -> Outcome:
    """What a run that failed came to where nobody knows how far it got: nothing that could be claimed."""
    coverages = (_ended(Coverage(scope, ever_had=0), failure.message) for scope in scopes)
    return Outcome(tuple(coverages), failure)


def _sync_one(
    coverage: Coverage, portal: Portal, archive: Archive, read: Read, tell: Tell, halt: Halt, since: datetime
) -> Iterator[Coverage]:
    scope = coverage.scope
    known = archive.known(scope)
    for event in _one_walk(scope, portal, known, halt):
        reading = None
        if isinstance(event, Seen):
            capture_id = archive.keep(event.capture)
            reading = read(event.capture) if event.capture.kind is Kind.THREAD else None
            archive.file(capture_id, reading)
        coverage = coverage.after(event)
        if isinstance(event, Seen) and isinstance(reading, Unread):
            coverage = coverage.unreadable(event.capture.site_thread, reading)
        if isinstance(reading, Thread):
            for alarm in _files_that_do_not_open(reading):
                coverage = coverage.after(alarm)
        yield coverage
        tell(event, coverage)
    for departure in coverage.departures(known, since):
        coverage = coverage.after(departure)
        yield coverage
        tell(departure, coverage)


def _files_that_do_not_open(thread: Thread) -> Iterator[Alarm]:
    for message in thread.messages:
        for attachment in message.attachments:
            if attachment.opens is False:
                # No name of it: what is told is logged, too.
                yield Alarm(
                    Ref(thread.scope, thread.site_thread, ""),
                    f"An attachment of {thread.thread} does not open: {attachment.trouble}. It is kept as the site has "
                    "it.",
                    f"Look at it with `archiver show {thread.thread} --raw DIR`, and ask for it again before you need "
                    "it.",
                )


def _one_walk(scope: Scope, portal: Portal, known: Known, halt: Halt) -> Iterator[Event]:
    """The walk between two proofs of identity, broken off when the run is to stop."""
    before = portal.identify(scope.marketplace)
    yield before
    if not before.proven:
        yield Ended(reached_end=False, why=before.why)
        return
    with closing(portal.walk(scope, known)) as walk:  # type: ignore[type-var]  # a generator; Iterator hides close()
        for event in walk:
            yield event
            if isinstance(event, Unchanged) and event.ref.site_thread in known.wanting:
                yield Missed(event.ref, known.wanting[event.ref.site_thread])
            _raise_if(halt())
    yield portal.identify(scope.marketplace)


def _raise_if(failure: ArchiverError | None) -> None:
    if failure is not None:
        raise failure


def _ended(coverage: Coverage, why: str) -> Coverage:
    return coverage if coverage.ended is not None else coverage.after(Ended(reached_end=False, why=why))
