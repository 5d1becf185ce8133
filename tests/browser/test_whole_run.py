"""One whole run, watched: init, account add, sync and search by the real program, against the stand-in's own truth."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import struct
import unicodedata
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from archiver.archive.archive import Archive
from archiver.demo.seller import TruthMessage, make_seller
from archiver.demo.stand_in import Counters, StandIn
from archiver.model import Kind, Source
from archiver.query import parse
from tests.browser.conftest import ACCOUNT, NOW, TOKEN, Office
from tests.browser.watch import Watch, disguises

pytestmark = pytest.mark.xdist_group("whole run")  # they share what is made once, at some cost


@dataclass(frozen=True)
class Run:
    """What one first sync of the whole sample came to, and what was seen while it ran."""

    office: Office
    lines: list[dict[str, object]]
    log: str
    counters: Counters
    truth: tuple[TruthMessage, ...]
    watch: Watch


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    # Secrets of its own: other tests write theirs into the same folders meanwhile.
    secret = base64.b32encode(os.urandom(20)).decode()
    small = make_seller(now=NOW, cases=36, threads=70, notifications=14, token=TOKEN)
    seller = replace(small, password=f"Zwölf-{secret[::-1]}", totp_secret=secret)
    needles = [n for secret in (TOKEN, seller.password, seller.totp_secret) for n in disguises(secret)]
    with StandIn(seller, now=NOW) as site:
        office = Office(tmp_path_factory.mktemp("whole") / "office", site)
        places = [office.folder, Path("/tmp"), Path("/dev/shm"), Path("/var/tmp")]
        with Watch(places, needles) as watch:
            office.set_up()
            ended = office.run("-v", "--json", "sync")
            assert ended.returncode == 0, ended.stderr[-3000:]
            office.done("search", "退款", "Lieferung")
        # Only now: what a person searches for stands in the process list while it runs.
        found = office.done("search", "--limit", "3", TOKEN)
        (office.folder / "log").write_text(ended.stderr)
        assert TOKEN in found
        lines = [json.loads(line) for line in ended.stdout.splitlines()]
        yield Run(office, lines, ended.stderr, site.counters, tuple(site.truth()), watch)
        office.close()


@pytest.fixture(scope="module")
def archive(ran: Run) -> Iterator[Archive]:
    with ran.office.opened() as opened:
        yield opened


# --- what a run says, and what the site saw --------------------------------------------------------------------


def test_every_source_of_every_marketplace_is_complete(ran: Run) -> None:
    states = {(line["marketplace"], line["source"]): (line["complete"], line["state"]) for line in ran.lines[:-1]}

    assert states == {(m, str(s)): (True, "COMPLETE") for m in ("UK", "DE") for s in Source}


def test_what_was_listed_was_captured(ran: Run) -> None:
    threads = defaultdict(set)
    for message in ran.truth:
        threads[message.marketplace, str(message.source)].add(message.site_thread)
    expected = {scope: (len(found), len(found), 0, 0) for scope, found in threads.items()}

    told = {
        (line["marketplace"], line["source"]): tuple(line[k] for k in ("listed", "captured", "unchanged", "failed"))
        for line in ran.lines[:-1]
    }

    assert told == expected


def test_the_last_line_names_the_run_and_its_exit(ran: Run) -> None:
    assert set(ran.lines[-1]) == {"run", "exit"}
    assert ran.lines[-1]["exit"] == 0


def test_nothing_was_written_to_the_site(ran: Run) -> None:
    assert (ran.counters.writes, ran.counters.forbidden_gets, ran.counters.noise_posts) == (0, 0, 0)


def test_each_credential_was_submitted_once(ran: Run) -> None:
    seen = ran.counters

    assert (seen.email_submissions, seen.password_submissions, seen.code_submissions) == (1, 1, 1)


# --- what was kept ---------------------------------------------------------------------------------------------


def test_every_message_says_what_the_site_said(ran: Run, archive: Archive) -> None:
    kept = {
        (t.scope.marketplace, str(t.scope.source), t.site_thread, m.message.site_message): (
            t.subject,
            str(m.message.direction),
            m.message.sender,
            m.message.sent_at,
            m.message.body,
            sorted((a.name, a.media_type, a.size_bytes, a.sha256) for a in m.message.attachments),
        )
        for t in archive.threads()
        for m in t.messages
    }

    expected = {
        (t.marketplace, str(t.source), t.site_thread, t.site_message): (
            t.subject,
            str(t.direction),
            # The site calls the seller "You" there; the archive calls it by the account's name.
            ACCOUNT if t.source == "buyer-messages" and t.direction == "out" else t.sender,
            t.sent_at,
            t.body,
            sorted(t.attachments),
        )
        for t in ran.truth
    }

    assert kept == expected


def test_every_attachment_is_kept_byte_for_byte(ran: Run, archive: Archive) -> None:
    served = sorted(sha256 for t in ran.truth for _, _, _, sha256 in t.attachments)
    kept: list[bytes] = []
    for thread in archive.threads():
        kept.extend(a.body for a in archive.read_capture(thread.captures[-1].id).named("attachment"))

    assert sorted(hashlib.sha256(body).hexdigest() for body in kept) == served
    assert {body[:4] for body in kept} >= {b"%PDF", b"\x89PNG", b"PK\x03\x04"}


def test_each_thread_has_everything_the_browser_saw(archive: Archive) -> None:
    for thread in archive.threads():
        capture = archive.read_capture(thread.captures[-1].id)
        families = {artifact.name.split("/")[0] for artifact in capture.artifacts}
        notification = thread.scope.source is Source.PERFORMANCE_NOTIFICATIONS

        assert families >= {"dom", "mhtml", "screenshot", "frame" if notification else "json"}
        assert capture.kind is Kind.THREAD


def test_screenshots_are_pictures_of_the_whole_thread(archive: Archive) -> None:
    for thread in archive.threads():
        capture = archive.read_capture(thread.captures[-1].id)
        sizes = [_png_size(a.body) for a in capture.named("screenshot")]
        page = "".join(a.body.decode() for a in (*capture.named("dom"), *capture.named("frame")))
        shown = _squeezed(re.sub(r"<[^>]+>", " ", page))

        assert all(width >= 1600 for width, _ in sizes)
        # The picture is of the page the DOM was taken from, unfolded: no fold is left in it, and every line shows.
        assert "See more" not in page
        for message in thread.messages:
            missing = [line for line in message.message.body.splitlines() if _squeezed(_escaped(line)) not in shown]
            assert missing == [], thread.id


def _png_size(png: bytes) -> tuple[int, int]:
    """Width and height in px of a PNG whose every chunk and pixel row is there."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed, size = 8, b"", (0, 0)
    while at < len(png):
        length, name = struct.unpack(">I4s", png[at : at + 8])
        body = png[at + 8 : at + 8 + length]
        assert zlib.crc32(name + body) == struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0]
        if name == b"IHDR":
            size = struct.unpack(">II", body[:8])
            channels = {2: 3, 6: 4}[body[9]]
        packed += body if name == b"IDAT" else b""
        at += 12 + length
    assert len(zlib.decompress(packed)) == size[1] * (size[0] * channels + 1)
    return size


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _squeezed(text: str) -> str:
    return "".join(text.replace("\u00a0", "").replace("&nbsp;", "").split())


