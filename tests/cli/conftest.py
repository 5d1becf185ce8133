"""A desk: a configuration, a key, and an archive with the sample pages in it, for the real program."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import archiver
from archiver import config, wiring
from archiver.archive.archive import Archive
from archiver.archive.keyring import KeyFile, make_key_file
from tests.reading.samples import FOLDER, capture

PROGRAM = Path(sys.executable).with_name("archiver")
KEPT = (
    "cases/markup-and-entities",
    "cases/chat",
    "cases/attachments",
    "cases/cut-short",
    "buyer-messages/japanese",
    "performance-notifications/letter",
)
CONFIGURATION = """[archive]
path = "archive"
key = { file = "archive.key" }

[[account]]
name = "acme"
site = "http://127.0.0.1:9"
marketplaces = ["DE"]
"""


@dataclass(frozen=True)
class Desk:
    """Where one person works; every command runs in `folder`."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    def run(self, *words: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(PROGRAM), *words],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(Path(archiver.__file__).parents[1]),  # the tree these tests look at
                "LANG": "C.UTF-8",
                "HOME": str(self.folder),
                "TZ": "UTC",
            },
            input=typed or "",
            capture_output=True,
            text=True,
            timeout=60,
        )

    def done(self, *words: str) -> str:
        """Standard output of a command that is to succeed."""
        ended = self.run(*words)
        assert ended.returncode == 0, (words, ended.stdout, ended.stderr)
        return ended.stdout


@pytest.fixture
def empty(tmp_path: Path) -> Desk:
    """A configuration, and nothing else yet."""
    desk = Desk(tmp_path)
    desk.config.write_text(CONFIGURATION)
    return desk


@pytest.fixture
def desk(empty: Desk) -> Desk:
    """An archive with a few sample pages in it; one of them cannot be read."""
    loaded = config.load(empty.config)
    make_key_file(empty.folder / "archive.key")
    read = wiring.reader(loaded)
    with Archive.create(loaded.archive.path, [KeyFile(empty.folder / "archive.key")]) as archive:
        for name in KEPT:
            page = capture(FOLDER / name)
            archive.file(archive.keep(page), read(page))
    return empty
