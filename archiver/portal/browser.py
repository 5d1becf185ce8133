"""Which browser runs, how it is started, and where its files go while it runs.

Order: the configured one, a Chromium or Chrome on PATH, Playwright's own. Its profile lies in memory, and is gone when
the run is over; what a killed run left is swept by the next.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from archiver import __version__
from archiver.errors import BrowserFailed, BrowserMissing, UsageError

ON_PATH = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

_FLAGS = (
    "--disable-quic",
    "--no-first-run",
    "--no-pings",
    "--dns-prefetch-disable",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--block-new-web-contents",
    # The first is Chromium's name for it, the second that of Playwright's headless shell.
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--force-color-profile=srgb",
    # What a context is told to call itself (`user_agent`) does not reach the script of a worker that a worker starts.
    f"--user-agent=archiver/{__version__} (automated software, acting for the seller)",
    # A shared worker belongs to no page, so nobody would see what it sends over a WebSocket.
    "--disable-blink-features=WebSocketStream,SharedWorker",
)


def find(configured: Path | None) -> Path | None:
    """The browser's executable; None means that Playwright's own is to be used.

    Raises BrowserMissing when a configured one is not there.
    """
    if configured is not None:
        if not os.access(configured, os.X_OK):
            raise BrowserMissing(
                f"There is no browser at {configured}.",
                hint="Correct `browser.executable` in the configuration, or remove the line to use the one on PATH.",
            )
        return configured
    for name in ON_PATH:
        path = shutil.which(name)
        if path is not None:
            return Path(path)
    return None


def user_agent(browser: Browser, contact: str = "") -> str:
    """What the browser really is, that it is automated software, of what name and version, and whom to ask about it."""
    asked = f"; contact: {contact}" if contact else ""
    return (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"HeadlessChrome/{browser.version} Safari/537.36 "
        f"archiver/{__version__} (automated software, acting for the seller{asked})"
    )


def runs_as_root() -> bool:
    """Chromium refuses its own sandbox to root; only then it is started without."""
    return os.geteuid() == 0


def _way_out(relay: str, hosts: Collection[str]) -> tuple[str, ...]:
    """Flags that leave the browser one way out, whatever this machine's settings say about proxies.

    What the guard does not see (the browser's own requests for updates, WebRTC over TCP) finds no host to go to.
    """
    way = relay or "direct://"
    return (
        # WebSockets pass by the Fetch domain the guard stands in. Chromium sends them, and nothing else, to the SOCKS
        # proxy where it is told one beside those for http and https; at this address there is none, and no way around.
        f"--proxy-server=http={way};https={way};socks=socks5://127.0.0.1:1",
        # Without this the browser would go to this machine's own addresses directly.
        "--proxy-bypass-list=<-loopback>",
        *((_resolving("127.0.0.1") if relay else _resolving(*hosts),) if relay or hosts else ()),
    )


def _resolving(*hosts: str) -> str:
    return "--host-resolver-rules=" + " , ".join(("MAP * ~NOTFOUND", *(f"EXCLUDE {host}" for host in sorted(hosts))))


@contextmanager
def running(
    executable: Path | None,
    *,
    headed: bool = False,
    relay: str = "",
    hosts: Collection[str] = (),
    given_up: Callable[[], bool] = lambda: False,
) -> Iterator[Browser]:
    """A browser process for as long as the context lasts. Raises BrowserMissing or BrowserFailed.

    `relay` is the address of the proxy it takes, in which names are resolved; without one it connects directly, and
    only to `hosts` (names, addresses, `*.example.com`) where some are named.

    `given_up` is asked from a thread of its own. Where it is true for longer than the work should need to hear of it,
    the browser is ended: a page that never loads keeps Playwright waiting, and nothing else wakes it.
    """
    with _scratch() as scratch:
        playwright = _start_driver(scratch)
        try:
            if executable is None and not Path(playwright.chromium.executable_path).exists():
                raise BrowserMissing(
                    "There is no Chromium or Chrome on this machine.",
                    hint="Install one (Debian: `apt-get install chromium`), or set `browser.executable`.",
                )
            try:
                browser = playwright.chromium.launch(
                    executable_path=executable,
                    headless=not headed,
                    args=[*_FLAGS, *_way_out(relay, hosts), *(["--no-sandbox"] if runs_as_root() else [])],
                    chromium_sandbox=not runs_as_root(),
                    downloads_path=scratch,
                    env=_environment(os.environ, scratch),
                    handle_sigint=False,
                    handle_sigterm=False,
                    handle_sighup=False,
                )
            except PlaywrightError as error:
                raise BrowserFailed(
                    f"The browser did not start: {_first_line(error)}",
                    hint="Start it by hand to see why: "
                    f"`{executable or 'chromium'} --headless --dump-dom about:blank`.",
                ) from error
            try:
                with _ended_when(given_up, scratch):
                    yield browser
            finally:
                browser.close()
        finally:
            playwright.stop()


_LOOK_S = 0.5
_GRACE_S = 4.0
"""What hears of a stop by itself, between two pages or in a wait, does so within this."""


@contextmanager
def _ended_when(given_up: Callable[[], bool], scratch: Path) -> Iterator[None]:
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_LOOK_S):
            if given_up():
                if not over.wait(_GRACE_S):
                    _end(scratch)
                return

    watching = threading.Thread(target=watch, name="stop-watch", daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def _end(scratch: Path) -> None:
    """Kill the browser whose profile lies in `scratch`; its children end with it. The driver stays, to say so."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):  # gone in the meantime, or another user's
                words = (process / "cmdline").read_bytes().split(b"\0")
                profile = any(word.startswith(b"--user-data-dir=" + os.fsencode(scratch)) for word in words)
                if profile and not any(word.startswith(b"--type=") for word in words):
                    os.kill(int(process.name), signal.SIGKILL)


def _first_line(error: PlaywrightError) -> str:
    return error.message.splitlines()[0] if error.message else type(error).__name__


_starting = threading.Lock()


def _start_driver(scratch: Path) -> Playwright:
    # The driver takes the whole environment, and takes no other word for where the profile goes. With DEBUG set it
    # would write out what is typed. The environment is one for all threads, each of which may start a browser.
    with _starting:
        before = dict(os.environ)
        for name in before:
            if name.startswith(("DEBUG", "PW", "PLAYWRIGHT_", "NODE_")):
                del os.environ[name]
        os.environ["TMPDIR"] = str(scratch)
        try:
            return sync_playwright().start()
        finally:
            os.environ.clear()
            os.environ.update(before)


def _environment(environ: Mapping[str, str], scratch: Path) -> dict[str, str | float | bool]:
    """Only what a browser needs: nothing an administrator exported for another program reaches a page's process."""
    kept = (
        *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR"),
        *("XDG_DATA_HOME", "FONTCONFIG_PATH", "FONTCONFIG_FILE"),
    )
    # HOME stays, because fonts and the office's own certificates are below it; what a browser writes there goes to
    # the scratch folder with everything else.
    own = {"TMPDIR": str(scratch), "XDG_CONFIG_HOME": str(scratch), "XDG_CACHE_HOME": str(scratch)}
    return {**{key: environ[key] for key in kept if key in environ}, **own, "GSETTINGS_BACKEND": "memory"}


_LONGEST_ROOT_BYTES = 40
"""Chromium puts a Unix socket some 65 bytes below it, and the name of one may have 107."""


_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  a memory file system, on purpose


def scratch_root(environ: Mapping[str, str] = os.environ, shared: Path = _SHARED_MEMORY) -> Path:
    """Where profiles lie while a browser runs: memory. Raises UsageError where the machine offers none."""
    for candidate in (environ.get("XDG_RUNTIME_DIR"), str(shared)):
        if candidate and len(os.fsencode(candidate)) <= _LONGEST_ROOT_BYTES and os.access(candidate, os.W_OK):
            return Path(candidate)
    raise UsageError(
        "There is no place in memory for the browser's files, and on disk they must not lie.",
        hint="Set XDG_RUNTIME_DIR to a folder on a memory file system (tmpfs) with a name of at most "
        f"{_LONGEST_ROOT_BYTES} characters.",
    )


@contextmanager
def _scratch() -> Iterator[Path]:
    prefix = f"archiver-{os.getuid()}-"
    for left in scratch_root().glob(prefix + "*"):
        pid = left.name.removeprefix(prefix).split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(left, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=scratch_root()))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
