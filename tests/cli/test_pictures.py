"""What leaves the archive in the clear, because a person asked: pictures, and all that was captured of a thread."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from archiver import config
from archiver.archive.archive import Archive
from archiver.archive.keyring import KeyFile
from archiver.errors import Exit
from archiver.model import Artifact, Capture
from tests.archive.samples import PNG, Said, read, thread_capture
from tests.cli.conftest import PROGRAM, Desk


def long_page(capture: Capture) -> Capture:
    """A page whose picture comes in two parts, and whose attachment is named by somebody who means no good."""
    evil = Artifact("attachment/1", "text/plain", b"evil", title="../../\x1b[2J/etc/passwd")
    return replace(
        capture, artifacts=(*capture.artifacts, Artifact("screenshot/1", "image/png", PNG + b"second"), evil)
    )


@pytest.fixture
def album(empty: Desk) -> Desk:
    """A thread with a picture, one with two, and one that was captured again and could not be read then."""
    said = [Said("m1", "Guten Tag \x1b[2Jund auf Wiedersehen")]
    with Archive.create(config.load(empty.config).archive.path, [KeyFile(empty.folder / "archive.key")]) as archive:
        for capture in (
            thread_capture("one", said, subject="Eins\nZwei", order_ids=("306-1234567-1234567",)),
            long_page(thread_capture("two", said)),
            thread_capture("three", said),
            thread_capture("three", said, days=1, stamp="2", broken=True),
        ):
            archive.file(archive.keep(capture), read(capture))
    return empty


def test_a_picture_is_written_for_its_owner_alone_and_that_is_said(album: Desk) -> None:
    ended = album.run("show", "one", "--screenshot", "one.png")
    picture = album.folder / "one.png"

    assert (ended.returncode, ended.stdout) == (0, "")
    assert "one.png" in ended.stderr
    assert "not encrypted" in ended.stderr
    assert picture.read_bytes() == PNG
    assert picture.stat().st_mode & 0o777 == 0o600


def test_a_picture_in_two_parts_becomes_two_files(album: Desk) -> None:
    album.done("show", "two", "--screenshot", "two.png")

    assert [(album.folder / name).read_bytes() for name in ("two.png", "two-2.png")] == [PNG, PNG + b"second"]


def test_one_picture_goes_to_standard_output_and_two_do_not(album: Desk) -> None:
    one = subprocess.run(
        [PROGRAM, "show", "one", "--screenshot", "-"], cwd=album.folder, capture_output=True, check=True
    )
    two = album.run("show", "two", "--screenshot", "-")
    between = album.run("show", "one", "--screenshot", "-", "--json")

    assert one.stdout == PNG
    assert (two.returncode, two.stdout) == (Exit.USAGE, "")
    assert (between.returncode, between.stdout) == (Exit.USAGE, "")


def test_a_place_that_cannot_be_written_to_is_said(album: Desk) -> None:
    ended = album.run("show", "one", "--screenshot", "nowhere/one.png")

    assert ended.returncode == Exit.USAGE
    assert "nowhere/one.png could not be written" in ended.stderr


def test_everything_raw_lies_in_a_folder_of_its_own_under_harmless_names(album: Desk) -> None:
    ended = album.run("show", "two", "--raw", "out")
    inside = list((album.folder / "out").rglob("*"))
    files = [path for path in inside if path.is_file()]

    assert "not encrypted" in ended.stderr
    assert (album.folder / "out").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert {path.parent for path in files} == {path for path in inside if path.is_dir()}
    assert [path.name for path in files if not path.name.isprintable()] == []
    assert len(files) == 6


def test_every_capture_is_listed_with_its_pictures(album: Desk) -> None:
    assert "captured 2026-08-01 12:00, 2 pictures" in album.done("show", "two")


def test_a_thread_that_could_not_be_read_the_last_time_says_so_and_shows_what_was_read_before(album: Desk) -> None:
    said = album.done("show", "three")
    lines = album.run("show", "three", "--json")

    assert "could not be read: the subject is not where it was (mend source.cases.title in site.toml)." in said
    assert "Guten Tag" in said
    assert "captured 2026-08-02 12:00, 1 picture, not read" in said
    assert "could not be read" in lines.stderr


def test_nothing_of_a_stranger_reaches_the_terminal(album: Desk) -> None:
    said = album.done("show", "one")

    assert said.splitlines()[0] == "Eins Zwei"
    assert "order 306-1234567-1234567" in said
    assert "\x1b" not in said


def test_a_damaged_volume_does_not_keep_a_thread_from_being_read(album: Desk) -> None:
    [volume] = (path for path in Path(album.archive / "captures").rglob("*.db") if "08-01" in path.name)
    volume.chmod(0o600)
    content = volume.read_bytes()
    volume.write_bytes(content[: len(content) // 2])
    shown = album.run("show", "one")
    picture = album.run("show", "one", "--screenshot", "one.png")

    assert shown.returncode == 0, shown.stderr
    assert "Guten Tag" in shown.stdout
    assert "archiver verify" in shown.stdout
    assert picture.returncode == Exit.FAILED
    assert "Traceback" not in picture.stderr
    assert not (album.folder / "one.png").exists()
