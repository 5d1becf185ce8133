"""The only place where things are constructed: a configuration in, hands with the few values they need out.

Whatever imports a browser or a scheduler is imported where it is used, so that `archiver search` stays instant.
"""

from __future__ import annotations

import json
import os
import secrets as randomness
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from archiver import __version__
from archiver.archive.archive import Archive
from archiver.archive.vault import HandOver, Vault
from archiver.config import AccountConfig, Config, HandoverConfig
from archiver.credentials import unlock
from archiver.errors import AccessStopped, ArchiverError, CredentialRefused, Defect, Exit, PersonNeeded, UsageError
from archiver.log import get_logger, hide
from archiver.model import Capture, Scope, Source, Thread, Unread
from archiver.signin import Credential
from archiver.sync import Halt, Outcome, Tell, failed, sync

if TYPE_CHECKING:
    from archiver.portal.door import Door, Portal
    from archiver.portal.pace import Budget
    from archiver.portal.person import Person, Task
    from archiver.portal.relay import Proxy
    from archiver.site.sitemap import SiteMap

_MOST_UNANSWERED = 3
"""A credential whose submissions nobody saw answered (the process died each time) is not submitted a fourth time."""

CLOCK_TOLERANCE_S = 30.0
"""One time step of a code. A site accepts the step before and after, too [R]; beyond that only our correction helps."""

SET_THE_CLOCK = "Let this machine keep the time: `timedatectl set-ntp true`. Codes are made for the site's time anyway."

_AGES_OUT_WITHIN = timedelta(days=1)
"""A site counts its days by its own clock and in its own time zone."""

_REAL_SITE_PACE_S = 5.0
"""At most twelve pages a minute on a site that is not on this machine."""


# --- the archive -----------------------------------------------------------------------------------------------


@contextmanager
def opened(config: Config, *, write: bool) -> Iterator[Archive]:
    """The archive of this configuration. A writer files first what a killed run left captured and not filed."""
    with Archive.open(config.archive.path, unlock(config.archive.key), write=write) as archive:
        if write:
            archive.file_unfiled(reader(config))
        yield archive


@contextmanager
def opened_as_it_is(config: Config) -> Iterator[Archive]:
    """The archive to write, with nothing filed first: for computing the index again, whatever is wrong with it."""
    with Archive.open(config.archive.path, unlock(config.archive.key), write=True) as archive:
        yield archive


@contextmanager
def opened_vault(config: Config) -> Iterator[Vault]:
    """The vault alone, to write, even while a run holds the archive."""
    with Archive.vault_alone(config.archive.path, unlock(config.archive.key)) as vault:
        yield vault


def reader(config: Config) -> Callable[[Capture], Thread | Unread]:
    """A thread capture to what it says, by the site map of this configuration."""
    from archiver.site.sources import read

    return partial(_read_with, site_map(config), read)


def _read_with(
    sitemap: SiteMap, read: Callable[[Capture, SiteMap], Thread | Unread], capture: Capture
) -> Thread | Unread:
    return read(capture, sitemap)


def site_map(config: Config) -> SiteMap:
    """The shipped map with the `site.toml` beside the configuration laid over it."""
    from archiver.site.sitemap import load

    return load(config.path.parent / "site.toml")


