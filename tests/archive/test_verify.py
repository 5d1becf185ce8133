"""The proof: whatever bit is flipped, wherever a file is cut, it is found and the file is named."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from archiver.archive.archive import Archive
from archiver.archive.disk import Database
from archiver.archive.keyring import KeyFile, open_keyring
from archiver.archive.verify import Problem
from archiver.errors import ArchiverError
from tests.archive.samples import Said, list_capture, read, run_record, thread_capture

FILES = ["vault.db", "index.db", "captures/2026/2026-08-01-01.db", "captures/2026/2026-08-02-01.db"]
LAST = "captures/2026/2026-08-03-01.db"


@dataclass(frozen=True)
class Sample:
    """A good archive, closed, to be damaged in a copy."""

    root: Path
    key: KeyFile


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder: Path = tmp_path_factory.mktemp("verify")
    key = KeyFile(folder / "key")
    with Archive.create(folder / "archive", [key]) as archive:
        for days in range(3):
            for number in range(4):
                capture = thread_capture(str(number), [Said("m1", f"退款 {days} " * 100)], days=days, stamp=str(days))
                archive.file(archive.keep(capture), read(capture))
            archive.file(archive.keep(list_capture(1, b"[]", days=days)), None)
    return Sample(folder / "archive", key)


@pytest.fixture
def copy(good: Sample, tmp_path: Path) -> Iterator[Path]:
    """A copy of the good archive."""
    shutil.copytree(good.root, tmp_path / "copy")
    for path in (tmp_path / "copy").rglob("*.db"):
        path.chmod(0o600)
    yield tmp_path / "copy"
    shutil.rmtree(tmp_path / "copy")


def named(root: Path, key: KeyFile) -> set[str]:
    with Archive.open(root, key, write=False) as archive:
        return {problem.file for problem in archive.verify().problems}


def test_a_good_archive_has_no_problems(good: Sample) -> None:
    with Archive.open(good.root, good.key, write=False) as archive:
        report = archive.verify()

    assert (report.problems, report.volumes, report.captures, report.unfiled) == ([], 3, 15, 0)
    assert report.good


@pytest.mark.parametrize("name", [*FILES, LAST])
def test_a_flipped_bit_is_found_and_its_file_named(good: Sample, copy: Path, name: str) -> None:
    content = (copy / name).read_bytes()
    positions = {0, 15, 16, 100, 4095, 4096, len(content) // 2, len(content) - 1, *range(0, len(content), 5003)}
    missed = []
    for position in sorted(positions):
        bad = bytearray(content)
        bad[position] ^= 1 << position % 8
        (copy / name).write_bytes(bad)
        if name not in named(copy, good.key):
            missed.append(position)

    assert missed == []


@pytest.mark.parametrize("name", [*FILES, LAST])
@pytest.mark.parametrize("kept", ["nothing", "one page", "all but a byte", "all but a page", "half"])
def test_a_cut_file_is_found_and_named(good: Sample, copy: Path, name: str, kept: str) -> None:
    content = (copy / name).read_bytes()
    length = {
        "nothing": 0,
        "one page": 4096,
        "all but a byte": len(content) - 1,
        "all but a page": len(content) - 4096,
        "half": len(content) // 2,
    }[kept]
    (copy / name).write_bytes(content[:length])

    assert name in named(copy, good.key)


@pytest.mark.parametrize("name", ["vault.db", "captures/2026/2026-08-01-01.db", LAST])
def test_a_missing_file_is_found_and_named(good: Sample, copy: Path, name: str) -> None:
    (copy / name).unlink()

    assert name in named(copy, good.key)


def test_a_missing_index_is_no_problem(good: Sample, copy: Path) -> None:
    (copy / "index.db").unlink()
    with Archive.open(copy, good.key, write=False) as archive:
        report = archive.verify()

    assert (report.problems, report.unfiled) == ([], 15)


def test_a_strange_volume_is_named(good: Sample, copy: Path) -> None:
    shutil.copy(copy / LAST, copy / "captures/2026/2026-08-09-01.db")

    assert named(copy, good.key) == {"captures/2026/2026-08-09-01.db"}


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE capture SET run = 'run-0' WHERE seq = 7",
        "UPDATE capture SET taken_at = '2026-08-02T12:00:01+00:00' WHERE seq = 7",
        "UPDATE sealed SET blob = (SELECT blob FROM sealed WHERE seq = 7 AND place = 2) WHERE seq = 7 AND place = 1",
        "UPDATE sealed SET blob = zeroblob(length(blob)), sha256 = zeroblob(32) WHERE seq = 7 AND place = 3",
        "DELETE FROM sealed WHERE seq = 7 AND place = 4",
        "DELETE FROM sealed WHERE seq = 10",
        "PRAGMA foreign_keys = OFF; DELETE FROM capture WHERE seq = 10",
        "PRAGMA foreign_keys = OFF; DELETE FROM capture WHERE seq = 7",
    ],
)
def test_one_who_has_the_key_cannot_rewrite_the_chain_unseen(good: Sample, copy: Path, sql: str) -> None:
    name = "captures/2026/2026-08-02-01.db"
    database = Database(copy / name, open_keyring(copy / "keyring.json", good.key).derived(name), write=True)
    for statement in sql.split("; "):
        database.run(statement)
    database.settle()
    database.close()

    assert named(copy, good.key) == {name}


def test_a_lost_seal_key_is_named(good: Sample, copy: Path) -> None:
    with Archive.open(copy, good.key, write=True) as archive:
        with archive.vault.database.transaction():
            archive.vault.database.run("DELETE FROM seal_key WHERE holder = ?", (archive.thread("2").id,))
        problems = archive.verify().problems

    assert len(problems) == 3
    assert all("the key of" in problem.what and "vault.db" in problem.what for problem in problems)


def test_an_index_ahead_of_the_captures_is_named(good: Sample, copy: Path) -> None:
    shutil.copytree(copy, older := copy.with_name("older"))
    with Archive.open(copy, good.key, write=True) as archive:
        archive.enter(run_record("run-9", complete=True))
    shutil.copy(copy / "index.db", older / "index.db")
    with Archive.open(older, good.key, write=False) as archive:
        problems = archive.verify().problems

    assert problems == [Problem("index.db", "it names capture 16, which is not in the chain")]


def test_every_damage_is_told_as_one_of_our_errors(good: Sample, copy: Path) -> None:
    told = 0
    for name in [*FILES, LAST]:
        content = (copy / name).read_bytes()
        for position in range(0, len(content), 4096):
            bad = bytearray(content)
            bad[position + 99] ^= 4
            (copy / name).write_bytes(bad)
            try:
                with Archive.open(copy, good.key, write=False) as archive:
                    for capture in archive.captures(archive.thread("1").id):
                        archive.read_capture(capture.id)
                    archive.status()
            except ArchiverError as error:
                told += bool(error.hint)
        (copy / name).write_bytes(content)

    assert told > 10
