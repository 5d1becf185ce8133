"""Captures: whole or not at all, in a chain, in volumes that are never written again; also when killed."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from archiver.archive.archive import Archive
from archiver.archive.captures import chain_hash, genesis
from archiver.archive.disk import Database
from archiver.archive.keyring import KeyFile, open_keyring
from archiver.archive.vault import SignIn, Volume
from archiver.errors import ArchiveDamaged, ArchiveHeld, DiskFailed, UsageError
from archiver.model import Artifact, Capture, Kind, Scope
from tests.archive.samples import NOON, PNG, Said, list_capture, read, thread_capture

ROOT = Path(__file__).resolve().parents[2]


def volumes(root: Path) -> list[str]:
    return [path.name for path in sorted((root / "captures").glob("*/*.db"))]


def test_a_capture_comes_back_byte_for_byte(archive: Archive) -> None:
    kept = thread_capture("70001", [Said("m1", "Größe 退款 " * 200)], order_ids=("402-1",))

    actual = archive.read_capture(archive.keep(kept))

    assert actual == kept


def test_every_kind_of_capture_comes_back(archive: Archive) -> None:
    kept = [
        list_capture(3, b"[]"),
        Capture(Scope("acme-eu"), Kind.SIGN_IN, NOON, "https://site.invalid/ap", (Artifact("dom", "text/html", b"x"),)),
        Capture(Scope("acme-eu"), Kind.SIGN_IN, NOON, "", (), run="r"),
    ]

    actual = [archive.read_capture(archive.keep(capture)) for capture in kept]

    assert actual == kept


def test_threads_keep_and_file_into_one_archive_in_turns(archive: Archive) -> None:
    def account(number: int) -> None:
        for case in range(20):
            kept = thread_capture(f"{number}{case:03}", [Said("m1", f"{number} {case}")])
            archive.file(archive.keep(kept), read(kept))
            archive.vault.count_requests(f"account {number}", 1)

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(account, number) for number in range(4)]:
            done.result()

    assert archive.verify().problems == []
    assert len(list(archive.threads())) == 80
    assert [archive.vault.requests_of_last_hours(f"account {n}", 2) for n in range(4)] == [20] * 4


def test_the_chain_can_be_checked_with_what_its_docstring_says(root: Path, key: KeyFile) -> None:
    with Archive.open(root, key, write=True) as archive:
        archive.keep(thread_capture("1", []))
        archive.keep(list_capture(1, b"[]", days=1))
    opened = open_keyring(root / "keyring.json", key)
    prev = hashlib.sha256(b"archiver genesis 1\n" + opened.archive.encode()).digest()
    for number, day in enumerate(("2026-08-01", "2026-08-02"), 1):
        name = f"captures/2026/{day}-01.db"
        database = Database(root / name, opened.derived(name), write=False)
        row = database.rows("SELECT * FROM capture")[0]
        blobs = [hashlib.sha256(blob).digest() for (blob,) in database.rows("SELECT blob FROM sealed ORDER BY place")]
        database.close()

        assert row[0] == number
        assert row[9] == prev
        assert row[10] == chain_hash(row[:-1], blobs)
        prev = row[10]

    assert genesis(opened.archive) != prev


def test_a_row_of_the_chain_tells_nothing_of_the_content(root: Path, key: KeyFile) -> None:
    with Archive.open(root, key, write=True) as archive:
        archive.keep(thread_capture("70001", [Said("m1", "body")], subject="subject", stamp="stamp-9"))
    opened = open_keyring(root / "keyring.json", key)
    name = "captures/2026/2026-08-01-01.db"
    database = Database(root / name, opened.derived(name), write=False)
    told = repr(database.rows("SELECT * FROM capture")) + repr(database.rows("SELECT * FROM sealed"))
    database.close()

    assert [word for word in ("70001", "subject", "stamp-9", "site.invalid", "json/0") if word in told] == []


def test_a_day_ends_its_volume(archive: Archive, root: Path) -> None:
    names = [archive.keep(thread_capture("1", [], days=days)) for days in (0, 0, 1, 3)]

    assert volumes(root) == ["2026-08-01-01.db", "2026-08-02-01.db", "2026-08-04-01.db"]
    modes = [path.stat().st_mode & 0o777 for path in sorted((root / "captures").glob("*/*.db"))]
    assert modes == [0o400, 0o400, 0o600]
    assert [archive.read_capture(name).taken_at.day for name in names] == [1, 1, 2, 4]


def test_a_sealed_volume_is_one_file_and_is_never_written_again(archive: Archive, root: Path) -> None:
    archive.keep(thread_capture("1", []))
    archive.seal_volume()
    first = root / "captures/2026/2026-08-01-01.db"
    before = (first.read_bytes(), first.stat().st_mtime_ns)
    archive.keep(thread_capture("1", [], days=-5))
    archive.seal_volume()
    archive.seal_volume()
    archive.keep(thread_capture("1", []))

    assert (first.read_bytes(), first.stat().st_mtime_ns) == before
    assert volumes(root) == ["2026-08-01-01.db", "2026-08-01-02.db", "2026-08-01-03.db"]
    assert archive.verify().problems == []


def test_a_volume_someone_reads_is_sealed_another_time(root: Path, key: KeyFile) -> None:
    with Archive.open(root, key, write=True) as archive, Archive.open(root, key, write=False) as reader:
        kept = archive.keep(thread_capture("1", []))
        reader.read_capture(kept)
        archive.keep(thread_capture("1", [], days=1))
        mode = (root / "captures/2026/2026-08-01-01.db").stat().st_mode & 0o777
    with Archive.open(root, key, write=True) as archive:
        problems = archive.verify().problems

    assert mode == 0o600
    assert (root / "captures/2026/2026-08-01-01.db").stat().st_mode & 0o777 == 0o400
    assert problems == []


def test_everything_is_private(archive: Archive, root: Path) -> None:
    archive.file(archive.keep(thread_capture("1", [])), read(thread_capture("1", [])))
    modes = {path.stat().st_mode & 0o777 for path in root.rglob("*") if path.is_file()}
    folders = {path.stat().st_mode & 0o777 for path in [root, *root.rglob("*")] if path.is_dir()}

    assert modes == {0o600}
    assert folders == {0o700}


def test_no_word_of_a_capture_is_on_the_disk(root: Path, key: KeyFile) -> None:
    canaries = [
        "CanaryBody",
        "CanarySubject",
        "CanarySender",
        "CanaryFile",
        "CanaryStamp",
        "CanaryOrder4021",
        "CanaryPw",
    ]
    with Archive.open(root, key, write=True) as archive:
        archive.vault.add_account(SignIn("CanaryAccount", "CanaryMail", "CanaryPw", "CanaryTotp"))
        for number in range(30):
            capture = thread_capture(
                str(number),
                [Said("m1", "CanaryBody " * 300, sender="CanarySender", files=("CanaryFile",))],
                subject="CanarySubject",
                stamp="CanaryStamp",
                order_ids=("CanaryOrder4021",),
            )
            archive.file(archive.keep(capture), read(capture))
        # While it is open: the write-ahead logs are on the disk, too.
        on_disk = {path.name: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    on_disk |= {path.name + " closed": path.read_bytes() for path in root.rglob("*") if path.is_file()}
    canaries += ["CanaryAccount", "CanaryMail", "CanaryTotp", "site.invalid", "acme-eu", PNG[:64].decode("latin1")]

    found = [
        (name, canary)
        for name, content in on_disk.items()
        for canary in canaries
        if canary.encode("latin1") in content or canary.lower().encode("latin1") in content
    ]

    assert "index.db-wal" in on_disk
    assert found == []


def test_a_second_writer_is_told_who_is_there(archive: Archive, root: Path, key: KeyFile) -> None:
    with pytest.raises(ArchiveHeld, match="Another process writes") as held:
        Archive.open(root, key, write=True)

    assert held.value.exit_code == 7


def test_the_lock_goes_with_the_writer(root: Path, key: KeyFile) -> None:
    Archive.open(root, key, write=True).close()

    with Archive.open(root, key, write=True) as archive:
        kept = archive.keep(thread_capture("1", []))

    assert kept.startswith("1-")


def test_readers_see_what_is_whole_while_a_writer_writes(root: Path, key: KeyFile) -> None:
    capture = thread_capture("1", [Said("m1", "退款")])
    seen = []
    with Archive.open(root, key, write=True) as archive:
        for days in range(3):
            kept = archive.keep(thread_capture("1", [Said("m1", "退款")], days=days, stamp=str(days)))
            archive.file(kept, read(capture))
            with archive._filed().database.transaction(), Archive.open(root, key, write=False) as reader:
                seen.append((len(reader.captures(capture_thread(reader))), reader.read_capture(kept).stamp))

    assert seen == [(1, "0"), (2, "1"), (3, "2")]


def capture_thread(archive: Archive) -> str:
    return archive.thread("1").id


def test_a_reader_may_not_write(root: Path, key: KeyFile) -> None:
    with Archive.open(root, key, write=False) as reader, pytest.raises(ValueError, match="for reading"):
        reader.keep(thread_capture("1", []))


@pytest.mark.parametrize("name", ["", "1", "1-00000000", "0-00000000", "99-00000000", "1-x'; DROP TABLE capture"])
def test_an_unknown_capture_is_told(archive: Archive, name: str) -> None:
    archive.keep(thread_capture("1", []))

    with pytest.raises(UsageError, match="There is no capture"):
        archive.read_capture(name)


# --- what breaks -----------------------------------------------------------------------------------------------


def test_a_capture_that_was_committed_and_not_acknowledged_is_taken_in(root: Path, key: KeyFile) -> None:
    with Archive.open(root, key, write=True) as archive:
        head = archive.vault.head()
        for number in range(3):
            archive.keep(thread_capture(str(number), []))
        kept = archive.vault.head()
        archive.vault.put_head(*head)  # as if killed between the two commits
    with Archive.open(root, key, write=True) as archive:
        actual = archive.vault.head()
        filed = archive.file_unfiled(read)

    assert actual == kept
    assert filed == 3


@pytest.mark.parametrize("left", ["nothing", "an empty file", "a file without tables"])
def test_a_volume_a_writer_was_killed_over_is_no_damage(root: Path, key: KeyFile, left: str) -> None:
    name = "captures/2026/2026-08-02-01.db"
    with Archive.open(root, key, write=True) as archive:
        archive.keep(thread_capture("1", []))
        archive.seal_volume()
        archive.vault.put_volume(Volume(name, 2, sealed=False))
    if left == "an empty file":
        (root / name).touch(0o600)
    elif left == "a file without tables":
        Database(root / name, open_keyring(root / "keyring.json", key).derived(name), write=True).close()
    with Archive.open(root, key, write=False) as reader:
        before = reader.verify().problems
        with pytest.raises(UsageError, match="There is no capture"):
            reader.read_capture("2-00000000")
    with Archive.open(root, key, write=True) as archive:
        kept = archive.keep(thread_capture("1", [], days=1, stamp="2"))
        after = (archive.verify().problems, archive.read_capture(kept).stamp)

    assert before == []
    assert after == ([], "2")
    assert volumes(root) == ["2026-08-01-01.db", "2026-08-02-01.db"]


def test_captures_that_are_gone_are_noticed_at_once(root: Path, key: KeyFile) -> None:
    with Archive.open(root, key, write=True) as archive:
        archive.keep(thread_capture("1", []))
        before = (root / "vault.db").read_bytes()
        archive.keep(thread_capture("2", []))
    name = "captures/2026/2026-08-01-01.db"
    database = Database(root / name, open_keyring(root / "keyring.json", key).derived(name), write=True)
    with database.transaction():
        database.run("DELETE FROM sealed WHERE seq = 2")
        database.run("DELETE FROM capture WHERE seq = 2")
    database.close()

    with pytest.raises(ArchiveDamaged, match="truncated"):
        Archive.open(root, key, write=True)

    assert before != b""


def test_a_volume_that_is_gone_is_noticed_at_once(root: Path, key: KeyFile) -> None:
    with Archive.open(root, key, write=True) as archive:
        for days in range(3):
            archive.keep(thread_capture("1", [], days=days))
    (root / "captures/2026/2026-08-02-01.db").unlink()

    with pytest.raises(ArchiveDamaged, match=r"2026-08-02-01\.db is damaged: it is missing"):
        Archive.open(root, key, write=True)


def test_a_vault_older_than_its_captures_is_noticed_at_once(root: Path, key: KeyFile) -> None:
    old = (root / "vault.db").read_bytes()
    with Archive.open(root, key, write=True) as archive:
        archive.keep(thread_capture("1", []))
    (root / "vault.db").write_bytes(old)

    with pytest.raises(ArchiveDamaged, match="does not know"):
        Archive.open(root, key, write=True)


@pytest.mark.parametrize("name", ["vault.db", "captures/2026/2026-08-01-01.db", "index.db"])
def test_a_file_of_another_archive_is_damage(tmp_path: Path, root: Path, key: KeyFile, name: str) -> None:
    other = tmp_path / "other"
    for path in (root, other):
        with Archive.create(other, [key]) if path is other else Archive.open(root, key, write=True) as archive:
            archive.keep(thread_capture("1", []))
    (root / name).chmod(0o600)
    (root / name).write_bytes((other / name).read_bytes())

    with Archive.open(root, key, write=False) as archive, pytest.raises(ArchiveDamaged) as damaged:
        _ask_everything(archive)

    assert str(root / name) in damaged.value.message
    assert damaged.value.hint


def _ask_everything(archive: Archive) -> None:
    archive.known(Scope("x"))
    archive.read_capture("1-00000000")


WRITER = """
import os
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from archiver.archive.archive import Archive
from archiver.archive.keyring import KeyFile
from tests.archive.samples import Said, read, thread_capture
archive = Archive.open(Path({archive!r}), KeyFile(Path({key!r})), write=True)
archive.file_unfiled(read)
print("open", flush=True)
number = {start}
while True:
    # A new day every few captures, so that sealing a volume and beginning one are killed, too.
    said = [Said("m", f"body {{number}} " * 500)]
    capture = thread_capture(str(number % 5), said, days=number // 7, stamp=str(number))
    name = archive.keep(capture)
    os.write(1, f"{{name}} {{number}}\\n".encode())  # at once: print may write a line in pieces, and be killed between
    archive.file(name, read(capture))
    number += 1
"""


def test_killed_at_any_moment_it_is_whole_and_has_all_it_acknowledged(root: Path, key: KeyFile) -> None:
    acknowledged: dict[str, str] = {}
    chance = random.Random(4)
    start = 0
    for _ in range(14):
        program = WRITER.format(root=str(ROOT), archive=str(root), key=str(key.path), start=start)
        writer = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        time.sleep(chance.uniform(0.0, 0.25))
        writer.send_signal(signal.SIGKILL)
        said, _ = writer.communicate()
        for line in said.splitlines():
            name, stamp = line.split()
            acknowledged[name] = stamp
            start = int(stamp) + 1

    with Archive.open(root, key, write=True) as archive:
        archive.file_unfiled(read)
        report = archive.verify()
        stamps = {name: archive.read_capture(name).stamp for name in acknowledged}
        rows = index_rows(archive)
        archive.rebuild(read)
        rebuilt = index_rows(archive)

    assert report.problems == []
    assert report.unfiled == 0
    assert stamps == acknowledged
    assert len(acknowledged) <= report.captures <= len(acknowledged) + 14
    assert len(volumes(root)) > 1
    assert rows == rebuilt


def index_rows(archive: Archive) -> dict[str, list[object]]:
    database = archive._filed().database
    tables = [name for (name,) in database.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    plain = [table for table in tables if "_fts" not in table]
    return {table: sorted(database.rows(f'SELECT * FROM "{table}"'), key=repr) for table in plain}  # noqa: S608


def test_readers_beside_a_busy_writer_find_nothing_wrong(root: Path, key: KeyFile) -> None:
    program = WRITER.format(root=str(ROOT), archive=str(root), key=str(key.path), start=0)
    writer = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    writer.stdout.readline()
    problems, seen = [], []
    ends = time.monotonic() + 3
    try:
        while time.monotonic() < ends:
            name, stamp = writer.stdout.readline().split()
            with Archive.open(root, key, write=False) as reader:
                seen.append(reader.read_capture(name).stamp == stamp)
                reader.status()
                if len(seen) % 5 == 0:
                    problems += reader.verify().problems
    finally:
        writer.kill()
        writer.communicate()

    assert problems == []
    assert all(seen)
    assert len(volumes(root)) > 2


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from archiver.archive.archive import Archive
from archiver.archive.keyring import KeyFile
from archiver.errors import DiskFailed
from archiver.model import Artifact
from dataclasses import replace
from tests.archive.samples import thread_capture
import os
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Archive.open(Path({archive!r}), KeyFile(Path({key!r})), write=True) as archive:
    names = [archive.keep(thread_capture("1", [])) for _ in range(3)]
    # No file may grow beyond this: a full disk, as far as the system calls can tell.
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
    large = replace(thread_capture("1", []), artifacts=(Artifact("screenshot/0", "image/png", os.urandom(4_000_000)),))
    try:
        archive.keep(large)
    except DiskFailed as failed:
        print(failed.message)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    names.append(archive.keep(large))
    print(len(names), archive.verify().problems)
"""


def test_a_full_disk_fails_one_capture_and_touches_nothing_else(root: Path, key: KeyFile) -> None:
    program = FULL_DISK.format(root=str(ROOT), archive=str(root), key=str(key.path))

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert done.stderr == ""
    assert "could not be read or written" in done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[1] == "4 []"


def test_a_moment_is_kept_to_the_microsecond_in_utc(archive: Archive) -> None:
    kept = thread_capture("1", [])

    actual = archive.read_capture(archive.keep(kept)).taken_at.isoformat()

    assert actual == "2026-08-01T12:00:00+00:00"


def test_two_artifacts_of_one_name_are_a_mistake_of_the_caller(archive: Archive) -> None:
    double = Capture(Scope("a"), Kind.SIGN_IN, NOON, "", (Artifact("dom", "a/b", b"1"), Artifact("dom", "a/b", b"2")))

    with pytest.raises(ValueError, match="unique"):
        archive.keep(double)

    assert archive.verify().captures == 0


def test_opening_for_a_search_imports_little() -> None:
    program = (
        f"import sys, json; sys.path.insert(0, {str(ROOT)!r}); import archiver.archive.archive, archiver.query; "
        "print(json.dumps(sorted(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    loaded = set(json.loads(said.stdout)) & {"sqlite_utils", "zstandard", "structlog", "click", "asyncio", "playwright"}

    assert loaded == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_read_only_disk_can_be_searched(root: Path, key: KeyFile) -> None:
    capture = thread_capture("1", [Said("m1", "退款")])
    with Archive.open(root, key, write=True) as archive:
        kept = archive.keep(capture)
        archive.file(kept, read(capture))
    mounted = subprocess.run(["mount", "--bind", "-o", "ro", str(root), str(root)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        with Archive.open(root, key, write=False) as archive:
            actual = (archive.read_capture(kept), archive.thread("1").messages[0].message.body)
        with pytest.raises(DiskFailed):
            Archive.open(root, key, write=True)
    finally:
        subprocess.run(["umount", str(root)], check=True)

    assert actual == (capture, "退款")


def test_what_a_capture_holds_is_told_by_name(archive: Archive) -> None:
    capture = thread_capture("1", [Said("m1", "Guten Tag")])
    name = archive.keep(capture)

    assert archive.artifact_names(name) == tuple(artifact.name for artifact in capture.artifacts)
    with pytest.raises(UsageError):
        archive.artifact_names("no-such-capture")
