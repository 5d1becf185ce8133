"""The search language: what it says, and that whatever else is typed is refused in one place."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archiver.errors import UsageError
from archiver.query import LONGEST, MOST_PARTS, Query, Where, Words, parse


@pytest.mark.parametrize(
    "line, query",
    [
        ("refund", Query((Words("refund"),))),
        (" 退款　iPhone ", Query((Words("退款"), Words("iPhone")))),
        ('"a phrase" -word', Query((Words("a phrase"), Words("word", excluded=True)))),
        ('-"two words"', Query((Words("two words", excluded=True),))),
        ('from:"Jo Smith" subject:A-to-z', Query((Words("Jo Smith", "from"), Words("A-to-z", "subject")))),
        ("-from:amazon", Query((Words("amazon", "from", excluded=True),))),
        (
            "source:cases account:acme marketplace:de",
            Query(wheres=(Where("source", "cases"), Where("account", "acme"), Where("marketplace", "DE"))),
        ),
        ("-source:buyer-messages", Query(wheres=(Where("source", "buyer-messages", excluded=True),))),
        ("402-1234567-1234567", Query((Words("402-1234567-1234567"),))),
        ("FROM:x or and", Query((Words("x", "from"), Words("or"), Words("and")))),
        ('"OR"', Query((Words("OR"),))),
        ("after:2026", Query(after=datetime(2026, 1, 1, tzinfo=UTC))),
        ("before:2026-08", Query(before=datetime(2026, 8, 1, tzinfo=UTC))),
        ("after:2026-08 after:2026-08-31", Query(after=datetime(2026, 8, 31, tzinfo=UTC))),
        ("before:2027 before:2026", Query(before=datetime(2026, 1, 1, tzinfo=UTC))),
    ],
)
def test_a_line_means(line: str, query: Query) -> None:
    actual = parse(line)

    assert actual == query


@pytest.mark.parametrize(
    "line, column, what",
    [
        ("退款 OR 换货", 4, "OR is not spoken yet"),
        ("(a b)", 1, "Parentheses"),
        ("foo(bar)", 4, "Parentheses"),
        ("word*", 5, "`*`"),
        ('say "hello', 5, "not closed"),
        ('"a"b', 4, "A space is missing"),
        ('5"', 2, "middle of a word"),
        ("a -", 3, "Nothing stands after `-`"),
        ("from:", 1, "Nothing stands after `from:`"),
        ("source:mail", 8, "no source `mail`"),
        ("order:402", 1, "The field `order:` is not known"),
        ("a https://x", 3, "The field `https:` is not known"),
        ("after:yesterday", 7, "no date"),
        ("after:2026-13", 7, "no such day"),
        ("before:2026-02-30", 8, "no such day"),
        ("before:0000", 8, "no such day"),
        ("after:２０２６", 7, "no date"),
        ("-after:2026", 1, "`-after:` is not spoken"),
        ("refund 😀", 8, "no letter or digit"),
        ('""', 1, "no letter or digit"),
        ('account:""', 9, "Nothing is named"),
    ],
)
def test_what_is_not_spoken_is_refused_where_it_stands(line: str, column: int, what: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(line)

    assert what in refused.value.message
    assert f"at column {column}:" in refused.value.message
    assert refused.value.hint


def test_the_caret_stands_under_the_place_in_a_terminal() -> None:
    with pytest.raises(UsageError) as refused:
        parse("退款 OR x")

    assert refused.value.message.splitlines()[1:] == ["  退款 OR x", "       ^"]


@pytest.mark.parametrize("line", ["", "  \n", "a" * (LONGEST + 1), "a " * (MOST_PARTS + 1)])
def test_nothing_and_too_much_are_refused(line: str) -> None:
    with pytest.raises(UsageError):
        parse(line)


@given(st.one_of(st.text(), st.text(alphabet='ab-":()*0 退after:sourcefrom\n'), st.from_regex(r"(after|from):.*")))
@example("\ud800")
@example('after:"2026"')
def test_whatever_is_typed_is_a_query_or_refused(line: str) -> None:
    try:
        actual: object = parse(line)
    except UsageError as refused:
        actual = refused

    assert isinstance(actual, Query | UsageError)
