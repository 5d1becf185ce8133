"""The whole job against a local stand-in of Seller Central, step by step, by the commands a person would type.

The only file outside `archiver.demo` that knows the stand-in. What it leaves in its folder is an ordinary archive with
an ordinary configuration, so that every other command can be tried on it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from archiver import config, wiring
from archiver.cli import terminal
from archiver.errors import ArchiverError, Exit, UsageError
from archiver.query import parse
from archiver.site.sitemap import load as load_site_map

if TYPE_CHECKING:
    from archiver.archive.archive import Archive
    from archiver.demo.moods import SignInMood
    from archiver.demo.seller import Seller
    from archiver.demo.stand_in import StandIn
    from archiver.portal.door import Door

ACCOUNT = "morgenstern"
SEARCHES = ("退款", "Lieferung", "返金", "pedido", "invoice")
"""Chinese, German, Japanese, Spanish and English; each finds something in the stand-in's correspondence."""

_STATE = "stand-in.json"
_CONFIG = """# Made by `archiver demo`: an ordinary configuration, for a stand-in of Seller Central on this machine.

[archive]
path = "archive"
key = {{ file = "archive.key" }}

[[account]]
name = "{account}"
site = "{site}"   # the stand-in; it runs while `archiver demo` does
marketplaces = ["UK", "DE"]
label = "{label}"
"""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What makes the next demonstration meet the same site: the seed, the clock it was made with, the port."""

    seed: int
    now: datetime
    port: int


def demo(args: argparse.Namespace) -> int:
    """`archiver demo`: returns the exit code of its sync. Raises UsageError where the folder is not a demo's."""
    if args.moods:
        return _meet_every_mood(as_json=args.json)
    folder = Path(args.dir)
    with _stand_in(folder) as site:
        if args.serve:
            return _serve(site, folder)
        return _show(site, folder)


# --- the stand-in ----------------------------------------------------------------------------------------------


@contextmanager
def _stand_in(folder: Path) -> Iterator[StandIn]:
    from archiver.demo.seller import make_seller
    from archiver.demo.stand_in import StandIn

    kept = _kept(folder)
    seller: Seller = make_seller(seed=kept.seed, now=kept.now)
    with ExitStack() as stack:
        try:
            site = stack.enter_context(StandIn(seller, now=kept.now, port=kept.port))
        except OSError as error:
            if kept.port == 0:
                raise
            if _serves_stand_in(kept.port):
                raise UsageError(
                    f"The stand-in of {folder} is running already.",
                    hint=f"Use it: `{_typed(folder, 'sync')}`; or end the other one first.",
                ) from error
            site = stack.enter_context(StandIn(seller, now=kept.now))  # the port went to somebody else
        _keep(folder, _Kept(kept.seed, kept.now, int(site.origin.rpartition(":")[2])))
        _configure(folder, site)
        yield site


