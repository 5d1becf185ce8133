"""A page that shows the live browser to one person and passes on what they click and type, while a challenge lasts.

The server runs in a thread of its own and never touches the browser: it puts what the person does into a queue, and
shows the last picture it was given. Only `attend`, in the thread of the browser, drives.

The link is good once. Its token stands behind the `#`, where no server, log or link preview sees it; the page sends it
in the body of one request, and the browser that did is the only one from then on (a cookie no script can read). Every
later message must come from our own page (Origin), from that browser, and carry a higher number than the one before.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from queue import Empty, Full, Queue
from typing import Any
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web
from playwright.sync_api import CDPSession, Page
from playwright.sync_api import Error as PlaywrightError

from archiver.errors import UsageError
from archiver.portal.pace import Pace
from archiver.portal.person import Task

_LOOK_S = 0.2
"""How long what a person did may take to show, beside the drawing."""

_MOST_WAITING = 100
_LONGEST_MESSAGE_BYTES = 2048
_LONGEST_TEXT = 200
_GOODBYE_S = 2.0

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}

# What a person may press beside text: what a form needs, and nothing that leads away from the page.
_KEYS: Mapping[str, int] = {
    "Enter": 13,
    "Tab": 9,
    "Backspace": 8,
    "Delete": 46,
    "Escape": 27,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Home": 36,
    "End": 35,
}

_Input = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Address:
    """Where the page listens, and the origin people reach it by: another one behind a reverse proxy, else empty."""

    host: str
    port: int
    url: str = ""


class HandOverPage:
    """A `Person` who comes by a link. `tell` brings it to them; it is called once for each task.

    The link of a later task in the same sign-in is empty where a person has the page open already. `left` is called
    with the account when the link is good for nothing any more.
    """

    def __init__(
        self, address: Address, tell: Callable[[Task, str], None], left: Callable[[str], None] = lambda _: None
    ) -> None:
        self._address = address
        self._tell = tell
        self._left = left
        self._account = ""
        self._server: _Server | None = None

    def attend(self, page: Page, session: CDPSession, task: Task, pace: Pace, answered: Callable[[], bool]) -> bool:
        """Show the page until it shows another screen; False where nobody answered it in time.

        Raises UsageError where the address cannot be listened on, and what the pace raises.
        """
        if self._server is None:
            self._server = _Server(self._address)
        server = self._server
        server.show(task)
        self._account = task.account
        self._tell(task, server.link)
        picture_s, drawn = float("-inf"), b""
        while datetime.now(UTC) < task.until:
            for done in server.done_since():
                with suppress(PlaywrightError):  # the page went away under the click
                    _pass_on(session, page, done)
                picture_s = float("-inf")
            if answered():
                return True
            if server.is_watched and time.monotonic() - picture_s >= _LOOK_S:
                picture = _picture(session)
                if picture and picture != drawn:
                    server.draw(picture)
                    drawn = picture
                picture_s = time.monotonic()
            pace.wait(0.05)
        return False

    def leave(self) -> None:
        """Say goodbye to who is there, and close the port."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._left(self._account)


def _picture(session: CDPSession) -> bytes:
    try:
        shot = session.send("Page.captureScreenshot", {"format": "jpeg", "quality": 70, "optimizeForSpeed": True})
    except PlaywrightError:
        return b""  # between two pages there is nothing to see
    return b64decode(shot["data"])


