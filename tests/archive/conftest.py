"""Archives to test with: a real key file, real SQLCipher files, on a real disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archiver.archive.archive import Archive
from archiver.archive.keyring import KeyFile


@pytest.fixture
def key(tmp_path: Path) -> KeyFile:
    """The key file `archive` opens with."""
    return KeyFile(tmp_path / "archive.key")


@pytest.fixture
def root(tmp_path: Path, key: KeyFile) -> Path:
    """An empty archive, closed."""
    Archive.create(tmp_path / "archive", [key]).close()
    return tmp_path / "archive"


@pytest.fixture
def archive(root: Path, key: KeyFile) -> Iterator[Archive]:
    """An empty archive, open for writing."""
    with Archive.open(root, key, write=True) as opened:
        yield opened
