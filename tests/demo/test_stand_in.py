"""The stand-in over plain HTTP: who gets in, what is counted, what the JSON looks like."""

from __future__ import annotations

import json
import time
import urllib.error
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from archiver.demo.moods import Visit
from archiver.demo.seller import Seller
from archiver.demo.stand_in import Counters, StandIn
from archiver.demo.totp import Verifier, code_at
from tests.demo.conftest import Visitor

NOW = datetime(2026, 11, 1, 9, tzinfo=UTC)
SEARCH = "/hill/hillservice/mons-api/SearchForCases"
LIST = "/messaging/api/global/cases?filter=ALL&sortDirection=DESCENDING"


def all_cases(visitor: Visitor) -> list[Any]:
    query = {"page": 0, "searchPageSize": 50, "caseFilters": {"caseOwner": "MerchantCases"}}
    found = json.loads(visitor.post(SEARCH, json.dumps(query).encode()))
    rows = found["caseSearchResultList"]

    assert len(rows) == found["totalNumberOfResults"]

    return list(rows)


def all_threads(visitor: Visitor) -> list[Any]:
    found, token = [], ""
    while True:
        page = visitor.json(LIST + (f"&pageToken={token}" if token else ""))
        found += page["cases"]
        if not (token := page["nextToken"]):
            return found


def test_a_code_is_the_one_of_rfc_6238() -> None:
    # Appendix B of the RFC, the last six of its eight digits.
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

    assert [code_at(secret, s) for s in (59, 1111111109, 20000000000)] == ["287082", "081804", "353130"]


def test_a_code_is_good_for_one_step_around_and_only_once() -> None:
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    verifier = Verifier(secret)

    assert verifier.accepts(code_at(secret, 1000), 1029)
    assert not verifier.accepts(code_at(secret, 1000), 1029)
    assert not verifier.accepts(code_at(secret, 2000), 2090)


def test_a_page_without_a_session_leads_to_the_sign_in(site: StandIn, visitor: Visitor) -> None:
    page = visitor.get("/cu/case-lobby")

    assert "/ap/signin?openid.pape.max_auth_age=" in visitor.url
    assert 'id="ap_email"' in page
    assert "Please Enable Cookies to Continue" in page


def test_json_without_a_session_is_the_sign_in_page_with_200(visitor: Visitor) -> None:
    assert '<form name="signIn"' in visitor.get(LIST)


def test_email_password_and_code_lead_to_the_account_switcher(site: StandIn, visitor: Visitor, seller: Seller) -> None:
    visitor.sign_in(seller)

    assert "/account-switcher/default/merchantMarketplace?returnTo=%2Fhome" in visitor.url
    counters = site.counters
    assert (counters.email_submissions, counters.password_submissions, counters.code_submissions) == (1, 1, 1)


def test_the_unified_page_signs_in_too(seller: Seller) -> None:
    with StandIn(seller, now=NOW, sign_in="unified") as site:
        visitor = Visitor(site.origin)

        assert 'id="ap_email_login"' in visitor.get("/home")
        assert "/ax/claim?" in visitor.url
        visitor.sign_in(seller)
        assert "/account-switcher/" in visitor.url


def test_an_unknown_address_gets_the_intent_page(visitor: Visitor) -> None:
    visitor.get("/home")

    assert 'id="intent-confirmation-form"' in visitor.submit(email="nobody@example.org")


def test_a_wrong_password_is_refused_on_the_password_page(visitor: Visitor, seller: Seller) -> None:
    visitor.get("/home")
    visitor.submit(email=seller.email)

    assert "Your password is incorrect" in visitor.submit(password="wrong")


def test_a_spent_code_is_refused(site: StandIn, visitor: Visitor, seller: Seller) -> None:
    visitor.sign_in(seller)
    second = Visitor(site.origin)
    second.get("/home")
    second.submit(email=seller.email)
    second.submit(password=seller.password)
    for moment in (time.time(), time.time() - 30):
        # The step may have turned since the first visitor's code; theirs is this one or the one before.
        page = second.submit(otpCode=code_at(seller.totp_secret, moment))
        if "auth-error-message-box" in page:
            break

    assert "The One Time Password (OTP) you entered is not valid" in page


def test_a_deep_link_without_a_marketplace_goes_to_the_switcher(visitor: Visitor, seller: Seller) -> None:
    visitor.sign_in(seller)
    visitor.get("/cu/case-lobby?ref=x")

    assert visitor.url.endswith("/account-switcher/default/merchantMarketplace?returnTo=%2Fcu%2Fcase-lobby%3Fref%3Dx")


