"""The stand-in as a server: one aiohttp application on 127.0.0.1 in a thread of its own, with sessions and counters.

Routes, sign-in and book-keeping live here; what pages look like and what their JSON says does not. What a healthy
site does naturally (a wrong password, a spent code) is here; what a site does on a bad day is a `Mood`.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote, urlencode, urlsplit

from aiohttp import web

from archiver.demo import answers, pages
from archiver.demo.moods import Bend, Dress, Moods, Redraw, Stage, Visit
from archiver.demo.seller import (
    MARKETPLACES,
    Artifact,
    BuyerThread,
    File,
    Marketplace,
    Seller,
    TruthMessage,
    truth,
)
from archiver.demo.totp import Verifier

_STATIC = Path(__file__).with_name("static")
_YEAR = 365 * 24 * 3600  # seconds; the cookies' life [L]
_STORE_COOKIE = "mselc"  # the site's is __Host-mselc [L]; that prefix demands TLS, which loopback has not
_SIGN_IN_PATHS = ("/ap/signin", "/ax/claim")
_AUTH_COOKIE = "at-acbuk"
_DEVICE_COOKIE = "sst-acbuk"  # what Amazon calls it is not known [R]
# Between the credentials and the seller's pages: captchas, codes, approvals, choices [H][C].
_CHALLENGE_PATHS = (
    "/ap/cvf/",
    "/ap/mfa",
    "/ap/dcq",
    "/ap/challenge",
    "/ap/switchaccount",
    "/ap/skip",
    "/errors/validateCaptcha",
    "/_sec/verify",
)
_SWITCHER = "/account-switcher/default/merchantMarketplace"

# Background POSTs of every page [L]: they change nothing a seller would miss.
_NOISE = (
    "/tricorder/",
    "/pulse/v1/",
    "/home/app-monitoring",
    "/homepage/",
    "/mons/weblabs/merchant/trigger",
    "/unagi",
    "/performance/api/postBizMetricsWithMap/",
    "/ox-api/graphql",
)
# Where an expired session is answered with 200 and the sign-in page instead of a redirect [L].
_JSON_PATHS = (
    "/messaging/api/",
    "/messaging/overview/api/",
    "/hill/hillservice/",
    "/performance/api/",
    "/trim/json/",
    "/conversation-api/",
    "/meld/",
    "/inventoryplanning/",
    "/mons/weblabs/merchant/treatment",
    "/account-switcher/global-and-regional-account/",
    "/account-switcher/accounts/",
    "/communities/",
)
# GETs that change state [C]: a careful visitor never sends them.
_FORBIDDEN_GETS = (
    "/gp/flex/sign-out.html",
    "/messaging/no-response-needed",
    "/ap/removeaccount",
    "/sign-out",
)


@dataclass(frozen=True)
class Counters:
    """What was asked of the site since it started. A reader's `writes` and `forbidden_gets` stay 0."""

    requests: int = 0  # all but /__stand_in__/
    email_submissions: int = 0
    password_submissions: int = 0
    code_submissions: int = 0
    code_requests: int = 0  # a code or an approval was asked to be sent
    resends: int = 0  # and asked for once more
    challenge_posts: int = 0  # answers to challenges
    writes: int = 0  # anything but GET and HEAD that is not sign-in, a challenge, SearchForCases or noise
    forbidden_gets: int = 0
    noise_posts: int = 0
    case_searches: int = 0  # POST SearchForCases, the one POST that reads
    attachment_gets: int = 0


@dataclass
class _Session:
    """One browser's session, kept on the server. `flow` ties a sign-in form to the page it came from."""

    flow: str = ""
    return_to: str = "/home"
    email: str = ""
    password_ok: bool = False
    auth: str = ""
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(33))


