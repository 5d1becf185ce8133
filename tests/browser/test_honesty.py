"""Every request says what sent it, wherever in a page it comes from; nothing about the browser is disguised."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser

from archiver import __version__
from archiver.portal import browser as browsers

CONTACT = "mailto:ops@acme.example"
HTML, SCRIPT = "text/html", "text/javascript"
PAGES = {
    "/": (
        HTML,
        """<iframe src="/frame"></iframe><img src="/picture">
        <script>
            fetch('/fetch'); fetch('/post', {method: 'POST', body: 'x'}); navigator.sendBeacon('/beacon', 'x');
            const asked = new XMLHttpRequest(); asked.open('GET', '/xhr'); asked.send();
            const link = document.createElement('link'); link.rel = 'prefetch'; link.href = '/prefetch';
            document.head.append(link);
            new Worker('/worker.js');
        </script>""",
    ),
    "/frame": (HTML, """<script>fetch('/frame-fetch')</script><iframe srcdoc="<img src='/srcdoc'>"></iframe>"""),
    "/worker.js": (SCRIPT, "fetch('/worker-fetch'); new Worker('/inner-worker.js')"),
    "/inner-worker.js": (SCRIPT, "fetch('/inner-worker-fetch')"),
}
ASKED = {
    *PAGES,
    *("/picture", "/fetch", "/post", "/beacon", "/xhr", "/prefetch"),
    *("/frame-fetch", "/srcdoc", "/worker-fetch", "/inner-worker-fetch"),
}


@dataclass
class Listener:
    """A site that notes what each request says about who sent it."""

    origin: str = ""
    agents: dict[str, str] = field(default_factory=dict)
    hints: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def listener() -> Iterator[Listener]:
    site = Listener()

    class Answers(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Quiet: what is said is noted in `agents`."""

        def answer(self) -> None:
            site.agents[self.path] = self.headers.get("user-agent", "")
            site.hints[self.path] = self.headers.get("sec-ch-ua", "")
            self.rfile.read(int(self.headers.get("content-length") or 0))
            media_type, body = PAGES.get(self.path, ("text/plain", ""))
            self.send_response(200)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = answer

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    site.origin = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_request_names_the_archiver_wherever_it_comes_from(browser: Browser, listener: Listener) -> None:
    agent = browsers.user_agent(browser, CONTACT)
    context = browser.new_context(user_agent=agent, service_workers="block")
    try:
        page = context.new_page()
        page.goto(listener.origin)
        deadline = time.monotonic() + 10
        while not set(listener.agents) >= ASKED and time.monotonic() < deadline:
            page.wait_for_timeout(50)
        says = page.evaluate("[navigator.webdriver, navigator.userAgent]")
    finally:
        context.close()
    nameless = {
        path: said for path, said in listener.agents.items() if f"archiver/{__version__} (automated" not in said
    }

    assert set(listener.agents) >= ASKED
    assert nameless == {}
    assert listener.agents["/"] == agent
    assert agent.endswith(f" archiver/{__version__} (automated software, acting for the seller; contact: {CONTACT})")
    assert says == [True, agent]
    assert f'v="{browser.version.split(".")[0]}"' in listener.hints["/"]


def test_without_a_contact_none_is_named(browser: Browser) -> None:
    assert browsers.user_agent(browser).endswith(f" archiver/{__version__} (automated software, acting for the seller)")
