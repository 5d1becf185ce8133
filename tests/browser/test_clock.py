"""A machine whose clock is wrong signs in all the same, and hears of it; `account check` says so before."""

from __future__ import annotations

import json
import time

import pytest

from archiver.demo.moods.sign_in import sign_in_moods
from archiver.demo.seller import Seller
from archiver.demo.stand_in import StandIn
from archiver.demo.totp import code_at
from tests.browser.conftest import ACCOUNT, NOW, Opener


def test_a_code_is_made_for_the_sites_time(open_office: Opener, small_seller: Seller) -> None:
    with StandIn(small_seller, now=NOW, clock_ahead_s=-600) as site:
        office = open_office(site)
        ended = office.run("sync", "--source", "performance-notifications")
        submissions = site.counters.code_submissions

    assert ended.returncode == 0, ended.stderr
    assert submissions == 1
    assert "clock is off" in ended.stderr
    assert "timedatectl" in ended.stderr


@pytest.mark.parametrize("ahead_s, code, sentence", [(0, 0, "clock is right"), (900, 3, "900 s ahead")])
def test_the_check_measures_the_clock_and_signs_in_nowhere(
    open_office: Opener, small_seller: Seller, ahead_s: int, code: int, sentence: str
) -> None:
    with StandIn(small_seller, now=NOW, clock_ahead_s=ahead_s) as site:
        office = open_office(site)
        ended = office.run("--json", "account", "check", ACCOUNT, "--show-code")
        counters = site.counters
    found = json.loads(ended.stdout)

    assert ended.returncode == code, ended.stderr
    assert sentence in ended.stderr
    assert abs(found["site_clock_ahead_s"] - ahead_s) < 2
    assert found["code"] in {code_at(small_seller.totp_secret, time.time() + ahead_s - back_s) for back_s in (0, 30)}
    assert (counters.email_submissions, counters.password_submissions, counters.code_submissions) == (0, 0, 0)


def test_an_offline_check_asks_the_site_nothing(open_office: Opener, small_seller: Seller) -> None:
    with StandIn(small_seller, now=NOW) as site:
        office = open_office(site)
        ended = office.run("--json", "account", "check", ACCOUNT, "--offline")
        requests = site.counters.requests

    assert ended.returncode == 0, ended.stderr
    assert requests == 0
    assert json.loads(ended.stdout) == {
        "account": ACCOUNT,
        "barred": None,
        "site_clock_ahead_s": None,
        "clock_is_right": None,
        "session": False,
        "accepted_at": None,
        "merchants": {"UK": "", "DE": ""},
    }


def test_a_check_that_is_asked_to_stop_stops_every_later_run(open_office: Opener, small_seller: Seller) -> None:
    [mood] = [mood for mood in sign_in_moods() if mood.name == "automation asked to stop"]
    with StandIn(small_seller, now=NOW, moods=[mood]) as site:
        office = open_office(site)
        check = office.run("account", "check", ACCOUNT)
        asked = site.counters.requests
        run = office.run("sync")

    assert (check.returncode, run.returncode) == (5, 5), check.stderr
    assert f"archiver allow-access --account {ACCOUNT}" in check.stderr
    assert site.counters.requests == asked > 0
