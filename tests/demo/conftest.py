"""One stand-in for the tests of the stand-in, and a visitor that speaks plain HTTP to it."""

from __future__ import annotations

import http.cookiejar
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from archiver.demo.seller import Seller, make_seller
from archiver.demo.stand_in import StandIn
from archiver.demo.totp import code_at

NOW = datetime(2026, 11, 1, 9, tzinfo=UTC)


@dataclass
class Visitor:
    """A browser's part in HTTP: cookies are kept, redirects followed, hidden fields sent back."""

    origin: str
    opener: urllib.request.OpenerDirector = field(init=False)
    page: str = ""
    url: str = ""

    def __post_init__(self) -> None:
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(jar, urllib.request.ProxyHandler({}))

    def get(self, path: str) -> str:
        return self._read(urllib.request.Request(self.origin + path))  # noqa: S310 - loopback only

    def post(self, path: str, body: bytes, kind: str = "application/json") -> str:
        return self._read(
            urllib.request.Request(self.origin + path, body, {"content-type": kind})  # noqa: S310 - loopback only
        )

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def submit(self, **typed: str) -> str:
        """Sends the page's sign-in form with what was typed."""
        hidden = dict(re.findall(r'<input type="hidden" (?:id="\w+" )?name="([^"]+)" value="([^"]*)"', self.page))
        found = re.search(r'action="(/a[px]/(?:signin|claim)[^"]*)"', self.page)
        assert found
        return self.post(found[1], urllib.parse.urlencode(hidden | typed).encode(), "application/x-www-form-urlencoded")

    def sign_in(self, seller: Seller) -> None:
        self.get("/home")
        self.submit(email=seller.email)
        self.submit(password=seller.password)
        self.submit(otpCode=code_at(seller.totp_secret, time.time()))

    def choose(self, country: str) -> None:
        accounts = self.json("/account-switcher/accounts/merchantMarketplace?")["accounts"]
        ids = next(r["ids"] for a in accounts for r in a["regional"] if r["label"] == country)
        self.get("/home?" + urllib.parse.urlencode({**ids, "ignore_selection_changed": "true"}))

    def _read(self, request: urllib.request.Request) -> str:
        with self.opener.open(request, timeout=10) as answer:
            self.page, self.url = answer.read().decode(), answer.url
        return self.page


@pytest.fixture(scope="session")
def seller() -> Seller:
    return make_seller(now=NOW)


@pytest.fixture
def site(seller: Seller) -> Iterator[StandIn]:
    with StandIn(seller, now=NOW) as running:
        yield running


@pytest.fixture
def visitor(site: StandIn) -> Visitor:
    return Visitor(site.origin)
