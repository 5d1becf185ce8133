"""A live page to artifacts: the JSON it fetched, its composed DOM, MHTML, and full-page pictures. Reads nothing.

`Recorder` listens to what a page fetches, so that the answers are kept byte for byte as served; `settle` waits until
the page has stopped fetching and has drawn; `photograph` keeps what is then on the screen.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import CDPSession, Frame, Page, Request, Response, ViewportSize
from playwright.sync_api import Error as PlaywrightError

from archiver.model import Artifact

VIEWPORT_WIDTH_PX = 1600
VIEWPORT_HEIGHT_PX = 1200
"""Below about 1400 px of width the inbox leaves its list out altogether [C]. At this height most threads fit without
making the window taller, which costs a layout each time."""

_TALLEST_PICTURE_PX = 8000
"""Chromium draws nothing beyond 16,384 px in one picture; taller pages become several."""

_FETCHED = ("xhr", "fetch")
_STREAMS = ("eventsource", "websocket", "ping", "media")


class Recorder:
    """What a page asked for since `start`: open requests, and the answers to its own fetches in order."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._open: set[Request] = set()
        self._responses: list[Response] = []
        page.on("request", self._asked)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)
        page.on("response", self._answered)

    def start(self) -> None:
        """Forget what earlier pages fetched."""
        self._open.clear()
        self._responses.clear()

    @property
    def busy(self) -> bool:
        return bool(self._open)

    def answered(self, wanted: Callable[[str], bool]) -> Response | None:
        """The last answer whose URL is wanted, or None so far."""
        return next((r for r in reversed(self._responses) if wanted(r.url)), None)

    def artifacts(self, wanted: Callable[[str], bool]) -> tuple[Artifact, ...]:
        """The answers whose bodies are still to be had: `json/N` for the wanted ones, `fetched/N` for the others."""
        kept: list[Artifact] = []
        counts = {"json": 0, "fetched": 0}
        for response in self._responses:
            media_type = response.headers.get("content-type", "")
            is_wanted = wanted(response.url)
            if response.request in self._open or (not is_wanted and "json" not in media_type):
                continue
            try:
                body = response.body()
            except PlaywrightError:
                if is_wanted and response.status == 200:
                    raise
                continue  # an aside (a redirect, a blocked beacon) has no body to keep
            family = "json" if is_wanted else "fetched"
            name = f"{family}/{counts[family]}"
            counts[family] += 1
            kept.append(Artifact(name, media_type, body, url=response.url, status=response.status))
        return tuple(kept)

    def _asked(self, request: Request) -> None:
        if request.resource_type not in _STREAMS:
            self._open.add(request)

    def _ended(self, request: Request) -> None:
        self._open.discard(request)

    def _answered(self, response: Response) -> None:
        if response.request.resource_type in _FETCHED:
            self._responses.append(response)


_LOOK_AGAIN_MS = 5.0

# Two frames: what the last answer changed has been laid out and painted, and what it made the page ask for is asked.
# A font that never comes, and a window that is never painted, must not hold a run for ever.
_DRAWN = """() => Promise.race([
    document.fonts.ready.then(() =>
        new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))),
    new Promise(done => setTimeout(() => done(false), 3000)),
])"""