# --- what can be found -----------------------------------------------------------------------------------------

_CJK = re.compile(r"[\u3041-\u30fa\u30fc-\u30ff\u3400-\u9fff]+")
_WORD = re.compile(r"[^\W_\u3041-\u30fa\u30fc-\u30ff\u3400-\u9fff]+")
_ORDER = re.compile(r"\d{3}-\d{7}-\d{7}")


def _folded(text: str) -> str:
    """As a person understands "the same letters"; written apart from the archive's own folding."""
    wide = unicodedata.normalize("NFKC", text).casefold()
    # Accents go; the marks that tell が from か stay.
    marks = set(map(chr, range(0x0300, 0x0370)))
    bare = "".join(c for c in unicodedata.normalize("NFD", wide) if c not in marks)
    return unicodedata.normalize("NFC", bare)


def _found(archive: Archive, query: str) -> set[tuple[str, str]]:
    return {(hit.thread, hit.message) for hit in archive.search(parse(query))}


@pytest.fixture(scope="module")
def texts(ran: Run, archive: Archive) -> dict[tuple[str, str], str]:
    """What of each message can be found: subject, sender, body, names of files; keyed like a hit."""
    bodies = {(str(t.source), t.site_thread, t.site_message): t for t in ran.truth}
    return {
        (thread.id, message.id): "\n".join(
            (
                bodies[str(thread.scope.source), thread.site_thread, message.message.site_message].subject,
                message.message.sender,
                bodies[str(thread.scope.source), thread.site_thread, message.message.site_message].body,
                *(file.name for file in message.message.attachments),
            )
        )
        for thread in archive.threads()
        for message in thread.messages
    }