# --- what a sign-in must remember ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VaultMemory:
    """The door's memory, in the vault."""

    archive: Archive
    account: str

    def barred(self) -> ArchiverError | None:
        """The refusal that keeps this account from being tried again, if there is one."""
        refusals = self.archive.vault.refusals(self.account)
        if not refusals:
            return None
        last = refusals[-1]
        return CredentialRefused(
            f"The sign-in of {self.account} ended on {last.at:%Y-%m-%d %H:%M} UTC and is not tried again by itself: "
            f"{last.why}",
            hint=f"Set it right with `archiver account add {self.account} --email E`, or, if it was right, "
            f"run `archiver login {self.account}`.",
        )

    def trying(self, credential: Credential) -> None:
        if self.archive.vault.unsettled(self.account, credential) >= _MOST_UNANSWERED:
            raise PersonNeeded(
                f"The {credential} of {self.account} was submitted {_MOST_UNANSWERED} times and the answer never seen.",
                hint=f"Sign in once in your own browser, then run `archiver login {self.account}`.",
            )
        self.archive.vault.record_attempt(self.account, credential)

    def accepted(self, credential: Credential) -> None:
        self.archive.vault.settle(self.account, credential, "accepted")

    def refused(self, credential: Credential | None, why: str) -> None:
        self.archive.vault.refuse(self.account, credential or "account", why)

    def stop_access(self, why: str) -> None:
        self.archive.vault.stop_access(self.account, why)

    def last_code_step(self) -> int:
        return self.archive.vault.totp_step(self.account)

    def code_step_used(self, step: int) -> None:
        self.archive.vault.put_totp_step(self.account, step)

    def merchant(self, marketplace: str) -> str:
        return self.archive.vault.merchant(self.account, marketplace)

    def keep_merchant(self, marketplace: str, merchant: str) -> None:
        self.archive.vault.put_merchant(self.account, marketplace, merchant)

    def count_requests(self, number: int) -> None:
        self.archive.vault.count_requests(self.account, number)

    def requests_of_last_hours(self, hours: int) -> int:
        return self.archive.vault.requests_of_last_hours(self.account, hours)

    def session(self) -> bytes | None:
        return self.archive.vault.session(self.account)

    def keep_session(self, state: bytes) -> None:
        self.archive.vault.put_session(self.account, state)


def check_totp_secret(secret: str) -> None:
    """Raises UsageError where this is no TOTP secret, before it is kept."""
    from archiver.portal.totp import secret_bytes

    secret_bytes(secret)


# --- a run -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Report:
    """What one run came to. `outcomes` by account name."""

    run: str
    outcomes: dict[str, Outcome]
    traffic: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)

    @property
    def exit(self) -> Exit:
        """The one exit code: what a person must act on comes before what the next run heals."""
        codes = set()
        for outcome in self.outcomes.values():
            if outcome.failure is not None:
                codes.add(outcome.failure.exit_code)
            elif not all(coverage.complete for coverage in outcome.coverages):
                codes.add(Exit.INCOMPLETE)
        return next((code for code in _BY_WEIGHT if code in codes), Exit.DONE)


_BY_WEIGHT = (
    Exit.PERSON_NEEDED,
    Exit.ACCESS_STOPPED,
    Exit.WRONG_EGRESS,
    Exit.USAGE,
    Exit.ARCHIVE_HELD,
    Exit.FAILED,
    Exit.INCOMPLETE,
)


def new_run(now: datetime) -> str:
    """A run's id: when it began, and four random characters."""
    return f"{now:%Y%m%dT%H%M%SZ}-{randomness.token_hex(2)}"


def chosen_accounts(config: Config, names: Sequence[str]) -> tuple[AccountConfig, ...]:
    """The configured accounts of these names; all of them for no name. Raises UsageError for an unknown one."""
    known = {account.name: account for account in config.accounts}
    unknown = [name for name in names if name not in known]
    if unknown or not known:
        raise UsageError(
            f"There is no account {', '.join(unknown)} in the configuration."
            if unknown
            else "No account is configured.",
            hint=f"Configured are: {', '.join(known)}." if known else f"Add an [[account]] to {config.path}.",
        )
    return tuple(known[name] for name in names) if names else config.accounts


