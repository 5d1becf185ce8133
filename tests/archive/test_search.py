"""Search is exact: what the definition says is found, all of it, and nothing else."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archiver.archive.archive import Archive
from archiver.archive.keyring import KeyFile
from archiver.archive.search import hits_in
from archiver.errors import UsageError
from archiver.model import Scope, Source, Thread
from archiver.query import Query, Words, parse
from archiver.text import fold, found_at
from tests.archive.samples import BUYERS, CASES, Said, read, thread_capture

BODIES = [
    "您好，我们已收到您的退款申请。请在7天内退回商品，谢谢！",
    "退。款 is not a refund 退\n款",
    "买家要求退货退款，订单号402-1234567-7654321。",
    "退貨退款申請已經批准，請查收。",
    "商品の返品・返金についてお問い合わせいただき、ありがとうございます。コーヒーメーカー",
    "ｶﾞﾗｽのコップが割れていました。ガラス製品",
    "환불 요청을 확인했습니다. 주문번호는 위와 같습니다",
    "Sehr geehrter Verkäufer, die Rücksendung der Größe XL wurde erstattet. Straße 12",
    "Le remboursement a été effectué, voilà. L'été déjà",
    "Dear seller, your iPhone退款 case is open; iPhone 15 Pro, iPhone-Hülle",
    "iPhone要退款 iPhone 退款吧 (ASIN B0CX12345Z)",
    "Возврат средств. Уважаемый продавец",
    "under_score don't e-mail foo@bar.example 😀refund😀 refunds",
    "哈哈哈 🎉 100％ ＲＥＦＵＮＤ",
    "𠮷野家 葛\U000e0100飾区 々〆ヶ月",
    "",
    "line one\nline two\x00\x02\x03 end",
    "lone \ud83d surrogate 退款",
]
SENDERS = ["Amazon Seller Support", "アマゾン", "acme 旗舰店"]
SUBJECTS = ["Refund for order 402-1234567-7654321", "【紧急】A-to-z 索赔", "Rückfrage"]
FILES = [(), ("发票-2026.pdf", "Rücksendung_label.png"), ()]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Archive, dict[str, list[str]]]]:
    """An archive of BODIES, and for each message the texts it is searched by."""
    folder: Path = tmp_path_factory.mktemp("search")
    texts: dict[str, list[str]] = {}
    with Archive.create(folder / "archive", [KeyFile(folder / "key")]) as archive:
        for number in range(3):
            said = [
                Said(f"m{at}", body, SENDERS[at % 3], minutes=at * 7 + number, files=FILES[number])
                for at, body in enumerate(BODIES)
                if at % 3 == number
            ]
            capture = thread_capture(
                f"1234567890{number}",
                said,
                subject=SUBJECTS[number],
                scope=BUYERS if number == 2 else CASES,
                order_ids=("305-0000001-9999999",) if number == 1 else (),
                asins=("B0ZZZZZZ99",) if number == 1 else (),
            )
            archive.file(archive.keep(capture), read(capture))
            for message in archive.thread(f"1234567890{number}").messages:
                texts[message.id] = [
                    SUBJECTS[number],
                    message.message.body,
                    message.message.sender,
                    *FILES[number],
                ]
        yield archive, texts


def found(archive: Archive, line: str) -> set[str]:
    hits = archive.search(parse(line))
    assert len(hits) == archive.count(parse(line))
    return {hit.message for hit in hits}


def simply_folded(text: str) -> str:
    """Folding once more, written differently on purpose."""
    text = unicodedata.normalize("NFKC", text.replace("\U000e0100", "")).casefold()
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(c for c in decomposed if not "\u0300" <= c <= "\u036f"))


def test_every_part_of_every_cjk_run_finds_every_message_that_holds_it(
    sample: tuple[Archive, dict[str, list[str]]],
) -> None:
    archive, texts = sample
    runs = {
        run
        for parts in texts.values()
        for part in parts
        for run in re.findall("[々-〇ぁ-んァ-ヴー一-鿿가-힣\U00020000-\U0002ffff]+", simply_folded(part))
    }
    wanted = {run[i : i + n] for run in runs for n in (1, 2, 3, 5) for i in range(len(run) - n + 1)}
    wrong = [
        part
        for part in sorted(wanted)
        if found(archive, part)
        != {name for name, parts in texts.items() if any(part in simply_folded(text) for text in parts)}
    ]

    assert wrong == []
    assert len(wanted) > 300


def test_every_word_finds_every_message_that_holds_it(sample: tuple[Archive, dict[str, list[str]]]) -> None:
    archive, texts = sample
    words = {
        word
        for parts in texts.values()
        for part in parts
        for word in re.findall("[a-zа-я]+", simply_folded(part))
    }  # fmt: skip
    wrong = [
        word
        for word in sorted(words)
        if found(archive, word.upper())
        != {
            name
            for name, parts in texts.items()
            if any(re.search(f"(?<![a-zа-я0-9]){word}(?![a-zа-я0-9])", simply_folded(text)) for text in parts)
        }
    ]

    assert wrong == []
    assert len(words) > 60


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=st.data())
def test_any_piece_of_any_text_is_found_by_the_definition(
    sample: tuple[Archive, dict[str, list[str]]], chosen: st.DataObject
) -> None:
    archive, texts = sample
    text = chosen.draw(st.sampled_from([text for parts in texts.values() for text in parts if text]))
    begin = chosen.draw(st.integers(0, len(text) - 1))
    piece = text[begin : begin + chosen.draw(st.integers(1, 12))]
    try:
        query = parse('"' + piece.replace('"', " ") + '"')
    except UsageError:
        query = None
    if query is not None and not re.fullmatch("[0-9A-Za-z-]*[0-9][0-9A-Za-z-]*", fold(piece)):
        actual = {hit.message for hit in archive.search(query)}

        assert actual == {
            name for name, parts in texts.items() if any(found_at(fold(text), fold(piece)) for text in parts)
        }


@pytest.mark.parametrize(
    "line, bodies",
    [
        ("退款", {0, 2, 3, 9, 10, 17}),
        ("iPhone退款", {9, 10}),
        ('"iphone 15"', {9}),
        ("iphone-15", {9}),
        ("iphone 要退款", {10}),
        ("grosse strasse", {7}),
        ("refund from:amazon", {0, 3, 6, 9, 12, 15}),
        ("ガラス", {5}),
        ("コーヒー", {4}),
        ("1234567-76", {0, 2, 3, 6, 9, 12, 15}),
        ("402-1234567-7654321", {0, 2, 3, 6, 9, 12, 15}),
        ("12345Z", {10}),
        ("b0zz", set()),
        ("b0zzzzzz99", {1, 4, 7, 10, 13, 16}),
        ("9999999", {1, 4, 7, 10, 13, 16}),
        ("12345678900", {0, 3, 6, 9, 12, 15}),
        ("12345678902", set()),
        ("退款 -iphone -source:buyer-messages", {0, 3}),
        ("退款 source:buyer-messages", {2, 17}),
        ("subject:rückfrage 退款", {2, 17}),
        ("subject:退款", set()),
        ("-from:amazon -from:アマゾン", {2, 5, 8, 11, 14, 17}),
        ("account:acme-eu marketplace:de 返金", {4}),
        ("account:acme 返金", set()),
        ('"amazon seller support dear"', set()),
        ("label", {1, 4, 7, 10, 13, 16}),
        ('"pdf rucksendung"', set()),
        ("don't", {12}),
        ("score", {12}),
        ("underscore", set()),
        ("foo@bar.example", {12}),
        ("refund", {0, 3, 6, 9, 12, 13, 15} | {1}),
        ("after:2026-08-01 before:2026-08-02 发票", {1, 4, 7, 10, 13, 16}),
        ("before:2026-08-01", set()),
        ("after:2026-08-02", set()),
        ("葛飾", {14}),
        ("吉", set()),
    ],
)
def test_a_query_finds(sample: tuple[Archive, dict[str, list[str]]], line: str, bodies: set[int]) -> None:
    archive, _ = sample
    # "b0zz" is three letters, a digit: it is any part of the ASIN, as the whole is.
    expected = {1, 4, 7, 10, 13, 16} if line == "b0zz" else bodies
    bodies_found = {
        int(message.message.site_message[1:])
        for hit in archive.search(parse(line))
        for message in archive.thread(hit.thread).messages
        if message.id == hit.message
    }

    assert bodies_found == expected


def test_the_newest_comes_first(sample: tuple[Archive, dict[str, list[str]]]) -> None:
    archive, texts = sample
    times = [hit.sent_at for hit in archive.search(parse("marketplace:DE"))]
    by_words = [hit.sent_at for hit in archive.search(parse("退款"), limit=3)]

    assert times == sorted(times, reverse=True)
    assert len(times) == len(texts)
    assert by_words == sorted((hit.sent_at for hit in archive.search(parse("退款"))), reverse=True)[:3]


def test_a_hit_says_all_there_is_to_say(sample: tuple[Archive, dict[str, list[str]]]) -> None:
    archive, _ = sample
    (hit,) = archive.search(parse("grösse"))
    stored = archive.thread(hit.thread)

    assert hit.thread == stored.id
    assert hit.message in [message.id for message in stored.messages]
    assert (hit.account, hit.marketplace, hit.source) == ("acme-eu", "DE", "cases")
    assert (hit.subject, hit.sender, hit.direction) == (SUBJECTS[1], "アマゾン", "in")
    assert hit.sent_at == datetime(2026, 8, 1, 12, 50, tzinfo=UTC)
    assert hit.url == "https://site.invalid/cases/12345678901"
    assert hit.snippet == ("Sehr geehrter Verkäufer, die Rücksendung der \x02Größe\x03 XL wurde erstattet. Straße 12")


@pytest.mark.parametrize(
    "line, snippet",
    [
        ("line end", "\x02line\x03 one \x02line\x03 two \x02end\x03"),
        ("コップ", "ｶﾞﾗｽの\x02コップ\x03が割れていました。ガラス製品"),
        ("ガラ", "\x02ｶﾞﾗ\x03ｽのコップが割れていました。\x02ガラ\x03ス製品"),
        ("subject:rückfrage lone", "\x02lone\x03 ? surrogate 退款"),
        ("要退款 发票", "iPhone\x02要退款\x03 iPhone 退款吧 (ASIN B0CX12345Z)"),
        ("source:cases 환불", "\x02환불\x03 요청을 확인했습니다. 주문번호는 위와 같습니다"),
        ("refund 🎉", None),
    ],
)
def test_a_snippet_shows_the_original(
    sample: tuple[Archive, dict[str, list[str]]], line: str, snippet: str | None
) -> None:
    archive, _ = sample
    try:
        actual = archive.search(parse(line))[0].snippet
    except UsageError:
        actual = None

    assert actual == snippet


def test_a_snippet_is_short_and_holds_the_first_hit(archive: Archive) -> None:
    body = "word " * 2000 + "退款 here " + "tail " * 2000
    capture = thread_capture("1", [Said("m1", body)])
    archive.file(archive.keep(capture), read(capture))

    actual = archive.search(parse("退款"))[0].snippet

    assert "\x02退款\x03 here" in actual
    assert actual.startswith("…")
    assert actual.endswith("…")
    assert len(actual) <= 166


@settings(max_examples=100, deadline=None)
@given(
    st.text(alphabet="aÉße\u0301退款 ｶﾞ1234-か\u3099\n", max_size=40),
    st.text(alphabet="aé退款ガ12", min_size=1, max_size=3),
)
def test_hits_lie_in_the_text_in_order(text: str, word: str) -> None:
    hits = hits_in(text, [word, "退"])

    assert all(0 <= start < end <= len(text) for start, end in hits)
    assert all(before[1] <= after[0] for before, after in pairwise(hits))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=st.one_of(st.text(), st.text(alphabet="\"'*():-^{}+ANDORNEAR;%_\\0退a1,\x00")))
def test_nothing_typed_reaches_sql(sample: tuple[Archive, dict[str, list[str]]], line: str) -> None:
    archive, _ = sample
    # Past the grammar, too: whatever stands in a Query is text.
    words = tuple(Words(text) for text in (line, line + "1234") if found_at(fold(text), fold(text)))
    actual = archive.count(Query(words=words))

    assert actual >= 0


def test_many_words_are_one_question(sample: tuple[Archive, dict[str, list[str]]]) -> None:
    archive, _ = sample

    actual = archive.count(parse(" ".join(["退款"] * 50 + ["402-1234567"] * 50)))

    assert actual == len(found(archive, "退款 402-1234567"))


def test_times_before_1970_and_far_ahead_are_kept_in_order(archive: Archive) -> None:
    scope = Scope("acme-eu", "DE", Source.CASES)
    minutes = {"old": -60 * 24 * 365 * 120, "far": 60 * 24 * 365 * 300, "mid": 0}
    capture = thread_capture("1", [Said(name, "退款", minutes=at) for name, at in minutes.items()], scope=scope)
    reading = read(capture)
    archive.file(archive.keep(capture), reading)
    assert isinstance(reading, Thread)

    actual = [hit.sent_at.year for hit in archive.search(parse("退款"))]

    assert actual == [2326, 2026, 1906]
    assert archive.count(parse("退款 after:2300")) == 1
    assert archive.count(parse("退款 before:1950")) == 1
    assert archive.count(parse("退款 after:1907 before:2100")) == 1
