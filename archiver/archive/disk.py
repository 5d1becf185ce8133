"""One encrypted database file, one lock, one file replaced whole: every touch of the disk goes through here.

Decides nothing about what is stored. Whatever the disk, SQLite or SQLCipher raise leaves this file as one of our
errors, and a statement that raised has changed nothing.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlcipher3 import dbapi2 as sqlcipher

from archiver.errors import ArchiveDamaged, ArchiveHeld, ArchiverError, DiskFailed

Row = tuple[Any, ...]

BUSY_TIMEOUT_S = 10.0
_LOOKS_AGAIN = 5
_LOOKS_AGAIN_AFTER_S = 0.05
_DAMAGED = {"SQLITE_CORRUPT", "SQLITE_NOTADB"}
_HELD = {"SQLITE_BUSY", "SQLITE_LOCKED"}
_DISK = {"SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_NOMEM"}
# Malformed pages may also show as a schema that is not ours; nothing in this package asks for what it did not make.
_NOT_OURS = ("no such table", "no such column", "malformed")


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Turn what SQLite or the system says about `path` into ArchiveDamaged, ArchiveHeld or DiskFailed."""
    try:
        yield
    except sqlcipher.Error as error:
        raise _translated(error, path) from error
    except OSError as error:
        raise DiskFailed(
            f"{path} could not be read or written: {error.strerror or error}.",
            hint="Free space or repair the disk; what was stored before is untouched.",
        ) from error


def _translated(error: Any, path: Path) -> ArchiverError:
    name = getattr(error, "sqlite_errorname", None) or ""
    family = "_".join(name.split("_")[:2])
    if family in _HELD:
        return ArchiveHeld(
            f"{path} is held by another process.", hint="Wait for the other command to end, then try again."
        )
    if family in _DAMAGED or any(words in str(error) for words in _NOT_OURS):
        return damaged(path, str(error))
    if family in _DISK:
        return DiskFailed(
            f"{path} could not be read or written: {error}.",
            hint="Free space or repair the disk; what was stored before is untouched.",
        )
    raise error


class IndexDamaged(ArchiveDamaged):
    """The derived file is not what was written; it can be computed again."""


INDEX = "index.db"


def damaged(path: Path, what: str) -> ArchiveDamaged:
    """The error for a file that is not what was written."""
    if path.name == INDEX:
        return IndexDamaged(
            f"{path} is damaged: {what}.",
            hint="Run `archiver reindex`: this file is derived, and nothing is lost with it.",
        )
    return ArchiveDamaged(
        f"{path} is damaged: {what}.",
        hint="Run `archiver verify` to see what is affected, and restore the file from a backup.",
    )


