"""Folding, runs and terms: what can be found is what is defined."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.text import cut, fold, fold_with_map, found_at, identifier_part, identifiers, index_terms, query_terms

# Everything that has a rule of its own, so that chance meets it often.
TRICKY = st.text(
    alphabet="aAée\u0301ßſİﬁ退款申かガガ゛\u3099ー한ㅎㅏ\u1112\u1161 。-_'・😀①ⅷ"
    "\u00ad\u200b\ufe0f\U000e0100Ａ１\ud83d𠮷\n"
)
ANYTHING = st.one_of(TRICKY, st.text(alphabet=st.characters()))


@pytest.mark.parametrize(
    "text, folded",
    [
        ("STRASSE Straße", "strasse strasse"),
        ("Größe café Ñandú", "grosse cafe nandu"),
        ("ｉＰｈｏｎｅ　１２", "iphone 12"),
        ("ｶﾞﾗｽ", "ガラス"),
        ("か\u3099", "が"),
        ("İstanbul", "istanbul"),
        ("한국어", "한국어"),
        ("Rück\u00adsen\u200bdung", "rucksendung"),
        ("葛\U000e0100飾", "葛飾"),
        ("ﬁn ①", "fin 1"),
    ],
)
def test_width_case_and_accents_are_folded(text: str, folded: str) -> None:
    actual = fold(text)

    assert actual == folded


def test_kana_keep_their_voicing_marks() -> None:
    actual = fold("か") == fold("が")

    assert actual is False


@given(ANYTHING)
def test_folding_twice_changes_nothing(text: str) -> None:
    once = fold(text)

    assert fold(once) == once


def test_no_single_character_changes_when_folded_twice() -> None:
    changing = [chr(c) for c in range(0x110000) if fold(fold(chr(c))) != fold(chr(c))]

    assert changing == []


@given(ANYTHING)
def test_the_map_belongs_to_the_folded_text(text: str) -> None:
    mapped = fold_with_map(text)

    assert mapped.text == fold(text)
    assert len(mapped.starts) == len(mapped.ends) == len(mapped.text)
    assert list(mapped.starts) == sorted(mapped.starts)
    assert all(0 <= start < end <= len(text) for start, end in zip(mapped.starts, mapped.ends, strict=True))


def test_the_map_finds_the_original() -> None:
    text = "Die Größe: ｉＰｈｏｎｅ退款"
    mapped = fold_with_map(text)
    start = mapped.text.index("iphone")

    actual = text[mapped.starts[start] : mapped.ends[start + 5]]

    assert actual == "ｉＰｈｏｎｅ"


@pytest.mark.parametrize(
    "text, runs",
    [
        ("iphone退款ok", ["iphone", "退款", "ok"]),
        ("退。款", ["退", "款"]),
        ("コーヒー・ミル", ["コーヒー", "ミル"]),
        ("don't foo_bar a-b", ["don", "t", "foo", "bar", "a", "b"]),
        ("ok😀go", ["ok", "go"]),
        ("환불 요청", ["환불", "요청"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("возврат денег", ["возврат", "денег"]),
        ("", []),
    ],
)
def test_text_is_cut_where_the_kind_changes(text: str, runs: list[str]) -> None:
    actual = [run.text for run in cut(text)]

    assert actual == runs


def test_a_cjk_run_is_indexed_as_bigrams_and_its_last_character() -> None:
    actual = index_terms("申请退款 iPhone")

    assert actual == ["申请", "请退", "退款", "款", "iphone"]


@pytest.mark.parametrize(
    "text, term, found",
    [
        ("请退款吧", "退款", True),
        ("请退款吧", "款", True),
        ("退。款", "退款", False),
        ("退\n款", "退款", False),
        ("refunds", "refund", False),
        ("a refund.", "refund", True),
        ("iPhone 退款吧", "iPhone退款", True),
        ("iPhone要退款", "iPhone退款", False),
        ("要退款iPhone", "款iPhone", True),
        ("退款吧iPhone", "退款iPhone", False),
        ("hello, world", "hello world", True),
        ("hello big world", "hello world", False),
        ("申请退款", "申请 退款", False),
        ("申请，退款", "申请 退款", True),
        ("哈哈哈", "哈哈哈哈", False),
        ("word", "😀", False),
    ],
)
def test_a_term_is_found_by_its_runs(text: str, term: str, found: bool) -> None:
    actual = bool(found_at(fold(text), fold(term)))

    assert actual is found


@given(st.text(alphabet="ab退款申 。-", max_size=14), st.text(alphabet="ab退款申 。-", max_size=6))
def test_the_terms_of_the_index_find_what_the_definition_finds(text: str, term: str) -> None:
    wanted, prefix = query_terms(term)
    held = index_terms(text)
    by_terms = bool(wanted) and any(
        held[i : i + len(wanted) - 1] == wanted[:-1]
        and (held[i + len(wanted) - 1].startswith(wanted[-1]) if prefix else held[i + len(wanted) - 1] == wanted[-1])
        for i in range(len(held) - len(wanted) + 1)
    )

    assert by_terms is bool(found_at(fold(text), fold(term)))


@given(ANYTHING)
def test_no_term_can_be_split_again(text: str) -> None:
    bad = [t for t in index_terms(text) if not t or any(c.isascii() and not (c.islower() or c.isdigit()) for c in t)]

    assert bad == []
    assert all(unicodedata.category(c) != "Cs" for t in index_terms(text) for c in t)


def test_identifiers_are_runs_with_four_digits() -> None:
    actual = identifiers("Order 402-1234567-7654321 (ASIN B0CX12345Z), 退款号R-2026-88 in 2 of 30 days")

    assert actual == ["402-1234567-7654321", "b0cx12345z", "r-2026-88"]


@pytest.mark.parametrize(
    "term, part",
    [("402-1", "402-1"), ("Ｂ0C", "b0c"), ("12", None), ("abc", None), ("12 34", None), ("1退款", None), ("---", None)],
)
def test_a_word_with_a_digit_may_be_part_of_an_identifier(term: str, part: str | None) -> None:
    actual = identifier_part(term)

    assert actual == part