def _kept(folder: Path) -> _Kept:
    path = folder / _STATE
    if not path.exists():
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(
                f"{folder} holds something that is not a demonstration.",
                hint="Name another folder with `--dir`, or empty this one.",
            )
        return _Kept(seed=1, now=datetime.now(UTC).replace(microsecond=0), port=0)
    try:
        tree = json.loads(path.read_text("utf-8"))
        return _Kept(int(tree["seed"]), datetime.fromisoformat(tree["now"]), int(tree["port"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged.", hint=f"Remove {folder} and run the demonstration again.") from error


def _keep(folder: Path, kept: _Kept) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = {"seed": kept.seed, "now": kept.now.isoformat(), "port": kept.port}
    part = folder / f"{_STATE}.part"
    part.write_text(json.dumps(state) + "\n", "utf-8")
    part.replace(folder / _STATE)


def _configure(folder: Path, site: StandIn) -> None:
    path = folder / "config.toml"
    if path.exists():
        text = re.sub(r'(?m)^site = "http://127\.0\.0\.1:\d+"', f'site = "{site.origin}"', path.read_text("utf-8"))
    else:
        text = _CONFIG.format(account=ACCOUNT, site=site.origin, label=site.seller.label)
    path.write_text(text, "utf-8")


def _serves_stand_in(port: int) -> bool:
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/__stand_in__/counters", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _serve(site: StandIn, folder: Path) -> int:
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    seller = site.seller
    terminal.out(f"address      {site.origin}")
    terminal.out(f"e-mail       {seller.email}")
    terminal.out(f"password     {seller.password}")
    terminal.out(f"TOTP secret  {seller.totp_secret}")
    sys.stdout.flush()
    terminal.say("A made-up seller on a stand-in of Seller Central; nothing here is Amazon's. Ctrl-C ends it.")
    terminal.say(f"In another terminal: {_typed(folder, 'sync')}")
    ended.wait()
    return Exit.DONE


# --- the moods of the sign-in ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Met:
    """How one sign-in ended: its last screen, the exit code, what the stand-in counted, the sentence for the person."""

    mood: str
    screen: str
    outcome: str
    exit: int
    email: int
    password: int
    code: int
    resends: int
    says: str
    as_expected: bool


@dataclass(frozen=True, slots=True)
class SignInTrial:
    """Signs in to `site` in a running browser, again and again, with one memory: as scheduled runs do."""

    site: StandIn
    archive: Archive
    enter: Callable[[Door], AbstractContextManager[object]]
    approval_s: float = 2.0

    def run(self, password: str | None = None) -> tuple[str, ArchiverError | None]:
        """The last screen that showed (empty: none), and the error it ended with, if any."""
        from archiver.portal.door import Door
        from archiver.portal.sign_in import Secrets

        seller, memory = self.site.seller, wiring.VaultMemory(self.archive, ACCOUNT)
        halt = partial(wiring.halted, self.archive, ACCOUNT, lambda: None)
        seen = [""]
        door = Door(
            site=self.site.origin,
            account=ACCOUNT,
            secrets=Secrets(seller.email, password or seller.password, seller.totp_secret),
            memory=memory,
            sitemap=load_site_map(),
            executable=None,
            run="moods",
            keep=lambda capture: self.archive.file(self.archive.keep(capture), None),
            halt=halt,
            pace_s=0.0,
            saw=lambda screen: seen.append(str(screen)),
            approval_s=self.approval_s,
        )
        try:
            barred = halt() or memory.barred()
            if barred is not None:
                raise barred
            with self.enter(door):
                return seen[-1], None
        except ArchiverError as error:
            return seen[-1], error


def meet(mood: SignInMood, folder: Path, enter: Callable[[Door], AbstractContextManager[object]]) -> Met:
    """One sign-in against a stand-in in this mood, with an archive of its own in `folder`."""
    from archiver.archive.archive import Archive
    from archiver.archive.keyring import KeyFile
    from archiver.archive.vault import SignIn
    from archiver.demo.seller import make_seller
    from archiver.demo.stand_in import StandIn

    now = datetime(2026, 11, 1, 9, tzinfo=UTC)
    seller = make_seller(seed=1, now=now, cases=1, threads=1, notifications=1)
    with (
        StandIn(seller, now=now, moods=(mood,)) as site,
        Archive.create(folder / "archive", [KeyFile(folder / "archive.key")]) as archive,
    ):
        archive.vault.add_account(SignIn(ACCOUNT, seller.email, seller.password, seller.totp_secret))
        screen, error = SignInTrial(site, archive, enter).run()
        seen = site.counters
    code = Exit.DONE if error is None else error.exit_code
    counted = (seen.email_submissions, seen.password_submissions, seen.code_submissions)
    # Nothing was asked to be sent again, and nothing typed twice, whatever the end.
    restrained = seen.resends == 0 and seen.code_requests == 0 and seen.writes == 0 and max(counted) <= 1
    ends = mood.ends
    return Met(
        mood.name,
        screen,
        "signed in" if error is None else type(error).__name__,
        int(code),
        *counted,
        seen.resends,
        "" if error is None else str(error),
        restrained and (screen, code, *counted) == (ends.screen, ends.exit, ends.email, ends.password, ends.code),
    )


def _meet_every_mood(*, as_json: bool) -> int:
    import tempfile

    from archiver.demo.moods.sign_in import sign_in_moods
    from archiver.portal import browser as browsers

    moods, met = sign_in_moods(), []
    width = max(len(mood.name) for mood in moods)
    if not as_json:
        terminal.out(f"{'mood':<{width}}  {'screen':<19} {'outcome':<17} exit  e-mail password code  resends")
    with browsers.running(browsers.find(None)) as browser:
        for mood in moods:
            with tempfile.TemporaryDirectory() as folder:
                met.append(one := meet(mood, Path(folder), lambda door: door.inside(browser)))
            if as_json:
                terminal.json_line(asdict(one))
                continue
            terminal.out(
                f"{one.mood:<{width}}  {one.screen or '-':<19} {one.outcome:<17} {one.exit:>4}  "
                f"{one.email:>6} {one.password:>8} {one.code:>4}  {one.resends:>7}"
                + ("" if one.as_expected else "   NOT AS EXPECTED")
            )
            if one.says:
                terminal.out(f"    {one.says}")
    odd = [one.mood for one in met if not one.as_expected]
    terminal.say(
        f"{len(met)} moods met, {len(met) - len(odd)} ended as they must"
        + (f"; not: {', '.join(odd)}." if odd else ".")
    )
    return Exit.FAILED if odd else Exit.DONE


# --- the show --------------------------------------------------------------------------------------------------


def _show(site: StandIn, folder: Path) -> int:
    terminal.say(
        f"A stand-in of Seller Central runs at {site.origin}. Its seller is made up; nothing leaves this machine."
    )
    if not (folder / "archive").exists():
        _run(folder, "init")
    if not _has_account(folder):
        _add_account(folder, site)
    ended = _run(folder, "sync")
    if ended != Exit.DONE:
        return ended
    for words in SEARCHES:
        _run(folder, "search", words, "--limit", "2")
    thread = _a_thread(folder)
    if thread:
        _run(folder, "show", thread)
    _say_what_the_site_saw(site)
    _say_what_next(folder, thread)
    return ended


def _run(folder: Path, *words: str) -> int:
    """Type one command for the person, and run it."""
    from archiver.cli.main import main

    terminal.say()
    terminal.say(terminal.styled(f"$ {_typed(folder, *words)}", "1", sys.stderr))
    ended = main(["--config", str(folder / "config.toml"), *words])
    sys.stdout.flush()
    return ended


def _has_account(folder: Path) -> bool:
    with wiring.opened(config.load(folder / "config.toml"), write=False) as archive:
        return any(sign_in.name == ACCOUNT for sign_in in archive.vault.accounts())


def _add_account(folder: Path, site: StandIn) -> None:
    """Through pipes, as a password manager would: a secret in a file would be a secret at rest."""
    seller = site.seller
    with _piped(seller.password) as password, _piped(seller.totp_secret) as secret:
        _run(
            folder,
            *("account", "add", ACCOUNT, "--email", seller.email),
            *("--password-file", f"/dev/fd/{password}", "--totp-secret-file", f"/dev/fd/{secret}"),
        )


@contextmanager
def _piped(secret: str) -> Iterator[int]:
    reading, writing = os.pipe()
    try:
        os.write(writing, secret.encode())  # a pipe holds 4 KiB at least without a reader
        os.close(writing)
        yield reading
    finally:
        os.close(reading)


def _a_thread(folder: Path) -> str:
    """The newest thread in Chinese that has an answer, else none."""
    with wiring.opened(config.load(folder / "config.toml"), write=False) as archive:
        for hit in archive.search(parse(SEARCHES[0]), limit=20):
            if len(archive.thread(hit.thread).messages) > 1:
                return hit.thread
    return ""


def _say_what_the_site_saw(site: StandIn) -> None:
    seen = site.counters
    terminal.say()
    terminal.say(
        f"The stand-in counted {seen.requests} requests, of them {seen.writes} that would have changed something; "
        f"e-mail address, password and one-time code were submitted "
        f"{seen.email_submissions}, {seen.password_submissions} and {seen.code_submissions} times."
    )


def _say_what_next(folder: Path, thread: str) -> None:
    terminal.say()
    terminal.say("Try next:")
    lines: Sequence[tuple[tuple[str, ...], str]] = (
        (("search", "from:Amazon", "source:cases", "--limit", "5"), "fields narrow a search"),
        (("show", thread, "--screenshot", str(folder / "thread.png")), "the page as it was, as a picture"),
        (("status",), "what is kept, and how much time is left"),
        (("coverage",), "which days were looked at while the site showed them"),
        (("stats", "--by", "category"), "how long answers take"),
        (("verify",), "prove that the archive is whole"),
    )
    for words, what in lines:
        terminal.say(f"  {_typed(folder, *words)}   # {what}")
    terminal.say(f"  {_program()} demo --dir {folder} --serve   # the stand-in alone; then, in another terminal:")
    terminal.say(f"  {_typed(folder, 'sync')}")


def _typed(folder: Path, *words: str) -> str:
    """A command as a person types it here."""
    return " ".join((_program(), "--config", str(folder / "config.toml"), *(_quoted(word) for word in words)))


def _program() -> str:
    """`archiver` where that is on PATH, else the way this program was called."""
    called = Path(sys.argv[0])
    found = shutil.which("archiver")
    if found and called.exists() and called.samefile(found):
        return "archiver"
    if called.name != "archiver":
        return "archiver"
    return os.path.relpath(called) if called.is_absolute() else str(called)


def _quoted(word: str) -> str:
    return f"'{word}'" if re.search(r"[\s\"*()|&;<>$]", word) else word