def _pass_on(session: CDPSession, page: Page, done: _Input) -> None:
    """Do in the browser what the person did on the picture."""
    size = page.viewport_size or {"width": 0, "height": 0}
    match done:
        case {"kind": "text", "text": str(text)}:
            session.send("Input.insertText", {"text": text[:_LONGEST_TEXT]})
        case {"kind": "key", "key": str(key)} if key in _KEYS:
            about: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS[key]}
            text_of_key = {"text": "\r"} if key == "Enter" else {}
            session.send("Input.dispatchKeyEvent", {"type": "keyDown", **about, **text_of_key})
            session.send("Input.dispatchKeyEvent", {"type": "keyUp", **about})
        case {"kind": "click", "x": int() | float() as x, "y": int() | float() as y} if (
            0 <= x < size["width"] and 0 <= y < size["height"]
        ):
            session.send("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})
            for kind in ("mousePressed", "mouseReleased"):
                session.send(
                    "Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
                )
        case {"kind": "scroll", "dy": int() | float() as dy}:
            middle = {"x": size["width"] / 2, "y": size["height"] / 2}
            wheel = {"type": "mouseWheel", **middle, "deltaX": 0, "deltaY": max(-2000, min(2000, dy))}
            session.send("Input.dispatchMouseEvent", wheel)


class _Server:
    """The web server, in a thread and an event loop of its own, from when it is made until `close`."""

    def __init__(self, address: Address) -> None:
        self.link = ""
        self._token = ""
        self._bound = ""  # the cookie of the browser that redeemed the link
        self._last_number = 0
        self._task: Task | None = None
        self._picture = b""
        self._over = ""
        self._done: Queue[_Input] = Queue(_MOST_WAITING)
        self._socket: web.WebSocketResponse | None = None
        self._changed = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=_GOODBYE_S)
        # Playwright runs an event loop in the caller's thread, and there can be no second one.
        self._thread = threading.Thread(target=self._loop.run_forever, name="hand-over", daemon=True)
        self._thread.start()
        try:
            port = asyncio.run_coroutine_threadsafe(self._listen(address), self._loop).result()
        except OSError as error:
            self.close()
            raise UsageError(
                f"The hand-over page cannot listen on {address.host}:{address.port}: {error.strerror or error}.",
                hint="Set `listen` in [handover] to an address of this machine and a port that is free.",
            ) from error
        host = f"[{address.host}]" if ":" in address.host else address.host
        self._origin = address.url or f"http://{host}:{port}"

    # --- for the thread of the browser -------------------------------------------------------------------------

    def show(self, task: Task) -> None:
        """The task at hand. A link is made where no browser has redeemed one yet."""
        self._loop.call_soon_threadsafe(self._set_task, task)
        if self._bound:
            self.link = ""
            return
        self._token = secrets.token_urlsafe(32)
        self.link = f"{self._origin}/#{self._token}"

    def draw(self, picture: bytes) -> None:
        self._loop.call_soon_threadsafe(self._set_picture, picture)

    @property
    def is_watched(self) -> bool:
        return self._socket is not None

    def done_since(self) -> list[_Input]:
        """What the person did since the last call, in order."""
        done: list[_Input] = []
        with suppress(Empty):
            while True:
                done.append(self._done.get_nowait())
        return done

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # --- in the server's own thread ----------------------------------------------------------------------------

    async def _listen(self, address: Address) -> int:
        await self._runner.setup()
        site = web.TCPSite(self._runner, address.host, address.port)
        await site.start()
        port: int = self._runner.addresses[0][1]
        return port

    async def _end(self) -> None:
        if self._socket is not None:
            with suppress(ConnectionError, RuntimeError):  # the person has left already
                await self._socket.send_json({"over": True})
                await self._socket.close()
        await self._runner.cleanup()

    def _set_task(self, task: Task) -> None:
        self._task = task
        self._changed.set()

    def _set_picture(self, picture: bytes) -> None:
        self._picture = picture
        self._changed.set()

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self._only_ours], client_max_size=_LONGEST_MESSAGE_BYTES)
        app.router.add_get("/", self._page)
        app.router.add_get("/page.js", self._static)
        app.router.add_get("/page.css", self._static)
        app.router.add_post("/redeem", self._redeem)
        app.router.add_get("/live", self._live)
        return app

    @web.middleware
    async def _only_ours(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        # A name that was made to point here (DNS rebinding) comes with its own Host.
        if request.host != urlsplit(self._origin).netloc:
            return web.Response(status=421, text="This page is reached by the address in its link.")
        if (request.method != "GET" or request.path == "/live") and request.headers.get("Origin") != self._origin:
            return web.Response(status=403, text="This request does not come from the page.")
        try:
            answer: web.StreamResponse = await handler(request)
        except web.HTTPException as error:
            answer = web.Response(status=error.status, text=error.reason)
        if not answer.prepared:
            answer.headers.update(_HEADERS)
        return answer

    async def _page(self, request: web.Request) -> web.Response:
        language = "zh" if request.headers.get("Accept-Language", "").lower().startswith("zh") else "en"
        text = (files(__package__) / "page.html").read_text("utf-8").replace("{language}", language)
        for place, words in _WORDS.items():
            text = text.replace("{" + place + "}", words[language])
        return web.Response(text=text, content_type="text/html")

    async def _static(self, request: web.Request) -> web.Response:
        kind = "text/javascript" if request.path.endswith(".js") else "text/css"
        return web.Response(text=(files(__package__) / request.path[1:]).read_text("utf-8"), content_type=kind)

    async def _redeem(self, request: web.Request) -> web.Response:
        given = (await request.text()).strip()
        if self._bound:
            return web.Response(status=403, text="This link was used already, by another browser or in another window.")
        if not self._token or not hmac.compare_digest(given.encode(), self._token.encode()):
            return web.Response(status=403, text="This link is not valid.")
        if self._task is None or datetime.now(UTC) >= self._task.until:
            return web.Response(status=403, text="This link has expired.")
        self._token = ""
        self._bound = secrets.token_urlsafe(32)
        answer = web.Response(text="ok")
        answer.set_cookie(
            _COOKIE,
            self._bound,
            httponly=True,
            samesite="Strict",
            secure=self._origin.startswith("https:"),
            path="/",
        )
        return answer

    async def _live(self, request: web.Request) -> web.StreamResponse:
        cookie = request.cookies.get(_COOKIE, "")
        if not self._bound or not hmac.compare_digest(cookie.encode(), self._bound.encode()):
            return web.Response(status=403, text="This page belongs to another browser.")
        socket = web.WebSocketResponse(timeout=_GOODBYE_S, max_msg_size=_LONGEST_MESSAGE_BYTES, heartbeat=20)
        socket.headers.update(_HEADERS)
        await socket.prepare(request)
        earlier, self._socket = self._socket, socket
        if earlier is not None:
            await earlier.close()
        showing = asyncio.ensure_future(self._show(socket))
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT or not self._accepts(message.data):
                    break
        finally:
            showing.cancel()
            if self._socket is socket:
                self._socket = None
            await socket.close()
        return socket

    def _accepts(self, message: str) -> bool:
        """Take one message of the person. False for what our page does not send: a replay, a flood, another shape."""
        try:
            done = json.loads(message)
            number = done["n"]
            if not isinstance(number, int) or number <= self._last_number:
                return False
            self._done.put_nowait(done)
        except (ValueError, TypeError, KeyError, RecursionError, Full):
            return False
        self._last_number = number
        return True

    async def _show(self, socket: web.WebSocketResponse) -> None:
        """The task and the picture, now and whenever they change."""
        told: Task | None = None
        drawn = b""
        with suppress(ConnectionError):
            await socket.send_json({"next": self._last_number + 1})
            while True:
                self._changed.clear()
                task, picture = self._task, self._picture
                if task is not None and task is not told:
                    left_s = (task.until - datetime.now(UTC)).total_seconds()
                    await socket.send_json({"account": task.account, "what": task.what, "left_s": max(0, left_s)})
                    told = task
                if picture is not drawn:
                    await socket.send_bytes(picture)
                    drawn = picture
                await self._changed.wait()


_COOKIE = "archiver_hand_over"

_WORDS: Mapping[str, Mapping[str, str]] = {
    "title": {"en": "A person is needed", "zh": "需要人工操作"},
    "account": {"en": "Account", "zh": "账户"},
    "left": {"en": "Time left", "zh": "剩余时间"},
    "wait": {"en": "The browser is coming up …", "zh": "正在连接浏览器……"},
    "hint": {
        "en": "Click and type in the picture as in any page. On a phone, type below.",
        "zh": "可像普通网页一样在图中点击和输入；用手机时请在下方输入。",
    },
    "type": {"en": "Text to type", "zh": "要输入的文字"},
    "send": {"en": "Type it", "zh": "输入"},
    "enter": {"en": "Enter", "zh": "回车"},
    "tab": {"en": "Next field", "zh": "下一项"},
    "back": {"en": "Delete", "zh": "删除"},
    "over": {"en": "Done here. You may close this page.", "zh": "已结束，可以关闭此页面。"},
    "lost": {
        "en": "The connection was lost. Load the page again.",
        "zh": "连接已断开，请刷新页面。",
    },
    "late": {
        "en": "The time is up. Start again with `archiver login`.",
        "zh": "时间已到，请用 archiver login 重新开始。",
    },
}
