"""What the stand-in's seller has, and what of it is visible when."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime, timedelta
from itertools import groupby

from PIL import Image

from archiver.demo import documents
from archiver.demo.seller import Seller, make_seller, truth

NOW = datetime(2026, 11, 1, 9, tzinfo=UTC)
WINDOW = timedelta(days=90)


def test_the_same_seed_and_moment_make_the_same_seller(seller: Seller) -> None:
    assert make_seller(now=NOW) == seller


def test_another_seed_makes_another_seller(seller: Seller) -> None:
    assert make_seller(seed=2, now=NOW).cases != seller.cases


def test_there_are_as_many_items_as_asked_for(seller: Seller) -> None:
    assert (len(seller.cases), len(seller.threads), len(seller.notices)) == (60, 150, 25)


def test_nothing_is_written_after_now(seller: Seller) -> None:
    everything = truth(seller, NOW + timedelta(days=9999), timedelta(days=99999))

    assert max(message.sent_at for message in everything) <= NOW


def test_a_thread_is_gone_once_its_last_message_is_older_than_the_window(seller: Seller) -> None:
    later = NOW + timedelta(days=30)
    visible = truth(seller, later, WINDOW)
    newest = [
        max(message.sent_at for message in messages)
        for _, messages in groupby(visible, key=lambda message: message.site_thread)
    ]

    assert newest
    assert min(newest) >= later - WINDOW
    assert len(visible) < len(truth(seller, NOW, WINDOW))


def test_what_arrives_later_shows_when_the_clock_gets_there() -> None:
    until = NOW + timedelta(days=10)
    seller = make_seller(now=NOW, until=until)
    before = {message.site_message for message in truth(seller, NOW, WINDOW)}
    after = {message.site_message for message in truth(seller, until, WINDOW)}

    assert after - before
    assert before - after


def test_the_canary_is_in_every_body() -> None:
    seller = make_seller(now=NOW, token="canary-4711")

    assert all("canary-4711" in message.body for message in truth(seller, NOW, WINDOW))


def test_no_message_id_is_used_twice(seller: Seller) -> None:
    ids = [message.site_message for message in truth(seller, NOW, timedelta(days=999))]

    assert len(ids) == len(set(ids))


def test_five_languages_are_written(seller: Seller) -> None:
    assert {thread.language for thread in seller.threads} == {"en", "de", "es", "ja", "zh"}


def test_a_long_conversation_has_25_messages_and_more(seller: Seller) -> None:
    visible = [len(t.artifacts) for t in seller.threads if t.artifacts[-1].sent_at >= NOW - WINDOW]

    assert max(visible) >= 25


def test_every_attachment_opens(seller: Seller) -> None:
    files = [f for c in seller.cases for m in c.contacts for f in m.files]
    files += [f for t in seller.threads for m in t.artifacts for f in m.files]

    assert {file.media_type for file in files} == {documents.PDF, documents.PNG, documents.XLSX}
    for file in files:
        if file.media_type == documents.PNG:
            Image.open(io.BytesIO(file.body)).load()
        elif file.media_type == documents.XLSX:
            assert zipfile.ZipFile(io.BytesIO(file.body)).testzip() is None
        else:
            assert file.body.startswith(b"%PDF-1.4")
            assert file.body.endswith(b"%%EOF\n")
