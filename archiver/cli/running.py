"""What goes to the site, or keeps everyone from it: sync, daemon, login, the kill switch."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING

from archiver import config, wiring
from archiver.cli.terminal import flush_out, json_line, local, out, safe, safe_line, say, styled, table
from archiver.coverage import Coverage, Verdict
from archiver.errors import ArchiveHeld, ArchiverError, Exit, Interrupted, PersonNeeded
from archiver.model import Event, Listed, Seen, Unchanged

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from archiver.portal.person import Task


def sync(args: argparse.Namespace) -> int:
    """One run, now: a bar while it works, a table of what it can honestly claim, and an exit code."""
    loaded = config.load(config.find(args.config, os.environ))
    accounts = wiring.chosen_accounts(loaded, args.accounts)
    stop = Stop()
    prepare_run(args)
    for sentence in loaded.not_yet:
        say(f"{loaded.path}, {sentence}")
    # Listening comes second: until then a signal may end a question for the passphrase at once.
    with wiring.opened(loaded, write=True) as archive, stop.listening():
        if wiring.runs_without_sandbox():
            say("Running as root: the browser runs with --no-sandbox. Run the archiver as an ordinary user instead.")
        with _teller() as teller:
            report = wiring.sync_accounts(
                loaded, archive, accounts, sources=args.source, full=args.full, tell=teller.tell, halt=stop.halt
            )
    coverages = [coverage for outcome in report.outcomes.values() for coverage in outcome.coverages]
    if args.json:
        for coverage in coverages:
            json_line(coverage.to_json())
        json_line({"run": report.run, "exit": int(report.exit)})
    else:
        out(coverage_table(coverages))
        flush_out()
    _say_what_to_do(report, coverages)
    return report.exit


def prepare_run(args: argparse.Namespace) -> None:
    """What the browser's libraries have to say goes through the log, which masks secrets, or is not said."""
    from archiver.log import configure

    configure(verbose=args.verbose)


@dataclass(slots=True)
class Stop:
    """Whether a signal asked this process to stop. The second signal ends it at once."""

    asked: bool = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """SIGINT and SIGTERM are heard, not obeyed, for as long as the context lasts."""
        before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, signal.SIG_DFL)

    def halt(self) -> ArchiverError | None:
        """For the story, between events."""
        if not self.asked:
            return None
        return Interrupted("The run was stopped on request.", hint="What was captured is kept; the next run goes on.")


# --- while it works --------------------------------------------------------------------------------------------


