"""The index: derived, whole after any loss, and the same row for row however it came about."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from archiver.archive.archive import Archive
from archiver.archive.keyring import KeyFile
from archiver.errors import ArchiveDamaged, UsageError
from archiver.model import Attachment, Capture, Kind, Known, Thread, Unread, listing_digest, thread_id
from archiver.query import parse
from tests.archive.samples import BUYERS, CASES, NOON, Said, list_capture, read, run_record, thread_capture
from tests.archive.test_captures import index_rows

FTS = ("退款", "refund", "again", "subject:new", "4021", "发票", "from:jo")


def fill(archive: Archive) -> None:
    """Threads that grow, change, lose and break; lists; runs."""
    hello = Said("m1", "Hello 退款", minutes=1)
    captures = [
        thread_capture("1", [hello], stamp="a", order_ids=("402-1",)),
        list_capture(1, b"[1]"),
        thread_capture("2", [Said("m1", "Bonjour"), Said("m2", "x", files=("发票.pdf",))], scope=BUYERS),
        thread_capture("1", [hello, Said("m2", "refund", "Jo", "out", minutes=2)], stamp="b", days=1),
        thread_capture(
            "1", [replace(hello, body="Hello again")], subject="new", stamp="c", days=1, order_ids=("4021",)
        ),
        thread_capture("2", [], scope=BUYERS, broken=True, stamp="z", days=2),
        thread_capture("3", [], broken=True, days=2),
        list_capture(2, b"[2]", days=2),
        list_capture(1, b"[1,2]", days=2),
    ]
    for capture in captures:
        archive.file(archive.keep(capture), read(capture) if capture.kind is Kind.THREAD else None)
    archive.enter(run_record("run-1", complete=True))
    archive.enter(run_record("run-2", complete=False))


def everything(archive: Archive) -> tuple[object, ...]:
    return index_rows(archive), [[hit.message for hit in archive.search(parse(line))] for line in FTS]


def test_a_changed_message_is_a_new_version_and_none_is_lost(archive: Archive) -> None:
    fill(archive)
    stored = archive.thread("1")
    versions = archive._filed().database.rows(
        "SELECT site_message, version, current, body FROM message WHERE thread = ? ORDER BY site_message, version",
        (stored.id,),
    )

    assert versions == [
        ("m1", 1, 0, "Hello 退款"),
        ("m1", 2, 1, "Hello again"),
        ("m2", 1, 1, "refund"),
    ]
    assert [(m.message.site_message, m.version, m.message.body) for m in stored.messages] == [
        ("m1", 2, "Hello again"),
        ("m2", 1, "refund"),
    ]
    assert [capture.stamp for capture in archive.captures(stored.id)] == ["a", "b", "c"]
    assert archive.read_capture(stored.messages[0].capture).stamp == "c"


def test_a_thread_is_told_as_it_was_read(archive: Archive) -> None:
    fill(archive)
    stored = archive.thread("2")

    assert (stored.scope, stored.subject, stored.status, stored.category) == (BUYERS, "Your case", "open", "refunds")
    assert stored.unread == Unread("the subject is not where it was", "source.cases.title")
    assert [a.name for a in stored.messages[1].message.attachments] == ["发票.pdf"]
    assert stored.id == thread_id(BUYERS, "2")
    assert archive.thread("1").order_ids == ("4021",)
    assert archive.thread("1").unread is None


def test_every_version_is_told_with_when_it_was_seen(archive: Archive) -> None:
    fill(archive)
    thread = archive.thread("1")
    versions = archive.versions(thread.id)
    taken = {info.id: info.taken_at for info in thread.captures}
    changed = [version.message.body for version in versions if version.id == versions[0].id]

    assert len(changed) > 1
    assert [v.version for v in versions if v.id == versions[0].id] == [n + 1 for n in range(len(changed))]
    assert all(v.seen_at == taken[v.capture] for v in versions)
    assert tuple(v for v in versions if v in thread.messages) == thread.messages


def test_a_search_follows_the_newest_version_and_the_newest_subject(archive: Archive) -> None:
    fill(archive)
    counts = {line: archive.count(parse(line)) for line in FTS}

    assert counts == {"退款": 0, "refund": 1, "again": 1, "subject:new": 2, "4021": 2, "发票": 1, "from:jo": 1}
    assert archive.count(parse("402-1")) == 0


def test_what_is_known_need_not_be_captured_again(archive: Archive) -> None:
    fill(archive)

    assert archive.known(CASES) == Known(
        stamps={"1": "c", "3": ""},
        pages={1: listing_digest(list_capture(1, b"[1,2]")), 2: listing_digest(list_capture(2, b"[2]"))},
        wanting={"3": "kept and not read: the subject is not where it was"},
        active={"1": NOON + timedelta(minutes=2)},
    )
    unread = {"2": "kept and not read: the subject is not where it was"}
    assert archive.known(BUYERS) == Known(stamps={"2": ""}, pages={}, wanting=unread, active={"2": NOON})


def test_a_thread_that_could_not_be_read_is_known_to_be_wanting(archive: Archive) -> None:
    archive.file(archive.keep(thread_capture("7", [Said("a", "one")])), read(thread_capture("7", [Said("a", "one")])))
    broken = thread_capture("7", [Said("a", "one")], broken=True, days=1)
    archive.file(archive.keep(broken), read(broken))
    wanting = archive.known(CASES).wanting
    mended = thread_capture("7", [Said("a", "one")], days=2)
    archive.file(archive.keep(mended), read(mended))

    assert list(wanting) == ["7"]
    assert wanting["7"].startswith("kept and not read: ")
    assert archive.known(CASES).wanting == {}


def _with_file(days: int, *, fetched: bool) -> tuple[Capture, Thread]:
    """A thread with one attachment, which was fetched or not."""
    capture = thread_capture("8", [Said("a", "one", files=("letter.pdf",))], days=days)
    thread = read(capture)
    assert isinstance(thread, Thread)
    file = Attachment("letter.pdf", "application/pdf", "/f/1")
    if fetched:
        file = replace(file, artifact="attachment/0", size_bytes=0, sha256="00")
    message = replace(thread.messages[0], attachments=(file,))
    return capture, replace(thread, messages=(message,))


def test_an_attachment_fetched_later_completes_its_message_and_makes_no_new_version(archive: Archive) -> None:
    lacking, lacking_thread = _with_file(0, fetched=False)
    archive.file(archive.keep(lacking), lacking_thread)
    wanting = archive.known(CASES).wanting
    whole, whole_thread = _with_file(1, fetched=True)
    named = archive.keep(whole)
    archive.file(named, whole_thread)
    again, again_thread = _with_file(2, fetched=False)
    archive.file(archive.keep(again), again_thread)
    stored = archive.thread(whole_thread.thread).messages[0]

    assert wanting == {"8": "an attachment was not fetched"}
    assert archive.known(CASES).wanting == {}
    assert (stored.version, stored.capture, stored.message) == (1, named, whole_thread.messages[0])


def test_the_status_tells_runs_and_gaps(archive: Archive) -> None:
    fill(archive)
    buyers, cases = archive.status()

    assert (buyers.scope, buyers.last_run, buyers.threads, buyers.messages, buyers.unread) == (BUYERS, None, 1, 2, 1)
    assert (cases.scope, cases.threads, cases.messages, cases.unread, cases.state) == (CASES, 2, 2, 1, "PARTIAL")
    assert cases.last_run is not None
    assert cases.last_complete is not None
    assert (cases.last_run.run, cases.last_run.exit, cases.last_complete.run) == ("run-2", 4, "run-1")
    assert cases.oldest_visible == NOON


def test_the_same_captures_give_the_same_index(archive: Archive) -> None:
    fill(archive)
    before = everything(archive)

    count = archive.rebuild(read)

    assert everything(archive) == before
    assert count == 11


def test_a_lost_index_is_computed_again(root: Path, key: KeyFile) -> None:
    with Archive.open(root, key, write=True) as archive:
        fill(archive)
        before = everything(archive)
    (root / "index.db").unlink()
    with Archive.open(root, key, write=False) as reader, pytest.raises(ArchiveDamaged, match="missing") as told:
        reader.search(parse("x"))
    with Archive.open(root, key, write=True) as archive:
        filed = archive.file_unfiled(read)
        after = everything(archive)

    assert "reindex" in told.value.hint
    assert filed == 11
    assert after == before


@pytest.mark.parametrize("damage", ["empty", "noise", "cut", "page 1", "page 5", "last page"])
def test_a_damaged_index_costs_nothing(root: Path, key: KeyFile, damage: str) -> None:
    with Archive.open(root, key, write=True) as archive:
        fill(archive)
        before = everything(archive)
    path = root / "index.db"
    content = bytearray(path.read_bytes())
    match damage:
        case "empty":
            content.clear()
        case "noise":
            content[:] = b"noise" * 5000
        case "cut":
            del content[len(content) // 2 :]
        case "page 1":
            content[100] ^= 1
        case "page 5":
            content[4096 * 4 + 100] ^= 1
        case _:
            content[-100] ^= 1
    path.write_bytes(content)
    with Archive.open(root, key, write=True) as archive:
        archive.file_unfiled(read)
        archive.rebuild(read)
        after = everything(archive)
        problems = archive.verify().problems

    assert after == before
    assert problems == []


def test_an_index_of_another_version_is_computed_again(root: Path, key: KeyFile) -> None:
    with Archive.open(root, key, write=True) as archive:
        fill(archive)
        before = everything(archive)
        with archive._filed().database.transaction():
            archive._filed().database.run("UPDATE meta SET value = '0' WHERE key = 'format'")
    with Archive.open(root, key, write=True) as archive:
        archive.file_unfiled(read)
        after = everything(archive)

    assert after == before


def test_what_a_killed_run_kept_is_filed_by_the_next(root: Path, key: KeyFile) -> None:
    with Archive.open(root, key, write=True) as archive:
        archive.keep(thread_capture("1", [Said("m1", "退款")]))
        archive.keep(list_capture(1, b"[]"))
    with Archive.open(root, key, write=True) as archive:
        counts = (archive.file_unfiled(read), archive.file_unfiled(read), archive.count(parse("退款")))
        unfiled = archive.verify().unfiled

    assert counts == (2, 0, 1)
    assert unfiled == 0


def test_a_reindex_that_fails_leaves_the_old_index(archive: Archive) -> None:
    fill(archive)
    before = everything(archive)
    seen = []

    def fails(capture: Capture) -> Thread | Unread:
        seen.append(capture)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return read(capture)

    with pytest.raises(KeyboardInterrupt):
        archive.rebuild(fails)

    assert everything(archive) == before


def test_readers_see_the_old_index_until_the_new_one_is_whole(root: Path, key: KeyFile) -> None:
    counts = []

    def looks(capture: Capture) -> Thread | Unread:
        with Archive.open(root, key, write=False) as reader:
            counts.append(reader.count(parse("again")))
        return read(capture)

    with Archive.open(root, key, write=True) as archive:
        fill(archive)
        archive.rebuild(looks)
        counts.append(archive.count(parse("again")))

    assert counts == [1] * 7


def test_filing_twice_changes_nothing(archive: Archive) -> None:
    capture = thread_capture("1", [Said("m1", "退款")])
    name = archive.keep(capture)
    archive.file(name, read(capture))
    before = everything(archive)
    archive.file(name, read(capture))

    assert everything(archive) == before


def test_captures_of_a_thread_are_filed_in_order(archive: Archive) -> None:
    first, second = (archive.keep(thread_capture("1", [Said("m", body)])) for body in ("old", "new"))
    archive.file(second, read(thread_capture("1", [Said("m", "new")])))

    with pytest.raises(ValueError, match="after a later one"):
        archive.file(first, read(thread_capture("1", [Said("m", "old")])))


def test_two_messages_of_one_id_are_both_kept(archive: Archive) -> None:
    capture = thread_capture("1", [Said("", "one"), Said("", "two"), Said("", "three")])
    for _ in range(2):
        archive.file(archive.keep(capture), read(capture))

    assert [
        (m.message.body, m.version) for m in sorted(archive.thread("1").messages, key=lambda m: m.message.body)
    ] == [
        ("one", 1),
        ("three", 1),
        ("two", 1),
    ]


def test_messages_of_one_minute_stay_in_their_order(archive: Archive) -> None:
    said = [Said(f"m{at}", f"退款 {at}") for at in range(300)]
    archive.file(archive.keep(capture := thread_capture("1", said)), read(capture))

    found = [hit.snippet.rpartition(" ")[2] for hit in archive.search(parse("退款"))]

    assert [message.message.body for message in archive.thread("1").messages] == [m.body for m in said]
    assert found[-200:] == [str(at) for at in reversed(range(200))]


def test_a_thread_is_named_by_its_id_its_beginning_or_the_sites(archive: Archive) -> None:
    fill(archive)
    wanted = thread_id(CASES, "1")

    found = {archive.thread(named).id for named in (wanted, wanted.upper(), wanted[:6], "1", " 1 ")}

    assert found == {wanted}


def test_an_unclear_name_is_told_with_what_was_meant(archive: Archive) -> None:
    for scope in (CASES, BUYERS):
        capture = thread_capture("77", [], scope=scope)
        archive.file(archive.keep(capture), read(capture))

    with pytest.raises(UsageError, match="more than one") as unclear:
        archive.thread("77")
    for named in ("", "nothing", "%", "' OR 1=1"):
        with pytest.raises(UsageError, match="There is no thread"):
            archive.thread(named)

    assert thread_id(CASES, "77") in unclear.value.hint


def test_what_could_not_be_read_is_captured_once_more_and_no_oftener(archive: Archive) -> None:
    stamps = []
    for days in range(3):
        broken = thread_capture("7", [Said("a", "one")], broken=True, days=days)
        archive.file(archive.keep(broken), read(broken))
        stamps.append(archive.known(CASES).stamps["7"])

    assert stamps == ["", "1", "1"]
