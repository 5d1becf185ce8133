"""What is secret and not derived: seal keys, sign-ins, sessions, refusals, the kill switch, the head of the chain.

Small enough to copy every night. Every method is one durable transaction. Nothing here ever prints a secret.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from archiver.archive.disk import Database, Row, damaged
from archiver.archive.seal import new_key
from archiver.errors import UsageError

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # A key that is NULL was erased; the row stays, so that no new key is ever made for the same holder.
    "CREATE TABLE IF NOT EXISTS seal_key (holder TEXT PRIMARY KEY, key BLOB, erased_at TEXT) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, "
    "hash BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS volume (first_seq INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, "
    "sealed INTEGER NOT NULL DEFAULT 0)",
    "CREATE TABLE IF NOT EXISTS account (name TEXT PRIMARY KEY, email TEXT NOT NULL, password TEXT NOT NULL, "
    "totp_secret TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS hand_over (account TEXT PRIMARY KEY, link TEXT NOT NULL, until TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS proxy_sign_in (account TEXT PRIMARY KEY, username TEXT NOT NULL, "
    "password TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS session (account TEXT PRIMARY KEY, state BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS attempt (id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, "
    "credential TEXT NOT NULL, at TEXT NOT NULL, outcome TEXT NOT NULL DEFAULT '', why TEXT NOT NULL DEFAULT '')",
    "CREATE INDEX IF NOT EXISTS attempt_of_account ON attempt (account, credential)",
    "CREATE TABLE IF NOT EXISTS totp_step (account TEXT PRIMARY KEY, step INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS merchant (account TEXT NOT NULL, marketplace TEXT NOT NULL, merchant TEXT NOT NULL, "
    "PRIMARY KEY (account, marketplace)) WITHOUT ROWID",
    # `hour` counts from 1970.
    "CREATE TABLE IF NOT EXISTS request_count (account TEXT NOT NULL, hour INTEGER NOT NULL, number INTEGER NOT NULL, "
    "PRIMARY KEY (account, hour)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS access_stop (account TEXT PRIMARY KEY, reason TEXT NOT NULL, at TEXT NOT NULL)",
)

FORMAT = "1"
_EVERYONE = ""
_ATTEMPTS_KEPT = 1000


@dataclass(frozen=True, slots=True)
class SignIn:
    """How to sign in to one account. `totp_secret` is base 32, or empty where the account has none."""

    name: str
    email: str
    password: str = field(repr=False)
    totp_secret: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True)
class ProxySignIn:
    """What the proxy of one account is told."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A credential was submitted. `outcome` is empty while the answer is unknown, else `accepted` or `refused`."""

    account: str
    credential: str
    at: datetime
    outcome: str
    why: str


@dataclass(frozen=True, slots=True)
class HandOver:
    """A run waits for a person, until then. The link lets one browser in: it is a secret while it lasts."""

    link: str = field(repr=False)
    until: datetime


@dataclass(frozen=True, slots=True)
class Volume:
    """One file of captures, by its path below the archive, and the number of its first capture."""

    name: str
    first_seq: int
    sealed: bool


