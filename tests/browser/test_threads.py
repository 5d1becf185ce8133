"""Files that come with messages: kept as the site has them, and told of where they do not open."""

from __future__ import annotations

import random
import struct
import zlib
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from archiver import wiring
from archiver.coverage import Coverage, Verdict
from archiver.demo.moods.threads import Files
from archiver.demo.seller import Seller, make_seller
from archiver.demo.stand_in import StandIn
from archiver.model import Attachment, Source
from tests.browser.conftest import NOW, door, run_inside

SCOPE = ("UK", Source.BUYER_MESSAGES)


@pytest.fixture(scope="module")
def with_files() -> Seller:
    """A seller one of whose few threads has a picture."""
    for seed in range(100):
        seller = make_seller(seed=seed, now=NOW, cases=1, threads=4, notifications=1)
        found = [f for t in seller.threads if t.marketplace.code == "UK" for m in t.artifacts for f in m.files]
        if {file.media_type for file in found} == {"image/png"} and len(found) == 1:
            return seller
    raise AssertionError("no seed gives such a seller")


def runs(mood: Files, seller: Seller, browser: Browser, folder: Path) -> tuple[list[Coverage], list[Attachment]]:
    """Two runs at a site in this mood, and what is then known of its files."""
    with StandIn(seller, now=NOW, moods=(mood,)) as site, door(site, folder, label=seller.label) as way:
        coverages = [run_inside(way, browser, SCOPE).coverages[0] for _ in range(2)]
        assert isinstance(way.memory, wiring.VaultMemory)
        messages = [stored.message for thread in way.memory.archive.threads() for stored in thread.messages]
    return coverages, [attachment for message in messages for attachment in message.attachments]


def png(size_bytes: int) -> bytes:
    """A good picture of about that size, which no compression makes smaller."""
    width = 1024
    height = size_bytes // (width * 3)
    noise = random.Random(1)
    rows = b"".join(b"\0" + noise.randbytes(width * 3) for _ in range(height))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")


def test_a_file_that_does_not_open_is_asked_for_twice_kept_and_told_once(
    with_files: Seller, browser: Browser, tmp_path: Path
) -> None:
    mood = Files("broken", media_type="image/png", body=png(20_000)[:9_000])
    [first, second], [attachment] = runs(mood, with_files, browser, tmp_path)

    assert (first.verdict, second.verdict) == (Verdict.COMPLETE, Verdict.COMPLETE)
    assert (attachment.opens, attachment.size_bytes) == (False, 9_000)
    assert "does not open" in first.alarms[0].why
    assert "ask for it again" in first.alarms[0].hint
    assert (len(first.alarms), second.alarms, mood.asked) == (1, (), 2)


def test_a_file_that_was_damaged_on_the_way_is_whole_at_the_second_time(
    with_files: Seller, browser: Browser, tmp_path: Path
) -> None:
    mood = Files("damaged once", media_type="image/png", body=png(20_000)[:9_000], times=1)
    [first, _], [attachment] = runs(mood, with_files, browser, tmp_path)

    assert (first.verdict, first.alarms) == (Verdict.COMPLETE, ())
    assert attachment.opens is True


def test_a_missing_file_is_missed_until_it_comes(with_files: Seller, browser: Browser, tmp_path: Path) -> None:
    mood = Files("missing", status=404)
    [first, second], [attachment] = runs(mood, with_files, browser, tmp_path)

    assert (first.verdict, second.verdict) == (Verdict.PARTIAL, Verdict.PARTIAL)
    assert "an attachment was not fetched: the site answered 404" in first.reasons
    assert (attachment.opens, attachment.sha256) == (None, None)


def test_a_file_of_ten_megabytes_is_kept_whole(with_files: Seller, browser: Browser, tmp_path: Path) -> None:
    mood = Files("large", media_type="image/png", body=png(10_000_000))
    [first, _], [attachment] = runs(mood, with_files, browser, tmp_path)

    assert (first.verdict, first.alarms) == (Verdict.COMPLETE, ())
    assert (attachment.opens, attachment.size_bytes) == (True, len(mood.body))
