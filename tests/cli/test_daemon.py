"""The daemon as systemd meets it: it starts or says why not, holds nothing while it waits, and ends when told to."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from archiver import config, log, wiring
from archiver.daemon import sync_once
from archiver.errors import Exit
from tests.cli.conftest import CONFIGURATION, PROGRAM, Desk

FAR = '\n[schedule]\nsync = "0 3 29 2 *"\ntimezone = "Asia/Shanghai"\n'
"""Once in four years: no test meets it."""

PROMPTLY_S = 5.0


@pytest.fixture
def waiting(desk: Desk) -> Iterator[subprocess.Popen[str]]:
    """A daemon that has started and waits for its time."""
    desk.config.write_text(CONFIGURATION + FAR)
    with subprocess.Popen(
        [PROGRAM, "daemon"],
        cwd=desk.folder,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as daemon:
        assert daemon.stderr is not None
        for line in daemon.stderr:
            if json.loads(line)["event"] == "daemon started":
                break
        yield daemon
        daemon.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_within_seconds(waiting: subprocess.Popen[str], number: signal.Signals) -> None:
    began = time.monotonic()
    waiting.send_signal(number)
    out, err = waiting.communicate(timeout=30)

    assert waiting.returncode == Exit.DONE
    assert time.monotonic() - began < PROMPTLY_S
    assert out == ""
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["daemon stopping", "daemon stopped"]


def test_while_it_waits_everyone_else_may_write(waiting: subprocess.Popen[str], desk: Desk) -> None:
    desk.done("reindex")
    desk.done("search", "渡辺")
    desk.done("stop-access", "--reason", "audit")

    assert waiting.poll() is None


def test_it_says_when_it_will_run_and_who_cannot_sign_in(desk: Desk) -> None:
    desk.config.write_text(CONFIGURATION + FAR)
    daemon = subprocess.Popen(
        [PROGRAM, "daemon"], cwd=desk.folder, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert daemon.stderr is not None
    facts: dict[str, dict[str, Any]] = {}
    while "daemon started" not in facts:
        fact = json.loads(daemon.stderr.readline())
        facts[fact["event"]] = fact
    daemon.terminate()
    daemon.communicate(timeout=30)

    assert facts["account has no sign-in"]["account"] == "acme"
    assert facts["daemon started"]["next_run"].startswith("2028-02-29T03:00:00+08:00")


@pytest.mark.parametrize(
    "configuration, told",
    [
        (CONFIGURATION.replace('key = { file = "archive.key" }\n', ""), "nobody to ask for a passphrase"),
        (CONFIGURATION.replace("archive.key", "other.key"), "other.key is missing"),
        (CONFIGURATION.replace('{ file = "archive.key" }', '{ credential = "archive-key" }'), "LoadCredential"),
        (CONFIGURATION.partition("[[account]]")[0], "No account is configured"),
        (CONFIGURATION + '[schedule]\nsync = "at noon"\n', "is not a schedule"),
        (CONFIGURATION.replace('path = "archive"', 'path = "elsewhere"'), "archiver init"),
    ],
)
def test_what_a_person_must_settle_is_said_at_the_start(desk: Desk, configuration: str, told: str) -> None:
    desk.config.write_text(configuration)
    ended = desk.run("daemon")

    # The unit does not try these again.
    assert ended.returncode == Exit.USAGE
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_systemd_credential_opens_the_archive(desk: Desk) -> None:
    desk.config.write_text(CONFIGURATION.replace('{ file = "archive.key" }', '{ credential = "archive-key" }'))
    credentials = desk.folder / "credentials"
    credentials.mkdir()
    (desk.folder / "archive.key").rename(credentials / "archive-key")
    ended = subprocess.run(
        [PROGRAM, "status"],
        cwd=desk.folder,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "CREDENTIALS_DIRECTORY": str(credentials)},
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 0, ended.stderr


# --- a run that cannot be --------------------------------------------------------------------------------------


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """What is logged, as JSON lines."""
    before = logging.root.handlers[:], logging.root.level
    stream = io.StringIO()
    log.configure(stream=stream)
    yield stream
    structlog.reset_defaults()
    logging.root.handlers[:], logging.root.level = before


def facts(said: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.getvalue().splitlines()]


def test_a_run_that_needs_a_person_is_logged_with_what_to_do_and_the_daemon_goes_on(
    desk: Desk, said: io.StringIO
) -> None:
    desk.done("stop-access", "--reason", "audit")
    loaded = config.load(desk.config)

    sync_once(loaded, lambda: None)
    [failed] = [fact for fact in facts(said) if fact["event"] == "account not finished"]

    assert failed["exit"] == Exit.ACCESS_STOPPED
    assert "archiver allow-access" in failed["next"]
    assert facts(said)[-1]["event"] == "run ended"


def test_a_run_that_meets_a_held_archive_is_logged_and_leaves_it_alone(desk: Desk, said: io.StringIO) -> None:
    loaded = config.load(desk.config)

    with wiring.opened(loaded, write=True):
        sync_once(loaded, lambda: None)

    assert [fact["event"] for fact in facts(said)] == ["run begun", "run not begun"]
    assert facts(said)[-1]["exit"] == Exit.ARCHIVE_HELD


def test_nothing_a_run_meets_ends_the_daemon(desk: Desk, said: io.StringIO) -> None:
    loaded = config.load(desk.config)
    (desk.archive / "keyring.json").write_bytes(b"\x00" * 100)

    sync_once(loaded, lambda: None)

    assert facts(said)[-1]["event"] == "run not begun"
    assert "keyring.json" in facts(said)[-1]["why"]


# --- the kill switch and the sign-in ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["sync", "login acme"])
def test_nobody_comes_to_the_door_while_access_is_stopped(desk: Desk, command: str) -> None:
    desk.done("stop-access", "--account", "acme", "--reason", "audit")
    ended = desk.run(*command.split())

    # Without a sign-in in the vault: had anyone gone on, that would have been said instead.
    assert ended.returncode == Exit.ACCESS_STOPPED
    assert "audit" in ended.stderr
    assert "archiver allow-access" in ended.stderr


# --- the unit --------------------------------------------------------------------------------------------------

UNIT = Path(__file__).resolve().parents[2] / "systemd" / "archiver.service"


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    analyze = "/usr/bin/systemd-analyze"
    if not os.access(analyze, os.X_OK):
        pytest.skip("no systemd on this machine")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/archiver/.venv/bin/archiver", sys.executable))
    ended = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, timeout=60)

    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_the_unit_does_not_start_again_what_a_person_must_settle() -> None:
    [line] = [line for line in UNIT.read_text().splitlines() if line.startswith("RestartPreventExitStatus=")]

    assert line.partition("=")[2].split() == [
        str(int(c)) for c in (Exit.USAGE, Exit.PERSON_NEEDED, Exit.ACCESS_STOPPED)
    ]
