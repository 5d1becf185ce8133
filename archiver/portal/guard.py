"""Which requests may leave; everything else is refused and recorded. Default deny.

`Rules.objection` decides and is pure; `Guard` stands in Chromium's network layer (the Fetch domain of the browser as a
whole), where every request pauses before it leaves: documents, frames, fetch, beacons, images, workers, popups, and
each hop of a redirect, which Playwright's own routing does not see. Service workers and downloads are off; WebSockets,
which that domain does not see either, have no way out of the browser (`portal/browser.py`).
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Browser, BrowserContext, CDPSession, Response
from playwright.sync_api import Error as PlaywrightError

from archiver.portal.relay import Relay
from archiver.site.sitemap import GuardMap


@dataclass(frozen=True, slots=True)
class Rules:
    """What may leave, for one site. `origins` are the site's own and those its sign-in may stand on."""

    site: str
    origins: frozenset[str]
    map: GuardMap

    def objection(
        self, method: str, url: str, body: str | None, *, signing_in: bool, person: bool = False
    ) -> str | None:
        """Why this request must not leave, or None if it may. `person`: one is at the page."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return "an address that cannot be read"
        if parts.scheme in ("data", "blob", "about"):
            return None
        if parts.scheme not in ("http", "https"):
            return f"scheme {parts.scheme}"
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self.origins:
            if method in ("GET", "HEAD") and parts.scheme == "https" and self._is_asset_host(parts.netloc):
                return None
            return "another host"
        if method in ("GET", "HEAD"):
            return self._objection_to_get(_folded(parts.path))
        if method == "POST":
            return self._objection_to_post(origin, parts.path, body, signing_in=signing_in, person=person)
        return f"method {method}"

    @property
    def hosts(self) -> frozenset[str]:
        """Every host that a request that may leave can go to, `*.example.com` for those below one."""
        return frozenset({urlsplit(origin).hostname or "" for origin in self.origins} | {*self.map.asset_hosts})

    def may_reach(self, host: str, port: int) -> bool:
        """Whether any request that may leave goes there: what nobody may ask for needs no connection either."""
        ports = {"http": 80, "https": 443}
        ends = ((parts.hostname, parts.port or ports[parts.scheme]) for parts in map(urlsplit, self.origins))
        return (host, port) in ends or (port == 443 and self._is_asset_host(host))

    def _is_asset_host(self, netloc: str) -> bool:
        # Letters, digits, hyphens and dots: nothing that Python and the browser could cut at different places.
        return _PLAIN_HOST.fullmatch(netloc) is not None and any(
            netloc == allowed or (allowed.startswith("*.") and netloc.endswith(allowed[1:]))
            for allowed in self.map.asset_hosts
        )

    def _objection_to_get(self, path: str) -> str | None:
        if ".." in path.split("/"):
            # The browser has resolved those it knows of; which path a server makes of the others, nobody can say.
            return "an address that leads back up"
        forbidden = (_folded(p).rstrip("/") + "/" for p in self.map.forbidden_gets)
        return "a GET that changes state" if any(f"{path}/".startswith(p) for p in forbidden) else None

    def _objection_to_post(
        self, origin: str, path: str, body: str | None, *, signing_in: bool, person: bool
    ) -> str | None:
        if path in self.map.sign_in_posts:
            return None if signing_in or person else "a sign-in POST outside the sign-in"
        if path in self.map.person_posts:
            return None if person else "an answer that only a person may give"
        for listing in self.map.listing_posts:
            if path == listing.path and origin == self.site:
                return None if _has_only(body, listing.keys) else "a listing POST of an unknown shape"
        return "a POST that is not named in the site map"


_PLAIN_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_MOST_DECODINGS = 4  # a server decodes once, a careless one behind a proxy twice
_INVISIBLE = re.compile(r"[\x00-\x20\x7f]")


def _folded(path: str) -> str:
    """The path as a lenient server might understand it, so that no spelling of a forbidden one gets through."""
    for _ in range(_MOST_DECODINGS):
        path = unquote(path)
    path = _INVISIBLE.sub("", path).replace("\\", "/").casefold()
    segments = (segment.split(";")[0] for segment in path.split("/"))
    return "/" + "/".join(segment for segment in segments if segment not in ("", "."))


def _has_only(body: str | None, keys: frozenset[str]) -> bool:
    try:
        tree = json.loads(body or "")
    except (ValueError, RecursionError):
        return False
    return isinstance(tree, dict) and set(tree) <= keys


@dataclass(frozen=True, slots=True)
class Refusal:
    """One request that was not let through; the URL without its query."""

    method: str
    url: str
    why: str


@dataclass(slots=True)
class Sent:
    """One request that left: when, what, and how it was answered (None: not yet, or not at all)."""

    at: datetime
    method: str
    url: str
    status: int | None = None


@dataclass(slots=True)
class Guard:
    """Stands before the network of one browser, and remembers what left and what it refused.

    `closed` says why nothing at all may leave any more, or None: so that a stop takes effect in the middle of a page.
    """

    rules: Rules
    closed: Callable[[], str | None] = lambda: None
    sign_in_posts: int = 0
    """How many sign-in POSTs may still leave: a page that loads itself again sends its form again, and a credential
    is submitted once."""
    person_attends: bool = False
    """Whether a person is at the page, and what they send in answer to a challenge may leave."""
    unproven: str = ""
    """Why the site may not be asked: nobody knows yet how the world sees us, or it sees us wrongly. Empty: it may."""
    asking: str = ""
    """The address of the echo service that is being asked how the world sees us. Only a GET of it may leave then."""
    sent: list[Sent] = field(default_factory=list)
    _unanswered: dict[tuple[str, str], deque[Sent]] = field(default_factory=dict)
    _closed: tuple[float, str | None] = (float("-inf"), None)
    passed: Counter[str] = field(default_factory=Counter)
    refusals: Counter[Refusal] = field(default_factory=Counter)

    def watch(self, browser: Browser, relay: Relay | None = None) -> CDPSession:
        """Put the whole browser under guard, before it has a page: what is not let through here does not leave.

        What is let through is signed in to the relay, if there is one.
        The guard ends with the browser. Detaching the session that is returned lets go of what is paused: only where
        no page is left, and no run does it.
        """
        session = browser.new_browser_cdp_session()
        session.on("Fetch.requestPaused", lambda paused: self._paused(session, paused))
        every_request: dict[str, Any] = {"patterns": [{"urlPattern": "*", "requestStage": "Request"}]}
        if relay is not None:
            session.on("Fetch.authRequired", lambda asked: _sign_in_to(relay, session, asked))
            every_request["handleAuthRequests"] = True
        session.send("Fetch.enable", every_request)
        return session

    def watch_answers(self, context: BrowserContext) -> None:
        """Note how what left was answered, and each WebSocket a page tried; the browser has no way out for them."""
        context.on("response", lambda response: self._answered(response))
        context.on("page", lambda page: page.on("websocket", lambda socket: self._web_socket(socket.url)))

    def _answered(self, response: Response) -> None:
        waiting = self._unanswered.get((response.request.method, response.url))
        if waiting:
            waiting.popleft().status = response.status
            if not waiting:
                del self._unanswered[response.request.method, response.url]

    def _paused(self, session: CDPSession, paused: dict[str, Any]) -> None:
        request = paused["request"]
        if self._may_pass(request["method"], request["url"], _post_data(request)):
            answer = ("Fetch.continueRequest", {"requestId": paused["requestId"]})
        else:
            answer = ("Fetch.failRequest", {"requestId": paused["requestId"], "errorReason": "BlockedByClient"})
        try:
            session.send(*answer)
        except PlaywrightError as error:
            # The page went away while the request was paused; then it did not leave either.
            self.refusals[Refusal(request["method"], _bare(request["url"]), f"page gone: {type(error).__name__}")] += 1

    def _may_pass(self, method: str, url: str, body: str | None) -> bool:
        person = self.person_attends
        objection = self._objection(method, url, body)
        if objection is None:
            if not person and method == "POST" and urlsplit(url).path in self.rules.map.sign_in_posts:
                self.sign_in_posts -= 1
            self.passed[method] += 1
            self.sent.append(Sent(datetime.now(UTC), method, _bare(url)))
            self._unanswered.setdefault((method, url), deque()).append(self.sent[-1])
            return True
        self.refusals[Refusal(method, _bare(url), objection)] += 1
        return False

    def _objection(self, method: str, url: str, body: str | None) -> str | None:
        closed = self._why_closed()
        if closed is not None or (self.asking and (method, url) == ("GET", self.asking)):
            return closed
        signing_in, person = self.sign_in_posts > 0, self.person_attends
        return self.unproven or self.rules.objection(method, url, body, signing_in=signing_in, person=person)

    def _why_closed(self) -> str | None:
        # Once a second: asking costs a look into a file, and a page has thirty requests.
        if time.monotonic() - self._closed[0] > 1:
            self._closed = (time.monotonic(), self.closed())
        return self._closed[1]

    def _web_socket(self, url: str) -> None:
        self.refusals[Refusal("WEBSOCKET", _bare(url), "WebSockets are off")] += 1


def _sign_in_to(relay: Relay, session: CDPSession, asked: dict[str, Any]) -> None:
    challenge = asked["authChallenge"]
    if challenge["source"] == "Proxy" and challenge["origin"] == relay.address:
        answer = {"response": "ProvideCredentials", "username": relay.username, "password": relay.password}
    else:
        answer = {"response": "CancelAuth"}
    with suppress(PlaywrightError):  # the page went away, and its request with it
        session.send("Fetch.continueWithAuth", {"requestId": asked["requestId"], "authChallengeResponse": answer})


def _post_data(request: dict[str, Any]) -> str | None:
    body = request.get("postData")
    return body if isinstance(body, str) else None


def _bare(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
