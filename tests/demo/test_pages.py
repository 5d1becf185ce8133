"""The stand-in's pages in a real browser: every row is drawn, every word can be read."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from archiver.demo.seller import Seller, TruthMessage
from archiver.demo.stand_in import StandIn
from archiver.demo.totp import code_at
from tests.demo.conftest import NOW

pytestmark = pytest.mark.browser

pytestmark = pytest.mark.xdist_group("pages")  # they share what is made once, at some cost


@pytest.fixture(scope="module")
def running(seller: Seller) -> Iterator[StandIn]:
    with StandIn(seller, now=NOW) as site:
        yield site


@pytest.fixture(scope="module")
def page(browser: Browser, running: StandIn, seller: Seller) -> Iterator[Page]:
    """A page that a person signed in to, with Germany chosen; no write may have been sent when all is done."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    page = context.new_page()
    page.goto(running.origin + "/cu/case-lobby")
    expect(page.locator("#auth-cookie-warning-message")).to_be_hidden()
    page.locator("form[name=signIn] #ap_email").fill(seller.email)
    page.locator("form[name=signIn] input[type=submit]").click()
    page.locator("#ap_password").fill(seller.password)
    page.locator("#signInSubmit").click()
    page.locator("#auth-mfa-otpcode").fill(code_at(seller.totp_secret, time.time()))
    page.locator("input#auth-signin-button").click()
    confirm = page.locator('kat-button[data-test="confirm-selection"] button')
    page.locator("button.full-page-account-switcher-account-details", has_text=seller.label).click()
    expect(confirm).to_be_disabled()
    page.locator("button.full-page-account-switcher-account-details", has_text="Germany").click()
    confirm.click()
    page.wait_for_url("**/cu/case-lobby")
    yield page
    context.close()
    assert running.counters.writes == 0
    assert running.counters.forbidden_gets == 0


def of(site: StandIn, source: str) -> dict[str, list[TruthMessage]]:
    """The visible messages by thread, oldest first; cases and notifications of the chosen store only."""
    threads = defaultdict(list)
    for message in site.truth():
        if message.source == source and (source == "buyer-messages" or message.marketplace == "DE"):
            threads[message.site_thread].append(message)
    return threads


def test_the_header_names_account_and_marketplace(page: Page, running: StandIn, seller: Seller) -> None:
    page.goto(running.origin + "/home")

    expect(page.locator(".dropdown-account-switcher-header-label-global")).to_have_text(seller.label)
    expect(page.locator(".dropdown-account-switcher-header-label-regional")).to_have_text("Germany")


def test_the_pager_of_the_case_log_reaches_every_case(page: Page, running: StandIn) -> None:
    cases = of(running, "cases")
    page.goto(running.origin + "/cu/case-lobby")
    seen: set[str] = set()
    forward = page.locator('kat-pagination [part="pagination-nav-right"]')
    for first in range(1, len(cases) + 1, 10):
        last = min(first + 9, len(cases))
        expect(page.locator(".pagination-display-summary")).to_have_text(f"Cases {first} to {last} of {len(cases)}")
        seen |= set(page.locator("kat-table td.hill-case-lobby-search-results-panel-caseId a").all_inner_texts())
        if last < len(cases):
            forward.click()

    assert seen == set(cases)
    expect(forward).to_have_attribute("aria-disabled", "true")


def test_every_case_reads_as_it_was_written(page: Page, running: StandIn) -> None:
    for case_id, messages in of(running, "cases").items():
        page.goto(f"{running.origin}/cu/case-dashboard/view-case?caseID={case_id}")
        expect(page.locator(".contact")).to_have_count(len(messages))
        for more in page.locator("a.link").all():
            more.click()
        bodies = page.locator(".contact-message").all_inner_texts()

        assert [body.strip() for body in reversed(bodies)] == [message.body for message in messages]


def test_the_inbox_shows_every_thread_of_both_marketplaces(page: Page, running: StandIn) -> None:
    page.goto(running.origin + "/messaging/inbox")
    page.locator(".folders a", has_text="All").click()
    seen: set[str] = set()
    forward = page.locator("kat-button.case-list-next button")
    while True:
        expect(page.locator(".case-row.selected")).to_have_count(1)
        rows = page.locator(".case-row").evaluate_all("rows => rows.map(row => row.dataset.caseId)")
        seen |= set(rows)
        if forward.is_disabled():
            break
        forward.click()
        expect(page.locator(f'.case-row[data-case-id="{rows[0]}"]')).to_have_count(0)

    assert seen == set(of(running, "buyer-messages"))


def test_a_deep_link_opens_a_long_thread_whole(page: Page, running: StandIn) -> None:
    case_id, messages = max(of(running, "buyer-messages").items(), key=lambda item: len(item[1]))
    page.goto(f"{running.origin}/messaging/inbox?fi=caseId&ss={case_id}&cc={case_id}")
    expect(page.locator(".message-body")).to_have_count(len(messages))

    assert page.locator(".message-body").all_inner_texts() == [message.body for message in messages]


def test_a_narrow_window_has_no_list(page: Page, running: StandIn) -> None:
    page.set_viewport_size({"width": 1000, "height": 900})
    page.goto(running.origin + "/messaging/inbox")
    expect(page.locator(".message-body").first).to_be_visible()

    assert page.locator(".case-list").count() == 0
    page.set_viewport_size({"width": 1600, "height": 1000})


def test_every_notification_reads_as_it_was_written(page: Page, running: StandIn) -> None:
    notices = of(running, "performance-notifications")
    page.goto(running.origin + "/performance/notifications")
    expect(page.locator("kat-table td a")).to_have_count(min(10, len(notices)))
    for notice_id, messages in notices.items():
        page.goto(f"{running.origin}/performance/notifications/{notice_id}")
        expect(page.locator("h1")).to_have_text(messages[0].subject)
        frame = page.frame_locator("iframe").locator("body")
        expect(frame).not_to_be_empty()

        assert frame.inner_text().strip() == messages[0].body


def test_the_pages_work_when_background_posts_are_blocked(page: Page, running: StandIn) -> None:
    page.route("**/*", lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    page.goto(running.origin + "/messaging/inbox?fi=all")
    expect(page.locator(".case-row")).to_have_count(10)
    page.unroute_all()
