"""The archive's door: keep first, file second, and find again. Opens the rooms and decides nothing itself.

One writer at a time, held off by a lock; readers beside it see what was whole when they looked. A reader opens only
what it asks for: a search touches the keyring and the index.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType

from archiver.archive import keyring, ledger, search, verify
from archiver.archive.captures import FOLDER, Captures, Entry, genesis
from archiver.archive.disk import INDEX, Database, IndexDamaged, Lock, damaged, guarded, make_directory, sync_directory
from archiver.archive.index import CaptureInfo, Index, StoredMessage, StoredThread
from archiver.archive.keyring import ArchiveKey, Unlock
from archiver.archive.vault import Vault
from archiver.errors import UsageError
from archiver.model import Artifact, Capture, Hit, Kind, Known, Scope, Thread, Unread
from archiver.query import Query
from archiver.response import Exchange
from archiver.timeline import Look

Read = Callable[[Capture], Thread | Unread]

_KEYRING, _VAULT, _LOCK = "keyring.json", "vault.db", "lock"
_UNFINISHED = "vault.db.new"
_FILED_AT_ONCE = 100
_MOST_UNFILED = 16


class Archive:
    """An open archive; a context manager. Every method raises ArchiveDamaged, DiskFailed or ArchiveHeld besides what
    it names; a method that raised has changed nothing that was stored.

    A writer may be used by several threads, which keep and file in turns.
    """

    def __init__(self, path: Path, key: ArchiveKey, lock: Lock | None) -> None:
        """For `create` and `open`."""
        self.path = path
        self._key = key
        self._lock = lock
        self._vault: Vault | None = None
        self._captures: Captures | None = None
        self._index: Index | None = None
        self._kept: dict[str, Capture] = {}
        """What was kept and is not filed yet: it need not be opened again to be filed."""
        self._turn = threading.RLock()

    # --- made, opened, closed ----------------------------------------------------------------------------------

    @classmethod
    def create(cls, path: Path, unlocks: Sequence[Unlock]) -> Archive:
        """Make an archive, open for writing. A KeyFile that does not exist yet is made, too.

        Raises UsageError where there is an archive, or part of one, already; nothing is ever overwritten.
        """
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path} is not a directory.", hint="Name another path for the archive.")
        _refuse_existing(path)
        with guarded(path):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
        lock = Lock(path / _LOCK)
        try:
            _refuse_existing(path)
            with guarded(path):
                for left_over in path.glob(_UNFINISHED + "*"):
                    left_over.unlink()
            make_directory(path / FOLDER)
            # The keyring is what makes it an archive. Killed before it is written, this leaves nothing that holds
            # anything; killed after, `open` gives the vault its name.
            key = keyring.create(path / (_KEYRING + ".part"), unlocks)
            database = Database(path / _UNFINISHED, key.derived(_VAULT), write=True, secure_delete=True)
            Vault.made(database, key.archive, genesis(key.archive))
            database.settle()
            database.close()
            with guarded(path):
                (path / (_KEYRING + ".part")).rename(path / _KEYRING)
                sync_directory(path)
            archive = cls(path, key, lock)
            archive._prepare()
        except BaseException:
            lock.close()
            raise
        return archive

    @classmethod
    def open(cls, path: Path, unlock: Unlock, *, write: bool) -> Archive:
        """Open an archive. A writer takes the lock, and takes in what a killed one left behind.

        Raises UsageError (no archive there; the key file is missing or others may read it), WrongKey, ArchiveHeld
        (writing, while another writes).
        """
        key = keyring.open_keyring(path / _KEYRING, unlock)
        if not write:
            return cls(path, key, None)
        archive = cls(path, key, Lock(path / _LOCK))
        try:
            archive._prepare()
        except BaseException:
            archive.close()
            raise
        return archive

    @classmethod
    @contextmanager
    def vault_alone(cls, path: Path, unlock: Unlock) -> Iterator[Vault]:
        """The vault, to write, without the lock: the kill switch must not wait for the run it is to stop.

        Raises what `open` raises, but ArchiveHeld.
        """
        key = keyring.open_keyring(path / _KEYRING, unlock)
        if not (path / _VAULT).is_file():
            raise damaged(path / _VAULT, "it is missing")
        vault = Vault(Database(path / _VAULT, key.derived(_VAULT), write=True, secure_delete=True))
        try:
            vault.check(key.archive)
            yield vault
        finally:
            vault.close()

    def _prepare(self) -> None:
        """What a writer sees to before anything else."""
        unfinished = self.path / _UNFINISHED
        if unfinished.is_file() and not (self.path / _VAULT).exists():
            with guarded(unfinished):
                unfinished.rename(self.path / _VAULT)
                sync_directory(self.path)
        if not (self.path / _VAULT).is_file():
            raise damaged(self.path / _VAULT, "it is missing")
        make_directory(self.path / FOLDER)
        self.vault.complete()
        self._chain().settle_head()
        # A damaged index stops nobody from capturing: `file_unfiled` computes it again.
        with suppress(IndexDamaged):
            self._filed()

    def close(self) -> None:
        """Close every file, and give the lock back."""
        try:
            for room in (self._captures, self._index, self._vault):
                if room is not None:
                    room.close()
        finally:
            self._captures = self._index = self._vault = None
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- rooms, opened when they are asked for -----------------------------------------------------------------

    @property
    def vault(self) -> Vault:
        """Sign-ins, sessions, refusals, the kill switch."""
        if self._vault is None:
            database = Database(
                self.path / _VAULT, self._key.derived(_VAULT), write=self._lock is not None, secure_delete=True
            )
            vault = Vault(database)
            try:
                vault.check(self._key.archive)
            except BaseException:
                vault.close()
                raise
            self._vault = vault
        return self._vault

    def _chain(self) -> Captures:
        if self._captures is None:
            captures = Captures(self.path, self._key, self.vault, write=self._lock is not None)
            if self._lock is None:
                captures.settle_head()
            self._captures = captures
        return self._captures

    def _filed(self) -> Index:
        if self._index is None:
            write = self._lock is not None
            database = Database(
                self.path / INDEX,
                self._key.derived(INDEX),
                write=write,
                synchronous="NORMAL",
                secure_delete=True,
            )
            index = Index(database)
            try:
                if not index.fits():
                    if not write:
                        raise IndexDamaged(
                            f"{database.path} is not ready.", hint="Run `archiver reindex`; nothing is lost with it."
                        )
                    with database.transaction():
                        index.make()
            except BaseException:
                index.close()
                raise
            self._index = index
        return self._index

    # --- keeping and filing ------------------------------------------------------------------------------------

    def known(self, scope: Scope) -> Known:
        """What of this scope is kept and need not be captured again."""
        with self._turn:
            return self._filed().known(scope)

    def keep(self, capture: Capture) -> str:
        """Keep a capture, whole; its id. Durable when this returns."""
        with self._turn:
            name = self._writable().keep(capture)
            self._kept[name] = capture
            if len(self._kept) > _MOST_UNFILED:
                self._kept.pop(next(iter(self._kept)))
            return name

    def file(self, capture_id: str, reading: Thread | Unread | None) -> None:
        """Enter what was read from a capture into the index; None for a capture that is of no thread.

        Captures of one thread are filed in the order they were kept; ValueError otherwise. Raises UsageError for an
        unknown id.
        """
        with self._turn:
            chain = self._writable()
            capture = self._kept.pop(capture_id, None) or chain.read(capture_id)
            index = self._filed()
            with index.database.transaction():
                index.file(chain.entry(capture_id), capture, reading)

    def file_unfiled(self, read: Read) -> int:
        """File every capture that is kept and not in the index, reading threads with `read`; how many there were.

        A missing or damaged index is computed again, whole.
        """
        try:
            chain, index = self._writable(), self._filed()
            filed, last = index.filed_range()
            if filed == last == self.vault.head()[0]:
                return 0
            seqs = index.filed_seqs()
            entries = (entry for _, entry in chain.entries() if entry.seq not in seqs)
            count = 0
            while batch := list(islice(entries, _FILED_AT_ONCE)):
                with index.database.transaction():
                    count += self._file_each(index, batch, read)
        except IndexDamaged:
            return self.rebuild(read)
        return count

    def rebuild(self, read: Read) -> int:
        """Compute the index again from every capture; how many were read.

        One transaction: killed or failed at any moment, the old index stands; readers see the old one until the new
        one is whole.
        """
        chain = self._writable()
        try:
            index = self._filed()
            with index.database.transaction():
                index.make()
                count = self._file_each(index, (entry for _, entry in chain.entries()), read)
        except IndexDamaged:
            self._drop_index()
            index = self._filed()
            with index.database.transaction():
                index.make()
                count = self._file_each(index, (entry for _, entry in chain.entries()), read)
        return count

    def _file_each(self, index: Index, entries: Iterable[Entry], read: Read) -> int:
        count = 0
        for entry in entries:
            capture = None if self.vault.held_key(entry.holder) is None else self._chain().read(entry.id)
            reading = read(capture) if capture is not None and entry.kind is Kind.THREAD else None
            index.file(entry, capture, reading)
            count += 1
        return count

    def _drop_index(self) -> None:
        if self._index is not None:
            self._index.close()
            self._index = None
        with guarded(self.path / INDEX):
            for suffix in ("-wal", "-shm", ""):
                (self.path / (INDEX + suffix)).unlink(missing_ok=True)

    def enter(self, record: bytes, requests: bytes = b"") -> None:
        """Keep the record of a run (JSON, see `ledger`) in the chain, and file it; with it, every request it sent, as
        JSON lines."""
        said = json.loads(record)
        capture = Capture(
            scope=Scope(""),
            kind=Kind.RUN,
            taken_at=datetime.now(UTC),
            url="",
            artifacts=(
                Artifact("json/0", "application/json", record),
                *((Artifact("requests", "application/x-ndjson", requests),) if requests else ()),
            ),
            run=said["run"],
        )
        self.file(self.keep(capture), None)

    def seal_volume(self) -> None:
        """End today's volume, so that a backup may copy it once; the next capture begins another."""
        self._writable().seal_volume()

    def _writable(self) -> Captures:
        if self._lock is None:
            raise ValueError("the archive was opened for reading")
        return self._chain()

    # --- finding -----------------------------------------------------------------------------------------------

    def search(self, query: Query, *, limit: int | None = None) -> list[Hit]:
        """The messages that satisfy the query, newest first."""
        return search.search(self._filed().database, query, limit=limit)

    def count(self, query: Query) -> int:
        """How many messages satisfy the query."""
        return search.count(self._filed().database, query)

    def thread(self, named: str) -> StoredThread:
        """The thread of this id, of the beginning of an id, or of this id of the site. Raises UsageError."""
        return self._filed().thread(named)

    def threads(self) -> Iterator[StoredThread]:
        """Every thread, in the order they were first captured."""
        index = self._filed()
        return (index.thread(name) for name in index.threads())

    def versions(self, thread: str) -> tuple[StoredMessage, ...]:
        """Every version of every message of a thread, by its id: messages oldest first, versions in order."""
        return self._filed().versions(thread)

    def captures(self, thread: str) -> list[CaptureInfo]:
        """The captures of a thread, by its id, in the order they were taken."""
        return list(self._filed().captures(thread))

    def read_capture(self, capture_id: str) -> Capture:
        """A capture as it was kept, byte for byte. Raises UsageError for an unknown or erased one."""
        return self._chain().read(capture_id)

    def artifact_names(self, capture_id: str) -> tuple[str, ...]:
        """What a capture holds, by name, without opening the rest; nothing of an erased one. Raises UsageError."""
        chain = self._chain()
        header = chain.header(chain.entry(capture_id))
        return () if header is None else tuple(str(said["name"]) for said in header["artifacts"])

    def status(self) -> tuple[ledger.ScopeStatus, ...]:
        """What is held of every scope, and how its last runs went."""
        return ledger.status(self._filed().database)

    def looks(self) -> dict[Scope, tuple[Look, ...]]:
        """When each scope was looked at, and how well."""
        return ledger.looks(self._filed().database)

    def exchanges(self) -> list[Exchange]:
        """Every thread as an exchange of two sides: who began, when the other answered."""
        return list(ledger.exchanges(self._filed().database))

    def verify(self) -> verify.VerifyReport:
        """Look at every page, every link and every seal. Mends nothing; raises nothing for what it finds."""
        return verify.verify(self.path, self._key)


def _refuse_existing(path: Path) -> None:
    for name in (_KEYRING, _VAULT, INDEX):
        if (path / name).exists():
            raise UsageError(
                f"There is an archive in {path} already ({name}).", hint="Use it as it is, or name another path."
            )
    left_over = (_LOCK, _KEYRING + ".part", FOLDER)
    strange = [p.name for p in path.glob("*") if p.name not in left_over and not p.name.startswith(_UNFINISHED)]
    if strange:
        # Making an archive shuts its folder to everyone else, which a shared one would not outlive.
        raise UsageError(
            f"{path} holds other things already ({strange[0]}).",
            hint="Name an empty folder, or one that does not exist.",
        )
    if any((path / FOLDER).glob("*/*.db")):
        raise UsageError(
            f"There are captures in {path} already.",
            hint="Restore their keyring.json from a backup, or name another path.",
        )
