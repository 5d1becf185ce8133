"""An office with an archiver and a stand-in of Seller Central: what the tests of whole runs share.

Every command is the real program in a process of its own, with a home, a temporary directory and a place for the
browser's profile that the tests can look into.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

import archiver
from archiver import config, wiring
from archiver.archive.archive import Archive
from archiver.archive.keyring import KeyFile
from archiver.archive.vault import SignIn
from archiver.credentials import unlock
from archiver.demo.seller import Seller, make_seller
from archiver.demo.stand_in import StandIn
from archiver.model import Scope, Source
from archiver.portal.door import Door, Portal
from archiver.portal.person import Person
from archiver.portal.sign_in import Secrets
from archiver.site.sitemap import load
from archiver.site.sources import read
from archiver.sync import ALWAYS, Halt, Outcome, sync

NOW = datetime(2026, 11, 1, 9, tzinfo=UTC)
ACCOUNT = "morgenstern"
PROGRAM = Path(sys.executable).with_name("archiver")
TOKEN = f"Zq7unmistakable{os.getpid()}"  # nothing another process writes meanwhile holds it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@dataclass
class Office:
    """One administrator's machine: `folder` holds config.toml, the key, the archive, and the places for temporaries."""

    folder: Path
    site: StandIn
    environ: dict[str, str] = field(init=False)
    run_folder: Path = field(init=False)

    def __post_init__(self) -> None:
        # Short: Chromium's socket lies below it, and pytest's folders are deep.
        self.run_folder = Path(tempfile.mkdtemp(prefix="office-"))
        for name in ("home", "tmp"):
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self.environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(archiver.__file__).parents[1]),  # the tree these tests look at, wherever it lies
            "LANG": "C.UTF-8",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "XDG_RUNTIME_DIR": str(self.run_folder),
        }
        self.configure(self.site.origin)

    def configure(self, origin: str, more: str = "") -> None:
        """Write the configuration anew, for a site at `origin`."""
        self.config.write_text(
            f'[archive]\npath = "archive"\nkey = {{ file = "archive.key" }}\n{more}\n'
            f'[[account]]\nname = "{ACCOUNT}"\nsite = "{origin}"\nmarketplaces = ["UK", "DE"]\n'
            f'label = "{self.site.seller.label}"\n'
        )

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    def command(self, *words: str) -> list[str]:
        return [str(PROGRAM), "--config", str(self.config), *words]

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words),
            env=self.environ,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        with self.start(*words) as process:
            out, err = process.communicate(timeout=400)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def done(self, *words: str) -> str:
        """Run a command that is to succeed; its standard output."""
        ended = self.run(*words)
        assert ended.returncode == 0, (words, ended.returncode, ended.stdout[-3000:], ended.stderr[-3000:])
        return ended.stdout

    def close(self) -> None:
        shutil.rmtree(self.run_folder)

    def set_up(self, password: str | None = None) -> None:
        self.done("init")
        self.add_account(password)

    def add_account(self, password: str | None = None) -> None:
        """Through pipes: a secret in a file would be found by the test that looks for it."""
        seller = self.site.seller
        reading: list[int] = []
        for secret in (password or seller.password, seller.totp_secret):
            end, other = os.pipe()
            os.write(other, secret.encode())
            os.close(other)
            reading.append(end)
        words = ("--password-file", f"/dev/fd/{reading[0]}", "--totp-secret-file", f"/dev/fd/{reading[1]}")
        ended = subprocess.run(
            self.command("account", "add", ACCOUNT, "--email", seller.email, *words),
            env=self.environ,
            pass_fds=reading,
            capture_output=True,
            text=True,
            timeout=60,
        )
        for end in reading:
            os.close(end)
        assert ended.returncode == 0, ended.stderr

    def opened(self) -> Archive:
        """The archive, to read; the caller closes it."""
        loaded = config.load(self.config)
        return Archive.open(loaded.archive.path, unlock(loaded.archive.key), write=False)


@contextmanager
def door(
    site: StandIn, folder: Path, person: Person | None = None, halt: Halt = lambda: None, **more: Any
) -> Iterator[Door]:
    """A door to the stand-in with an archive of its own, to be entered `inside` the suite's browser."""
    seller = site.seller
    with Archive.create(folder / "archive", [KeyFile(folder / "archive.key")]) as archive:
        archive.vault.add_account(SignIn(ACCOUNT, seller.email, seller.password, seller.totp_secret))
        yield Door(
            site=site.origin,
            account=ACCOUNT,
            secrets=Secrets(seller.email, seller.password, seller.totp_secret),
            memory=wiring.VaultMemory(archive, ACCOUNT),
            sitemap=load(),
            executable=None,
            run="run",
            keep=lambda capture: archive.file(archive.keep(capture), None),
            halt=halt,
            pace_s=0.0,
            person=person,
            **more,
        )


@pytest.fixture(scope="session")
def small_seller() -> Seller:
    return make_seller(seed=7, now=NOW, cases=5, threads=8, notifications=4)


Opener = Callable[..., Office]


@pytest.fixture
def open_office(tmp_path: Path) -> Iterator[Opener]:
    """Makes set-up offices, nothing captured yet: `open_office(site, name="office", password=None)`."""
    opened: list[Office] = []

    def make(site: StandIn, name: str = "office", password: str | None = None) -> Office:
        opened.append(Office(tmp_path / name, site))
        opened[-1].set_up(password)
        return opened[-1]

    yield make
    for made in opened:
        made.close()


@pytest.fixture
def office(open_office: Opener, small_seller: Seller) -> Iterator[Office]:
    """A set-up office with a small seller, nothing captured yet."""
    with StandIn(small_seller, now=NOW) as site:
        yield open_office(site)


@dataclass(frozen=True)
class Inside:
    """The door of a run in a browser that runs already."""

    way: Door
    browser: Browser

    def enter(self) -> AbstractContextManager[Portal]:
        return self.way.inside(self.browser)


def run_inside(way: Door, browser: Browser, *scopes: tuple[str, Source], since: datetime = ALWAYS) -> Outcome:
    """One run of these (marketplace, source) in the suite's browser, into the archive of `way`, with its record."""
    assert isinstance(way.memory, wiring.VaultMemory)
    wanted = [Scope(ACCOUNT, marketplace, source) for marketplace, source in scopes]
    archive, reader = way.memory.archive, partial(read, sitemap=way.sitemap)
    outcome = sync(wanted, Inside(way, browser), archive, reader, lambda event, coverage: None, way.halt, since)
    if outcome.failure is not None:
        raise outcome.failure
    now = datetime.now(UTC)
    archive.enter(wiring._run_record(wiring.Report(wiring.new_run(now), {ACCOUNT: outcome}), now, now))
    return outcome