def sync_accounts(
    config: Config,
    archive: Archive,
    accounts: Sequence[AccountConfig],
    *,
    sources: Sequence[Source] = (),
    full: bool = False,
    tell: Tell,
    halt: Halt,
) -> Report:
    """Sync each account once, a few side by side, and enter the run into the archive's chain.

    `tell` and `halt` are called from several threads.
    """
    started_at = datetime.now(UTC)
    report = Report(new_run(started_at), {})
    wanted = {account: _scopes(account, sources) for account in accounts}
    if not any(wanted.values()):
        raise UsageError(
            f"None of these accounts has {' or '.join(sources)} among its sources.",
            hint="Correct `sources` in the configuration, or leave --source out.",
        )
    read = reader(config)
    persons_turn = Lock()

    def one(account: AccountConfig, scopes: Sequence[Scope]) -> Outcome:
        asked = partial(halted, archive, account.name, halt)
        door = _Door(config, archive, account, report, asked, full=full, person=_awaited(config, archive, persons_turn))
        try:
            since = started_at - timedelta(days=account.retention_days) + _AGES_OUT_WITHIN
            return sync(scopes, door, archive, read, tell, asked, since)
        except Exception as error:
            # Ours; the other accounts and the record of the run are not to pay for it.
            get_logger().exception("failed in the archiver itself", account=account.name)
            defect = Defect(
                f"Something went wrong in the archiver itself ({type(error).__name__}).",
                hint=f"Run `archiver -v sync {account.name}` to see where, and report that.",
            )
            return failed(scopes, defect)

    # A browser is driven from the thread that started it, so each account has a thread.
    with ThreadPoolExecutor(config.schedule.accounts_at_once, thread_name_prefix="account") as threads:
        begun = {account.name: threads.submit(one, account, scopes) for account, scopes in wanted.items() if scopes}
        report.outcomes.update({name: outcome.result() for name, outcome in begun.items()})
    requests = "\n".join(json.dumps(request, ensure_ascii=False) for request in report.requests)
    archive.enter(_run_record(report, started_at, datetime.now(UTC)), requests.encode())
    return report


def _scopes(account: AccountConfig, sources: Sequence[Source]) -> list[Scope]:
    return [
        Scope(account.name, marketplace, source)
        for marketplace in account.marketplaces
        for source in account.sources
        if not sources or source in sources
    ]


def halted(archive: Archive, account: str, halt: Halt) -> ArchiverError | None:
    """Why nothing more may be sent for this account: its kill switch, or what `halt` gives."""
    reason = archive.vault.access_stopped(account)
    if reason is not None:
        return AccessStopped(
            f"Access for {account} was stopped: {reason}.",
            hint="When it may go on, run `archiver allow-access`.",
        )
    return halt()


