"""`archiver coverage`: the map of time, a calendar of days against sources, and every gap in it by name."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from archiver import config, wiring
from archiver.cli.terminal import flush_out, json_line, local, out, safe_line, say, styled
from archiver.config import Config
from archiver.errors import Exit
from archiver.model import Scope
from archiver.timeline import Day, Gap, Look, Seen, days, gaps

_MARKS = {Seen.COVERED: "#", Seen.PARTLY: "+", Seen.SUSPECT: "?", Seen.UNSEEN: ".", Seen.BEFORE: " "}
_LOST = "x"
_STYLES = {Seen.COVERED: "32", Seen.PARTLY: "33", Seen.SUSPECT: "31", Seen.UNSEEN: "33", Seen.BEFORE: "0"}
_WEEKS_A_BLOCK = 7
_MOST_GAPS = 12
"""As many as a person reads; `--json` has all."""

_LEGEND = "# covered   + partly   ? suspect   . not seen yet   x lost   (days in UTC, weeks from Monday)"


def coverage(args: argparse.Namespace) -> int:
    """Exit 0 also where there are gaps: it tells, and decides nothing."""
    loaded = config.load(config.find(args.config, os.environ))
    now = datetime.now(UTC)
    with wiring.opened(loaded, write=False) as archive:
        looks = archive.looks()
    scopes = _scopes(loaded, looks, args.accounts, args.source)
    until = args.until or now.date()
    mapped = {scope: _days(scope, looks.get(scope, ()), loaded, args.since, until, now) for scope in scopes}
    if args.json:
        for row in _rows(mapped):
            json_line(row)
        return Exit.DONE
    if not mapped:
        say("There is nothing to map yet. Run `archiver sync`.")
        return Exit.DONE
    for block in _blocks(mapped):
        out(block)
    out(_LEGEND)
    flush_out()
    _say_gaps(mapped)
    return Exit.DONE


def _scopes(
    loaded: Config, looks: dict[Scope, tuple[Look, ...]], accounts: Sequence[str], sources: Sequence[str]
) -> list[Scope]:
    """Those of the configuration, and after them what the archive has beside."""
    if accounts:
        known = {scope.account for scope in looks}
        wiring.chosen_accounts(loaded, [name for name in accounts if name not in known])
    wanted = [Scope(a.name, m, s) for a in loaded.accounts for m in a.marketplaces for s in a.sources]
    return [
        scope
        for scope in dict.fromkeys((*wanted, *looks))
        if (not accounts or scope.account in accounts) and (not sources or scope.source in sources)
    ]


def _days(
    scope: Scope, looks: Sequence[Look], loaded: Config, since: date | None, until: date, now: datetime
) -> tuple[Day, ...]:
    keeps = timedelta(days=next((a.retention_days for a in loaded.accounts if a.name == scope.account), 90))
    began = min((look.at for look in looks), default=now)
    return days(looks, since or (began - keeps).date(), until, now, keeps)


# --- drawn -----------------------------------------------------------------------------------------------------


def _blocks(mapped: dict[Scope, tuple[Day, ...]]) -> Iterator[str]:
    """Seven weeks a block, oldest first; a line for each scope."""
    first = min((found[0].day for found in mapped.values() if found), default=None)
    last = max((found[-1].day for found in mapped.values() if found), default=None)
    if first is None or last is None:
        return
    names = {scope: f"{scope.account} {scope.marketplace} {scope.source}" for scope in mapped}
    wide = max(map(len, names.values()))
    by_day = {scope: {found.day: found for found in of} for scope, of in mapped.items()}
    monday = first - timedelta(days=first.weekday())
    while monday <= last:
        weeks = [monday + timedelta(weeks=n) for n in range(_WEEKS_A_BLOCK)]
        lines = [" " * wide + "  " + " ".join(f"{week:%d %b} " for week in weeks)]
        for scope, name in names.items():
            drawn = (_week(week, by_day[scope]) for week in weeks)
            lines.append(f"{name:<{wide}}  " + " ".join(drawn))
        yield "\n".join((f"{monday:%Y}{lines[0][4:]}".rstrip(), *lines[1:], ""))
        monday += timedelta(weeks=_WEEKS_A_BLOCK)


def _week(monday: date, of: dict[date, Day]) -> str:
    return "".join(_mark(of.get(monday + timedelta(days=n))) for n in range(7))


def _mark(day: Day | None) -> str:
    if day is None:
        return " "
    lost = day.seen is not Seen.COVERED and day.why != "" and day.until is None
    return styled(_LOST if lost else _MARKS[day.seen], "31" if lost else _STYLES[day.seen], sys.stdout)


# --- named -----------------------------------------------------------------------------------------------------


def _say_gaps(mapped: dict[Scope, tuple[Day, ...]]) -> None:
    """What is lost first, then what can be closed, the nearest deadline first."""
    found = [(scope, gap) for scope, of in mapped.items() for gap in gaps(of)]
    if not found:
        say("No gap: every day was looked at whole while the site showed it.")
        return
    far = datetime.max.replace(tzinfo=UTC)
    found.sort(key=lambda pair: (pair[1].until is not None, pair[1].until or far, pair[1].first))
    for scope, gap in found[:_MOST_GAPS]:
        say(f"{scope.account} {scope.marketplace} {scope.source}  {_span(gap)}: {safe_line(gap.why)}. {_what_now(gap)}")
    if len(found) > _MOST_GAPS:
        say(f"… and {len(found) - _MOST_GAPS} more; `archiver coverage --json` names them all.")


def _span(gap: Gap) -> str:
    return f"{gap.first}" if gap.first == gap.last else f"{gap.first} to {gap.last}"


def _what_now(gap: Gap) -> str:
    if gap.until is None:
        return "The site shows it no more: what was not captured then is lost."
    return f"Run `archiver sync` before {local(gap.until)}."


def _rows(mapped: dict[Scope, tuple[Day, ...]]) -> Iterator[dict[str, Any]]:
    """First a line for each day, then a line for each gap; `until` is None where it cannot be closed."""
    for scope, of in mapped.items():
        where = {"account": scope.account, "marketplace": scope.marketplace, "source": scope.source}
        for day in of:
            yield {**where, "day": day.day, "seen": day.seen, "why": day.why, "until": day.until}
        for gap in gaps(of):
            span = {"gap_from": gap.first, "gap_to": gap.last}
            yield {**where, **span, "seen": gap.seen, "why": gap.why, "until": gap.until, "lost": gap.until is None}
