"""What people type and scripts rely on: each command by the real program, on a real archive."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from archiver import config, wiring
from archiver.errors import Exit
from tests.cli.conftest import CONFIGURATION, KEPT, PROGRAM, Desk

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def rows(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


# --- init ------------------------------------------------------------------------------------------------------


def test_init_without_a_configuration_writes_one_to_fill_in(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    ended = desk.run("init")

    assert ended.returncode == 0
    assert "run `archiver init` again" in ended.stderr
    assert "[archive]" in desk.config.read_text()
    assert not desk.archive.exists()


def test_init_makes_the_key_the_configuration_names_and_the_archive(empty: Desk) -> None:
    ended = empty.run("init")
    key = empty.folder / "archive.key"

    assert ended.returncode == 0
    assert "archiver account add acme" in ended.stderr
    assert key.stat().st_mode & 0o777 == 0o600
    assert empty.archive.stat().st_mode & 0o777 == 0o700
    assert empty.done("verify").startswith("0 captures")


def test_init_overwrites_nothing(desk: Desk) -> None:
    before = {path: path.read_bytes() for path in desk.folder.rglob("*") if path.is_file()}
    ended = desk.run("init")

    assert ended.returncode == Exit.USAGE
    assert "already" in ended.stderr
    assert {path: path.read_bytes() for path in before} == before


def test_init_takes_a_passphrase_from_standard_input(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    made = desk.run("init", "--passphrase-file", "-", typed="correct horse battery staple\n")

    assert made.returncode == 0, made.stderr
    assert (desk.archive / "keyring.json").exists()


def test_without_a_terminal_the_passphrase_is_not_asked_for(empty: Desk) -> None:
    empty.config.write_text('[archive]\npath = "archive"\n')
    ended = empty.run("init")

    assert ended.returncode == Exit.USAGE
    assert "--passphrase-file" in ended.stderr
    assert not empty.archive.exists()


# --- accounts --------------------------------------------------------------------------------------------------


def add_account(desk: Desk, totp_secret: str = SECRET) -> subprocess.CompletedProcess[str]:
    secret = desk.folder / "totp"
    secret.touch(mode=0o600)
    secret.write_text(totp_secret)
    words = ("--email", "ops@acme.example", "--password-file", "-", "--totp-secret-file", "totp")
    return desk.run("account", "add", "acme", *words, typed="pässword\n")


def test_an_account_is_kept_listed_and_forgotten(desk: Desk) -> None:
    added = add_account(desk)
    listed = rows(desk.done("account", "list", "--json"))
    removed = desk.run("account", "remove", "acme")

    assert added.returncode == 0, added.stderr
    assert "Next: archiver sync acme" in added.stderr
    assert [(row["account"], row["state"]) for row in listed] == [("acme", "ready")]
    assert "What was captured of it stays" in removed.stderr
    assert "no sign-in yet" in rows(desk.done("account", "list", "--json"))[0]["state"]


def test_a_totp_secret_that_is_none_is_not_kept(desk: Desk) -> None:
    ended = add_account(desk, "123456")

    assert ended.returncode == Exit.USAGE
    assert "TOTP" in ended.stderr
    assert "no sign-in yet" in desk.done("account", "list")


def test_an_account_the_configuration_does_not_name_is_refused(desk: Desk) -> None:
    ended = desk.run("account", "add", "nobody", "--email", "a@b.example", "--password-file", "-")

    assert ended.returncode == Exit.USAGE
    assert "acme" in ended.stderr


def test_no_command_takes_a_secret_as_an_argument(desk: Desk) -> None:
    ended = desk.run("account", "add", "acme", "--email", "a@b.example", "--password", "hunter2")

    assert ended.returncode == Exit.USAGE


# --- search and show -------------------------------------------------------------------------------------------

HIT = {"thread", "message", "account", "marketplace", "source", "subject", "sender", "direction", "sent_at", "snippet"}


def test_a_hit_has_the_fields_of_the_contract(desk: Desk) -> None:
    [hit] = rows(desk.done("search", "退款进度", "--json"))

    assert set(hit) == HIT | {"url"}
    assert hit["source"] == "cases"
    assert hit["sent_at"] == "2026-09-04T16:56:55Z"
    assert "退款进度" in hit["snippet"]


@pytest.mark.parametrize("place", ["before", "after"])
def test_options_stand_before_or_after_the_command(desk: Desk, place: str) -> None:
    options = ("--json", "--config", str(desk.config))
    words = (*options, "search", "発票") if place == "before" else ("search", "発票", *options)

    assert len(rows(desk.done(*words))) == 1


def test_a_person_sees_the_hit_marked_and_the_next_command(desk: Desk) -> None:
    ended = desk.run("search", "请在")

    assert "«请在»" in ended.stdout
    assert "archiver show" in ended.stderr


def test_nothing_found_is_no_failure_and_says_so(desk: Desk) -> None:
    ended = desk.run("search", "nichtdabei")

    assert (ended.returncode, ended.stdout) == (0, "")
    assert "Nothing found" in ended.stderr


def test_limit_count_since_and_until_narrow_a_search(desk: Desk) -> None:
    assert desk.done("search", "渡辺", "--count").strip() == "2"
    assert len(rows(desk.done("search", "渡辺", "--json", "--limit", "1"))) == 1
    assert desk.done("search", "渡辺", "--count", "--since", "2026-09-05").strip() == "0"
    assert desk.done("search", "渡辺", "--count", "--until", "2026-09-05").strip() == "2"


def test_a_mistake_in_a_query_shows_where(desk: Desk) -> None:
    ended = desk.run("search", "from:(x")

    assert ended.returncode == Exit.USAGE
    assert "^" in ended.stderr


def test_a_thread_is_shown_by_the_sites_id_and_by_ours(desk: Desk) -> None:
    by_site = desk.done("show", "18446744073709551617")
    [first, *_] = rows(desk.done("show", "18446744073709551617", "--json"))

    assert "your listing is active again." in by_site
    assert desk.done("show", first["thread"]) == by_site


def test_an_unread_thread_says_why_and_where_its_picture_is(desk: Desk) -> None:
    said = desk.done("show", "9")

    assert "could not be read" in said
    assert "--screenshot" in said


def test_raw_writes_every_artifact_and_refuses_a_full_folder(desk: Desk) -> None:
    desk.done("show", "8", "--raw", "out")
    again = desk.run("show", "8", "--raw", "out")
    written = sorted(path.name for path in (desk.folder / "out").rglob("*") if path.is_file())

    assert written == ["attachment-0-発票.pdf", "attachment-1-lost.png", "json-0.json"]
    assert again.returncode == Exit.USAGE


def test_a_thread_without_a_picture_is_said(desk: Desk) -> None:
    ended = desk.run("show", "8", "--screenshot", "x.png")

    assert ended.returncode == Exit.USAGE
    assert "no picture" in ended.stderr


def test_control_characters_of_strangers_do_not_reach_the_terminal(desk: Desk) -> None:
    said = desk.done("search", "至急")

    assert "\x1b" not in said


# --- the state of things ---------------------------------------------------------------------------------------


def test_the_status_names_what_was_never_run_and_what_is_unread(desk: Desk) -> None:
    ended = desk.run("status")
    states = {row["source"]: (row["threads"], row["state"]) for row in rows(desk.done("status", "--json"))}

    assert states["buyer-messages"] == (1, "never run")
    assert "archiver show" in ended.stderr


def test_verify_proves_and_reindex_repeats(desk: Desk) -> None:
    before = desk.done("search", "渡辺", "--json")
    desk.done("reindex")

    assert desk.done("search", "渡辺", "--json") == before
    assert rows(desk.done("verify", "--json"))[-1]["good"] is True


def test_the_kill_switch_is_told_by_the_status_until_released(desk: Desk) -> None:
    add_account(desk)
    desk.done("stop-access", "--account", "acme", "--reason", "audit")
    stopped = desk.run("status")
    desk.done("allow-access", "--account", "acme")

    assert "audit" in stopped.stderr
    assert "audit" not in desk.run("status").stderr


# --- what goes wrong -------------------------------------------------------------------------------------------


def one_sentence(ended: subprocess.CompletedProcess[str]) -> str:
    """What was said, once it is sure that it is one answer and no traceback, and that nothing else was printed."""
    assert "Traceback" not in ended.stderr
    assert ended.stderr.startswith("archiver: ")
    assert ended.stdout == ""
    return ended.stderr


def test_a_missing_key_is_said_with_its_name(desk: Desk) -> None:
    (desk.folder / "archive.key").unlink()
    ended = desk.run("search", "退款", "--json")

    assert ended.returncode == Exit.USAGE
    assert "archive.key" in one_sentence(ended)


def test_a_wrong_key_opens_nothing_and_touches_nothing(desk: Desk) -> None:
    before = {path: path.read_bytes() for path in desk.archive.rglob("*") if path.is_file()}
    key = desk.folder / "archive.key"
    key.unlink()
    desk.config.write_text(CONFIGURATION.replace('"archive"', '"other"'))
    desk.done("init")
    desk.config.write_text(CONFIGURATION)
    ended = desk.run("sync")

    assert ended.returncode == Exit.USAGE
    assert "key" in one_sentence(ended)
    assert {path: path.read_bytes() for path in before} == before


def test_a_key_others_may_read_is_not_used(desk: Desk) -> None:
    (desk.folder / "archive.key").chmod(0o644)
    ended = desk.run("status")

    assert ended.returncode == Exit.USAGE
    assert "chmod 600" in one_sentence(ended)


def volume(desk: Desk) -> Path:
    [path] = (desk.archive / "captures").rglob("*.db")
    return path


@pytest.mark.parametrize("damage", ["flipped bit", "truncated volume", "removed volume"])
def test_damage_is_found_named_and_said_in_a_sentence(desk: Desk, damage: str) -> None:
    path = volume(desk)
    content = bytearray(path.read_bytes())
    path.chmod(0o600)
    if damage == "removed volume":
        path.unlink()
    else:
        content[len(content) // 2] ^= 4
        path.write_bytes(content if damage == "flipped bit" else content[: len(content) // 2])
    verified = desk.run("verify")
    shown = desk.run("show", "18446744073709551617", "--raw", "out")

    assert verified.returncode == Exit.FAILED
    assert path.name in verified.stdout + verified.stderr
    assert "Traceback" not in verified.stderr + shown.stderr


def test_a_lost_index_says_what_to_do_and_comes_back(desk: Desk) -> None:
    for path in desk.archive.glob("index.db*"):
        path.unlink()
    ended = desk.run("search", "渡辺")
    desk.done("reindex")

    assert ended.returncode == Exit.FAILED
    assert "archiver reindex" in one_sentence(ended)
    assert desk.done("search", "渡辺", "--count").strip() == "2"


def test_mistakes_in_the_configuration_are_all_named_with_their_lines(desk: Desk) -> None:
    desk.config.write_text(CONFIGURATION.replace("marketplaces", "marketplases") + "retention_days = 'ninety'\n")
    ended = desk.run("sync")

    assert ended.returncode == Exit.USAGE
    assert "marketplases" in ended.stderr
    assert "retention_days" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_archive_that_another_process_writes_to_is_not_waited_for(desk: Desk) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, pathlib, archiver.config as c, archiver.wiring as w\n"
            "with w.opened(c.load(pathlib.Path(sys.argv[1])), write=True):\n"
            "    print('held', flush=True); sys.stdin.read()",
            str(desk.config),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    ended = desk.run("sync")
    searched = desk.run("search", "渡辺", "--count")
    stopped = desk.run("stop-access", "--reason", "enough")
    holder.communicate()

    assert ended.returncode == Exit.ARCHIVE_HELD
    assert "Another process" in one_sentence(ended)
    assert (searched.returncode, stopped.returncode) == (0, 0)


def test_a_reader_that_has_seen_enough_is_no_error(desk: Desk) -> None:
    with subprocess.Popen(
        [PROGRAM, "show", "18446744073709551617"],
        cwd=desk.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as showing:
        subprocess.run(["true"], stdin=showing.stdout, check=True)
        assert showing.stdout is not None
        showing.stdout.close()
        assert showing.stderr is not None
        said = showing.stderr.read()

    assert said == b""


def test_an_account_without_a_sign_in_is_told_how_to_get_one(desk: Desk) -> None:
    ended = desk.run("sync")

    assert ended.returncode == Exit.USAGE
    assert "archiver account add acme" in ended.stderr
    assert "Traceback" not in ended.stderr


# --- instant ---------------------------------------------------------------------------------------------------


def test_a_search_imports_nothing_slow(desk: Desk) -> None:
    words = ["--config", str(desk.config), "search", "渡辺", "--count"]
    asked = (
        f"import sys; sys.argv = ['archiver', *{words!r}]\n"
        "from archiver.cli import main; main()\n"
        "import json; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    ended = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=60)
    slow = {"playwright", "apscheduler", "aiohttp", "rich", "structlog", "asyncio", "selectolax", "sqlite_utils"}

    assert slow & set(json.loads(ended.stdout.splitlines()[-1])) == set()


def test_the_map_of_time_names_the_gap_and_how_long_it_can_be_closed(desk: Desk) -> None:
    ago = datetime.now(UTC) - timedelta(days=3)
    record = {
        "run": "r1",
        "started_at": ago.isoformat(),
        "finished_at": ago.isoformat(),
        "exit": 0,
        "coverages": [
            {
                "account": "acme",
                "marketplace": "DE",
                "source": "cases",
                "complete": True,
                "state": "COMPLETE",
                "oldest_visible": None,
                "reasons": [],
            }
        ],
    }
    with wiring.opened(config.load(desk.config), write=True) as archive:
        archive.enter(json.dumps(record).encode())
    drawn = desk.run("coverage", "acme", "--source", "cases")
    told = rows(desk.done("coverage", "acme", "--source", "cases", "--json"))
    seen = {row["day"]: row["seen"] for row in told if "day" in row}
    [gap] = [row for row in told if "gap_from" in row]

    assert drawn.returncode == 0
    assert "acme DE cases  " in drawn.stdout
    assert "Run `archiver sync` before" in drawn.stderr
    assert seen[str((ago - timedelta(days=1)).date())] == "covered"
    assert (gap["gap_from"], gap["lost"], gap["why"]) == (str(ago.date()), False, "no run looked yet")


def test_the_stats_say_how_long_answers_took(desk: Desk) -> None:
    drawn = desk.done("stats")
    told = {row["source"]: row for row in rows(desk.done("stats", "--json"))}
    later = desk.run("stats", "--since", "2090-01-01")

    assert "first response" in drawn
    assert sum(row["threads"] for row in told.values()) == len(KEPT) - 1  # one of them could not be read
    assert told["cases"]["answered"] >= 1
    assert told["cases"]["first_response_median_s"] > 0
    assert told["performance-notifications"]["first_response_median_s"] is None
    assert (later.returncode, later.stdout) == (0, "")
    assert desk.run("stats", "--by", "colour").returncode == 2
