"""What the readers make of a page: one folder a case, the page beside what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archiver.model import Artifact, Capture, Kind, Listing, Scope, Source, Thread, Unread
from archiver.site.fields import attachment_links, plain
from archiver.site.sitemap import load
from archiver.site.sources import READERS, read
from tests.reading.samples import CASES, TAKEN_AT, capture

SITEMAP = load()


def _told(reading: Thread | Unread) -> dict[str, Any]:
    if isinstance(reading, Unread):
        return {"unread": [reading.why, reading.key]}
    return {
        "subject": reading.subject,
        "status": reading.status,
        "category": reading.category,
        "messages": [
            {
                "site_message": message.site_message,
                "direction": str(message.direction),
                "sender": message.sender,
                "sent_at": message.sent_at.isoformat(),
                "body": message.body,
                "attachments": [
                    [file.name, file.media_type, file.size_bytes, file.sha256, file.artifact]
                    for file in message.attachments
                ],
            }
            for message in reading.messages
        ],
        "order_ids": list(reading.order_ids),
        "asins": list(reading.asins),
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_a_page_says_what_it_says(case: Path) -> None:
    expected = json.loads((case / "expected.json").read_text("utf-8"))

    assert _told(read(capture(case), SITEMAP)) == expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_a_page_cut_short_anywhere_never_raises(case: Path) -> None:
    whole = capture(case)
    for number, artifact in enumerate(whole.artifacts):
        for length in range(0, len(artifact.body), max(1, len(artifact.body) // 60)):
            artifacts = list(whole.artifacts)
            artifacts[number] = replace(artifact, body=artifact.body[:length])

            assert isinstance(read(replace(whole, artifacts=tuple(artifacts)), SITEMAP), Thread | Unread)


# --- lists -----------------------------------------------------------------------------------------------------


def _list(source: Source, body: object, marketplace: str = "UK") -> Capture:
    page = Artifact("json/0", "application/json", json.dumps(body).encode())
    return Capture(Scope("acme", marketplace, source), Kind.LIST, TAKEN_AT, "", (page,), page=1)


def _listing(source: Source, body: object, marketplace: str = "UK") -> Listing | Unread:
    return READERS[source].listing(_list(source, body, marketplace), SITEMAP)


def test_the_case_log_names_its_cases_and_its_own_total() -> None:
    row = {"caseId": 18446744073709551617, "status": "CLOSED", "shortDescription": "x", "creationDate": 1788541015}
    listing = _listing(Source.CASES, {"caseSearchResultList": [row], "totalNumberOfResults": 556})

    assert isinstance(listing, Listing)
    assert [ref.site_thread for ref in listing.refs] == ["18446744073709551617"]
    assert (listing.total, listing.last) == (556, None)


def test_any_change_in_a_row_of_the_case_log_changes_its_stamp() -> None:
    row = {"caseId": "1", "status": "OPEN", "creationDate": 1788541015, "lastOutboundReply": None}
    stamps = set()
    for change in ({}, {"status": "CLOSED"}, {"lastOutboundReply": 1788541016}, {"new": True}):
        listing = _listing(Source.CASES, {"caseSearchResultList": [{**row, **change}], "totalNumberOfResults": 1})
        assert isinstance(listing, Listing)
        stamps.add(listing.refs[0].stamp)

    assert len(stamps) == 4


def _buyer_row(case: str, marketplace_id: str) -> dict[str, object]:
    return {"caseId": case, "status": "OPEN", "marketplaceId": marketplace_id, "lastUpdatedDate": 1788541015867}


def test_the_pooled_inbox_gives_each_marketplace_its_own_rows_and_counts_the_others() -> None:
    rows = [_buyer_row("a", "A1F83G8C2ARO7P"), _buyer_row("b", "A1PA6795UKMFR9"), _buyer_row("c", "A13V1IB3VIYZZH")]
    listing = _listing(Source.BUYER_MESSAGES, {"cases": rows, "nextToken": ""})

    assert isinstance(listing, Listing)
    assert [ref.site_thread for ref in listing.refs] == ["a"]
    assert listing.elsewhere == (("A13V1IB3VIYZZH", 1), ("A1PA6795UKMFR9", 1))
    assert listing.last is True


def test_a_token_says_that_there_is_more() -> None:
    listing = _listing(Source.BUYER_MESSAGES, {"cases": [], "nextToken": "abc"})

    assert isinstance(listing, Listing)
    assert listing.last is False


def test_an_answer_that_names_no_token_says_nothing_about_the_end() -> None:
    listing = _listing(Source.BUYER_MESSAGES, {"cases": []})

    assert isinstance(listing, Listing)
    assert listing.last is None


@pytest.mark.parametrize(
    "items, links",
    [
        (None, []),
        ([], []),
        (["abc.pdf"], [("", "abc.pdf")]),
        ([{"attachmentId": "1", "title": "letter.pdf"}], [("", "letter.pdf")]),
        ({"items": ["a"]}, [("", "(no name)")]),
        ([{"url": "https://site.example/f/1.pdf?token=x"}], [("https://site.example/f/1.pdf?token=x", "1.pdf")]),
        ([{"downloadPath": "/f/2", "fileName": "発票.pdf", "contentType": "application/pdf"}], [("/f/2", "発票.pdf")]),
        ([{"where": "//evil.example/x", "name": "n"}], [("", "n")]),
    ],
)
def test_every_attachment_is_named_even_where_its_place_cannot_be_made_out(
    items: object, links: list[tuple[str, str]]
) -> None:
    assert [(link.url, link.name) for link in attachment_links(items)] == links


@pytest.mark.parametrize(
    "source, body",
    [
        (Source.CASES, {"caseSearchResultList": [{"status": "OPEN"}], "totalNumberOfResults": 1}),
        (Source.CASES, {"caseSearchResultList": [7], "totalNumberOfResults": 1}),
        (Source.CASES, {"caseSearchResultList": []}),
        (Source.CASES, {"results": []}),
        (Source.CASES, []),
        (Source.BUYER_MESSAGES, {"cases": [_buyer_row("a", "A1F83G8C2ARO7P") | {"lastUpdatedDate": 1788541015}]}),
        (Source.BUYER_MESSAGES, {"cases": [{"caseId": "a"}]}),
        (Source.PERFORMANCE_NOTIFICATIONS, {"list": [{"id": "1"}]}),
        (Source.PERFORMANCE_NOTIFICATIONS, {"items": []}),
    ],
)
def test_a_list_that_drifted_is_unread_and_names_the_key_to_mend(source: Source, body: object) -> None:
    listing = _listing(source, body)

    assert isinstance(listing, Unread)
    assert listing.key


@pytest.mark.parametrize(
    "markup, text",
    [
        ("plain < 3 and > 2, Tom & Jerry", "plain < 3 and > 2, Tom & Jerry"),
        ("two\nlines &amp; one", "two\nlines & one"),
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("<div>a<br></div><div>b</div>", "a\nb"),
        ("a<br>b<br><br>c", "a\nb\n\nc"),
        ("<ul><li>one</li><li>two</li></ul>", "one\ntwo"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<p>退款<b>成功</b></p><!-- no --><style>p{}</style>", "退款成功"),
        ("<div>" * 5000 + "deep" + "</div>" * 5000, "deep"),
    ],
)
def test_markup_becomes_the_text_a_person_sees(markup: str, text: str) -> None:
    assert plain(markup) == text