def test_every_pair_of_chinese_or_japanese_characters_is_found(
    archive: Archive, texts: dict[tuple[str, str], str]
) -> None:
    holding = defaultdict(set)
    for key, text in texts.items():
        for run in _CJK.findall(_folded(text)):
            for pair in (run[i : i + 2] for i in range(len(run) - 1)):
                holding[pair].add(key)

    assert len(holding) > 400
    assert [pair for pair, keys in holding.items() if _found(archive, pair) != keys] == []


def test_every_word_is_found(archive: Archive, texts: dict[tuple[str, str], str]) -> None:
    holding = defaultdict(set)
    for key, text in texts.items():
        for word in _WORD.findall(_folded(text)):
            holding[word].add(key)
    # Quoted: OR is a word of the query language, and a person who means the word puts it in quotes.
    wrong = [word for word, keys in holding.items() if not keys <= _found(archive, f'"{word}"')]

    assert len(holding) > 1000
    assert wrong == []


def test_every_order_number_is_found_whole_and_by_its_parts(
    archive: Archive, texts: dict[tuple[str, str], str]
) -> None:
    orders = {order for text in texts.values() for order in _ORDER.findall(text)}
    wrong = [
        part
        for order in orders
        for part in (order, order[:11], order[4:], order.split("-")[1])
        if not {key for key, text in texts.items() if part in text} <= _found(archive, part)
    ]

    assert len(orders) > 40
    assert wrong == []


@pytest.mark.parametrize("query", ["退款", "返金", "Lieferung", "pedido", "invoice"])
def test_the_command_gives_exactly_the_messages_that_contain_it(
    ran: Run, texts: dict[tuple[str, str], str], query: str
) -> None:
    hits = [json.loads(line) for line in ran.office.done("search", query, "--json").splitlines()]
    as_word = re.compile(rf"(?<!\w){_folded(query)}(?!\w)" if query.isascii() else _folded(query))

    assert {(hit["thread"], hit["message"]) for hit in hits} == {
        key for key, text in texts.items() if as_word.search(_folded(text))
    }
    assert hits
    assert [hit["sent_at"] for hit in hits] == sorted((hit["sent_at"] for hit in hits), reverse=True)


# --- no plaintext ----------------------------------------------------------------------------------------------


def test_no_secret_and_no_message_lay_anywhere(ran: Run) -> None:
    assert ran.watch.found == set()
    assert TOKEN not in ran.log
    assert any(path.startswith(f"{ran.office.run_folder}/archiver-") for path in ran.watch.files_seen)
    assert any(path.endswith("/index.db") for path in ran.watch.files_seen)
    assert len(ran.watch.processes_seen) > 5


def test_nothing_of_the_browser_is_left(ran: Run) -> None:
    places = (ran.office.folder / "home", ran.office.folder / "tmp", ran.office.run_folder)
    left = [path for place in places for path in place.rglob("*") if path.is_file()]

    assert left == []


# --- once more -------------------------------------------------------------------------------------------------


def test_run_again_it_finds_nothing_new_and_keeps_nothing(ran: Run, archive: Archive) -> None:
    before = archive.verify().captures
    ended = ran.office.run("sync")

    assert ended.returncode == 0, ended.stderr
    assert "Nothing new" in ended.stdout + ended.stderr
    with ran.office.opened() as again:
        # The run record is all that a run without news leaves.
        assert again.verify().captures - before <= 1
    assert ran.office.site.counters.password_submissions == 1
