"""What a run came to, as a person reads it: a row for each source, and each reason once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archiver.cli.running import coverage_table
from archiver.coverage import Coverage
from archiver.model import Ended, Event, Identified, Listed, Listing, Missed, Ref, Scope, Source, Unchanged

PROVEN = Identified(True, "ACME", "A1PA6795UKMFR9")


@pytest.fixture(autouse=True)
def _no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


def covered(scope: Scope, *events: Event) -> Coverage:
    coverage = Coverage(scope, ever_had=0)
    for event in events:
        coverage = coverage.after(event)
    return coverage


def complete(scope: Scope) -> Coverage:
    ref = Ref(scope, "1", "stamp")
    return covered(scope, PROVEN, Listed(Listing((ref,)), 1), Unchanged(ref), Ended(reached_end=True), PROVEN)


CASES = Scope("acme", "DE", Source.CASES)
BUYERS = Scope("acme", "DE", Source.BUYER_MESSAGES)


def test_what_is_complete_needs_no_words() -> None:
    assert coverage_table([complete(CASES)]).splitlines() == [
        "account  marketplace  source  listed  captured  unchanged  failed  oldest  verdict",
        "───────  ───────────  ──────  ──────  ────────  ─────────  ──────  ──────  ────────",
        "acme     DE           cases        1         0          1       0  -       COMPLETE",
    ]


def test_a_reason_stands_under_the_table_with_its_source() -> None:
    missed = covered(CASES, PROVEN, Listed(Listing(()), 1), Missed(None, "page 2 did not load"), PROVEN)
    ended = missed.after(Ended(reached_end=True))

    assert coverage_table([ended, complete(BUYERS)]).splitlines()[-1] == "acme DE cases: page 2 did not load"


def test_what_ended_the_whole_run_is_said_once() -> None:
    stopped = [covered(scope, Ended(reached_end=False, why="It was stopped.")) for scope in (CASES, BUYERS)]

    assert coverage_table(stopped).splitlines()[-1] == "acme (all): It was stopped."
    assert coverage_table(stopped).count("It was stopped.") == 1


def test_of_two_accounts_each_says_its_own() -> None:
    other = replace(CASES, account="other")
    stopped = covered(other, Ended(reached_end=False, why="It was stopped."))

    assert coverage_table([complete(CASES), stopped]).splitlines()[-1] == "other DE cases: It was stopped."


def test_what_the_site_named_cannot_move_the_cursor() -> None:
    evil = covered(CASES, PROVEN, Listed(Listing(()), 1), Missed(None, "not fetched: \x1b[2J\nx.pdf"), PROVEN)

    assert coverage_table([evil.after(Ended(reached_end=True))]).splitlines()[-1] == (
        "acme DE cases: not fetched: \ufffd[2J x.pdf"
    )