class Vault:
    """The open vault. Raises what `disk.Database` raises."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    def made(cls, database: Database, archive: str, genesis: bytes) -> Vault:
        """An empty vault in an empty database. Harmless on one that was half made."""
        with database.transaction():
            for statement in _SCHEMA:
                database.run(statement)
            database.run("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (FORMAT,))
            database.run("INSERT OR IGNORE INTO meta VALUES ('archive', ?)", (archive,))
            database.run("INSERT OR IGNORE INTO head VALUES (1, 0, ?)", (genesis,))
        return cls(database)

    def complete(self) -> None:
        """Add what this version keeps and an earlier one did not."""
        with self.database.transaction():
            for statement in _SCHEMA:
                self.database.run(statement)

    def check(self, archive: str) -> None:
        """Raises ArchiveDamaged when this is the vault of another archive, UsageError when of another version."""
        meta: dict[str, str] = dict(self.database.rows("SELECT key, value FROM meta"))
        if meta.get("archive") != archive:
            raise damaged(self.database.path, "it belongs to another archive than keyring.json")
        if meta.get("format") != FORMAT:
            raise UsageError(
                f"{self.database.path} has format {meta.get('format')}; this version reads format {FORMAT}.",
                hint="Install the version of archiver that wrote it, or a newer one.",
            )

    def close(self) -> None:
        self.database.close()

    # --- seal keys and the chain -------------------------------------------------------------------------------

    def seal_key(self, holder: str) -> bytes:
        """The key of this holder (a thread id or a capture id), made durably at first asking.

        Raises UsageError where it was erased: what was erased is not captured again under the same id.
        """
        row = self.database.row("SELECT key FROM seal_key WHERE holder = ?", (holder,))
        if row is None:
            key = new_key()
            with self.database.transaction():
                self.database.run("INSERT INTO seal_key (holder, key) VALUES (?, ?)", (holder, key))
            return key
        if row[0] is None:
            raise _erased(holder)
        return bytes(row[0])

    def held_key(self, holder: str) -> bytes | None:
        """The key of this holder, or None where it was erased. Raises ArchiveDamaged where there never was one."""
        row = self.database.row("SELECT key FROM seal_key WHERE holder = ?", (holder,))
        if row is None:
            raise damaged(self.database.path, f"the key of {holder} is missing")
        return None if row[0] is None else bytes(row[0])

    def head(self) -> tuple[int, bytes]:
        """Number and hash of the last capture whose keeping was acknowledged; 0 and the genesis hash before any."""
        row = self.database.row("SELECT seq, hash FROM head")
        if row is None:
            raise damaged(self.database.path, "the head of the chain is missing")
        return int(row[0]), bytes(row[1])

    def put_head(self, seq: int, digest: bytes) -> None:
        """Say that the chain has come this far."""
        with self.database.transaction():
            self.database.run("UPDATE head SET seq = ?, hash = ?", (seq, digest))

    def volumes(self) -> tuple[Volume, ...]:
        """Every volume, in the order of the chain."""
        rows = self.database.rows("SELECT name, first_seq, sealed FROM volume ORDER BY first_seq")
        return tuple(Volume(name, first_seq, bool(sealed)) for name, first_seq, sealed in rows)

    def put_volume(self, volume: Volume) -> None:
        """Enter a volume, or that it is sealed. One that never got a capture gives way to the next."""
        with self.database.transaction():
            self.database.run("DELETE FROM volume WHERE first_seq = ?", (volume.first_seq,))
            self.database.run(
                "INSERT INTO volume (first_seq, name, sealed) VALUES (?, ?, ?)",
                (volume.first_seq, volume.name, int(volume.sealed)),
            )

    # --- sign-ins ----------------------------------------------------------------------------------------------

    def add_account(self, sign_in: SignIn) -> None:
        """Keep a sign-in, in place of an earlier one of this name. Earlier refusals were of other credentials."""
        with self.database.transaction():
            self.database.run(
                "INSERT OR REPLACE INTO account (name, email, password, totp_secret) VALUES (?, ?, ?, ?)",
                (sign_in.name, sign_in.email, sign_in.password, sign_in.totp_secret),
            )
            self.database.run("DELETE FROM session WHERE account = ?", (sign_in.name,))
            self.database.run("DELETE FROM merchant WHERE account = ?", (sign_in.name,))
            self.database.run("DELETE FROM totp_step WHERE account = ?", (sign_in.name,))
            self._forget_attempts(sign_in.name)

    def sign_in(self, name: str) -> SignIn:
        """Raises UsageError where there is none of this name."""
        row = self.database.row("SELECT name, email, password, totp_secret FROM account WHERE name = ?", (name,))
        if row is None:
            raise _no_account(name)
        return SignIn(*row)

    def accounts(self) -> tuple[SignIn, ...]:
        """Every sign-in, by name."""
        rows = self.database.rows("SELECT name, email, password, totp_secret FROM account ORDER BY name")
        return tuple(SignIn(*row) for row in rows)

    def remove_account(self, name: str) -> None:
        """Forget a sign-in, its session and its attempts. What was captured stays. Raises UsageError for no such."""
        with self.database.transaction():
            if not self.database.run("DELETE FROM account WHERE name = ?", (name,)):
                raise _no_account(name)
            self.database.run("DELETE FROM session WHERE account = ?", (name,))
            self.database.run("DELETE FROM totp_step WHERE account = ?", (name,))
            self.database.run("DELETE FROM proxy_sign_in WHERE account = ?", (name,))
            self.database.run("DELETE FROM hand_over WHERE account = ?", (name,))
            self._forget_attempts(name)

    def proxy_sign_in(self, account: str) -> ProxySignIn | None:
        """What this account's proxy is told; None where it wants nothing."""
        row = self.database.row("SELECT username, password FROM proxy_sign_in WHERE account = ?", (account,))
        return None if row is None else ProxySignIn(*row)

    def put_proxy_sign_in(self, account: str, sign_in: ProxySignIn | None) -> None:
        """Keep it in place of an earlier one; None forgets it."""
        with self.database.transaction():
            self.database.run("DELETE FROM proxy_sign_in WHERE account = ?", (account,))
            if sign_in is not None:
                self.database.run(
                    "INSERT INTO proxy_sign_in (account, username, password) VALUES (?, ?, ?)",
                    (account, sign_in.username, sign_in.password),
                )

    def session(self, account: str) -> bytes | None:
        """The browser's state after the last sign-in, as it was put."""
        state = self.database.value("SELECT state FROM session WHERE account = ?", (account,))
        return None if state is None else bytes(state)

    def put_session(self, account: str, state: bytes) -> None:
        with self.database.transaction():
            self.database.run("INSERT OR REPLACE INTO session (account, state) VALUES (?, ?)", (account, state))

    def clear_session(self, account: str) -> None:
        with self.database.transaction():
            self.database.run("DELETE FROM session WHERE account = ?", (account,))

    def hand_over(self, account: str) -> HandOver | None:
        """Where a run waits for a person now, or None."""
        row = self.database.row("SELECT link, until FROM hand_over WHERE account = ?", (account,))
        return None if row is None else HandOver(row[0], datetime.fromisoformat(row[1]))

    def put_hand_over(self, account: str, waiting: HandOver | None) -> None:
        """Say where a run waits; None says that it does no more."""
        with self.database.transaction():
            self.database.run("DELETE FROM hand_over WHERE account = ?", (account,))
            if waiting is not None:
                self.database.run(
                    "INSERT INTO hand_over (account, link, until) VALUES (?, ?, ?)",
                    (account, waiting.link, waiting.until.isoformat()),
                )

    # --- attempts ----------------------------------------------------------------------------------------------

    def record_attempt(self, account: str, credential: str) -> None:
        """Write down that a credential is about to be submitted. Must come before it is."""
        with self.database.transaction():
            self.database.run(
                "INSERT INTO attempt (account, credential, at) VALUES (?, ?, ?)", (account, credential, _now())
            )
            self.database.run(
                "DELETE FROM attempt WHERE account = ? AND outcome = 'accepted' AND id <= "
                "(SELECT max(id) FROM attempt) - ?",
                (account, _ATTEMPTS_KEPT),
            )

    def settle(self, account: str, credential: str, outcome: str, why: str = "") -> None:
        """Write down how the attempts of this credential that had no answer yet came out."""
        with self.database.transaction():
            self.database.run(
                "UPDATE attempt SET outcome = ?, why = ? WHERE account = ? AND credential = ? AND outcome = ''",
                (outcome, why, account, credential),
            )

    def refuse(self, account: str, credential: str, why: str) -> None:
        """Write down a refusal: of the attempts of this credential that had no answer yet, or on its own."""
        with self.database.transaction():
            settled = self.database.run(
                "UPDATE attempt SET outcome = 'refused', why = ? WHERE account = ? AND credential = ? AND outcome = ''",
                (why, account, credential),
            )
            if not settled:
                self.database.run(
                    "INSERT INTO attempt (account, credential, at, outcome, why) VALUES (?, ?, ?, 'refused', ?)",
                    (account, credential, _now(), why),
                )

    def unsettled(self, account: str, credential: str) -> int:
        """How many submissions of this credential nobody saw the answer to."""
        return int(
            self.database.value(
                "SELECT count(*) FROM attempt WHERE account = ? AND credential = ? AND outcome = ''",
                (account, credential),
            )
        )

    def attempts(self, account: str) -> tuple[Attempt, ...]:
        """Every attempt that is remembered, oldest first, those without an answer too."""
        return self._attempts(
            "SELECT account, credential, at, outcome, why FROM attempt WHERE account = ? ORDER BY id", account
        )

    def refusals(self, account: str) -> tuple[Attempt, ...]:
        """The refusals nobody has cleared yet, oldest first."""
        return self._attempts(
            "SELECT account, credential, at, outcome, why FROM attempt WHERE account = ? AND outcome = 'refused' "
            "ORDER BY id",
            account,
        )

    def _attempts(self, sql: str, account: str) -> tuple[Attempt, ...]:
        return tuple(
            Attempt(name, credential, datetime.fromisoformat(at), outcome, why)
            for name, credential, at, outcome, why in self.database.rows(sql, (account,))
        )

    def clear_refusals(self, account: str) -> None:
        """A person has said that it may be tried again: forget refusals, and attempts without an answer."""
        with self.database.transaction():
            self._forget_attempts(account)

    def _forget_attempts(self, account: str) -> None:
        self.database.run("DELETE FROM attempt WHERE account = ? AND outcome <> 'accepted'", (account,))

    def totp_step(self, account: str) -> int:
        """The last 30-second step whose code was used; 0 before any."""
        return int(self.database.value("SELECT step FROM totp_step WHERE account = ?", (account,)) or 0)

    def put_totp_step(self, account: str, step: int) -> None:
        """A step, once used, stays used: the number never goes down."""
        with self.database.transaction():
            self.database.run(
                "INSERT INTO totp_step (account, step) VALUES (?, ?) "
                "ON CONFLICT (account) DO UPDATE SET step = max(step, excluded.step)",
                (account, step),
            )

    # --- whose it is -------------------------------------------------------------------------------------------

    def merchant(self, account: str, marketplace: str) -> str:
        """The merchant id that was proven first; empty before."""
        row = self.database.row(
            "SELECT merchant FROM merchant WHERE account = ? AND marketplace = ?", (account, marketplace)
        )
        return "" if row is None else str(row[0])

    def put_merchant(self, account: str, marketplace: str, merchant: str) -> None:
        """Keep the first proof; a later one changes nothing until the sign-in is given anew."""
        with self.database.transaction():
            self.database.run("INSERT OR IGNORE INTO merchant VALUES (?, ?, ?)", (account, marketplace, merchant))

    # --- the budget --------------------------------------------------------------------------------------------

    def count_requests(self, account: str, number: int) -> None:
        """Add to the requests of this hour; what is older than a week is forgotten."""
        hour = _hour()
        with self.database.transaction():
            self.database.run(
                "INSERT INTO request_count (account, hour, number) VALUES (?, ?, ?) "
                "ON CONFLICT (account, hour) DO UPDATE SET number = number + excluded.number",
                (account, hour, number),
            )
            self.database.run("DELETE FROM request_count WHERE hour < ?", (hour - 7 * 24,))

    def requests_of_last_hours(self, account: str, hours: int) -> int:
        """How many were sent in this hour of the clock and the `hours` - 1 before it."""
        row = self.database.row(
            "SELECT coalesce(sum(number), 0) FROM request_count WHERE account = ? AND hour > ?",
            (account, _hour() - hours),
        )
        return 0 if row is None else int(row[0])

    # --- the kill switch ---------------------------------------------------------------------------------------

    def stop_access(self, account: str | None, reason: str) -> None:
        """Stop every access to the site for one account, or for all (None)."""
        with self.database.transaction():
            self.database.run(
                "INSERT OR REPLACE INTO access_stop (account, reason, at) VALUES (?, ?, ?)",
                (account or _EVERYONE, reason, _now()),
            )

    def allow_access(self, account: str | None = None) -> None:
        """Release one account's stop; None releases every stop there is."""
        with self.database.transaction():
            if account is None:
                self.database.run("DELETE FROM access_stop")
            else:
                self.database.run("DELETE FROM access_stop WHERE account = ?", (account,))

    def access_stopped(self, account: str | None = None) -> str | None:
        """Why access is stopped for this account, by its own stop or by the one for all; None: it is not."""
        row: Row | None = self.database.row(
            "SELECT reason FROM access_stop WHERE account IN (?, ?) ORDER BY account", (account or _EVERYONE, _EVERYONE)
        )
        return None if row is None else str(row[0])


def _hour() -> int:
    return int(datetime.now(UTC).timestamp() // 3600)


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _erased(holder: str) -> UsageError:
    return UsageError(
        f"{holder} was erased from this archive.", hint="What was erased cannot be read again; its record stays."
    )


def _no_account(name: str) -> UsageError:
    return UsageError(
        f"There is no sign-in for the account {name}.", hint=f"Add it with `archiver account add {name} --email E`."
    )
