"""Looks over a running program's shoulder: what lies in its folders and what its processes show to everyone."""

from __future__ import annotations

import base64
import os
import stat
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self


def disguises(secret: str) -> tuple[bytes, ...]:
    """A secret as it might lie about: in several encodings, and in base 64 at each of its three alignments."""
    plain = secret.encode()
    # The first and last characters of each alignment depend on the neighbours, so they are cut off.
    aligned = (base64.b64encode(b"x" * shift + plain)[4 if shift else 0 : -4].rstrip(b"=") for shift in range(3))
    return (plain, secret.encode("utf-16-le"), plain.hex().encode(), *aligned)


class Watch:
    """While open, looks again and again at what was written since; the last look, when it closes, is at everything.

    `found` is every sighting: (where, what).
    """

    def __init__(self, folders: Iterable[Path], needles: Iterable[bytes]) -> None:
        self.found: set[tuple[str, bytes]] = set()
        self.files_seen: set[str] = set()
        self.processes_seen: set[str] = set()
        self._folders = tuple(folders)
        self._needles = tuple(needles)
        self._since_s = time.time() - 1
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        self._look(largest_bytes=1 << 40)

    def _run(self) -> None:
        while not self._end.wait(0.5):
            # Large files are the archive's own; what they hold is there at the end as well.
            self._look(largest_bytes=1 << 20)

    def _look(self, largest_bytes: int) -> None:
        for folder in self._folders:
            here = folder.stat().st_dev  # what is mounted below is another place
            # os.walk, unlike rglob, lets a folder go away under it: others work here too.
            for place, _, names in os.walk(folder):
                for name in names:
                    self._search_file(Path(place, name), here, largest_bytes)
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                for view in ("cmdline", "environ"):
                    if self._search(process / view):
                        self.processes_seen.add(process.name)

    def _search_file(self, path: Path, device: int, largest_bytes: int) -> None:
        try:
            facts = path.stat(follow_symlinks=False)
        except OSError:
            return  # gone in the meantime
        if (
            facts.st_dev == device
            and stat.S_ISREG(facts.st_mode)
            and facts.st_size <= largest_bytes
            and facts.st_mtime >= self._since_s
        ):
            self.files_seen.add(str(path))
            self._search(path)

    def _search(self, path: Path) -> bool:
        try:
            content = path.read_bytes()
        except OSError:
            return False  # gone in the meantime, or another user's
        self.found.update((str(path), needle) for needle in self._needles if needle in content)
        return True
