"""Each mood of the site's sign-in, met by the real door in a real browser: the stand-in's counters are the judge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from archiver.archive.archive import Archive
from archiver.archive.keyring import KeyFile
from archiver.archive.vault import SignIn
from archiver.cli.demo import ACCOUNT, SignInTrial, meet
from archiver.demo.moods import SignInMood
from archiver.demo.moods.sign_in import sign_in_moods
from archiver.demo.seller import make_seller
from archiver.demo.stand_in import StandIn
from archiver.errors import AccessStopped, CredentialRefused
from archiver.portal import sign_in
from archiver.signin import Screen
from archiver.site.sitemap import load

NOW = datetime(2026, 11, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize("mood", sign_in_moods(), ids=lambda mood: mood.name)
def test_a_sign_in_ends_as_it_must_when_it_meets(mood: SignInMood, browser: Browser, tmp_path: Path) -> None:
    met = meet(mood, tmp_path, lambda door: door.inside(browser))
    ends = mood.ends

    assert (met.screen, met.exit) == (ends.screen, ends.exit)
    assert (met.email, met.password, met.code) == (ends.email, ends.password, ends.code)
    assert met.resends == 0
    assert met.as_expected
    if met.exit == 3:
        assert f"archiver login {ACCOUNT}`" in met.says or f"archiver account add {ACCOUNT} " in met.says
    elif met.exit == 5:
        assert f"archiver allow-access --account {ACCOUNT}`" in met.says
    elif met.exit == 1:
        assert "the next scheduled run tries again" in met.says


@contextmanager
def trial(mood: SignInMood, browser: Browser, folder: Path) -> Iterator[SignInTrial]:
    """Runs that share one archive, opened anew for each: what is remembered is on disk."""
    seller = make_seller(now=NOW, cases=1, threads=1, notifications=1)
    key = KeyFile(folder / "archive.key")
    with StandIn(seller, now=NOW, moods=(mood,)) as site:
        with Archive.create(folder / "archive", [key]) as archive:
            archive.vault.add_account(SignIn(ACCOUNT, seller.email, seller.password, seller.totp_secret))
            SignInTrial(site, archive, lambda door: door.inside(browser)).run()
        with Archive.open(folder / "archive", key, write=True) as archive:
            yield SignInTrial(site, archive, lambda door: door.inside(browser))


REFUSED = (
    "unknown e-mail, intent page",
    "unknown e-mail, password page with an error",
    "wrong password",
    "invalid code",
    "code quota",
    "forced reset",
    "account locked",
)


@pytest.mark.parametrize("mood", [m for m in sign_in_moods() if m.name in REFUSED], ids=lambda mood: mood.name)
def test_after_a_restart_nothing_is_sent_to_a_site_that_refused(
    mood: SignInMood, browser: Browser, tmp_path: Path
) -> None:
    with trial(mood, browser, tmp_path) as again:
        before = again.site.counters
        _, error = again.run()

        assert before.email_submissions == 1
        assert isinstance(error, CredentialRefused)
        assert "not tried again by itself" in str(error)
        assert again.site.counters == before


def test_a_login_by_a_person_tries_once_more_and_once_only(browser: Browser, tmp_path: Path) -> None:
    mood = next(m for m in sign_in_moods() if m.name == "wrong password")
    with trial(mood, browser, tmp_path) as again:
        again.archive.vault.clear_refusals(ACCOUNT)  # what `archiver login` does first
        again.run()
        again.run()

        assert again.site.counters.password_submissions == 2


def test_a_site_that_asked_automation_to_stop_is_asked_nothing_more(browser: Browser, tmp_path: Path) -> None:
    mood = next(m for m in sign_in_moods() if m.name == "automation asked to stop")
    with trial(mood, browser, tmp_path) as again:
        before = again.site.counters
        _, error = again.run()

        assert isinstance(error, AccessStopped)
        assert "a page of the site asks automated software to stop" in str(error)
        assert again.site.counters == before


_ASKS = "<p>We do not permit <b>automated&nbsp;access</b> to this page.</p>"
_CHROME = '<meta name="anti-csrftoken-a2z" content="x">'
_HEADER = '<div id="partner-navigation">Acme</div>'


@pytest.mark.parametrize(
    "content, screen",
    [
        (_ASKS, Screen.STOP_ASKED),
        ("<p>Den automatisierten Zugriff gestatten wir nicht.</p>", Screen.STOP_ASKED),
        ("<p>Write to api-services-support@amazon.com.</p>", Screen.STOP_ASKED),
        (f"{_CHROME}{_ASKS}", Screen.AUTHENTICATED),
        (f"{_HEADER}<h1>A buyer writes</h1>{_ASKS}", Screen.AUTHENTICATED),
        # Healthy pages carry this comment [H].
        (
            "<!-- To discuss automated access to Amazon data write to api-services-support@amazon.com -->",
            Screen.UNKNOWN,
        ),
        (f"<div hidden>{_ASKS}</div>", Screen.UNKNOWN),
        (f"<script type='text/template'>{_ASKS}</script>", Screen.UNKNOWN),
    ],
)
def test_only_the_site_itself_can_ask_automation_to_stop(browser: Browser, content: str, screen: Screen) -> None:
    page = browser.new_page()
    page.set_content(f"<html><body>{content}</body></html>")
    shown = sign_in.showing(page, load())
    page.close()

    assert shown is screen