def settle(page: Page, recorder: Recorder, *, timeout_s: float) -> bool:
    """Wait until the page has nothing under way and has drawn. False if it still fetches after `timeout_s`.

    A page that goes to another meanwhile is waited for. Raises Playwright's Error where there is no page any more.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if recorder.busy:
            page.wait_for_timeout(_LOOK_AGAIN_MS)  # drawing is waited for only once there is all to draw
            continue
        try:
            drawn = page.evaluate(_DRAWN)
        except PlaywrightError as error:
            if page.is_closed() or "crashed" in error.message:
                raise
            page.wait_for_timeout(50)  # lets the events of the new page in
            continue
        if drawn and not recorder.busy:
            return True
    return False


# The tree as a person sees it: open shadow roots written out as declarative ones.
_COMPOSED = """() => {
    const roots = [];
    const gather = node => {
        for (const element of node.querySelectorAll('*')) {
            if (element.shadowRoot) { roots.push(element.shadowRoot); gather(element.shadowRoot); }
        }
    };
    gather(document);
    const type = document.doctype ? '<!DOCTYPE ' + document.doctype.name + '>' : '';
    const root = document.documentElement;
    const quoted = value => '"' + value.replace(/&/g, '&amp;').replace(/"/g, '&quot;') + '"';
    const attributes = [...root.attributes].map(a => ` ${a.name}=${quoted(a.value)}`);
    return type + '<html' + attributes.join('') + '>' + root.getHTML({shadowRoots: roots}) + '</html>';
}"""

# How much taller the window must be for every scrolling pane that a person could see to show all it holds.
_HIDDEN_HEIGHT = """() => {
    let hidden = 0;
    const look = node => {
        for (const element of node.querySelectorAll('*')) {
            if (element.shadowRoot) look(element.shadowRoot);
            const more = element.scrollHeight - element.clientHeight;
            if (more > 1 && element.clientHeight > 80 && element.clientWidth > 200
                    && element !== document.documentElement && element !== document.body
                    && /auto|scroll/.test(getComputedStyle(element).overflowY)) {
                hidden = Math.max(hidden, more);
            }
        }
    };
    look(document);
    return hidden;
}"""

_PAGE_HEIGHT = "() => Math.max(document.documentElement.scrollHeight, document.body ? document.body.scrollHeight : 0)"

_WINDOW: ViewportSize = {"width": VIEWPORT_WIDTH_PX, "height": VIEWPORT_HEIGHT_PX}
_MOST_WINDOW_PX = 30_000
_WINDOW_ROUNDS = 3


def photograph(page: Page, session: CDPSession) -> tuple[Artifact, ...]:
    """DOM (`dom`, and `frame/N` for each frame inside), `mhtml`, and `screenshot/N` from top to bottom.

    Raises Playwright's Error where the page goes away or changes under the camera.
    """
    return (*_documents(page), _mhtml(session, page.url), *_pictures(page))


def _documents(page: Page) -> list[Artifact]:
    found = [Artifact("dom", "text/html; charset=utf-8", _dom(page.main_frame), url=page.url)]
    for frame in page.frames:
        if frame is not page.main_frame and not frame.is_detached():
            name = f"frame/{len(found) - 1}"
            found.append(Artifact(name, "text/html; charset=utf-8", _dom(frame), url=frame.url))
    return found


def _dom(frame: Frame) -> bytes:
    composed: str = frame.evaluate(_COMPOSED)
    return composed.encode("utf-8", "surrogatepass")


def _mhtml(session: CDPSession, url: str) -> Artifact:
    answer: dict[str, Any] = session.send("Page.captureSnapshot", {"format": "mhtml"})
    return Artifact("mhtml", "multipart/related", answer["data"].encode(), url=url)


def _pictures(page: Page) -> list[Artifact]:
    window = VIEWPORT_HEIGHT_PX
    for _ in range(_WINDOW_ROUNDS):
        hidden = page.evaluate(_HIDDEN_HEIGHT)
        if not hidden or window >= _MOST_WINDOW_PX:
            break
        window = min(window + hidden, _MOST_WINDOW_PX)
        page.set_viewport_size({"width": VIEWPORT_WIDTH_PX, "height": window})
    return _tiles(page)


def reset_window(page: Page) -> None:
    """The window back to its usual height, before the next page is laid out in it."""
    if page.viewport_size != _WINDOW:
        page.set_viewport_size(_WINDOW)


def _tiles(page: Page) -> list[Artifact]:
    height = page.evaluate(_PAGE_HEIGHT)
    if height <= _TALLEST_PICTURE_PX:
        return [Artifact("screenshot/0", "image/png", page.screenshot(full_page=True), url=page.url)]
    tiles: list[Artifact] = []
    for top in range(0, height, _TALLEST_PICTURE_PX):
        clip = {
            "x": 0.0,
            "y": float(top),
            "width": float(VIEWPORT_WIDTH_PX),
            "height": float(min(_TALLEST_PICTURE_PX, height - top)),
        }
        picture = page.screenshot(full_page=True, clip=clip)  # type: ignore[arg-type]  # a TypedDict by shape
        tiles.append(Artifact(f"screenshot/{len(tiles)}", "image/png", picture, url=page.url))
    return tiles


# In the page, so that it goes out like any fetch of the site's own: through the guard, with the session's cookies.
_FETCH = """async ([url, mostBytes]) => {
    const asked = {credentials: 'same-origin', redirect: 'follow', signal: AbortSignal.timeout(60000)};
    const answer = await fetch(url, asked);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    if (bytes.length > mostBytes) return {status: 413, type: '', body: '', path: ''};
    let text = '';
    for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    const type = answer.headers.get('content-type') || '';
    return {status: answer.status, type, body: btoa(text), path: new URL(answer.url).pathname};
}"""

_MOST_ATTACHMENT_BYTES = 64 * 1024 * 1024
"""Amazon limits attachments to 10 MB [A]; beyond this it is something else."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a GET came to. `status` 0: it failed. `path` is where redirects led."""

    status: int
    media_type: str = ""
    body: bytes = b""
    path: str = ""


def fetch(page: Page, url: str) -> Fetched:
    """GET a path of the page's own site, in memory."""
    try:
        answer: dict[str, Any] = page.evaluate(_FETCH, [url, _MOST_ATTACHMENT_BYTES])
    except PlaywrightError:
        return Fetched(0)
    return Fetched(answer["status"], answer["type"], base64.b64decode(answer["body"]), answer["path"])
