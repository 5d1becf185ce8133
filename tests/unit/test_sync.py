"""The story, told with a small site and archive in memory: what is kept first, what ends what, what is claimed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from archiver.coverage import Coverage, Verdict
from archiver.errors import (
    AccessStopped,
    ArchiveDamaged,
    ArchiverError,
    BrowserFailed,
    CredentialRefused,
    DiskFailed,
    Exit,
    Interrupted,
    PageUnknown,
    PersonNeeded,
    SiteUnreachable,
    WrongIdentity,
)
from archiver.model import (
    Capture,
    Direction,
    Ended,
    Event,
    Identified,
    Kind,
    Known,
    Listed,
    Listing,
    Message,
    Missed,
    Ref,
    Scope,
    Seen,
    Source,
    Thread,
    Unchanged,
    Unread,
)
from archiver.sync import Outcome, sync

NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)
DE_CASES = Scope("acme", "DE", Source.CASES)
DE_BUYERS = Scope("acme", "DE", Source.BUYER_MESSAGES)
FR_CASES = Scope("acme", "FR", Source.CASES)
SCOPES = (FR_CASES, DE_CASES, DE_BUYERS)  # not in the order they are read in

STOPPERS: list[type[ArchiverError]] = [
    AccessStopped,
    Interrupted,
    BrowserFailed,
    SiteUnreachable,
    PersonNeeded,
    DiskFailed,
    ArchiveDamaged,
    ArchiverError,
]
OF_ONE_SOURCE: list[type[ArchiverError]] = [PageUnknown, WrongIdentity]


# --- a small world ----------------------------------------------------------------------------------------------


def ref(scope: Scope, name: str) -> Ref:
    return Ref(scope, name, "1")


def listed(scope: Scope, *names: str, total: int | None = None) -> Listed:
    return Listed(Listing(tuple(ref(scope, name) for name in names), total=total), 1)


def page(scope: Scope) -> Seen:
    return Seen(Capture(scope, Kind.LIST, NOON, "https://x.invalid/list", (), page=1))


def thread(scope: Scope, name: str) -> Seen:
    return Seen(Capture(scope, Kind.THREAD, NOON, "https://x.invalid/" + name, (), site_thread=name, stamp="1"))


def whole_walk(scope: Scope) -> tuple[Event, ...]:
    """Two threads, both captured, and the end."""
    return (page(scope), listed(scope, "1", "2"), thread(scope, "1"), thread(scope, "2"), Ended(True))


@dataclass
class Diary:
    """What happened in this world, in order."""

    lines: list[str] = field(default_factory=list)

    def __call__(self, *words: object) -> None:
        self.lines.append(" ".join(map(str, words)))


@dataclass
class Site:
    """Door and portal of a site that plays what it was given. An error in a walk is raised where it stands."""

    diary: Diary
    walks: dict[Scope, Sequence[Event | ArchiverError]] = field(
        default_factory=lambda: {scope: whole_walk(scope) for scope in SCOPES}
    )
    shut: ArchiverError | None = None
    leaves_badly: ArchiverError | None = None
    not_offered: dict[str, ArchiverError] = field(default_factory=dict)
    unproven: set[str] = field(default_factory=set)
    chosen: str = ""

    @contextmanager
    def enter(self) -> Iterator[Site]:
        self.diary("enter")
        if self.shut is not None:
            raise self.shut
        try:
            yield self
        finally:
            self.diary("leave")
        if self.leaves_badly is not None:
            raise self.leaves_badly

    def choose(self, marketplace: str) -> None:
        self.diary("choose", marketplace)
        if marketplace in self.not_offered:
            raise self.not_offered[marketplace]
        self.chosen = marketplace

    def identify(self, marketplace: str) -> Identified:
        proven = self.chosen == marketplace and marketplace not in self.unproven
        self.diary("identify", self.chosen)
        return Identified(proven, "ACME", self.chosen, "" if proven else f"the site shows no {marketplace}")

    def walk(self, scope: Scope, known: Known) -> Iterator[Event]:
        self.diary("walk", scope.marketplace, scope.source)
        try:
            for event in self.walks[scope]:
                if isinstance(event, ArchiverError):
                    raise event
                yield event
        finally:
            self.diary("walked", scope.marketplace, scope.source)


@dataclass
class Shelf:
    """An archive in memory."""

    diary: Diary
    stamps: dict[Scope, dict[str, str]] = field(default_factory=dict)
    kept: list[Capture] = field(default_factory=list)
    filed: dict[str, Thread | Unread | None] = field(default_factory=dict)
    fails: dict[str, ArchiverError] = field(default_factory=dict)

    def _may(self, what: str) -> None:
        if what in self.fails:
            raise self.fails[what]

    def known(self, scope: Scope) -> Known:
        self._may("known")
        return Known(self.stamps.get(scope, {}), {})

    def keep(self, capture: Capture) -> str:
        self._may(f"keep {capture.site_thread}".strip())
        self.kept.append(capture)
        self.diary("keep", capture.kind, capture.site_thread or capture.page)
        return f"capture-{len(self.kept)}"

    def file(self, capture_id: str, reading: Thread | Unread | None) -> None:
        self._may("file")
        self.filed[capture_id] = reading
        self.diary("file", capture_id, type(reading).__name__)


class World:
    """A site, a shelf, and a run over them."""

    def __init__(self) -> None:
        self.diary = Diary()
        self.site = Site(self.diary)
        self.shelf = Shelf(self.diary)
        self.unreadable: set[str] = set()
        self.told: list[tuple[Event, Coverage]] = []
        self.halt: Callable[[], ArchiverError | None] = lambda: None

    def read(self, capture: Capture) -> Thread | Unread:
        self.diary("read", capture.site_thread)
        if capture.site_thread in self.unreadable:
            return Unread("there is no title", "source.cases.keys.title")
        message = Message("m", Direction.IN, "Amazon", NOON, "Hello")
        return Thread(capture.scope, capture.site_thread, "Hello", "", "", capture.url, (message,))

    def tell(self, event: Event, coverage: Coverage) -> None:
        self.diary("tell", type(event).__name__)
        self.told.append((event, coverage))

    def run(self, *scopes: Scope) -> Outcome:
        return sync(scopes or SCOPES, self.site, self.shelf, self.read, self.tell, lambda: self.halt())


@pytest.fixture
def world() -> World:
    return World()


def verdicts(outcome: Outcome) -> dict[Scope, Verdict]:
    return {coverage.scope: coverage.verdict for coverage in outcome.coverages}


def of(outcome: Outcome, scope: Scope) -> Coverage:
    return next(coverage for coverage in outcome.coverages if coverage.scope == scope)


def failing(kind: type[ArchiverError], why: str = "It broke.") -> ArchiverError:
    return kind(why, hint="Mend it.")


# --- a good run -------------------------------------------------------------------------------------------------


def test_a_good_run_is_complete_everywhere(world: World) -> None:
    outcome = world.run()

    assert outcome.failure is None
    assert verdicts(outcome) == dict.fromkeys(SCOPES, Verdict.COMPLETE)
    assert len(world.shelf.kept) == len(world.shelf.filed) == 9


def test_a_run_goes_from_the_door_to_the_door_one_marketplace_at_a_time(world: World) -> None:
    world.run()
    moves = [line for line in world.diary.lines if line.split()[0] in ("enter", "choose", "identify", "walk", "leave")]

    assert moves == [
        "enter",
        "choose DE",
        "identify DE",
        "walk DE cases",
        "identify DE",
        "identify DE",
        "walk DE buyer-messages",
        "identify DE",
        "choose FR",
        "identify FR",
        "walk FR cases",
        "identify FR",
        "leave",
    ]


def test_a_capture_is_kept_before_it_is_read_and_told_after_it_is_filed(world: World) -> None:
    world.run(DE_CASES)
    lines = [line for line in world.diary.lines if line.split()[0] in ("keep", "read", "file", "tell")]

    assert lines == [
        "tell Identified",
        "keep list 1",
        "file capture-1 NoneType",
        "tell Seen",
        "tell Listed",
        "keep thread 1",
        "read 1",
        "file capture-2 Thread",
        "tell Seen",
        "keep thread 2",
        "read 2",
        "file capture-3 Thread",
        "tell Seen",
        "tell Ended",
        "tell Identified",
    ]


def test_what_is_told_is_the_coverage_with_the_event_in_it(world: World) -> None:
    outcome = world.run(DE_CASES)
    coverage = Coverage(DE_CASES, ever_had=0)
    for event, told in world.told:
        coverage = coverage.after(event)
        assert told == coverage

    assert outcome.coverages == (coverage,)


def test_a_coverage_knows_what_the_archive_had_before(world: World) -> None:
    world.shelf.stamps = {DE_CASES: {"1": "1", "2": "1"}}
    world.site.walks[DE_CASES] = (Listed(Listing(()), 1), Ended(True))
    outcome = world.run(DE_CASES)

    assert of(outcome, DE_CASES).verdict is Verdict.SUSPECT
    assert of(outcome, DE_CASES).reasons == ("the list is empty, and the archive has 2 threads that it should show",)


def test_the_same_run_again_keeps_nothing(world: World) -> None:
    world.site.walks[DE_CASES] = (
        listed(DE_CASES, "1", "2"),
        Unchanged(ref(DE_CASES, "1")),
        Unchanged(ref(DE_CASES, "2")),
        Ended(True),
    )
    outcome = world.run(DE_CASES)

    assert of(outcome, DE_CASES).verdict is Verdict.COMPLETE
    assert world.shelf.kept == []


# --- what goes wrong with one thread ----------------------------------------------------------------------------


def test_one_threads_failure_ends_nothing(world: World) -> None:
    world.site.walks[DE_CASES] = (
        listed(DE_CASES, "1", "2"),
        Missed(ref(DE_CASES, "1"), "the page was not drawn"),
        thread(DE_CASES, "2"),
        Ended(True),
    )
    outcome = world.run()

    assert outcome.failure is None
    assert verdicts(outcome) == {
        FR_CASES: Verdict.COMPLETE,
        DE_CASES: Verdict.PARTIAL,
        DE_BUYERS: Verdict.COMPLETE,
    }
    assert of(outcome, DE_CASES).reasons == ("the page was not drawn",)
    assert of(outcome, DE_CASES).captured == 1


def test_a_capture_that_cannot_be_read_is_kept_filed_and_partial(world: World) -> None:
    world.unreadable = {"2"}
    outcome = world.run(DE_CASES)
    unread = Unread("there is no title", "source.cases.keys.title")

    assert of(outcome, DE_CASES).verdict is Verdict.PARTIAL
    assert of(outcome, DE_CASES).unread == (("2", unread),)
    assert [capture.site_thread for capture in world.shelf.kept] == ["", "1", "2"]
    assert world.shelf.filed["capture-3"] == unread


# --- what ends one source ---------------------------------------------------------------------------------------


def test_where_the_account_is_not_proven_nothing_is_looked_at(world: World) -> None:
    world.site.unproven = {"DE"}
    outcome = world.run()

    assert verdicts(outcome) == {FR_CASES: Verdict.COMPLETE, DE_CASES: Verdict.FAILED, DE_BUYERS: Verdict.FAILED}
    assert of(outcome, DE_CASES).reasons == ("the site shows no DE",)
    assert [line for line in world.diary.lines if line.startswith("walk ")] == ["walk FR cases"]
    assert {capture.scope for capture in world.shelf.kept} == {FR_CASES}


def test_a_marketplace_that_someone_switched_away_makes_the_source_suspect(world: World) -> None:
    def switched() -> None:
        world.site.chosen = "FR" if len(world.shelf.kept) == 3 else "DE"

    world.halt = switched
    outcome = world.run(DE_CASES)

    assert of(outcome, DE_CASES).verdict is Verdict.SUSPECT
    assert of(outcome, DE_CASES).reasons == ("the site shows no DE",)


@pytest.mark.parametrize("kind", OF_ONE_SOURCE)
def test_an_error_of_one_source_ends_that_source_alone(world: World, kind: type[ArchiverError]) -> None:
    error = failing(kind, "The case log is another page now.")
    world.site.walks[DE_CASES] = (page(DE_CASES), listed(DE_CASES, "1", "2"), thread(DE_CASES, "1"), error)
    outcome = world.run()

    assert outcome.failure is error
    assert verdicts(outcome) == {FR_CASES: Verdict.COMPLETE, DE_CASES: Verdict.PARTIAL, DE_BUYERS: Verdict.COMPLETE}
    assert of(outcome, DE_CASES).reasons[0] == "The case log is another page now."
    assert of(outcome, DE_CASES).captured == 1


@pytest.mark.parametrize("kind", OF_ONE_SOURCE)
def test_a_marketplace_that_cannot_be_chosen_ends_its_sources_alone(world: World, kind: type[ArchiverError]) -> None:
    error = failing(kind, "The switcher offers no DE.")
    world.site.not_offered = {"DE": error}
    outcome = world.run()

    assert outcome.failure is error
    assert verdicts(outcome) == {FR_CASES: Verdict.COMPLETE, DE_CASES: Verdict.FAILED, DE_BUYERS: Verdict.FAILED}
    assert of(outcome, DE_BUYERS).reasons[0] == "The switcher offers no DE."
    assert [line for line in world.diary.lines if line.startswith("choose")] == ["choose DE", "choose FR"]


def test_of_several_sources_that_end_the_first_is_the_one_to_hear_of(world: World) -> None:
    errors = [failing(PageUnknown, "One."), failing(WrongIdentity, "Two.")]
    world.site.walks[DE_CASES] = (errors[0],)
    world.site.walks[FR_CASES] = (errors[1],)
    outcome = world.run()

    assert outcome.failure is errors[0]
    assert outcome.failure.exit_code is Exit.PERSON_NEEDED
    assert of(outcome, FR_CASES).reasons[0] == "Two."


def test_what_ends_the_run_is_heard_of_before_what_ended_a_source(world: World) -> None:
    stop = failing(BrowserFailed)
    world.site.walks[DE_CASES] = (failing(PageUnknown),)
    world.site.walks[FR_CASES] = (stop,)
    outcome = world.run()

    assert outcome.failure is stop


def test_a_walk_that_tells_no_end_is_not_complete(world: World) -> None:
    world.site.walks[DE_CASES] = whole_walk(DE_CASES)[:-1]
    outcome = world.run(DE_CASES)

    assert of(outcome, DE_CASES).verdict is Verdict.PARTIAL
    assert of(outcome, DE_CASES).reasons == ("the walk told of no end",)


# --- what ends the run ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [CredentialRefused, PersonNeeded, PageUnknown, SiteUnreachable, WrongIdentity])
def test_where_the_door_does_not_open_every_scope_says_why(world: World, kind: type[ArchiverError]) -> None:
    world.site.shut = failing(kind, "Amazon refused the password.")
    outcome = world.run()

    assert outcome.failure is world.site.shut
    assert verdicts(outcome) == dict.fromkeys(SCOPES, Verdict.FAILED)
    assert {coverage.reasons[0] for coverage in outcome.coverages} == {"Amazon refused the password."}


@pytest.mark.parametrize("kind", STOPPERS)
def test_an_error_that_every_source_would_meet_ends_the_run(world: World, kind: type[ArchiverError]) -> None:
    error = failing(kind)
    world.site.walks[DE_BUYERS] = (listed(DE_BUYERS, "1"), error)
    outcome = world.run()

    assert outcome.failure is error
    assert verdicts(outcome) == {FR_CASES: Verdict.FAILED, DE_CASES: Verdict.COMPLETE, DE_BUYERS: Verdict.PARTIAL}
    assert of(outcome, FR_CASES).reasons[0] == of(outcome, DE_BUYERS).reasons[0] == "It broke."
    assert world.diary.lines[-1] == "leave"


@pytest.mark.parametrize("kind", STOPPERS)
def test_a_marketplace_that_cannot_be_chosen_for_such_a_reason_ends_the_run(
    world: World, kind: type[ArchiverError]
) -> None:
    world.site.not_offered = {"DE": failing(kind)}
    outcome = world.run()

    assert outcome.failure is world.site.not_offered["DE"]
    assert verdicts(outcome) == dict.fromkeys(SCOPES, Verdict.FAILED)


@pytest.mark.parametrize("kind", [DiskFailed, ArchiveDamaged])
@pytest.mark.parametrize("where, captured", [("known", 0), ("keep", 0), ("keep 2", 1), ("file", 0)])
def test_an_error_of_the_archive_ends_the_run_and_claims_nothing_it_did_not_keep(
    world: World, kind: type[ArchiverError], where: str, captured: int
) -> None:
    world.shelf.fails = {where: failing(kind)}
    outcome = world.run(DE_CASES, FR_CASES)

    assert outcome.failure is world.shelf.fails[where]
    assert [coverage.captured for coverage in outcome.coverages] == [captured, 0]
    assert not any(coverage.complete for coverage in outcome.coverages)
    assert outcome.coverages[1].reasons[0] == "It broke."
    # The walk is closed before the door is left, whoever still holds the error.
    assert ("enter" in world.diary.lines) == (where != "known")
    if where != "known":
        assert world.diary.lines[-2:] == ["walked DE cases", "leave"]


def test_an_error_on_the_way_out_is_told_and_takes_nothing_back(world: World) -> None:
    world.site.leaves_badly = failing(DiskFailed)
    outcome = world.run()

    assert outcome.failure is world.site.leaves_badly
    assert verdicts(outcome) == dict.fromkeys(SCOPES, Verdict.COMPLETE)


def test_what_is_no_error_of_ours_is_not_swallowed(world: World) -> None:
    def ends_badly(event: Event, coverage: Coverage) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sync(SCOPES, world.site, world.shelf, world.read, ends_badly, lambda: None)

    assert world.diary.lines[-1] == "leave"


# --- a run that is asked to stop --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [AccessStopped, Interrupted])
def test_a_run_stops_between_two_events_with_the_code_of_who_stopped_it(
    world: World, kind: type[ArchiverError]
) -> None:
    stop = failing(kind, "Stopped.")
    world.halt = lambda: stop if len(world.shelf.kept) == 2 else None
    outcome = world.run()

    assert outcome.failure is stop
    assert outcome.failure.exit_code is kind.exit_code
    assert [capture.site_thread for capture in world.shelf.kept] == ["", "1"]
    assert world.shelf.filed["capture-2"] is not None
    assert verdicts(outcome) == {FR_CASES: Verdict.FAILED, DE_CASES: Verdict.PARTIAL, DE_BUYERS: Verdict.FAILED}
    assert {coverage.reasons[0] for coverage in outcome.coverages} == {"Stopped."}
    assert world.diary.lines[-2:] == ["walked DE cases", "leave"]


def test_a_run_that_is_stopped_already_asks_the_site_for_nothing(world: World) -> None:
    world.halt = lambda: failing(AccessStopped)
    outcome = world.run()

    assert world.diary.lines == ["enter", "leave"]
    assert outcome.failure is not None
    assert outcome.failure.exit_code is Exit.ACCESS_STOPPED


def test_a_stop_between_two_sources_leaves_the_second_alone(world: World) -> None:
    world.halt = lambda: failing(Interrupted) if len(world.told) == 7 else None
    outcome = world.run()

    assert verdicts(outcome) == {FR_CASES: Verdict.FAILED, DE_CASES: Verdict.COMPLETE, DE_BUYERS: Verdict.FAILED}
    assert world.diary.lines[-3:] == ["identify DE", "tell Identified", "leave"]


def test_a_stop_between_two_marketplaces_leaves_the_second_alone(world: World) -> None:
    world.halt = lambda: failing(Interrupted) if len(world.told) == 14 else None
    outcome = world.run()

    assert verdicts(outcome) == {FR_CASES: Verdict.FAILED, DE_CASES: Verdict.COMPLETE, DE_BUYERS: Verdict.COMPLETE}
    assert "choose FR" not in world.diary.lines


# --- odds and ends ----------------------------------------------------------------------------------------------


def test_nothing_to_read_is_no_coverage(world: World) -> None:
    outcome = sync((), world.site, world.shelf, world.read, world.tell, lambda: None)

    assert outcome == Outcome(())


def test_the_same_id_in_two_marketplaces_is_two_threads(world: World) -> None:
    both = [thread(scope, "1").capture for scope in (DE_CASES, FR_CASES)]
    for scope in (DE_CASES, FR_CASES):
        world.site.walks[scope] = (listed(scope, "1"), thread(scope, "1"), Ended(True))
    outcome = world.run(DE_CASES, FR_CASES)

    assert world.shelf.kept == both
    assert verdicts(outcome) == {DE_CASES: Verdict.COMPLETE, FR_CASES: Verdict.COMPLETE}