@dataclass(frozen=True, slots=True)
class _Door:
    """The portal's door, built when it is entered: importing a browser takes longer than a refusal."""

    config: Config
    archive: Archive
    account: AccountConfig
    report: Report
    halt: Halt
    full: bool = False
    headed: bool = False
    person: Person | None = None

    @contextmanager
    def enter(self, *, as_stranger: bool = False) -> Iterator[Any]:
        # The story asks between events; the sign-in comes before the first.
        memory = VaultMemory(self.archive, self.account.name)
        stopped = self.halt() or memory.barred()
        if stopped is not None:
            raise stopped
        with self._made(memory).enter(as_stranger=as_stranger) as portal:
            yield portal

    @contextmanager
    def approach(self) -> Iterator[Any]:
        """Before the site, as a stranger: nothing is signed in, and the kept session is not touched."""
        stopped = self.halt()
        if stopped is not None:
            raise stopped
        with self._made(VaultMemory(self.archive, self.account.name)).approach(as_stranger=True) as portal:
            yield portal

    def _made(self, memory: VaultMemory) -> Door:
        sign_in = self.archive.vault.sign_in(self.account.name)
        hide(sign_in.email, sign_in.password, sign_in.totp_secret)

        from archiver.portal import browser
        from archiver.portal.door import Door
        from archiver.portal.egress import Pin
        from archiver.portal.sign_in import Secrets

        return Door(
            site=self.account.site,
            account=self.account.name,
            secrets=Secrets(sign_in.email, sign_in.password, sign_in.totp_secret),
            memory=memory,
            sitemap=site_map(self.config),
            executable=browser.find(self.config.browser.executable),
            run=self.report.run,
            keep=self._keep,
            halt=self.halt,
            pace_s=0.0 if is_loopback(self.account.site) else _REAL_SITE_PACE_S,
            budget=self._budget(),
            label=self.account.label,
            contact=self.config.browser.contact,
            full=self.full,
            headed=self.headed,
            person=self.person,
            proxy=self._proxy(),
            pin=Pin(frozenset(self.account.egress), self.config.echoes) if self.account.egress else None,
            at_end=self._record,
        )

    def _record(self, portal: Portal) -> None:
        self.report.traffic[self.account.name] = portal.traffic()
        self.report.requests.extend({"account": self.account.name, **sent} for sent in portal.requests())
        ahead_s = self.report.traffic[self.account.name]["site_clock_ahead_s"]
        if ahead_s is not None and abs(ahead_s) > CLOCK_TOLERANCE_S:
            get_logger().warning("this machine's clock is off", site_is_ahead_s=ahead_s, next=SET_THE_CLOCK)

    def _proxy(self) -> Proxy | None:
        from archiver.portal.relay import Proxy

        there = self.account.proxy
        if there is None:
            return None
        sign_in = self.archive.vault.proxy_sign_in(self.account.name)
        if sign_in is None:
            return Proxy(there.scheme, there.host, there.port)
        hide(sign_in.password)
        return Proxy(there.scheme, there.host, there.port, sign_in.username, sign_in.password)

    def _budget(self) -> Budget | None:
        from archiver.portal.pace import Budget

        asked = self.account.requests
        if not asked and is_loopback(self.account.site):
            return None
        return Budget(**{"minute": 600, "hour": 12_000, "day": 100_000, **dict(asked)})

    def _keep(self, capture: Capture) -> None:
        self.archive.file(self.archive.keep(capture), None)


def sign_in_once(
    config: Config,
    archive: Archive,
    account: AccountConfig,
    *,
    headed: bool,
    tell: Callable[[Task, str], None],
    ask: Callable[[Task, int], str] | None,
) -> None:
    """What a person asked for with `archiver login`: forget earlier refusals, sign in now, keep the new session.

    What only they may answer they are asked for: in the browser's window where it is `headed`; a code by `ask` where
    there is a terminal; else on the hand-over page, whose link `tell` gets. Raises what the door raises.
    """
    asked = partial(halted, archive, account.name, lambda: None)
    stopped = asked()
    if stopped is not None:
        raise stopped
    archive.vault.clear_refusals(account.name)
    report = Report(new_run(datetime.now(UTC)), {})
    person = _person(config, archive, headed=headed, tell=tell, ask=ask)
    with _Door(config, archive, account, report, asked, headed=headed, person=person).enter(as_stranger=True):
        pass


def waiting(vault: Vault, account: str) -> HandOver | None:
    """Where a run of this account waits for a person, if one does. What a killed run left behind has run out."""
    found = vault.hand_over(account)
    return found if found is not None and found.until > datetime.now(UTC) else None


def _person(
    config: Config,
    archive: Archive,
    *,
    headed: bool,
    tell: Callable[[Task, str], None],
    ask: Callable[[Task, int], str] | None,
) -> Person:
    from archiver.portal.hand_over.desk import Terminal, Window
    from archiver.portal.hand_over.page import Address, HandOverPage

    if headed:
        return Window(lambda task: tell(task, ""))
    there = config.handover or HandoverConfig()
    page = HandOverPage(
        Address(there.host, there.port, there.url), partial(_tell_of_page, archive, tell), partial(_page_left, archive)
    )
    return page if ask is None else Terminal(site_map(config).fills, ask, page)


def _awaited(config: Config, archive: Archive, turn: Lock) -> Person | None:
    """Who is waited for in a run; None without a page for them: nobody comes, and the run ends at what only a person
    may answer.
    """
    from archiver.portal.person import InTurn

    if config.handover is None:
        return None
    return InTurn(_person(config, archive, headed=False, tell=_log_task, ask=None), turn)