def test_the_lists_and_details_hold_what_the_truth_says(site: StandIn, visitor: Visitor, seller: Seller) -> None:
    visitor.sign_in(seller)
    seen: set[tuple[str, str, str]] = set()
    for country, code in (("United Kingdom", "UK"), ("Germany", "DE")):
        visitor.choose(country)
        for row in all_cases(visitor):
            case = visitor.json(f"/hill/hillservice/mons-api/ViewCase?caseId={row['caseId']}&timeZone=UTC&pageSize=50")
            assert case["currentToken"] is None
            seen |= {(code, row["caseId"], contact["contactId"]) for contact in case["contactList"]}
        page = visitor.json(
            "/performance/api/notification?pageSize=100&pageNumber=1&sortBy=NewestToOldest&filterBy=Any"
        )
        seen |= {(code, row["id"], row["id"]) for row in page["list"]}
    for row in all_threads(visitor):
        assert row["caseArtifacts"] is None
        assert row["threadId"] > 2**53
        code = "UK" if row["marketplaceCountryCode"] == "GB" else "DE"
        detail = visitor.json(f"/messaging/api/global/cases/{row['caseId']}?marketplaceId={row['marketplaceId']}")
        seen |= {
            (code, row["caseId"], artifact["message"]["messageId"]) for artifact in detail["partyCase"]["caseArtifacts"]
        }

    assert seen == {(message.marketplace, message.site_thread, message.site_message) for message in site.truth()}
    assert site.counters.writes == 0


def test_the_same_clock_gives_the_same_bytes(site: StandIn, visitor: Visitor, seller: Seller) -> None:
    visitor.sign_in(seller)

    assert visitor.get(LIST) == visitor.get(LIST)


def test_items_age_out_when_the_clock_moves(site: StandIn, visitor: Visitor, seller: Seller) -> None:
    visitor.sign_in(seller)
    before = all_threads(visitor)
    site.set_now(NOW + timedelta(days=45))
    after = all_threads(visitor)

    assert 0 < len(after) < len(before)


def test_writes_and_forbidden_gets_are_counted(site: StandIn, visitor: Visitor, seller: Seller) -> None:
    visitor.sign_in(seller)
    for path in (
        "/messaging/api/global/cases/1/caseStatus?marketplaceId=x",
        "/messaging/api/global/cases/1/artifacts/message",
        "/messaging/api/global/attachments",
        "/messaging/api/resourceError",
        "/hill/hillservice/mons-api/ReplyCase",
        "/ap/removeaccount",
    ):
        visitor.post(path, b"{}")
    visitor.post("/tricorder/e/", b"{}")
    visitor.get("/messaging/no-response-needed?t=1")
    visitor.get("/gp/flex/sign-out.html")

    counters = site.counters
    assert (counters.writes, counters.forbidden_gets, counters.noise_posts) == (6, 2, 1)


def test_the_numbers_are_served_without_being_counted(site: StandIn, visitor: Visitor) -> None:
    assert Counters(**visitor.json("/__stand_in__/counters")) == Counters()
    assert len(visitor.json("/__stand_in__/truth")) == len(site.truth())
    assert visitor.json("/__stand_in__/log") == []


def test_an_unknown_path_is_a_shell_with_200(visitor: Visitor, seller: Seller) -> None:
    visitor.sign_in(seller)
    visitor.choose("Germany")

    assert "partner-navigation" in visitor.get("/no/such/page")


def test_a_case_of_the_other_store_is_forbidden(visitor: Visitor, seller: Seller) -> None:
    visitor.sign_in(seller)
    visitor.choose("United Kingdom")
    other = next(case.case_id for case in reversed(seller.cases) if case.marketplace.code == "DE")

    with pytest.raises(urllib.error.HTTPError, match="403"):
        visitor.get(f"/hill/hillservice/mons-api/ViewCase?caseId={other}&timeZone=UTC&pageSize=50")


def test_an_attachment_is_served_as_it_was_attached(site: StandIn, visitor: Visitor, seller: Seller) -> None:
    visitor.sign_in(seller)
    file = next(f for t in seller.threads for m in t.artifacts for f in m.files)
    with visitor.opener.open(f"{site.origin}/messaging/api/global/attachments/{file.file_id}") as answer:
        assert answer.read() == file.body
        assert answer.headers["content-type"] == file.media_type


class _Unwell:
    """Answers the second read of data with 429, once."""

    name = "unwell"

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if visit.stage == "json" and visit.number == 2:
            return web.Response(status=429, headers={"Retry-After": "1"})
        return None


def test_a_mood_answers_instead_of_the_page(seller: Seller) -> None:
    with StandIn(replace(seller, threads=()), now=NOW, moods=[_Unwell()]) as site:
        visitor = Visitor(site.origin)
        visitor.sign_in(seller)

        assert visitor.json(LIST)["cases"] == []
        with pytest.raises(urllib.error.HTTPError, match="429"):
            visitor.get(LIST)
        assert visitor.json(LIST)["cases"] == []
