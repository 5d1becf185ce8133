"""The truth: captures in volumes, append-only, chained, each kept whole or not at all.

A row of the chain says in the clear who, when and which kind; what was seen, and every name and URL of it, is in
sealed blobs: blob 0 is the header (JSON), the others are the artifacts in the header's order. The chain's hash is
SHA-256 over "archiver capture 1\\n" and this JSON, keys sorted, no spaces, ASCII:

    {"account", "blobs": [SHA-256 of each sealed blob, hex], "holder", "id", "kind", "marketplace",
     "prev": hash of the capture before, hex, "run", "seq", "source", "taken_at": ISO 8601 in UTC}

The first `prev` is SHA-256 of "archiver genesis 1\\n" and the archive's id. Numbers run from 1 without a gap, across
volumes. Erasing a thread's seal key leaves all of this in place and checkable.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from archiver.archive.disk import Database, Row, damaged, guarded, make_directory, sync_directory
from archiver.archive.keyring import ArchiveKey
from archiver.archive.seal import SealBroken, seal, unseal
from archiver.archive.vault import Vault, Volume
from archiver.errors import ArchiveDamaged, ArchiveHeld, UsageError
from archiver.model import Artifact, Capture, Kind, Scope, Source, thread_id

FOLDER = "captures"

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS capture (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, "
    "account TEXT NOT NULL, marketplace TEXT NOT NULL, source TEXT NOT NULL, holder TEXT NOT NULL, "
    "taken_at TEXT NOT NULL, run TEXT NOT NULL, prev BLOB NOT NULL, hash BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS sealed (seq INTEGER NOT NULL REFERENCES capture, place INTEGER NOT NULL, "
    "sha256 BLOB NOT NULL, blob BLOB NOT NULL, PRIMARY KEY (seq, place))",
)
_FORMAT = "1"
_ROW = "seq, id, kind, account, marketplace, source, holder, taken_at, run, prev, hash"

_NAME = re.compile(r"captures/[0-9]{4}/([0-9]{4}-[0-9]{2}-[0-9]{2})-([0-9]{2,})\.db")
_ID = re.compile(r"([1-9][0-9]{0,17})-[0-9a-f]{8}")
_PACKED_ALREADY = ("image/", "video/", "audio/", "application/zip", "application/gzip")
_MOST_OPEN = 8
"""Volumes open at a time for reading."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the chain: what can be known of a capture without its key. `holder` names the seal key."""

    seq: int
    id: str
    kind: Kind
    scope: Scope
    holder: str
    taken_at: datetime
    run: str
    prev: bytes
    hash: bytes


def genesis(archive: str) -> bytes:
    """What the first capture of an archive has for the hash of the one before it."""
    return hashlib.sha256(f"archiver genesis 1\n{archive}".encode()).digest()


def chain_hash(row: Row, blobs: list[bytes]) -> bytes:
    """The hash of a row (its columns in the order of the table, without `hash`) and its blobs' SHA-256, in order."""
    seq, name, kind, account, marketplace, source, holder, taken_at, run, prev = row
    said = {
        "account": account,
        "blobs": [blob.hex() for blob in blobs],
        "holder": holder,
        "id": name,
        "kind": kind,
        "marketplace": marketplace,
        "prev": prev.hex(),
        "run": run,
        "seq": seq,
        "source": source,
        "taken_at": taken_at,
    }
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(b"archiver capture 1\n" + canonical.encode()).digest()


def on_the_disk(root: Path) -> list[str]:
    """The volumes that are there, by their paths below the archive, known to the vault or not."""
    return [path.relative_to(root).as_posix() for path in sorted((root / FOLDER).glob("*/*.db"))]


