"""Runs and coverage: what do we have of each scope, since when, and how sure are we. Reads the index only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from archiver.archive.disk import Database
from archiver.model import Direction, Scope, Source
from archiver.response import Exchange
from archiver.timeline import Look


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One run, as its record tells it. Times are aware, None where the record names none."""

    run: str
    started_at: datetime | None
    finished_at: datetime | None
    exit: int


@dataclass(frozen=True, slots=True)
class ScopeStatus:
    """What the archive has of one scope.

    `state` is the verdict of the last run (empty: never run), `oldest_visible` the oldest item the site still showed
    then. `unread` counts threads whose last capture could not be read. `coverage` is the last run's record of it.
    """

    scope: Scope
    last_run: RunInfo | None
    last_complete: RunInfo | None
    threads: int
    messages: int
    unread: int
    oldest_visible: datetime | None
    state: str
    coverage: str


def status(index: Database) -> tuple[ScopeStatus, ...]:
    """Every scope that was ever run or captured, by account, marketplace and source."""
    with index.snapshot():
        scopes = index.rows(
            "SELECT account, marketplace, source FROM thread UNION SELECT account, marketplace, source FROM coverage "
            "ORDER BY 1, 2, 3"
        )
        return tuple(_status(index, scope) for scope in scopes)


def runs(index: Database, limit: int | None = None) -> tuple[RunInfo, ...]:
    """The runs, newest first."""
    rows = index.rows(
        "SELECT run, started_at, finished_at, exit FROM run ORDER BY seq DESC LIMIT ?",
        (-1 if limit is None else limit,),
    )
    return tuple(_run(row) for row in rows)


def looks(index: Database) -> dict[Scope, tuple[Look, ...]]:
    """Every run's look at every scope, in the order of the chain."""
    found: dict[Scope, list[Look]] = {}
    for account, marketplace, source, finished_at, state, oldest, record in index.rows(
        "SELECT c.account, c.marketplace, c.source, r.finished_at, c.state, c.oldest_visible, c.record "
        "FROM coverage c JOIN run r ON r.run = c.run ORDER BY c.seq"
    ):
        scope = Scope(account, marketplace, Source(source) if source else None)
        reasons = tuple(json.loads(record).get("reasons", ()))
        found.setdefault(scope, []).append(Look(datetime.fromisoformat(finished_at), state, reasons, _moment(oldest)))
    return {scope: tuple(of) for scope, of in found.items()}


_SIDES = """
SELECT t.id, t.account, t.marketplace, t.source, t.category, t.status, min(m.sent_at), max(m.sent_at)
FROM thread t JOIN message m ON m.thread = t.id AND m.current = 1
GROUP BY t.id, m.direction ORDER BY t.id, min(m.sent_at)
"""
"""A row for each side of each thread, the side that began first."""

_REQUESTS = "SELECT thread, body FROM message WHERE current = 1 AND direction = ? ORDER BY thread, sent_at, place"


def exchanges(index: Database) -> Iterator[Exchange]:
    """Every thread of which a message could be read."""
    requests: dict[str, str] = {}
    for thread, body in index.rows(_REQUESTS, (str(Direction.OUT),)):
        requests.setdefault(thread, body)
    for (thread, account, marketplace, source, category, status), rows in groupby(
        index.rows(_SIDES), key=lambda row: row[:6]
    ):
        sides = [(datetime.fromisoformat(first), datetime.fromisoformat(last)) for *_, first, last in rows]
        yield Exchange(
            thread=thread,
            scope=Scope(account, marketplace, Source(source) if source else None),
            category=category,
            status=status,
            opened_at=sides[0][0],
            answered_at=sides[1][0] if len(sides) > 1 else None,
            last_at=max(last for _, last in sides),
            request=requests.get(thread, ""),
        )


_OF_SCOPE = "account = ? AND marketplace = ? AND source = ?"


def _status(index: Database, scope: tuple[Any, ...]) -> ScopeStatus:
    last = index.row(
        f"SELECT run, oldest_visible, state, record FROM coverage WHERE {_OF_SCOPE} ORDER BY seq DESC LIMIT 1",  # noqa: S608
        scope,
    )
    complete = index.value(
        f"SELECT run FROM coverage WHERE {_OF_SCOPE} AND complete = 1 ORDER BY seq DESC LIMIT 1",  # noqa: S608
        scope,
    )
    account, marketplace, source = scope
    return ScopeStatus(
        scope=Scope(account, marketplace, Source(source) if source else None),
        last_run=_run_named(index, last[0]) if last is not None else None,
        last_complete=_run_named(index, complete) if complete is not None else None,
        threads=int(index.value(f"SELECT count(*) FROM thread WHERE {_OF_SCOPE}", scope)),  # noqa: S608
        messages=int(
            index.value(
                "SELECT count(*) FROM message m JOIN thread t ON t.id = m.thread WHERE m.current = 1 AND t.account = ? "
                "AND t.marketplace = ? AND t.source = ?",
                scope,
            )
        ),
        unread=int(
            index.value(f"SELECT count(*) FROM thread WHERE {_OF_SCOPE} AND read_seq < last_seq", scope)  # noqa: S608
        ),
        oldest_visible=_moment(last[1]) if last is not None else None,
        state=last[2] if last is not None else "",
        coverage=last[3] if last is not None else "{}",
    )


def _run_named(index: Database, run: str) -> RunInfo | None:
    row = index.row("SELECT run, started_at, finished_at, exit FROM run WHERE run = ?", (run,))
    return None if row is None else _run(row)


def _run(row: tuple[Any, ...]) -> RunInfo:
    return RunInfo(row[0], _moment(row[1]), _moment(row[2]), row[3])


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