@contextmanager
def _teller() -> Iterator[_Bars | _Lines]:
    """A bar for each source on a terminal, a line for each elsewhere."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bars(progress)


@dataclass(slots=True)
class _Bars:
    progress: Progress
    tasks: dict[str, TaskID] = field(default_factory=dict)

    def tell(self, event: Event, coverage: Coverage) -> None:
        scope = coverage.scope
        name = f"{scope.account} {scope.marketplace} {scope.source}"
        if name not in self.tasks:
            self.tasks[name] = self.progress.add_task(name, total=None)
        done = coverage.captured + coverage.unchanged
        if coverage.ended is not None:
            self.progress.update(self.tasks[name], completed=done, total=max(done, len(coverage.listed)))
        elif isinstance(event, Listed | Seen | Unchanged):
            self.progress.update(self.tasks[name], completed=done, total=len(coverage.listed) or None)


@dataclass(slots=True)
class _Lines:
    told: set[str] = field(default_factory=set)

    def tell(self, event: Event, coverage: Coverage) -> None:
        scope = coverage.scope
        name = f"{scope.account} {scope.marketplace} {scope.source}"
        if coverage.ended is not None and name not in self.told:
            self.told.add(name)
            listed = len(coverage.listed)
            say(f"{name}: {listed} listed, {coverage.captured} captured, {coverage.unchanged} unchanged")


# --- what it came to -------------------------------------------------------------------------------------------

_STYLES = {Verdict.COMPLETE: "32", Verdict.PARTIAL: "33", Verdict.SUSPECT: "31", Verdict.FAILED: "31"}


def coverage_table(coverages: Sequence[Coverage]) -> str:
    """What each source of each marketplace came to, and under it why, where that is less than everything."""
    headings = ("account", "marketplace", "source", "listed", "captured", "unchanged", "failed", "oldest", "verdict")
    rows = [
        (
            coverage.scope.account,
            coverage.scope.marketplace,
            str(coverage.scope.source),
            len(coverage.listed),
            coverage.captured,
            coverage.unchanged,
            len(coverage.missed),
            local(coverage.oldest_visible)[:10] if coverage.oldest_visible else "-",
            styled(str(coverage.verdict), _STYLES[coverage.verdict], sys.stdout),
        )
        for coverage in coverages
    ]
    return "\n".join((table(headings, rows, right=frozenset({3, 4, 5, 6})), *_reasons(coverages)))


def _reasons(coverages: Sequence[Coverage]) -> Iterator[str]:
    """Each reason once, with the sources it is true of: what ended a run is the reason of all of them."""
    of: dict[tuple[str, str], list[str]] = {}
    for coverage in coverages:
        for reason in coverage.reasons:
            where = f"{coverage.scope.marketplace} {coverage.scope.source}"
            of.setdefault((coverage.scope.account, reason), []).append(where)
    for (account, reason), places in of.items():
        everywhere = len(places) > 1 and len(places) == sum(c.scope.account == account for c in coverages)
        yield f"{account} {'(all)' if everywhere else ', '.join(places)}: {safe_line(reason)}"


def _say_what_to_do(report: wiring.Report, coverages: Sequence[Coverage]) -> None:
    for name, outcome in report.outcomes.items():
        if outcome.failure is not None:
            say(f"archiver: {name}: {safe(str(outcome.failure))}")
    if any(coverage.unread for coverage in coverages):
        say("Some threads are kept and could not be read. Mend the key that is named in a site.toml beside the")
        say("configuration, then run `archiver reindex`: the site is not asked again.")
    for coverage in coverages:
        for alarm in coverage.alarms:
            where = f"{coverage.scope.account} {coverage.scope.marketplace} {coverage.scope.source}"
            say(f"{where}: {safe_line(alarm.why)} {safe_line(alarm.hint)}")
    finished = [c for outcome in report.outcomes.values() if outcome.failure is None for c in outcome.coverages]
    if any(coverage.verdict is Verdict.SUSPECT for coverage in finished):
        say("SUSPECT: what the site showed does not add up. Look at that list in your own browser.")
    new = sum(coverage.captured for coverage in coverages)
    if report.exit == Exit.DONE and new:
        say(f"{new} thread{'s' if new != 1 else ''} captured. All that the site listed is kept.")
    elif report.exit == Exit.DONE:
        say("Nothing new: all is kept already.")
    elif report.exit == Exit.INCOMPLETE:
        say("Not everything could be captured; what was captured is kept. The next run tries the rest again.")


# --- the others ------------------------------------------------------------------------------------------------


def daemon(args: argparse.Namespace) -> int:
    """Sync on schedule until told to stop."""
    from archiver.daemon import run

    return run(config.load(config.find(args.config, os.environ)), verbose=args.verbose)


def login(args: argparse.Namespace) -> int:
    """Sign in once, now, whatever was refused before, with a person at hand; and keep the session for the next run."""
    loaded = config.load(config.find(args.config, os.environ))
    [account] = wiring.chosen_accounts(loaded, [args.account])
    if args.link:
        return _link(args, loaded)
    prepare_run(args)
    try:
        with wiring.opened(loaded, write=True) as archive:
            ask = _ask_for_code if sys.stdin.isatty() and not args.json else None
            wiring.sign_in_once(loaded, archive, account, headed=args.headed, tell=_tell_task, ask=ask)
    except ArchiveHeld as held:
        with wiring.opened_vault(loaded) as vault:
            if wiring.waiting(vault, account.name) is None:
                raise
        raise PersonNeeded(
            f"A run waits for you at the sign-in of {account.name} already.",
            hint=f"Run `archiver login {account.name} --link` and open what it prints.",
        ) from held
    if args.json:
        json_line({"account": account.name, "signed_in": True})
    say(f"Signed in to {account.name}; the session is kept. Next: archiver sync {account.name}")
    return Exit.DONE


def _link(args: argparse.Namespace, loaded: config.Config) -> int:
    """Where a run under way waits for a person."""
    with wiring.opened_vault(loaded) as vault:
        found = wiring.waiting(vault, args.account)
    if args.json:
        json_line(
            {
                "account": args.account,
                "link": found.link if found else None,
                "until": found.until.isoformat() if found else None,
            }
        )
    if found is None:
        say(f"No run of {args.account} waits for a person now. To sign in yourself: archiver login {args.account}")
        return Exit.FAILED
    if not args.json:
        out(found.link)
    say(f"It opens once, in one browser, until {local(found.until)}.")
    return Exit.DONE


def _tell_task(task: Task, link: str) -> None:
    say(f"{task.account}: {safe(task.what)} It waits until {local(task.until)}.")
    if link:
        say(f"Open this once, in one browser: {link}")


def _ask_for_code(task: Task, number: int) -> str:
    say(f"{task.account}: {safe(task.what)}" if number == 0 else "That code was not taken.")
    sys.stderr.write("The code (nothing to give up): ")
    sys.stderr.flush()
    return sys.stdin.readline()


def stop_access(args: argparse.Namespace) -> int:
    """Set the kill switch. A run under way in another process stops at its next step."""
    loaded = config.load(config.find(args.config, os.environ))
    if args.account is not None:
        wiring.chosen_accounts(loaded, [args.account])
    with wiring.opened_vault(loaded) as vault:
        vault.stop_access(args.account, args.reason)
    if args.json:
        json_line({"account": args.account, "stopped": True, "reason": args.reason})
    say(f"No request is sent to the site for {args.account or 'any account'} from now on.")
    say(f"To go on: archiver allow-access{f' --account {args.account}' if args.account else ''}")
    return Exit.DONE


def allow_access(args: argparse.Namespace) -> int:
    """Release the kill switch."""
    loaded = config.load(config.find(args.config, os.environ))
    if args.account is not None:
        wiring.chosen_accounts(loaded, [args.account])
    with wiring.opened_vault(loaded) as vault:
        vault.allow_access(args.account)
        still = vault.access_stopped(args.account)
    if args.json:
        json_line({"account": args.account, "stopped": still is not None, "reason": still})
    if still is not None:
        say(f"Access stays stopped for every account: {still}. Release that with `archiver allow-access`.")
    else:
        say(f"Access is allowed again for {args.account or 'every account'}.")
    return Exit.DONE
