"""How long answers took is told where it is known, and only nearly equal requests are called the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from archiver.model import Scope, Source
from archiver.response import Exchange, figures, filed_twice

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
CASES = Scope("acme", "DE", Source.CASES)
REQUEST = "Please reinstate our listing B0B9T3HNPD, the invoice of our supplier is attached to this case"


def exchange(
    name: str,
    *,
    hours: float | None = None,
    days: float = 0,
    status: str = "Open",
    scope: Scope = CASES,
    request: str = "",
) -> Exchange:
    opened_at = NOON + timedelta(days=days)
    answered_at = None if hours is None else opened_at + timedelta(hours=hours)
    last_at = opened_at + timedelta(hours=(hours or 0) * 2)
    return Exchange(name, scope, "Expert", status, opened_at, answered_at, last_at, request)


def test_the_median_and_the_tail_are_of_those_that_were_answered() -> None:
    [found] = figures([exchange(str(n), hours=n) for n in range(1, 11)] + [exchange("x")], lambda e: e.category)

    assert (found.group, found.threads, found.answered, found.open) == ("Expert", 11, 10, 11)
    assert (found.response_median, found.response_p90) == (timedelta(hours=5.5), timedelta(hours=10))
    assert (found.resolution_median, found.resolution_p90) == (None, None)


def test_only_a_closed_thread_has_a_resolution() -> None:
    closed, still_open = exchange("a", hours=3, status="RESOLVED"), exchange("b", hours=3)

    assert (closed.resolution, still_open.resolution) == (timedelta(hours=6), None)
    assert [e.open for e in (closed, still_open, exchange("c", status=""))] == [False, True, False]


def test_groups_stand_in_the_order_of_their_names() -> None:
    scopes = [replace(CASES, marketplace=code) for code in ("UK", "DE", "UK")]
    found = figures([exchange("a", scope=scope) for scope in scopes], lambda e: e.scope.marketplace)

    assert [(f.group, f.threads) for f in found] == [("DE", 1), ("UK", 2)]


def test_the_same_request_in_nearly_the_same_words_was_filed_twice() -> None:
    first = exchange("a", request=REQUEST)
    second = exchange("b", days=3, request=REQUEST.upper() + "!")

    assert list(filed_twice([second, first])) == [(first, second)]


def test_another_request_another_marketplace_another_month_or_a_few_words_are_not_the_same() -> None:
    first = exchange("a", request=REQUEST)
    others = [
        exchange("b", request=REQUEST.replace("B0B9T3HNPD", "B0XXXXXXXX").replace("invoice", "certificate")),
        exchange("c", request=REQUEST, scope=replace(CASES, marketplace="UK")),
        exchange("d", request=REQUEST, days=30),
        exchange("e", request="Please help"),
        exchange("f", request="Please help"),
    ]

    assert list(filed_twice([first, *others])) == []


def test_the_same_request_in_chinese_is_found() -> None:
    text = "您好，我们的商品 B0B9T3HNPD 被下架，附件是供应商发票，请恢复商品信息。"
    pair = [exchange("a", request=text), exchange("b", days=1, request=text.replace("，请", "， 请"))]

    assert list(filed_twice(pair)) == [tuple(pair)]
