"""Where a browser's files lie while it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from archiver.errors import UsageError
from archiver.portal.browser import scratch_root


def test_the_folder_of_the_session_comes_first() -> None:
    short = Path("/tmp")

    assert scratch_root({"XDG_RUNTIME_DIR": str(short)}) == short


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="this machine has no /dev/shm")
def test_a_name_too_long_for_a_socket_is_passed_over() -> None:
    assert scratch_root({"XDG_RUNTIME_DIR": "/run/" + "x" * 60}) == Path("/dev/shm")


def test_files_of_a_browser_never_lie_on_disk() -> None:
    with pytest.raises(UsageError, match="in memory") as refused:
        scratch_root({"XDG_RUNTIME_DIR": "/run/" + "x" * 60}, shared=Path("/nowhere"))

    assert "XDG_RUNTIME_DIR" in refused.value.hint
