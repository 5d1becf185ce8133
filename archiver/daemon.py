"""What the clock can ask: a sync on schedule, until a signal says stop. Decides nothing.

The archive is opened, and its lock held, during a run only: a search, a backup or a `stop-access` beside it need not
wait. What a run could not do is said in the log; the next one tries again, except what was refused.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from types import FrameType

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from archiver import wiring
from archiver.config import AccountConfig, Config, KeyConfig
from archiver.errors import ArchiverError, Exit, Interrupted, UsageError
from archiver.log import configure, get_logger
from archiver.sync import Halt

_LATE_S = 6 * 3600
"""A machine that slept through its time still runs within this; what it missed more than once runs once."""


def run(config: Config, *, verbose: int = 0) -> int:
    """Sync by `schedule.sync` until SIGTERM or SIGINT; the exit code of a stop on request is 0.

    Raises UsageError where the key would have to be asked for, or no account is configured; and what opening the
    archive raises: a wrong key is said at the start, not at the first run in the night.
    """
    if config.archive.key == KeyConfig():
        raise UsageError(
            "The daemon has nobody to ask for a passphrase.",
            hint="Name a `key` in [archive] before `archiver init`; what a passphrase made opens with that only.",
        )
    accounts = wiring.chosen_accounts(config, ())
    configure(verbose=verbose)
    log = get_logger()
    stop = _Stop()
    stop.listen()
    _look_at_archive(config, accounts)
    for sentence in config.not_yet:
        log.warning("setting without effect", where=sentence)
    if wiring.runs_without_sandbox():
        log.warning("running as root: the browser runs with --no-sandbox")
    schedule = config.schedule
    fields = {name: getattr(schedule.sync, name) for name in ("minute", "hour", "day", "month", "day_of_week")}
    scheduler = BackgroundScheduler(timezone=schedule.timezone) if schedule.timezone else BackgroundScheduler()
    trigger = CronTrigger(**fields, timezone=scheduler.timezone)
    job = scheduler.add_job(
        sync_once, trigger, args=(config, stop.halt), coalesce=True, max_instances=1, misfire_grace_time=_LATE_S
    )
    scheduler.start()
    log.info("daemon started", accounts=[account.name for account in accounts], next_run=job.next_run_time.isoformat())
    stop.wait()
    log.info("daemon stopping")
    scheduler.shutdown(wait=True)
    log.info("daemon stopped")
    return Exit.DONE


@dataclass(slots=True)
class _Stop:
    """Whether a signal asked this process to stop. The second signal ends it at once."""

    asked: bool = False
    # An Event's lock is not reentrant, and a handler runs between any two steps of the thread that waits.
    _signals: SimpleQueue[int] = field(default_factory=SimpleQueue)

    def listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def wait(self) -> None:
        self._signals.get()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self._signals.put(number)
        signal.signal(number, signal.SIG_DFL)

    def halt(self) -> ArchiverError | None:
        """For the story, between events."""
        if not self.asked:
            return None
        return Interrupted("The daemon was stopped.", hint="What was captured is kept; the next run goes on.")


def _look_at_archive(config: Config, accounts: Sequence[AccountConfig]) -> None:
    """Prove the key, and name the accounts that could not sign in."""
    with wiring.opened(config, write=False) as archive:
        kept = {sign_in.name for sign_in in archive.vault.accounts()}
    for account in accounts:
        if account.name not in kept:
            get_logger().warning(
                "account has no sign-in",
                account=account.name,
                next=f"Add it with `archiver account add {account.name} --email E`.",
            )


def sync_once(config: Config, halt: Halt) -> None:
    """One scheduled run. Whatever goes wrong in it is said, and ends it alone."""
    log = get_logger()
    log.info("run begun", accounts=[account.name for account in config.accounts])
    try:
        with wiring.opened(config, write=True) as archive:
            report = wiring.sync_accounts(config, archive, config.accounts, tell=lambda *_: None, halt=halt)
    except ArchiverError as error:
        log.error("run not begun", exit=int(error.exit_code), why=error.message, next=error.hint)
        return
    except Exception:
        log.exception("run failed in the archiver itself")
        return
    for name, outcome in report.outcomes.items():
        for coverage in outcome.coverages:
            log.info(
                "source read",
                run=report.run,
                account=name,
                marketplace=coverage.scope.marketplace,
                source=str(coverage.scope.source),
                listed=len(coverage.listed),
                captured=coverage.captured,
                unchanged=coverage.unchanged,
                state=str(coverage.verdict),
                reasons=list(coverage.reasons),
            )
            for alarm in coverage.alarms:
                log.warning("alarm", account=name, source=str(coverage.scope.source), why=alarm.why, next=alarm.hint)
        if outcome.failure is not None:
            log.error(
                "account not finished",
                run=report.run,
                account=name,
                exit=int(outcome.failure.exit_code),
                why=outcome.failure.message,
                next=outcome.failure.hint,
            )
    log.info("run ended", run=report.run, exit=int(report.exit))
