"""What the clock can ask: a sync on schedule, until a signal says stop. Decides nothing.

The archive is opened, and its lock held, during a run only: a search, a backup or a `stop-access` beside it need not
wait. What a run could not do is said in the log; the next one tries again, except what was refused.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from archiver import wiring
from archiver.config import Config
from archiver.errors import ArchiverError, Exit, Interrupted
from archiver.log import configure, get_logger

_LATE_S = 6 * 3600
"""A machine that slept through its time still runs within this; what it missed more than once runs once."""


def run(config: Config) -> int:
    """Sync by `schedule.sync` until SIGTERM or SIGINT; the exit code of a stop on request is 0.

    Raises what opening the archive raises: a wrong key is said at the start, not at the first run in the night.
    """
    configure(verbose=0)
    log = get_logger()
    with wiring.opened(config, write=False) as archive:
        archive.vault.accounts()
    accounts = wiring.chosen_accounts(config, ())
    stopped = threading.Event()

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    if wiring.runs_without_sandbox():
        log.warning("running as root: the browser runs with --no-sandbox")
    schedule = config.schedule
    fields = {name: getattr(schedule.sync, name) for name in ("minute", "hour", "day", "month", "day_of_week")}
    scheduler = BackgroundScheduler(timezone=schedule.timezone) if schedule.timezone else BackgroundScheduler()
    trigger = CronTrigger(**fields, timezone=scheduler.timezone)
    job = scheduler.add_job(
        _sync_once, trigger, args=(config, stopped), coalesce=True, max_instances=1, misfire_grace_time=_LATE_S
    )
    scheduler.start()
    log.info("daemon started", accounts=[account.name for account in accounts], next_run=job.next_run_time.isoformat())
    stopped.wait()
    log.info("daemon stopping")
    scheduler.shutdown(wait=True)
    log.info("daemon stopped")
    return Exit.DONE


def _sync_once(config: Config, stopped: threading.Event) -> None:
    """One scheduled run. Whatever goes wrong in it is said, and ends it alone."""
    log = get_logger()

    def halt() -> ArchiverError | None:
        if not stopped.is_set():
            return None
        return Interrupted("The daemon was stopped.", hint="What was captured is kept; the next run goes on.")

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
