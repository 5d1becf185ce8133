"""What may be typed and where: words, options, mistakes; and what stands on standard output and on standard error."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from archiver.cli.main import words_apart
from archiver.errors import Exit
from tests.cli.conftest import PROGRAM, Desk

# --- words and options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed, meant",
    [
        ("search a b", "search -- a b"),
        ("search a -b", "search -- a -b"),
        ("search -versand", "search -- -versand"),
        ("search -vv -v -h a", "search -vv -v -h -- a"),
        ("search a --limit 3 b --json", "search --limit 3 --json -- a b"),
        ("search a --since=2026 -b", "search --since=2026 -- a -b"),
        ("search -- --json", "search -- --json"),
        ("search a --limit", "search --limit -- a"),
        ("--config search search a", "--config search search -- a"),
        ("--json -v search -a", "--json -v search -- -a"),
        ("search", "search"),
        ("show -x", "show -x"),
        ("--config", "--config"),
        ("", ""),
    ],
)
def test_the_words_of_a_search_stand_apart_from_its_options(typed: str, meant: str) -> None:
    assert words_apart(typed.split()) == meant.split()


def test_a_word_after_a_hyphen_is_excluded_wherever_it_stands(desk: Desk) -> None:
    counts = [int(desk.done("search", "--count", *words)) for words in (["発票"], ["発票", "-発票"], ["-発票", "発票"])]

    assert counts == [1, 0, 0]


@pytest.mark.parametrize(
    "typed, told",
    [
        ("search x --limit 0", "--limit: it takes a number from 1 on"),
        ("search x --limit some", "--limit: it takes a number from 1 on"),
        ("search x --since yesterday", "2026-08-31"),
        ("search x --until 2026-8", "2026-08-31"),
        ("search x --limt 3", "--limt"),
        ("sync --source mail", "buyer-messages"),
        ("sync nobody", "Configured are: acme."),
        ("account", "ACTION"),
        ("account add acme", "--email"),
        ("stop-access", "--reason"),
        ("search", "QUERY"),
        ("no-such-command", "no-such-command"),
        ("", "COMMAND"),
        ("show nowhere", "archiver search"),
        ("--config nowhere.toml status", "nowhere.toml"),
        # As a shell types an option whose variable is not set: it must not mean every account.
        ("stop-access --reason x --account=", "There is no account"),
        ("allow-access --account=", "There is no account"),
        ("account add acme --email=a@b.example --password-file=", "password"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_can(desk: Desk, typed: str, told: str) -> None:
    ended = desk.run(*typed.split())

    assert (ended.returncode, ended.stdout) == (Exit.USAGE, "")
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_a_configuration_every_command_says_how_to_get_one(tmp_path: Path) -> None:
    commands = ("sync", "daemon", "status", "search x", "show x", "verify", "reindex", "login x", "account list")
    said = {command: Desk(tmp_path).run(*command.split()) for command in commands}

    assert {command: ended.returncode for command, ended in said.items()} == dict.fromkeys(commands, Exit.USAGE)
    assert [command for command, ended in said.items() if "archiver init" not in ended.stderr] == []


def test_the_version_is_told() -> None:
    ended = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True)

    assert ended.stdout.startswith("archiver ")


# --- standard output and standard error ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "status",
        "search 渡辺",
        "search 渡辺 --count",
        "search nichtdabei",
        "show 8",
        "show 9",
        "verify",
        "reindex",
        "account list",
        "stop-access --reason audit",
        "allow-access",
        "sync",
    ],
)
def test_with_json_there_is_nothing_but_json_on_standard_output(desk: Desk, command: str) -> None:
    ended = desk.run(*command.split(), "--json")
    lines = [json.loads(line) for line in ended.stdout.splitlines()]

    assert all(isinstance(line, dict) for line in lines)
    assert "\x1b" not in ended.stdout + ended.stderr


def test_a_run_without_a_sign_in_still_tells_every_source_and_its_exit(desk: Desk) -> None:
    ended = desk.run("sync", "--json")
    *coverages, last = [json.loads(line) for line in ended.stdout.splitlines()]

    assert [(row["source"], row["complete"]) for row in coverages] == [
        ("cases", False),
        ("buyer-messages", False),
        ("performance-notifications", False),
    ]
    assert last["exit"] == ended.returncode == Exit.USAGE


def test_json_is_utf_8_where_the_locale_is_not(desk: Desk) -> None:
    ended = subprocess.run(
        [PROGRAM, "search", "渡辺", "--json"],
        cwd=desk.folder,
        env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": "latin-1", "HOME": str(desk.folder)},
        capture_output=True,
        check=True,
    )

    assert "渡辺" in ended.stdout.decode("utf-8")


def test_a_terminal_that_lacks_the_letters_is_no_failure(desk: Desk) -> None:
    ended = subprocess.run(
        [PROGRAM, "search", "渡辺"],
        cwd=desk.folder,
        env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": "latin-1", "HOME": str(desk.folder)},
        capture_output=True,
    )

    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("command", ["status", "search 渡辺 --json", "show 8", "verify"])
def test_output_that_cannot_be_written_is_said_in_one_sentence(desk: Desk, command: str, buffered: str) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123  a device
        ended = subprocess.run(
            [PROGRAM, *command.split()],
            cwd=desk.folder,
            env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": buffered, "LANG": "C.UTF-8"},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )

    assert ended.returncode == Exit.FAILED
    assert "could not be written" in ended.stderr
    assert "Exception" not in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("closed", ["1", "2"])
def test_a_closed_output_is_no_failure(desk: Desk, closed: str) -> None:
    ended = subprocess.run(
        ["sh", "-c", f'"$0" search nichtdabei --json {closed}>&-', PROGRAM],
        cwd=desk.folder,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
    )

    assert (ended.returncode, ended.stdout, "wrong" in ended.stderr) == (0, "", False)


def test_a_mistake_of_our_own_repeats_nothing_and_shows_itself_on_request(desk: Desk) -> None:
    # Nobody has thought of a keyring that is whole by its checksum and lacks what every keyring has.
    keyring = {"format": 1, "archive": "0" * 32}
    said = json.dumps(keyring, sort_keys=True, separators=(",", ":")).encode()
    (desk.archive / "keyring.json").write_text(json.dumps({**keyring, "sha256": hashlib.sha256(said).hexdigest()}))

    quiet, loud = desk.run("status"), desk.run("status", "-v")

    assert (quiet.returncode, loud.returncode) == (Exit.FAILED, Exit.FAILED)
    assert "(KeyError). Run it again with -v" in quiet.stderr
    assert "slots" not in quiet.stderr
    assert "Traceback" not in quiet.stderr
    assert "Traceback" in loud.stderr


def test_help_and_version_import_nothing_slow() -> None:
    asked = (
        "import sys\nfrom archiver.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({n.split('.')[0] for n in sys.modules} & {'cryptography', 'sqlcipher3', 'structlog', 'rich',"
        " 'playwright', 'apscheduler', 'aiohttp', 'tomllib'}))"
    )
    ended = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=60)

    assert ended.stdout.splitlines()[-1] == "[]"
