"""What says how the archive is: status, verify, reindex."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from archiver import config, wiring
from archiver.archive.ledger import ScopeStatus
from archiver.archive.vault import Vault
from archiver.cli.terminal import flush_out, json_line, local, out, safe_line, say, styled, table
from archiver.config import Config
from archiver.errors import Exit
from archiver.model import Scope

_LITTLE_DAYS = 14
"""With less than this left until something may be gone, a person should look."""


def status(args: argparse.Namespace) -> int:
    """What is kept of each scope, what would be lost by when if nothing ran, and what needs a person."""
    loaded = config.load(config.find(args.config, os.environ))
    now = datetime.now(UTC)
    with wiring.opened(loaded, write=False) as archive:
        known = {row.scope: row for row in archive.status()}
        wanted = [Scope(a.name, m, s) for a in loaded.accounts for m in a.marketplaces for s in a.sources]
        scopes = [*wanted, *(scope for scope in known if scope not in set(wanted))]
        rows = [_row(scope, known.get(scope), loaded, now) for scope in scopes]
        for row in rows:
            row["access_stopped"] = archive.vault.access_stopped(row["account"])
            refused = archive.vault.refusals(row["account"])
            row["refused"] = refused[-1].why if refused else None
        people = [line for account in loaded.accounts for line in _for_a_person(archive.vault, account.name)]
    if args.json:
        for row in rows:
            json_line(row)
        return Exit.DONE
    for sentence in loaded.not_yet:
        say(f"{loaded.path}, {sentence}")
    if rows:
        out(table(_HEADINGS, [_cells(row) for row in rows], right=frozenset({3, 4, 8})))
    flush_out()
    for row in rows:
        if row["unread"]:
            say(f"{_name(row)}: {row['unread']} threads are kept and not read; `archiver show` names the key to mend.")
        if row["at_risk"]:
            say(f"{_name(row)}: {_what_may_go(row['days_left'])} Run `archiver sync`.")
    for line in people:
        say(safe_line(line))
    if not rows:
        say(f"Nothing is kept yet. Fill in an [[account]] in {loaded.path}, then run `archiver sync`.")
    return Exit.DONE


_HEADINGS = (
    "account", "marketplace", "source", "threads", "messages", "last complete", "last verdict", "oldest", "days left",
)  # fmt: skip


def _what_may_go(days_left: int | None) -> str:
    if days_left is None:
        return "nothing was ever complete, so anything may be missing."
    if days_left < 0:
        return f"for {-days_left} days, what was not captured may be gone."
    return f"what is not captured within {days_left} days may be gone."


def _row(scope: Scope, known: ScopeStatus | None, loaded: Config, now: datetime) -> dict[str, Any]:
    complete = known.last_complete.finished_at if known is not None and known.last_complete is not None else None
    last = known.last_run.finished_at if known is not None and known.last_run is not None else None
    oldest = known.oldest_visible if known is not None else None
    keeps_days = next((a.retention_days for a in loaded.accounts if a.name == scope.account), None)
    # What came the moment after the last complete run is the oldest that may be missing; before any, the oldest of all.
    from_then = complete or oldest
    left = from_then + timedelta(days=keeps_days) - now if from_then is not None and keeps_days is not None else None
    return {
        "account": scope.account,
        "marketplace": scope.marketplace,
        "source": scope.source,
        "threads": known.threads if known is not None else 0,
        "messages": known.messages if known is not None else 0,
        "unread": known.unread if known is not None else 0,
        "last_run": last,
        "last_complete": complete,
        "state": (known.state if known is not None else "") or "never run",
        "oldest_visible": oldest,
        "retention_days": keeps_days,
        "days_left": left.days if left is not None else None,
        "at_risk": keeps_days is not None and (complete is None or left is None or left.days < _LITTLE_DAYS),
    }


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    return (
        row["account"],
        row["marketplace"],
        row["source"],
        row["threads"],
        row["messages"],
        local(row["last_complete"]),
        row["state"] if row["state"] == "COMPLETE" else styled(row["state"], "33", sys.stdout),
        local(row["oldest_visible"])[:10] if row["oldest_visible"] is not None else "-",
        "-" if row["days_left"] is None else row["days_left"],
    )


def _name(row: dict[str, Any]) -> str:
    return f"{row['account']} {row['marketplace']} {row['source']}"


def _for_a_person(vault: Vault, account: str) -> list[str]:
    """What only a person can settle, and how."""
    lines = []
    stopped = vault.access_stopped(account)
    if stopped is not None:
        lines.append(f"{account}: access is stopped: {stopped.rstrip('.')}. To go on: archiver allow-access")
    refused = vault.refusals(account)
    if refused:
        lines.append(
            f"{account}: the sign-in was refused {local(refused[-1].at)}: {refused[-1].why} "
            f"Set it right with `archiver account add {account} --email E`, or run `archiver login {account}`."
        )
    return lines


_DERIVED = "index.db"


def verify(args: argparse.Namespace) -> int:
    """Open every sealed artifact and follow the chain to its end; exit 1 where anything is not as it was written."""
    loaded = config.load(config.find(args.config, os.environ))
    with wiring.opened(loaded, write=False) as archive:
        if sys.stderr.isatty():
            say("Looking at every page, link and seal …")
        report = archive.verify()
    if args.json:
        for problem in report.problems:
            json_line({"file": problem.file, "problem": problem.what})
        json_line({"good": report.good, "volumes": report.volumes, "captures": report.captures})
    else:
        for problem in report.problems:
            out(safe_line(f"{problem.file}: {problem.what}"))
        out(f"{report.captures} captures in {report.volumes} volumes looked at; {len(report.problems)} problems.")
    flush_out()
    if report.unfiled:
        say(f"{report.unfiled} captures are not in the index yet; the next run, or `archiver reindex`, files them.")
    if not report.good and all(problem.file == _DERIVED for problem in report.problems):
        say("Run `archiver reindex`: this file is derived, and nothing is lost with it.")
    elif not report.good:
        say("Restore what is damaged from a backup, and keep the damaged files: they may hold more than the backup.")
    return Exit.DONE if report.good else Exit.FAILED


def reindex(args: argparse.Namespace) -> int:
    """Compute the index again from the captures. The site is not asked."""
    loaded = config.load(config.find(args.config, os.environ))
    with wiring.opened_as_it_is(loaded) as archive:
        if sys.stderr.isatty():
            say("Reading every capture again …")
        count = archive.rebuild(wiring.reader(loaded))
        unread = sum(row.unread for row in archive.status())
    if args.json:
        json_line({"captures": count, "unread": unread})
    else:
        out(f"Read {count} captures again; the index is new.")
    if unread:
        say(f"{unread} threads could still not be read; `archiver show` names the key to mend in site.toml.")
    return Exit.DONE