@dataclass(frozen=True)
class _SignIn:
    """The sign-in of one session, as a mood may go on with it (`moods.Flow`)."""

    site: StandIn
    session: _Session

    @property
    def fields(self) -> dict[str, str]:
        return self.site._fields(self.session)

    @property
    def email(self) -> str:
        return self.session.email

    def knows(self, form: Mapping[str, str]) -> bool:
        return self.site._knows(self.session, form)

    def accept(self) -> web.StreamResponse:
        return self.site._signed_in_now(self.session)

    def ask_password(self) -> web.StreamResponse:
        return _html(pages.password_page(self.fields, self.session.email))

    def ask_code(self, *, refused: bool = False) -> web.StreamResponse:
        return _html(pages.code_page(self.fields, refused=refused))


class StandIn:
    """Serves `seller` on loopback between `__enter__` and `__exit__`.

    The content clock stands still until `set_now`.
    """

    def __init__(
        self,
        seller: Seller,
        *,
        now: datetime,
        port: int = 0,
        window_days: int = 90,
        sign_in: Literal["classic", "unified"] = "classic",
        moods: Moods = (),
        remembers_device: bool = False,
        clock_ahead_s: float = 0,
    ) -> None:
        if now.tzinfo is None:
            raise ValueError("now must be aware")
        self.seller = seller
        self.origin = ""
        self._port, self._unified, self._moods = port, sign_in == "unified", tuple(moods)
        self._window = timedelta(days=window_days)
        self._lock = threading.Lock()
        self._now = now.astimezone(UTC)
        self._tally: Counter[str] = Counter()
        self._stages: Counter[str] = Counter()
        self._log: list[tuple[str, str, int]] = []
        self._sessions: dict[str, _Session] = {}
        self._verifier = Verifier(seller.totp_secret)
        # What its Date headers say, and what codes are measured by.
        self._clock_ahead_s = clock_ahead_s
        # "Don't require OTP on this browser" [H]: a browser that once gave a code is known by a cookie of its own.
        self._remembers_device = remembers_device
        self._device = secrets.token_urlsafe(40)
        self._case_files: dict[str, File] = {f.file_id: f for c in seller.cases for m in c.contacts for f in m.files}
        self._buyer_files: dict[str, File] = {
            f.file_id: f for t in seller.threads for m in t.artifacts for f in m.files
        }
        self._statics = {path.name: path.read_bytes() for path in _STATIC.iterdir() if path.is_file()}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    # --- for the one who started it ------------------------------------------------------------------------

    def __enter__(self) -> Self:
        started = threading.Event()
        failure: list[BaseException] = []

        def run() -> None:
            loop = asyncio.new_event_loop()
            runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1.0)
            try:
                loop.run_until_complete(runner.setup())
                site = web.TCPSite(runner, "127.0.0.1", self._port)
                loop.run_until_complete(site.start())
                self.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
                self._loop = loop
                started.set()
                loop.run_forever()
            except BaseException as error:  # handed to the thread that waits for the start
                failure.append(error)
            finally:
                loop.run_until_complete(runner.cleanup())
                loop.close()
                started.set()

        self._thread = threading.Thread(target=run, name="stand-in", daemon=True)
        self._thread.start()
        started.wait()
        if failure:
            raise failure[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop = self._thread = None

    @property
    def counters(self) -> Counters:
        with self._lock:
            return Counters(**self._tally)

    @property
    def log(self) -> list[tuple[str, str, int]]:
        """(method, path with query, status) of every request answered, in the order of the answers."""
        with self._lock:
            return list(self._log)

    @property
    def now(self) -> datetime:
        with self._lock:
            return self._now

    def set_now(self, now: datetime) -> None:
        """Moves the content clock: items arrive and age out."""
        if now.tzinfo is None:
            raise ValueError("now must be aware")
        with self._lock:
            self._now = now.astimezone(UTC)

    def withdraw(self, thread: str) -> None:
        """Takes a case, a buyer thread or a notification away before its time."""
        with self._lock:
            seller = self.seller
            self.seller = replace(
                seller,
                cases=tuple(case for case in seller.cases if case.case_id != thread),
                threads=tuple(found for found in seller.threads if found.case_id != thread),
                notices=tuple(notice for notice in seller.notices if notice.notice_id != thread),
            )

    def truth(self) -> list[TruthMessage]:
        """Every message visible at the current clock."""
        return truth(self.seller, self.now, self._window)

    def expire_sessions(self) -> None:
        """Signs everyone out, as the site does without notice."""
        with self._lock:
            self._sessions.clear()

    # --- the way of a request ------------------------------------------------------------------------------

    async def _date(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(time.time() + self._clock_ahead_s, usegmt=True)

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self._visit], client_max_size=12 * 1024 * 1024)
        app.on_response_prepare.append(self._date)
        get = app.router.add_get
        get("/__stand_in__/counters", self._own_counters)
        get("/__stand_in__/truth", self._own_truth)
        get("/__stand_in__/log", self._own_log)
        get("/assets/{hash}/{name}", self._asset)
        get("/favicon.ico", self._favicon)
        for path in _SIGN_IN_PATHS:
            get(path, self._sign_in_page)
            app.router.add_post(path, self._sign_in_post)
        get("/gp/flex/sign-out.html", self._sign_out)
        get(_SWITCHER, self._switcher)
        get("/account-switcher/accounts/merchantMarketplace", self._switcher_accounts)
        get("/account-switcher/global-and-regional-account/merchantMarketplace", self._regional_account)
        get("/meld/mons-api/GetMarketplaceSwitcher", self._marketplace_switcher)
        for path in (
            "/",
            "/home",
            "/cu/case-lobby",
            "/cu/case-dashboard/view-case",
            "/cu/case-dashboard/view-case/",
            "/gp/case-dashboard/view-case.html",
            "/messaging/inbox",
            "/performance/notifications",
            "/performance/dashboard",
            "/performance/account/health",
        ):
            get(path, self._page)
        get("/performance/notifications/{id}", self._notification)
        get("/performance/notifications/{id}/content", self._notification_body)
        hill = "/hill/hillservice/mons-api/"
        app.router.add_post(hill + "SearchForCases", self._search_for_cases)
        get(hill + "ViewCase", self._view_case)
        get(hill + "GetReplyChannels", self._reply_channels)
        get("/hill/hillservice/attachments/{id}", self._case_attachment)
        api = "/messaging/api/global/"
        get(api + "cases", self._buyer_cases)
        get(api + "cases/{id}", self._buyer_case)
        get(api + "cases/{id}/orderContext", self._order_context)
        get(api + "cases/{id}/responsetemplates", self._response_templates)
        get(api + "attachments/{id}", self._buyer_attachment)
        get("/messaging/overview/api/metric/{name}", self._metric)
        get("/performance/api/notification", self._notifications)
        for path, make in self._fixed().items():
            get(path, self._constant(make))
        get("/messaging/api/weblab/marketplace", self._weblab_moved)
        app.router.add_route("*", "/{rest:.*}", self._anything_else)
        return app

    @web.middleware
    async def _visit(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path.startswith("/__stand_in__/"):
            return await handler(request)
        posts_form = request.method == "POST" and request.path.startswith((*_SIGN_IN_PATHS, *_CHALLENGE_PATHS))
        fields = await _form(request) if posts_form else None
        stage = _stage(request, fields)
        with self._lock:
            self._stages[stage] += 1
            number = self._stages[stage]
            self._count(request, stage)
        status = 500
        try:
            answer = await self._answer(request, handler, stage, number, fields)
            status = answer.status
            return answer
        except web.HTTPException as redirect:
            status = redirect.status
            raise
        finally:
            with self._lock:
                self._log.append((request.method, request.path_qs, status))

    def _count(self, request: web.Request, stage: Stage) -> None:
        tally = self._tally
        tally["requests"] += 1
        if stage in ("email", "password", "code"):
            tally[f"{stage}_submissions"] += 1
        elif stage == "challenge":
            tally["challenge_posts"] += request.method == "POST"
            tally["resends"] += request.path.endswith("/resend")
            tally["code_requests"] += request.method == "POST" and request.path.endswith(("/new-otp", "/request"))
        elif stage == "write":
            tally["writes"] += 1
        elif stage == "noise":
            tally["noise_posts"] += 1
        elif stage == "attachment":
            tally["attachment_gets"] += 1
        elif request.path.endswith("/SearchForCases"):
            tally["case_searches"] += 1
        if request.method in ("GET", "HEAD") and request.path.startswith(_FORBIDDEN_GETS):
            tally["forbidden_gets"] += 1

    async def _answer(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
        stage: Stage,
        number: int,
        form: Mapping[str, str] | None,
    ) -> web.StreamResponse:
        session = self._session(request)
        signed_in = self._signed_in(request, session)
        if stage == "email" and session is not None and form is not None:
            session.email = form.get("email", "").strip()
        visit = Visit(stage, number, request, signed_in, self.now, form, _SignIn(self, session) if session else None)
        for mood in self._moods:
            answer = await mood.answer(visit)
            if answer is not None:
                return answer
        if stage == "noise":
            return web.Response(status=204)
        if stage == "challenge" and form is not None:
            return web.json_response({"message": "Not Found"}, status=404)
        if stage in ("static", "door", "email", "password", "code"):
            return self._dressed(await handler(request), stage)
        if not signed_in or session is None:
            return self._turn_away(request, stage)
        if request.method == "GET" and "mons_sel_mkid" in request.query:
            return self._select(request)
        if stage == "page" and request.path != "/gp/flex/sign-out.html" and _store(request) is None:
            # Deep links without an active selection go to the switcher [C].
            return _redirect(f"{_SWITCHER}?returnTo={quote(request.path_qs, safe='')}")
        response = await handler(request)
        if stage == "json":
            self._bent(visit, response)
            response.headers["anti-csrftoken-a2z"] = session.csrf
        elif stage == "page" and not response.prepared:
            self._redrawn(visit, response)
            # session-token rotates with every page [C]; only its presence matters here.
            _bake(response, "session-token", secrets.token_urlsafe(48))
        return response

    def _dressed(self, answer: web.StreamResponse, stage: Stage) -> web.StreamResponse:
        if stage != "static" and isinstance(answer, web.Response) and answer.content_type == "text/html":
            for mood in self._moods:
                if isinstance(mood, Dress) and answer.text:
                    answer.text = mood.dress(answer.text)
        return answer

    def _bent(self, visit: Visit, answer: web.StreamResponse) -> None:
        for mood in self._moods:
            if isinstance(mood, Bend) and isinstance(answer, web.Response) and "json" in answer.content_type:
                answer.text = json.dumps(mood.bend(visit, json.loads(answer.text or "null")), ensure_ascii=False)

    def _redrawn(self, visit: Visit, answer: web.StreamResponse) -> None:
        for mood in self._moods:
            if isinstance(mood, Redraw) and isinstance(answer, web.Response) and answer.content_type == "text/html":
                answer.text = mood.redraw(visit, answer.text or "")

    # --- sessions and sign-in ------------------------------------------------------------------------------

    def _session(self, request: web.Request) -> _Session | None:
        with self._lock:
            return self._sessions.get(request.cookies.get("session-id", ""))

    def _signed_in(self, request: web.Request, session: _Session | None) -> bool:
        return bool(session and session.auth and request.cookies.get(_AUTH_COOKIE) == session.auth)

    def _turn_away(self, request: web.Request, stage: Stage) -> web.StreamResponse:
        if stage == "write":
            return web.json_response({"message": "Unauthorized"}, status=401)
        if request.path.startswith(_JSON_PATHS):
            return self._open_sign_in(request, "/home")
        if "mons_sel_mkid" in request.query:
            return _html("<html><body>Invalid request URL from client</body></html>")
        query = urlencode(
            {
                "openid.pape.max_auth_age": "28800",
                "openid.return_to": self.origin + request.path_qs,
                "openid.identity": "http://specs.openid.net/auth/2.0/identifier_select",
                "openid.assoc_handle": "sc_eu_amazon_v2",
                "openid.mode": "checkid_setup",
                "pageId": "sc_eu_amazon_v2",
                "openid.claimed_id": "http://specs.openid.net/auth/2.0/identifier_select",
                "openid.ns": "http://specs.openid.net/auth/2.0",
                "language": "en_GB",
            }
        )
        return _redirect(f"/ax/claim?{query}&policy_handle=Retail" if self._unified else f"/ap/signin?{query}")

    async def _sign_in_page(self, request: web.Request) -> web.StreamResponse:
        return self._open_sign_in(request, self._own_path(request.query.get("openid.return_to", "")))

    def _own_path(self, url: str) -> str:
        """Where to go after the sign-in; never to another site."""
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" != self.origin or not parts.path:
            return "/home"
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def _open_sign_in(self, request: web.Request, return_to: str) -> web.StreamResponse:
        session = _Session(flow=secrets.token_urlsafe(24), return_to=return_to)
        name = f"{secrets.randbelow(900) + 100}-{secrets.randbelow(10**7):07d}-{secrets.randbelow(10**7):07d}"
        with self._lock:
            self._sessions[name] = session
        fields = self._fields(session)
        response = _html(pages.claim_page(fields) if self._unified else pages.email_page(fields))
        _bake(response, "session-id", name)
        _bake(response, "session-id-time", "2082787201l")
        _bake(response, "ubid-acbuk", name[::-1])
        _bake(response, "i18n-prefs", "GBP")
        return response

    def _fields(self, session: _Session) -> dict[str, str]:
        return {
            "appActionToken": session.flow,
            "openid.return_to": self.origin + session.return_to,
            "prevRID": session.flow[:20].upper(),
            "workflowState": f"eyJ6aXAiOiJERUYifQ.{session.flow}",
        }

    async def _sign_in_post(self, request: web.Request) -> web.StreamResponse:
        form = await _form(request)
        session = self._session(request)
        if session is None or form.get("appActionToken") != session.flow:
            return self._open_sign_in(request, "/home")
        fields = self._fields(session)
        stage = _stage(request, form)
        if stage == "email":
            session.email = str(form.get("email", "")).strip()
            if session.email.casefold() != self.seller.email.casefold():
                return _html(pages.intent_page(session.email))
            return _html(pages.password_page(fields, session.email))
        if stage == "password":
            right = self._knows(session, form)
            if right and self._remembers_device and request.cookies.get(_DEVICE_COOKIE) == self._device:
                return self._signed_in_now(session)
            return _html(pages.code_page(fields) if right else pages.password_page(fields, session.email, refused=True))
        if not session.password_ok:
            return self._open_sign_in(request, session.return_to)
        with self._lock:
            right = self._verifier.accepts(str(form.get("otpCode", "")), time.time() + self._clock_ahead_s)
        if not right:
            return _html(pages.code_page(fields, refused=True))
        return self._signed_in_now(session)

    def _knows(self, session: _Session, form: Mapping[str, str]) -> bool:
        session.email = str(form.get("email", session.email)).strip()
        session.password_ok = session.email.casefold() == self.seller.email.casefold() and secrets.compare_digest(
            str(form.get("password", "")).encode(), self.seller.password.encode()
        )
        return session.password_ok

    def _signed_in_now(self, session: _Session) -> web.StreamResponse:
        session.auth, session.flow = secrets.token_urlsafe(40), secrets.token_urlsafe(24)
        response = _redirect(session.return_to)
        if self._remembers_device:
            _bake(response, _DEVICE_COOKIE, self._device)
        _bake(response, _AUTH_COOKIE, session.auth)
        for name in ("x-acbuk", "sess-at-acbuk", "session-token"):
            _bake(response, name, secrets.token_urlsafe(40))
        return response

    async def _sign_out(self, request: web.Request) -> web.StreamResponse:
        with self._lock:
            self._sessions.pop(request.cookies.get("session-id", ""), None)
        return _redirect("/home")

    # --- the account switcher ------------------------------------------------------------------------------

    def _select(self, request: web.Request) -> web.StreamResponse:
        """Any page with mons_sel_mkid and mons_sel_dir_mcid: sets the selection for the whole browser [C]."""
        wanted = next(
            (
                m
                for m in MARKETPLACES
                if m.mkid == request.query["mons_sel_mkid"] and m.mcid == request.query.get("mons_sel_dir_mcid", m.mcid)
            ),
            None,
        )
        kept = [
            (k, v)
            for k, v in request.query.items()
            if not k.startswith("mons_sel_") and k not in ("ignore_selection_changed", "stck")
        ]
        target = request.path + (f"?{urlencode(kept)}" if kept else "")
        if wanted is None:
            return _redirect(f"{_SWITCHER}?returnTo={quote(target, safe='')}")
        response = _redirect(target)
        _bake(response, _STORE_COOKIE, wanted.marketplace_id)
        return response

    async def _switcher(self, request: web.Request) -> web.StreamResponse:
        return self._chrome(request, "Select an account", pages.SWITCHER, "switcher.js", body_class="switcher")

    async def _switcher_accounts(self, request: web.Request) -> web.StreamResponse:
        return _json(answers.switchable_accounts(self.seller, _store(request)))

    async def _regional_account(self, request: web.Request) -> web.StreamResponse:
        return _json(answers.account_switcher(self.seller, _store(request)))

    async def _marketplace_switcher(self, request: web.Request) -> web.StreamResponse:
        return _json(answers.marketplace_switcher(self.seller, _store(request) or MARKETPLACES[0]))

    # --- pages ---------------------------------------------------------------------------------------------

    def _chrome(
        self, request: web.Request, title: str, content: str, *scripts: str, body_class: str = ""
    ) -> web.StreamResponse:
        session = self._session(request)
        return _html(
            pages.chrome(
                self.seller,
                _store(request),
                session.csrf if session else "",
                title=title,
                content=content,
                scripts=scripts,
                body_class=body_class,
            )
        )

    async def _page(self, request: web.Request) -> web.StreamResponse:
        match request.path:
            case "/cu/case-lobby":
                return self._chrome(request, "Case log", pages.CASE_LOBBY, "case_lobby.js")
            case path if "view-case" in path:
                return self._chrome(request, "View case", pages.VIEW_CASE, "view_case.js")
            case "/messaging/inbox":
                return self._chrome(
                    request, "Buyer-Seller Messages", pages.inbox(self.now), "inbox.js", body_class="inbox"
                )
            case "/performance/notifications":
                return self._chrome(request, "Performance notifications", pages.NOTIFICATIONS, "notifications.js")
            case "/performance/dashboard" | "/performance/account/health":
                return self._chrome(request, "Account health", pages.HEALTH)
            case _:
                return self._chrome(request, "Amazon", pages.HOME)

    async def _notification(self, request: web.Request) -> web.StreamResponse:
        notice = answers.find_notice(self.seller, self.now, self._window, _selected(request), request.match_info["id"])
        if notice is None:
            return self._chrome(request, "Performance notifications", pages.gone("This notification is not available."))
        return self._chrome(request, "Performance notifications", pages.notification(notice), "notification.js")

    async def _notification_body(self, request: web.Request) -> web.StreamResponse:
        notice = answers.find_notice(self.seller, self.now, self._window, _selected(request), request.match_info["id"])
        return _html(pages.notification_body(notice) if notice else "<!doctype html><title></title>")

    async def _anything_else(self, request: web.Request) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return web.json_response({"status": "SUCCESS"})
        # A path nobody knows is answered with the shell and 200, not with 404 [C].
        return self._chrome(request, "Amazon", pages.SHELL)

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        body = self._statics.get(name)
        if body is None:
            raise web.HTTPNotFound
        kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}[name.rpartition(".")[2]]
        return web.Response(
            body=body,
            content_type=kind,
            charset="utf-8",
            headers={"Cache-Control": "public, max-age=31536000, immutable"},
        )

    async def _favicon(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=204)

    # --- the JSON of the pages -----------------------------------------------------------------------------

    async def _search_for_cases(self, request: web.Request) -> web.StreamResponse:
        try:
            query = json.loads(await request.text())
            return _json(answers.search_for_cases(self.seller, self.now, self._window, _selected(request), query))
        except (ValueError, TypeError, AttributeError):
            return web.json_response({"message": "Bad request"}, status=400)

    async def _view_case(self, request: web.Request) -> web.StreamResponse:
        size = min(max(_number(request, "pageSize", 10), 1), 50)
        found = answers.view_case(
            self.seller,
            self.now,
            self._window,
            _selected(request),
            request.query.get("caseId", ""),
            size,
            request.query.get("currentToken"),
        )
        # 403 is what one client met for a case it may not see [C]; another store's case is one.
        return _json(found) if found else web.json_response({"message": "Access denied"}, status=403)

    async def _reply_channels(self, request: web.Request) -> web.StreamResponse:
        return _json({"caseId": request.query.get("caseId", ""), "replyChannels": ["EMAIL"]})

    async def _buyer_cases(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        return _json(
            answers.buyer_cases(
                self.seller,
                self.now,
                self._window,
                folder=query.get("filterList") or query.get("filter") or "ALL",
                ascending=query.get("sortDirection") == "ASCENDING",
                token=query.get("pageToken"),
            )
        )

    def _find_thread(self, request: web.Request) -> tuple[BuyerThread, tuple[Artifact, ...]]:
        found = answers.find_buyer_case(self.seller, self.now, self._window, request.match_info["id"])
        wrong_store = found and request.query.get("marketplaceId") != found[0].marketplace.marketplace_id
        if found is None or wrong_store:
            raise web.HTTPNotFound(text='{"message":"Case not found"}', content_type="application/json")
        return found

    async def _buyer_case(self, request: web.Request) -> web.StreamResponse:
        return _json(answers.buyer_case(self.seller, *self._find_thread(request)))

    async def _order_context(self, request: web.Request) -> web.StreamResponse:
        return _json(answers.order_context(self._find_thread(request)[0]))

    async def _response_templates(self, request: web.Request) -> web.StreamResponse:
        return _json(answers.response_templates(self._find_thread(request)[0]), "application/hal+json")

    async def _metric(self, request: web.Request) -> web.StreamResponse:
        return _json(
            answers.metric(
                self.seller,
                self.now,
                self._window,
                request.match_info["name"],
                _number(request, "daysBack", 30),
            )
        )

    async def _notifications(self, request: web.Request) -> web.StreamResponse:
        return _json(
            answers.notifications(
                self.seller,
                self.now,
                self._window,
                _selected(request),
                size=min(max(_number(request, "pageSize", 10), 1), 100),
                number=_number(request, "pageNumber", 1),
                newest=request.query.get("sortBy", "NewestToOldest") == "NewestToOldest",
            )
        )

    async def _weblab_moved(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(f"/messaging/api/global/weblab?{request.query_string}")  # 307 [L]

    def _fixed(self) -> dict[str, Callable[[web.Request], Any]]:
        """JSON GETs of every page whose answer does not depend on the content [L]."""

        def weblab(request: web.Request) -> Any:
            return {
                "weblabName": request.query.get("weblabName", request.query.get("weblab", "")),
                "treatment": "T1",
            }

        return {
            "/messaging/api/global/rights": lambda _: {"viewRights": True, "editRights": False},
            "/messaging/api/global/partnerAccounts": lambda _: answers.partner_accounts(self.seller),
            "/messaging/api/global/partnerAccounts/marketplaces": lambda _: answers.messaging_marketplaces(self.seller),
            "/messaging/api/global/topics/categories": lambda _: answers.topics(),
            "/messaging/api/global/weblab": weblab,
            "/messaging/api/global/weblab/v2": weblab,
            "/mons/weblabs/merchant/treatment": weblab,
            "/trim/json/favorites/sellerCentral": lambda _: {"favorites": []},
            "/conversation-api/v1/notifications": lambda _: {"notifications": []},
            "/conversation-api/v1/sidebarContext": lambda _: {
                "availableCapabilities": [],
                "betaTagEligible": False,
                "caFTEligible": False,
                "customerIdentifier": self.seller.account_id,
                "enabledFeatures": [],
            },
            "/communities/seller-news/articles": lambda _: {"newsArticles": []},
            "/inventoryplanning/check-unread-message": lambda _: {"hasUnread": False},
        }

    def _constant(self, make: Callable[[web.Request], Any]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            return _json(make(request))

        return answer

    async def _case_attachment(self, request: web.Request) -> web.StreamResponse:
        return _attachment(self._case_files.get(request.match_info["id"]))

    async def _buyer_attachment(self, request: web.Request) -> web.StreamResponse:
        return _attachment(self._buyer_files.get(request.match_info["id"]))

    # --- the stand-in's own numbers ------------------------------------------------------------------------

    async def _own_counters(self, request: web.Request) -> web.StreamResponse:
        return _json(asdict(self.counters))

    async def _own_truth(self, request: web.Request) -> web.StreamResponse:
        return _json([asdict(message) | {"sent_at": message.sent_at.isoformat()} for message in self.truth()])

    async def _own_log(self, request: web.Request) -> web.StreamResponse:
        return _json(self.log)


def _stage(request: web.Request, form: Mapping[str, str] | None) -> Stage:
    """What kind of visit this is, from the method, the path and a sign-in form."""
    path = request.path
    if path.startswith("/assets/") or path == "/favicon.ico":
        return "static"
    if request.method not in ("GET", "HEAD"):
        if path.startswith(_CHALLENGE_PATHS):
            return "challenge"
        if form is not None:
            if "otpCode" in form:
                return "code"
            return "password" if "password" in form else "email"
        if path.startswith(_NOISE):
            return "noise"
        return "json" if path.endswith("/mons-api/SearchForCases") else "write"
    if path in _SIGN_IN_PATHS:
        return "door"
    if path.startswith(_CHALLENGE_PATHS):
        return "challenge"
    if path.startswith(("/messaging/api/global/attachments/", "/hill/hillservice/attachments/")):
        return "attachment"
    if path == _SWITCHER or path.startswith("/account-switcher/accounts/"):
        return "switcher"
    return "json" if path.startswith(_JSON_PATHS) else "page"


async def _form(request: web.Request) -> dict[str, str]:
    """The text fields of a posted form. aiohttp keeps the body, so that asking twice is safe."""
    return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


def _store(request: web.Request) -> Marketplace | None:
    wanted = request.cookies.get(_STORE_COOKIE)
    return next((m for m in MARKETPLACES if m.marketplace_id == wanted), None)


def _selected(request: web.Request) -> Marketplace:
    store = _store(request)
    if store is None:
        raise web.HTTPBadRequest(text='{"message":"No marketplace selected"}', content_type="application/json")
    return store


def _number(request: web.Request, name: str, otherwise: int) -> int:
    text = request.query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else otherwise


def _bake(response: web.StreamResponse, name: str, value: str) -> None:
    response.set_cookie(name, value, max_age=_YEAR, path="/", httponly=True, samesite="Lax")


def _redirect(location: str) -> web.Response:
    """302 with the address as written: aiohttp's own redirects undo percent signs in the query."""
    return web.Response(status=302, headers={"Location": location})


def _html(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html", charset="utf-8", headers={"Cache-Control": "no-store"})


def _json(value: Any, kind: str = "application/json") -> web.Response:
    return web.Response(
        body=pages.as_json(value), content_type=kind, charset="utf-8", headers={"Cache-Control": "no-store"}
    )


def _attachment(file: File | None) -> web.StreamResponse:
    if file is None:
        raise web.HTTPNotFound
    return web.Response(
        body=file.body,
        content_type=file.media_type,
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"},
    )
