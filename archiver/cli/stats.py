"""`archiver stats`: how long answers take, by source, marketplace or category; and what was asked twice."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from datetime import date, timedelta

from archiver import config, wiring
from archiver.cli.terminal import flush_out, json_line, local, out, safe_line, say, table
from archiver.errors import Exit
from archiver.response import Exchange, figures, filed_twice

GROUPS: Mapping[str, Callable[[Exchange], str]] = {
    "source": lambda exchange: str(exchange.scope.source),
    "marketplace": lambda exchange: exchange.scope.marketplace,
    "category": lambda exchange: exchange.category or "(none)",
}
_HEADINGS = ("threads", "open", "answered", "first response", "90 %", "resolution", "90 %")


def stats(args: argparse.Namespace) -> int:
    """By the day a thread began, in UTC. Times are medians, and what nine of ten did not exceed."""
    loaded = config.load(config.find(args.config, os.environ))
    with wiring.opened(loaded, write=False) as archive:
        found = [e for e in archive.exchanges() if _within(e.opened_at.date(), args.since, args.until)]
    groups = figures(found, GROUPS[args.by])
    twice = list(filed_twice(found))
    if args.json:
        for group in groups:
            json_line(
                {
                    args.by: group.group,
                    "threads": group.threads,
                    "open": group.open,
                    "answered": group.answered,
                    "first_response_median_s": _seconds(group.response_median),
                    "first_response_p90_s": _seconds(group.response_p90),
                    "resolution_median_s": _seconds(group.resolution_median),
                    "resolution_p90_s": _seconds(group.resolution_p90),
                }
            )
        for first, second in twice:
            json_line({"thread": second.thread, "looks_like": first.thread, "opened_at": first.opened_at})
        return Exit.DONE
    if not groups:
        say("There is nothing to count yet. Run `archiver sync`, or give other days.")
        return Exit.DONE
    rows = [
        (
            safe_line(group.group),
            group.threads,
            group.open,
            group.answered,
            *map(_span, (group.response_median, group.response_p90, group.resolution_median, group.resolution_p90)),
        )
        for group in groups
    ]
    out(table((args.by, *_HEADINGS), rows, right=frozenset(range(1, 8))))
    flush_out()
    for first, second in twice:
        say(
            f"{second.thread} looks like the same request as {first.thread} (opened {local(first.opened_at)[:10]}); "
            "sellers report that filing twice lengthens the wait. Go on in the first."
        )
    return Exit.DONE


def _within(day: date, since: date | None, until: date | None) -> bool:
    return (since is None or since <= day) and (until is None or day <= until)


def _seconds(span: timedelta | None) -> int | None:
    return None if span is None else round(span.total_seconds())


def _span(span: timedelta | None) -> str:
    if span is None:
        return "-"
    hours = span.total_seconds() / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"
