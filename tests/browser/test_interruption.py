"""Killed at any moment, a sync loses nothing and doubles nothing."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from aiohttp import web

from archiver.archive.archive import Archive
from archiver.demo.moods import Visit
from archiver.demo.seller import Seller
from archiver.demo.stand_in import StandIn
from archiver.model import Source
from tests.archive.test_captures import index_rows
from tests.browser.conftest import NOW, Office, Opener

KILLS = 20


def _index(archive: Archive) -> dict[str, object]:
    """What the index says, without what differs between any two runs: times and ids of captures."""
    return {
        thread.id: (
            thread.scope,
            thread.site_thread,
            thread.subject,
            thread.status,
            thread.category,
            thread.order_ids,
            thread.asins,
            [(m.id, m.version, m.message) for m in thread.messages],
            thread.unread,
        )
        for thread in archive.threads()
    }


def _captures(archive: Archive) -> dict[tuple[str, str], list[tuple[str, bytes]]]:
    """Each kept capture of a thread, once for each time it was kept: the JSON and the files the site served."""
    kept: dict[tuple[str, str], list[tuple[str, bytes]]] = {}
    for thread in archive.threads():
        for info in thread.captures:
            capture = archive.read_capture(info.id)
            served = [(a.name, a.body) for a in (*capture.named("json"), *capture.named("attachment"))]
            kept.setdefault((thread.id, info.stamp), []).extend(served)
    return kept


def _kill(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def _browsers_of(office: Office) -> list[int]:
    """Processes whose environment points into this office: the browser and its driver."""
    mark = f"TMPDIR={office.run_folder}".encode()
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if mark in (process / "environ").read_bytes():
                    found.append(int(process.name))
            except OSError:
                continue  # gone in the meantime, or another user's
    return found


def test_killed_twenty_times_it_ends_like_an_undisturbed_run(open_office: Opener, small_seller: Seller) -> None:
    with StandIn(small_seller, now=NOW) as site:
        calm = open_office(site, "calm")
        began = time.monotonic()
        calm.done("sync")
        whole_s = time.monotonic() - began
        expected_index, expected_captures = _read(calm)
    with StandIn(small_seller, now=NOW) as site:
        killed = open_office(site, "killed")
        moments = random.Random(20261101)  # the same twenty moments each time, as far as a machine repeats itself
        for _ in range(KILLS):
            process = killed.start("sync")
            time.sleep(moments.uniform(0.0, whole_s / 2))
            _kill(process)
        ended = killed.run("sync")
        if ended.returncode == 3:
            # Killed between submitting a credential and seeing the answer, three times: a person is asked first.
            killed.done("login", "morgenstern")
            ended = killed.run("sync")
        index, captures = _read(killed)

    assert ended.returncode == 0, ended.stderr
    assert index == expected_index
    assert captures == expected_captures


def _read(office: Office) -> tuple[object, object]:
    with office.opened() as archive:
        assert archive.verify().problems == []
        return _index(archive), _captures(archive)


def test_a_killed_run_leaves_no_browser_and_the_next_sweeps_its_files(office: Office) -> None:
    process = office.start("sync")
    _await(lambda: len(_browsers_of(office)) > 3)
    _kill(process)
    _await(lambda: _browsers_of(office) == [])
    left = list(office.run_folder.iterdir())

    office.done("sync", "--source", str(Source.PERFORMANCE_NOTIFICATIONS))

    assert [path.name.partition("-")[0] for path in left] == ["archiver"]
    assert list(office.run_folder.iterdir()) == []


def test_terminated_it_ends_within_ten_seconds_and_says_partial(office: Office) -> None:
    process = office.start("--json", "sync")
    _await(lambda: office.site.counters.case_searches > 0)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)

    assert time.monotonic() - began < 10
    assert process.returncode == 4, err
    assert '"complete": false' in out
    assert office.run("sync").returncode == 0


class NeverAnswers:
    """Takes the request for a case's page, and never answers it."""

    name = "never answers"

    def __init__(self) -> None:
        self.asked = False

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if visit.stage == "page" and "view-case" in visit.request.path:
            self.asked = True
            await asyncio.Event().wait()
        return None


def test_terminated_while_a_page_never_answers_it_ends_within_ten_seconds(
    open_office: Opener, small_seller: Seller
) -> None:
    mood = NeverAnswers()
    with StandIn(small_seller, now=NOW, moods=(mood,)) as site:
        office = open_office(site)
        process = office.start("--json", "sync")
        _await(lambda: mood.asked)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        ended_s = time.monotonic() - began

    assert ended_s < 10
    assert process.returncode == 4, err
    assert '"state": "PARTIAL"' in out
    assert "stopped on request" in err
    assert _browsers_of(office) == []


def _await(holds: object, timeout_s: float = 30) -> None:
    assert callable(holds)
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail("what was waited for did not come")
        time.sleep(0.05)


def test_the_index_can_be_lost_and_rebuilt_row_for_row(office: Office) -> None:
    office.done("sync")
    before, _ = _read(office)
    rows = _rows(office)
    office.done("reindex")
    rebuilt = _rows(office)
    for path in office.archive.glob("index.db*"):
        path.unlink()
    office.done("reindex")
    after, _ = _read(office)

    assert rebuilt == rows
    assert _rows(office) == rows
    assert after == before


def _rows(office: Office) -> object:
    with office.opened() as archive:
        return index_rows(archive)
