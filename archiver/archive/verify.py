"""The proof that the archive is what was written: every page, every link of the chain, every seal.

Finds and names; mends nothing. One damaged file does not keep the others from being looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from archiver.archive.captures import Captures, genesis, on_the_disk
from archiver.archive.disk import INDEX, Database
from archiver.archive.index import Index
from archiver.archive.keyring import ArchiveKey
from archiver.archive.vault import Vault
from archiver.errors import ArchiverError


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was written. `file` is a path below the archive."""

    file: str
    what: str


@dataclass(slots=True)
class VerifyReport:
    """What was looked at, and what is wrong. `erased` counts captures whose key was destroyed on purpose, `unfiled`
    captures that are not in the index yet; neither is a failure."""

    problems: list[Problem] = field(default_factory=list)
    volumes: int = 0
    captures: int = 0
    erased: int = 0
    unfiled: int = 0

    @property
    def good(self) -> bool:
        return not self.problems


def verify(root: Path, key: ArchiveKey) -> VerifyReport:
    """Look at everything, reading only; works beside a writer. The keyring has opened already."""
    report = VerifyReport()
    # The index first: what is filed was kept before, so whatever a writer adds meanwhile cannot look wrong.
    filed, last_filed = _look_at_index(root, key, report)
    try:
        database = Database(root / "vault.db", key.derived("vault.db"), write=False)
    except ArchiverError as error:
        report.problems.append(Problem("vault.db", error.message))
        _look_at_volumes_alone(root, key, report)
    else:
        vault = Vault(database)
        try:
            _look_at_vault(root, key, vault, report)
            if last_filed > vault.head()[0]:
                report.problems.append(Problem(INDEX, f"it names capture {last_filed}, which is not in the chain"))
        except ArchiverError as error:
            report.problems.append(Problem("vault.db", error.message))
            _look_at_volumes_alone(root, key, report)
        finally:
            vault.close()
    report.unfiled = max(0, report.captures - filed)
    return report


def _look_at_vault(root: Path, key: ArchiveKey, vault: Vault, report: VerifyReport) -> None:
    wrong = vault.database.integrity()
    report.problems += [Problem("vault.db", what) for what in wrong]
    vault.check(key.archive)
    # The files first, because a volume is in the vault before it is on the disk; then one moment of the vault: what a
    # writer appends meanwhile lies behind it.
    on_disk = on_the_disk(root)
    with vault.database.snapshot():
        head, head_hash = vault.head()
        volumes = vault.volumes()
    known = {volume.name for volume in volumes}
    report.problems += [Problem(name, "the vault does not know this volume") for name in on_disk if name not in known]
    captures = Captures(root, key, vault, write=False)
    prev, seen = genesis(key.archive), 0
    try:
        for place, volume in enumerate(volumes):
            following = volumes[place + 1].first_seq if place + 1 < len(volumes) else None
            report.volumes += 1
            if volume.first_seq != seen + 1:
                report.problems.append(
                    Problem(volume.name, f"captures {seen + 1} to {volume.first_seq - 1} are missing")
                )
            try:
                if volume.first_seq > head and not captures.begun(volume):
                    continue
                _integrity(root, key, volume.name, report)
                for entry, what, erased in captures.proof(volume, prev):
                    report.captures += 1
                    report.erased += erased
                    if what:
                        report.problems.append(Problem(volume.name, f"capture {entry.id}: {what}"))
                    if entry.seq == head and entry.hash != head_hash:
                        report.problems.append(Problem(volume.name, f"capture {entry.id} is not the one that was kept"))
                    prev, seen = entry.hash, entry.seq
            except ArchiverError as error:
                report.problems.append(Problem(volume.name, error.message))
            last = head if following is None else following - 1
            if seen < last:
                report.problems.append(Problem(volume.name, f"it is truncated: captures {seen + 1} to {last} are gone"))
                # Go on behind the gap; it has been named.
                seen = last
                prev = captures.hash_before(volumes[place + 1]) if following is not None else prev
    finally:
        captures.close()


def _look_at_volumes_alone(root: Path, key: ArchiveKey, report: VerifyReport) -> None:
    for name in on_the_disk(root):
        report.volumes += 1
        try:
            _integrity(root, key, name, report)
        except ArchiverError as error:
            report.problems.append(Problem(name, error.message))


def _look_at_index(root: Path, key: ArchiveKey, report: VerifyReport) -> tuple[int, int]:
    """How many captures are filed, and the number of the last."""
    if not (root / INDEX).is_file():
        return 0, 0
    try:
        index = Index(Database(root / INDEX, key.derived(INDEX), write=False))
        try:
            report.problems += [Problem(INDEX, what) for what in index.database.integrity()]
            if index.empty():
                report.problems.append(Problem(INDEX, "it is empty; `archiver reindex` computes it again"))
            return index.filed_range() if index.fits() else (0, 0)
        finally:
            index.close()
    except ArchiverError as error:
        report.problems.append(Problem(INDEX, error.message))
        return 0, 0


def _integrity(root: Path, key: ArchiveKey, name: str, report: VerifyReport) -> None:
    database = Database(root / name, key.derived(name), write=False)
    try:
        report.problems += [Problem(name, what) for what in database.integrity()]
    finally:
        database.close()