class Database:
    """One SQLCipher file, open. Threads take turns, a whole `transaction` or `snapshot` each. Use the first to write.

    `key` is 32 raw bytes. `write=False` never changes the file, and works beside a writer, on a read-only disk too.
    Raises ArchiveDamaged for a file that is not ours or truncated, DiskFailed, ArchiveHeld; so does every method.
    """

    def __init__(
        self, path: Path, key: bytes, *, write: bool, synchronous: str = "FULL", secure_delete: bool = False
    ) -> None:
        self.path = path
        self._turn = threading.RLock()
        with guarded(path):
            if write:
                # Made here and not by SQLite, so that no moment of its life is readable to others; -wal and -shm
                # take the mode of the file.
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            elif not path.is_file():
                raise damaged(path, "it is missing")
            self.connection = sqlcipher.connect(
                _uri(path, write=write),
                uri=True,
                isolation_level=None,
                timeout=BUSY_TIMEOUT_S,
                check_same_thread=False,
            )
            try:
                execute = self.connection.execute
                execute("PRAGMA cipher_log_level = NONE")  # it would write to standard error
                execute(f"PRAGMA key = \"x'{key.hex()}'\"")
                execute("PRAGMA temp_store = MEMORY")
                execute("PRAGMA foreign_keys = ON")
                execute("SELECT count(*) FROM sqlite_master").fetchall()
                if write:
                    execute("PRAGMA journal_mode = WAL").fetchall()
                    execute("PRAGMA synchronous = FULL" if synchronous == "FULL" else "PRAGMA synchronous = NORMAL")
                    execute("PRAGMA secure_delete = ON" if secure_delete else "PRAGMA secure_delete = OFF").fetchall()
            except BaseException:
                self.connection.close()
                raise

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Every row of a statement's answer."""
        with self._turn, guarded(self.path):
            return self.connection.execute(sql, values).fetchall()  # type: ignore[no-any-return]

    def row(self, sql: str, values: Sequence[object] = ()) -> Row | None:
        """The first row, or None."""
        with self._turn, guarded(self.path):
            return self.connection.execute(sql, values).fetchone()  # type: ignore[no-any-return]

    def value(self, sql: str, values: Sequence[object] = ()) -> Any:
        """The first column of the first row, or None."""
        row = self.row(sql, values)
        return None if row is None else row[0]

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Execute one statement; how many rows it changed."""
        with self._turn, guarded(self.path):
            return self.connection.execute(sql, values).rowcount  # type: ignore[no-any-return]

    def run_many(self, sql: str, values: Sequence[Sequence[object]]) -> None:
        """Execute one statement for each sequence of values."""
        with self._turn, guarded(self.path):
            self.connection.executemany(sql, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing; durable on leaving where `synchronous` is FULL. Does not nest."""
        with self._turn, guarded(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                # SQLite has rolled back by itself where the disk failed.
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several reads that see the same moment, whatever a writer does meanwhile."""
        with self._turn, guarded(self.path):
            self.connection.execute("BEGIN")
            try:
                yield
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    def integrity(self) -> list[str]:
        """What SQLCipher (every page's HMAC) and SQLite (the structure) find wrong, as sentences; empty is good."""
        found = self._integrity_now()
        # SQLCipher reads the file itself, past the write-ahead log, and may meet a page that a writer's checkpoint
        # is just writing. Damage stays where it is; what is not found again was no damage.
        for _ in range(_LOOKS_AGAIN):
            if not found or not _has_log(self.path):
                break
            time.sleep(_LOOKS_AGAIN_AFTER_S)
            again = self._integrity_now()
            found = [what for what in found if what in again]
        return found

    def _integrity_now(self) -> list[str]:
        found: list[str] = []
        for check in ("PRAGMA cipher_integrity_check", "PRAGMA quick_check"):
            try:
                found += [row[0] for row in self.rows(check) if row[0] != "ok"]
            except ArchiveDamaged as error:
                found.append(error.message)
        return found

    def settle(self) -> None:
        """Fold the write-ahead log into the file and leave WAL mode, so that the file alone is everything."""
        self.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        self.rows("PRAGMA journal_mode = DELETE")

    def close(self) -> None:
        with guarded(self.path):
            self.connection.close()


def _uri(path: Path, *, write: bool) -> str:
    uri = f"file:{quote(str(path.absolute()))}?mode={'rw' if write else 'ro'}"
    if not write and not os.access(path.parent, os.W_OK) and not _has_log(path):
        # A database in WAL mode cannot be opened where its -shm cannot be made; nothing can write here either.
        uri += "&immutable=1"
    return uri


def _has_log(path: Path) -> bool:
    """Whether something stands in the write-ahead log; a reader alone leaves an empty one."""
    log = path.with_name(path.name + "-wal")
    return log.exists() and log.stat().st_size > 0


# --- files -----------------------------------------------------------------------------------------------------


class Lock:
    """The one writer's hold on an archive, given back when closed or when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        """Raises ArchiveHeld when someone has it, DiskFailed when the file cannot be made."""
        with guarded(path):
            self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            if not isinstance(error, BlockingIOError):
                raise DiskFailed(
                    f"{path} cannot be locked: {error.strerror}.", hint="Put the archive on a disk that supports flock."
                ) from error
            raise ArchiveHeld(
                f"Another process writes to the archive {path.parent}.",
                hint="Wait until it has ended; `archiver status` and `archiver search` work meanwhile.",
            ) from error

    def close(self) -> None:
        os.close(self._descriptor)


def make_directory(path: Path) -> None:
    """Make a directory of mode 0700, durably. Raises DiskFailed."""
    with guarded(path):
        if not path.is_dir():
            path.mkdir(mode=0o700)
            sync_directory(path.parent)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, mode 0600, durably. Raises DiskFailed; the old content is then untouched."""
    new = path.with_name(path.name + ".new")
    with guarded(path):
        try:
            descriptor = os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make a directory's entries durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