def _tell_of_page(archive: Archive, tell: Callable[[Task, str], None], task: Task, link: str) -> None:
    if link:
        archive.vault.put_hand_over(task.account, HandOver(link, task.until))
    tell(task, link)


def _page_left(archive: Archive, account: str) -> None:
    archive.vault.put_hand_over(account, None)


def _log_task(task: Task, link: str) -> None:
    # The link is a secret while it lasts, and a log is for everyone who looks after the machine.
    get_logger().warning(
        "a person is needed",
        account=task.account,
        what=task.what,
        until=task.until.isoformat(timespec="seconds"),
        next=f"Run `archiver login {task.account} --link` and open what it prints.",
    )


@dataclass(frozen=True, slots=True)
class Checked:
    """What `archiver account check` found. `barred` is why no run signs in, if so.

    `ahead_s` is how far the site's clock is ahead of ours, known to within `doubt_s`; None where it was not asked.
    `code` is the one-time code of this moment by that clock, and lasts for `left_s`.
    """

    barred: ArchiverError | None
    ahead_s: float | None
    doubt_s: float
    code: str = field(repr=False)
    left_s: float
    session: bool
    accepted_at: datetime | None
    """When the site last took a credential of this account."""
    merchants: Mapping[str, str]
    """The merchant id that was proven in each configured marketplace; empty where none was yet."""

    @property
    def clock_is_right(self) -> bool:
        return self.ahead_s is None or abs(self.ahead_s) <= CLOCK_TOLERANCE_S


def check_account(config: Config, archive: Archive, account: AccountConfig, *, offline: bool) -> Checked:
    """Prove what a sign-in needs, and sign in nowhere: the site is asked for one page, and for none where `offline`.

    Raises UsageError where no sign-in is kept or its TOTP secret is none; AccessStopped; what reaching the site raises.
    """
    from archiver.portal import totp

    kept = archive.vault.sign_in(account.name)
    check_totp_secret(kept.totp_secret)
    ahead_s, doubt_s = None, 0.0
    if not offline:
        asked = partial(halted, archive, account.name, lambda: None)
        report = Report(new_run(datetime.now(UTC)), {})
        with _Door(config, archive, account, report, asked).approach() as portal:
            clock = portal.site_clock()
        if clock.is_known:
            ahead_s, doubt_s = clock.ahead_s, (clock.most_s - clock.least_s) / 2
    now_s = time.time() + (ahead_s or 0.0)
    vault = archive.vault
    return Checked(
        barred=VaultMemory(archive, account.name).barred(),
        ahead_s=ahead_s,
        doubt_s=doubt_s,
        code=totp.code(kept.totp_secret, totp.step_at(now_s)),
        left_s=totp.STEP_S - now_s % totp.STEP_S,
        session=vault.session(account.name) is not None,
        accepted_at=max((a.at for a in vault.attempts(account.name) if a.outcome == "accepted"), default=None),
        merchants={marketplace: vault.merchant(account.name, marketplace) for marketplace in account.marketplaces},
    )


def is_loopback(site: str) -> bool:
    """Whether the site runs on this machine: the stand-in, or someone's own test site."""
    host = urlsplit(site).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name, and whoever owns it says where it leads
        return False


def runs_without_sandbox() -> bool:
    """Whether a browser started by this process would have to do without its sandbox: as root."""
    return os.geteuid() == 0


def _run_record(report: Report, started_at: datetime, finished_at: datetime) -> bytes:
    record = {
        "run": report.run,
        "started_at": started_at.isoformat(),
        "finished_at": finished_at.isoformat(),
        "exit": int(report.exit),
        "archiver": __version__,
        "failures": {
            name: outcome.failure.message for name, outcome in report.outcomes.items() if outcome.failure is not None
        },
        "coverages": [c.to_json() for outcome in report.outcomes.values() for c in outcome.coverages],
        "traffic": report.traffic,
    }
    return json.dumps(record, ensure_ascii=False, sort_keys=True).encode()
