"""The site map: the shipped one holds together, a user's lies over it key by key, no mistake is a traceback."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from archiver.config import MARKETPLACES
from archiver.errors import ConfigError
from archiver.model import Source
from archiver.portal.hand_over.desk import CODES
from archiver.signin import Screen, Step, table
from archiver.site.sitemap import SiteMap, load, trusted_origins

SHIPPED = load()


def overlaid(folder: Path, text: str) -> SiteMap:
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return load(path)


# --- the shipped map --------------------------------------------------------------------------------------------


def test_every_screen_but_the_unknown_one_has_one_rule() -> None:
    # UNKNOWN is what shows when no rule holds, so it has none.
    names = Counter(rule.name for rule in SHIPPED.screens)

    assert names == Counter(screen for screen in Screen if screen is not Screen.UNKNOWN)


def test_every_screen_that_is_answered_says_what_to_fill_and_press() -> None:
    answered = {screen: move.step for screen, move in table().items() if move.step in (Step.SUBMIT, Step.SKIP)}
    answered |= dict.fromkeys(CODES, Step.SUBMIT)  # by a person at the terminal
    lacking = [
        screen
        for screen, step in answered.items()
        if not SHIPPED.fills[screen].submit or (step is Step.SUBMIT and not SHIPPED.fills[screen].field)
    ]

    assert set(SHIPPED.fills) == set(answered)
    assert lacking == []


def test_every_field_that_is_filled_is_a_landmark_of_its_own_screen() -> None:
    rules = {rule.name: rule for rule in SHIPPED.screens}
    strange = {name: set(fill.field) - set(rules[name].visible) for name, fill in SHIPPED.fills.items()}

    # A code that was sent is asked for on the page of the one that TOTP makes; its words tell the two apart.
    assert strange.pop("MFA_SENT_CODE") <= set(rules["MFA_OTP"].visible)
    assert {name for name, fields in strange.items() if fields} == set()


def test_every_source_and_every_marketplace_is_in_the_map() -> None:
    assert set(SHIPPED.sources) == set(Source)
    assert set(SHIPPED.marketplaces) == MARKETPLACES


def test_no_two_marketplaces_share_an_id() -> None:
    ids = [SHIPPED.marketplace_id(code) for code in SHIPPED.marketplaces]

    assert len(set(ids)) == len(ids)
    assert [SHIPPED.marketplace_code(name) for name in ids] == list(SHIPPED.marketplaces)
    assert SHIPPED.marketplace_code("A000") is None


def test_the_map_holds_paths_and_never_the_host_of_a_page() -> None:
    paths = [SHIPPED.home, SHIPPED.switcher_path, SHIPPED.identity_path]
    paths += [*SHIPPED.guard.sign_in_posts, *SHIPPED.guard.forbidden_gets]
    paths += [post.path for post in SHIPPED.guard.listing_posts]
    for source in SHIPPED.sources.values():
        paths += [path for path in (source.list, source.list_json, source.thread, source.thread_json) if path]

    elsewhere = [path for path in paths if not path.startswith("/") or urlsplit(path).netloc]

    assert elsewhere == []


# --- laid over --------------------------------------------------------------------------------------------------


def test_no_file_changes_nothing(tmp_path: Path) -> None:
    assert load(tmp_path / "site.toml") == SHIPPED
    assert overlaid(tmp_path, "") == SHIPPED


def test_a_mended_key_changes_that_key_alone(tmp_path: Path) -> None:
    mended = overlaid(tmp_path, '[source.cases.keys]\ntitle = "headline"\n')
    cases = SHIPPED.sources[Source.CASES]
    keys = {**cases.keys, "title": "headline"}

    assert mended == replace(SHIPPED, sources={**SHIPPED.sources, Source.CASES: replace(cases, keys=keys)})


def test_a_mended_list_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    mended = overlaid(tmp_path, '[fill.EMAIL]\nfield = ["#new"]\n')

    assert mended.fills["EMAIL"] == replace(SHIPPED.fills["EMAIL"], field=("#new",))
    assert mended.fills["PASSWORD"] == SHIPPED.fills["PASSWORD"]


def test_a_mended_screen_keeps_its_place_among_the_others(tmp_path: Path) -> None:
    mended = overlaid(tmp_path, "[[screen]]\nname = 'PASSWORD'\nvisible = ['#new-password']\n")
    before = {rule.name: rule for rule in SHIPPED.screens}

    assert [rule.name for rule in mended.screens] == [rule.name for rule in SHIPPED.screens]
    assert {rule.name: rule for rule in mended.screens} == {
        **before,
        "PASSWORD": replace(before["PASSWORD"], visible=("#new-password",)),
    }


def test_a_marketplace_may_be_added(tmp_path: Path) -> None:
    mended = overlaid(tmp_path, '[marketplaces]\nZA = ["AE08WJ6YKNBMC", "South Africa"]\n')

    assert mended.marketplace_id("ZA") == "AE08WJ6YKNBMC"
    assert mended.marketplace_id("DE") == SHIPPED.marketplace_id("DE")


@pytest.mark.parametrize(
    "text, what",
    [
        ("[paths", "is not TOML"),
        ("home = \n", "is not TOML"),
        ("[paths]\nhome = 1\n", "paths.home must be a str, not a int"),
        ("[paths]\nhome = ['/home']\n", "paths.home must be a str, not a list"),
        ("paths = '/home'\n", "paths must be a dict, not a str"),
        ("version = '1'\n", "version must be a int, not a str"),
        ("[source.cases.keys]\nrows = ['a']\n", "source.cases.keys.rows must be a str, not a list"),
        ("[switcher]\nconfirm = '#a'\n", "switcher.confirm must be a list, not a str"),
        ("[guard]\nforbidden_gets = [1]\n", "[1] is not a list of texts"),
        ("[marketplaces]\nDE = [['A', 'Germany']]\n", "is not a list of texts"),
        ("[[screen]]\nname = 'EMAIL'\nvisible = '#ap_email'\n", "screen.visible must be a list, not a str"),
        ("[[screen]]\nname = 'EMAIL'\nneeds = [1]\n", "[1] is not a list of texts"),
        ("[[screen]]\nname = 'E-MAIL'\nvisible = ['#ap_email']\n", "must have the name of one of ours"),
        ("[[screen]]\nvisible = ['#ap_email']\n", "must have the name of one of ours"),
        ("screen = ['EMAIL']\n", "must have the name of one of ours"),
        ("[fill.MFA_OTP]\nfield = ['#a', 2]\n", "['#a', 2] is not a list of texts"),
        ("[fill.PHONE]\nfield = []\n", "KeyError('submit')"),
        ("[source.letters]\nlist = '/letters'\n", "'letters' is not a valid Source"),
        ("[[guard.listing_posts]]\npath = '/x'\nkeys = 'page'\n", "'page' is not a list of texts"),
    ],
)
def test_a_mistake_is_a_sentence_that_names_the_file(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(ConfigError) as refused:
        overlaid(tmp_path, text)

    assert what in refused.value.message
    assert str(tmp_path / "site.toml") in str(refused.value)


def test_a_file_that_is_not_utf_8_is_a_sentence_too(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes(b'home = "\xff"\n')

    with pytest.raises(ConfigError, match="is not TOML") as refused:
        load(path)

    assert str(path) in str(refused.value)


def test_the_shipped_file_is_what_a_user_may_copy_whole(tmp_path: Path) -> None:
    text = (files("archiver.site") / "seller_central.toml").read_text("utf-8")

    assert overlaid(tmp_path, text) == SHIPPED
    assert set(tomllib.loads(text)) == {
        "version", "paths", "marketplaces", "guard", "screen", "fill", "switcher", "source",
    }  # fmt: skip


# --- where a password may be typed ------------------------------------------------------------------------------

EUROPE = {"co.uk", "de", "fr", "it", "es", "nl", "com.be", "se", "pl", "ie", "com.tr"}
AMERICA = {"com", "ca", "com.mx", "com.br"}
FAR_EAST = {"co.jp", "com.au", "sg"}


@pytest.mark.parametrize(
    "site, retail",
    [
        ("https://sellercentral.amazon.com", AMERICA),
        ("https://sellercentral.amazon.ca", AMERICA),
        ("https://sellercentral-na.amazon.com", AMERICA),
        ("https://sellercentral.amazon.de", EUROPE),
        ("https://sellercentral.amazon.co.uk", EUROPE),
        ("https://sellercentral-europe.amazon.com", EUROPE | {"com"}),
        ("https://sellercentral.amazon.in", {"ae", "sa", "eg", "co.za", "in"}),
        ("https://sellercentral.amazon.co.jp", FAR_EAST),
        ("https://sellercentral.amazon.com.au", FAR_EAST),
        ("https://sellercentral-japan.amazon.com", FAR_EAST | {"com"}),
        ("https://sellercentral-fe.amazon.com", FAR_EAST | {"com"}),
    ],
)
def test_a_sign_in_may_stand_on_the_retail_hosts_of_its_region(site: str, retail: set[str]) -> None:
    assert trusted_origins(site) == {site, *(f"https://www.amazon.{tld}" for tld in retail)}


@pytest.mark.parametrize(
    "site",
    [
        "http://127.0.0.1:8765",
        "http://localhost:8765",
        "http://[::1]:8765",
        "https://sellercentral.example.org",
        "https://sellercentral.amazon.de.example.org",
        "https://sellercentral.amazon.example",
        "https://sellercentral-eu.amazon.com",
    ],
)
def test_any_other_site_is_trusted_alone(site: str) -> None:
    assert trusted_origins(site) == {site}