class Captures:
    """The chain of an archive. Raises what `disk.Database` raises, and ArchiveDamaged where the chain is not whole."""

    def __init__(self, root: Path, key: ArchiveKey, vault: Vault, *, write: bool) -> None:
        self.root = root
        self._key = key
        self._vault = vault
        self._write = write
        self._open: dict[str, Database] = {}
        self._writing: tuple[Volume, Database] | None = None
        self._head: tuple[int, bytes] | None = None

    def close(self) -> None:
        for database in self._open.values():
            database.close()
        self._open.clear()
        if self._writing is not None:
            self._writing[1].close()
            self._writing = None

    # --- keeping -----------------------------------------------------------------------------------------------

    def keep(self, capture: Capture) -> str:
        """Append a capture; its id. It is durable, whole, when this returns; when this raises, it is not there."""
        seq, prev = self.settle_head() if self._head is None else self._head
        _, database = self._volume_for(capture.taken_at.astimezone(UTC).strftime("%Y-%m-%d"), seq + 1)
        name = f"{seq + 1}-{secrets.token_hex(4)}"
        scope = capture.scope
        holder = thread_id(scope, capture.site_thread) if capture.kind is Kind.THREAD else name
        # The key first, durably: a capture without a key would be kept and lost.
        blobs = _sealed(capture, self._vault.seal_key(holder), name)
        digests = [hashlib.sha256(blob).digest() for blob in blobs]
        row = (
            seq + 1,
            name,
            str(capture.kind),
            scope.account,
            scope.marketplace,
            str(scope.source or ""),
            holder,
            capture.taken_at.astimezone(UTC).isoformat(),
            capture.run,
            prev,
        )
        digest = chain_hash(row, digests)
        # Until the vault's head says so, what the volume holds after a failure is for settle_head to find out.
        self._head = None
        with database.transaction():
            database.run(f"INSERT INTO capture ({_ROW}) VALUES (?,?,?,?,?,?,?,?,?,?,?)", (*row, digest))  # noqa: S608
            database.run_many(
                "INSERT INTO sealed (seq, place, sha256, blob) VALUES (?,?,?,?)",
                [
                    (seq + 1, place, sha256, blob)
                    for place, (sha256, blob) in enumerate(zip(digests, blobs, strict=True))
                ],
            )
        self._vault.put_head(seq + 1, digest)
        self._head = (seq + 1, digest)
        return name

    def settle_head(self) -> tuple[int, bytes]:
        """The head of the chain after checking it against the last volume.

        A capture that a killed writer committed and did not acknowledge is taken in (writing only). Raises
        ArchiveDamaged where a volume is missing, ends before the head (truncated) or continues another chain.
        """
        # The files first: a volume is in the vault before it is on the disk.
        on_disk = on_the_disk(self.root)
        with self._vault.database.snapshot():
            seq, digest = self._vault.head()
            volumes = self._vault.volumes()
        strangers = set(on_disk) - {volume.name for volume in volumes}
        if strangers:
            raise damaged(
                self._vault.database.path,
                f"it does not know {min(strangers)}; it is older than the captures, or they are of another archive",
            )
        for volume in volumes[:-1]:
            if not (self.root / volume.name).is_file():
                raise damaged(self.root / volume.name, "it is missing")
            if self._write and not volume.sealed:
                self._seal(volume, Database(self.root / volume.name, self._key.derived(volume.name), write=True))
        if volumes:
            seq, digest = self._followed(volumes[-1], seq, digest)
        elif seq:
            raise damaged(self._vault.database.path, f"it counts {seq} captures and names no file for them")
        self._head = (seq, digest)
        return seq, digest

    def _followed(self, volume: Volume, seq: int, digest: bytes) -> tuple[int, bytes]:
        path = self.root / volume.name
        if volume.first_seq > seq and not self.begun(volume):
            return seq, digest
        if not path.is_file():
            raise damaged(path, "it is missing")
        database = self._reading(volume)
        rows = database.rows(f"SELECT {_ROW} FROM capture WHERE seq >= ? ORDER BY seq", (seq,))  # noqa: S608
        if volume.first_seq <= seq:
            if not rows or rows[0][0] != seq:
                raise damaged(path, f"it is truncated: capture {seq} was kept in it and is gone")
            if rows[0][-1] != digest:
                raise damaged(path, f"capture {seq} is not the one that was kept")
            rows = rows[1:]
        known = seq
        for row in rows:
            shas = database.rows("SELECT sha256 FROM sealed WHERE seq = ? ORDER BY place", (row[0],))
            if row[0] != seq + 1 or row[9] != digest or chain_hash(row[:-1], [sha for (sha,) in shas]) != row[-1]:
                raise damaged(path, f"capture {row[0]} does not continue the chain")
            seq, digest = row[0], row[-1]
        if self._write and seq != known:
            self._vault.put_head(seq, digest)
        return seq, digest

    def _volume_for(self, day: str, seq: int) -> tuple[Volume, Database]:
        volumes = self._vault.volumes()
        last = volumes[-1] if volumes else None
        if last is not None and not last.sealed and (last.first_seq == seq or _day(last)[0] >= day):
            return self._appending(last)
        number = 1
        if last is not None:
            if not last.sealed:
                self._seal(*self._appending(last))
            # Names keep the order of the chain, also when a clock goes back.
            last_day, last_number = _day(last)
            if last_day >= day:
                day, number = last_day, last_number + 1
        volume = Volume(f"{FOLDER}/{day[:4]}/{day}-{number:02}.db", seq, sealed=False)
        self._vault.put_volume(volume)
        return self._appending(volume)

    def _appending(self, volume: Volume) -> tuple[Volume, Database]:
        if self._writing is None or self._writing[0] != volume:
            path = self.root / volume.name
            if not path.parent.is_dir():
                make_directory(path.parent.parent)
                make_directory(path.parent)
            database = Database(path, self._key.derived(volume.name), write=True)
            with database.transaction():
                for statement in _SCHEMA:
                    database.run(statement)
                database.run("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (_FORMAT,))
            with guarded(path):
                sync_directory(path.parent)
            if self._writing is not None:
                self._writing[1].close()
            self._writing = (volume, database)
        return self._writing

    def seal_volume(self) -> None:
        """End the volume that is being written: before a backup, or because its day is over."""
        volumes = self._vault.volumes()
        if volumes and not volumes[-1].sealed and volumes[-1].first_seq <= self._vault.head()[0]:
            self._seal(*self._appending(volumes[-1]))

    def _seal(self, volume: Volume, database: Database) -> None:
        """Make a volume one file of mode 0400, and say so in the vault. Where a reader has it open, another time."""
        path = self.root / volume.name
        if (reading := self._open.pop(volume.name, None)) is not None:
            reading.close()
        try:
            with database.transaction():
                database.run("INSERT OR REPLACE INTO meta VALUES ('sealed', '1')")
            database.rows("PRAGMA busy_timeout = 500")
            database.settle()
        except ArchiveHeld:
            return
        finally:
            database.close()
            if self._writing is not None and self._writing[0].name == volume.name:
                self._writing = None
        with guarded(path):
            path.chmod(0o400)
            sync_directory(path.parent)
        self._vault.put_volume(Volume(volume.name, volume.first_seq, sealed=True))

    def begun(self, volume: Volume) -> bool:
        """Whether the volume has its tables. One that a writer was killed over may be in the vault and not on the
        disk, or without them; the next capture makes them."""
        return (self.root / volume.name).is_file() and bool(
            self._reading(volume).value("SELECT count(*) FROM sqlite_master WHERE name = 'sealed'")
        )

    # --- reading -----------------------------------------------------------------------------------------------

    def read(self, name: str) -> Capture:
        """The capture of this id, byte for byte as it was kept. Raises UsageError for an unknown or erased one."""
        volume, database, row = self._find(name)
        entry = _entry(row)
        key = self._vault.held_key(entry.holder)
        if key is None:
            raise UsageError(
                f"Capture {name} was erased.", hint="What was erased cannot be read again; its record stays."
            )
        try:
            return self._opened(entry, key, database)
        except SealBroken as broken:
            raise damaged(self.root / volume.name, f"capture {name} does not open: {broken}") from None

    def header(self, entry: Entry) -> dict[str, Any] | None:
        """The sealed header of a capture: `url`, `site_thread`, `stamp`, `page`, `artifacts`. None: erased."""
        volume, database, _ = self._find(entry.id)
        key = self._vault.held_key(entry.holder)
        if key is None:
            return None
        try:
            return _header(entry, key, database)
        except SealBroken as broken:
            raise damaged(self.root / volume.name, f"capture {entry.id} does not open: {broken}") from None

    def entry(self, name: str) -> Entry:
        """The row of the chain of this id. Raises UsageError for an unknown one."""
        return _entry(self._find(name)[2])

    def entries(self) -> Iterator[tuple[Volume, Entry]]:
        """Every row of the chain, in order, up to the head at the time of asking."""
        head = self._vault.head()[0]
        for volume in self._vault.volumes():
            if volume.first_seq > head:
                return
            rows = self._reading(volume).rows(
                f"SELECT {_ROW} FROM capture WHERE seq <= ? ORDER BY seq",  # noqa: S608
                (head,),
            )
            for row in rows:
                yield volume, _entry(row)

    def _find(self, name: str) -> tuple[Volume, Database, Row]:
        match = _ID.fullmatch(name)
        # A capture beyond the head was never acknowledged.
        if match is not None and int(match[1]) <= self._vault.head()[0]:
            seq = int(match[1])
            for volume in reversed(self._vault.volumes()):
                if volume.first_seq <= seq:
                    database = self._reading(volume)
                    row = database.row(f"SELECT {_ROW} FROM capture WHERE seq = ? AND id = ?", (seq, name))  # noqa: S608
                    if row is not None:
                        return volume, database, row
                    break
        raise UsageError(f"There is no capture {name}.", hint="`archiver show THREAD` names the captures of a thread.")

    def _reading(self, volume: Volume) -> Database:
        if self._writing is not None and self._writing[0].name == volume.name:
            return self._writing[1]
        database = self._open.pop(volume.name, None)
        if database is None:
            # A volume that is being written needs its -shm, so the writer's own reading of it may write.
            write = self._write and not volume.sealed
            database = Database(self.root / volume.name, self._key.derived(volume.name), write=write)
            while len(self._open) >= _MOST_OPEN:
                self._open.pop(next(iter(self._open))).close()
        self._open[volume.name] = database
        return database

    def _opened(self, entry: Entry, key: bytes, database: Database) -> Capture:
        header = _header(entry, key, database)
        artifacts = []
        for place, said in enumerate(header["artifacts"], 1):
            artifacts.append(
                Artifact(
                    name=said["name"],
                    media_type=said["media_type"],
                    body=_body(entry, key, database, place, said),
                    url=said["url"],
                    title=said["title"],
                    status=said["status"],
                )
            )
        return Capture(
            scope=entry.scope,
            kind=entry.kind,
            taken_at=entry.taken_at,
            url=header["url"],
            artifacts=tuple(artifacts),
            run=entry.run,
            site_thread=header["site_thread"],
            stamp=header["stamp"],
            page=header["page"],
        )

    def hash_before(self, volume: Volume) -> bytes:
        """What the first capture of a volume says of the one before it."""
        row = self._reading(volume).row("SELECT prev FROM capture WHERE seq = ?", (volume.first_seq,))
        return bytes(row[0]) if row is not None else b""

    # --- proof -------------------------------------------------------------------------------------------------

    def proof(self, volume: Volume, prev: bytes) -> Iterator[tuple[Entry, str, bool]]:
        """Every capture of a volume with what is wrong with it (empty: nothing) and whether its key was erased.

        `prev` is the hash before the volume's first capture. Every blob is hashed, every artifact opened.
        """
        database = self._reading(volume)
        expected = volume.first_seq
        for row in database.rows(f"SELECT {_ROW} FROM capture ORDER BY seq"):  # noqa: S608
            entry = _entry(row)
            wrong = ""
            if entry.seq != expected or entry.prev != prev:
                wrong = "it does not continue the chain"
            digests = []
            for place, sha256, blob in database.rows(
                "SELECT place, sha256, blob FROM sealed WHERE seq = ? ORDER BY place", (entry.seq,)
            ):
                digests.append(sha256)
                if hashlib.sha256(blob).digest() != sha256:
                    wrong = wrong or f"blob {place} is not what was kept"
            if chain_hash(row[:-1], digests) != entry.hash:
                wrong = wrong or "its hash does not fit"
            erased = False
            try:
                key = self._vault.held_key(entry.holder)
                if key is None:
                    erased = True
                else:
                    self._opened(entry, key, database)
            except SealBroken as broken:
                wrong = wrong or f"it does not open: {broken}"
            except ArchiveDamaged as error:
                wrong = wrong or error.message
            yield entry, wrong, erased
            expected, prev = entry.seq + 1, entry.hash


# --- sealed blobs ----------------------------------------------------------------------------------------------


def _sealed(capture: Capture, key: bytes, name: str) -> list[bytes]:
    """The header and the artifacts of a capture, packed and sealed, in order."""
    import zstandard

    packer = zstandard.ZstdCompressor(level=3)
    blobs: list[bytes] = []
    said: list[dict[str, Any]] = []
    for artifact in capture.artifacts:
        packed = artifact.body if artifact.media_type.startswith(_PACKED_ALREADY) else packer.compress(artifact.body)
        smaller = len(packed) < len(artifact.body)
        said.append(
            {
                "name": artifact.name,
                "media_type": artifact.media_type,
                "url": artifact.url,
                "title": artifact.title,
                "status": artifact.status,
                "size": len(artifact.body),
                "packed": "zstd" if smaller else "",
            }
        )
        blobs.append(seal(packed if smaller else artifact.body, key, name, f"artifact {artifact.name}"))
    if len({artifact.name for artifact in capture.artifacts}) != len(capture.artifacts):
        raise ValueError("artifact names are unique in a capture")
    header = {
        "url": capture.url,
        "site_thread": capture.site_thread,
        "stamp": capture.stamp,
        "page": capture.page,
        "artifacts": said,
    }
    return [seal(json.dumps(header, separators=(",", ":")).encode(), key, name, ""), *blobs]


def _header(entry: Entry, key: bytes, database: Database) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(unseal(_blob(entry, database, 0), key, entry.id, ""))
    return header


def _body(entry: Entry, key: bytes, database: Database, place: int, said: dict[str, Any]) -> bytes:
    body = unseal(_blob(entry, database, place), key, entry.id, f"artifact {said['name']}")
    if not said["packed"]:
        return body
    import zstandard

    try:
        return zstandard.ZstdDecompressor().decompress(body, max_output_size=said["size"])
    except zstandard.ZstdError as error:
        raise SealBroken(f"it does not unpack ({error})") from None


def _blob(entry: Entry, database: Database, place: int) -> bytes:
    blob = database.value("SELECT blob FROM sealed WHERE seq = ? AND place = ?", (entry.seq, place))
    if blob is None:
        raise SealBroken(f"blob {place} is missing")
    return bytes(blob)


def _entry(row: Row) -> Entry:
    seq, name, kind, account, marketplace, source, holder, taken_at, run, prev, digest = row
    scope = Scope(account, marketplace, Source(source) if source else None)
    return Entry(seq, name, Kind(kind), scope, holder, datetime.fromisoformat(taken_at), run, prev, digest)


def _day(volume: Volume) -> tuple[str, int]:
    match = _NAME.fullmatch(volume.name)
    if match is None:
        raise ValueError(f"no volume is called {volume.name}")
    return match[1], int(match[2])
