"""What a log may say, and what it never says."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from archiver import log
from archiver.log import MASK, redact
from archiver.model import Source

SECRET = "correct horse/battery+staple"  # no file holds it


@pytest.fixture(autouse=True)
def _nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(log, "_secrets", set())
    before = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:], logging.root.level = before


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


def test_facts_pass_as_they_are() -> None:
    event = {
        "event": "thread kept",
        "source": "cases",
        "count": 3,
        "took_s": 0.25,
        "complete": True,
        "exit_code": 4,
        "oldest": None,
        "key": "source.cases.keys.sent_at",
        "status_code": 200,
        "question": "done?",
    }

    assert redact(event) == event


@pytest.mark.parametrize(
    "key",
    ["password", "new_password", "otp", "code", "cookie", "Set-Cookie", "sessionToken", "totp_secret", "Authorization",
     "body", "messageBody", "SUBJECT", "email", "query", "user", "login"],
)  # fmt: skip
def test_the_value_under_a_sensitive_key_is_masked_whatever_it_is(key: str) -> None:
    for value in ("hunter2", 123456, ["hunter2"], {"a": "hunter2"}, b"hunter2", 1.5):
        assert redact({"event": "tried", key: value}) == {"event": "tried", key: MASK}


def test_a_known_secret_is_masked_wherever_it_appears() -> None:
    event = {
        "event": f"tried {SECRET} once",
        "list": [SECRET, {"deep": (f"x{SECRET}x",)}],
        "quoted": "correct%20horse%2Fbattery%2Bstaple",
        "form": "correct+horse%2Fbattery%2Bstaple",
    }

    assert redact(event, [SECRET]) == {
        "event": f"tried {MASK} once",
        "list": [MASK, {"deep": [f"x{MASK}x"]}],
        "quoted": MASK,
        "form": MASK,
    }


def test_a_secret_that_is_part_of_another_leaves_nothing_of_the_longer_one() -> None:
    found = redact({"event": "tried hunter2000"}, ["hunter2", "hunter2000"])

    assert found == {"event": f"tried {MASK}"}


def test_a_secret_number_is_masked_as_a_number_too() -> None:
    found = redact({"event": "typed", "step": 123456, "count": 7}, ["123456"])

    assert found == {"event": "typed", "step": MASK, "count": 7}


@pytest.mark.parametrize(
    "text, shown",
    [
        ("from seller+eu@shop.example.co.uk now", "from *** now"),
        ("https://a.example/ap/signin?openid.x=1&y=2 opened", "https://a.example/ap/signin?*** opened"),
        ("https://a.example/x#access=1", "https://a.example/x?***"),
        ("https://a.example?abc", "https://a.example?***"),
        ("GET /cases?marketplaceId=A1 200", "GET /cases?*** 200"),
        ("wss://me:pw@a.example/x", "wss://***@a.example/x"),
        ('{"url": "https://a.example/?a=b", "n": 1}', '{"url": "https://a.example/?***", "n": 1}'),
        ("really? yes", "really? yes"),
        ("case #12", "case #12"),
    ],
)
def test_addresses_lose_what_identifies_a_person_or_a_session(text: str, shown: str) -> None:
    assert redact({"event": text}) == {"event": shown}


def test_bytes_are_told_by_their_length() -> None:
    assert redact({"event": "kept", "page": b"hunter2"}) == {"event": "kept", "page": "<7 bytes>"}


def test_every_other_object_is_told_as_text() -> None:
    found = redact(
        {
            "event": "kept",
            "source": Source.CASES,
            "path": Path("/a"),
            "error": ValueError(f"bad {SECRET}"),
            "at": datetime(2026, 11, 22, tzinfo=UTC),
        },
        [SECRET],
    )

    assert found == {
        "event": "kept",
        "source": "cases",
        "path": "/a",
        "error": f"bad {MASK}",
        "at": "2026-11-22 00:00:00+00:00",
    }
    assert {type(value) for value in found.values()} == {str}


_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts([*value.values()])
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


@given(st.dictionaries(st.text(), _values), st.text(min_size=4, max_size=12).filter(lambda s: "*" not in s))
def test_no_secret_survives_in_any_value(event: dict[str, object], secret: str) -> None:
    planted = {**event, "event": f"said {secret} twice {secret}", "more": [secret, {"a": secret}]}

    found = redact(planted, [secret])

    assert not [text for text in _texts([found["event"], found["more"]]) if secret in text]
    json.dumps(found)


@given(st.dictionaries(st.text(), _values))
def test_what_was_redacted_once_stays_as_it_is(event: dict[str, object]) -> None:
    once = redact(event)

    assert redact(once) == once


# --- the pipeline -----------------------------------------------------------------------------------------------


def test_a_machine_gets_one_json_object_a_line_with_the_time_in_utc() -> None:
    stream = io.StringIO()
    log.configure(stream=stream)

    log.get_logger().info("thread kept", source="cases", subject="退款", count=1)

    line = json.loads(stream.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line.pop("timestamp"))
    assert line == {"event": "thread kept", "level": "info", "source": "cases", "subject": MASK, "count": 1}
    assert stream.getvalue().count("\n") == 1


def test_a_person_gets_text_without_the_control_characters_of_a_site() -> None:
    stream = Terminal()
    log.configure(stream=stream)

    log.get_logger().info("thread kept", name="a\x1b[2Jb")

    assert "thread kept" in stream.getvalue()
    assert "\x1b[2J" not in stream.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_a_traceback_is_logged_without_secrets_and_without_local_variables(stream: io.StringIO) -> None:
    log.configure(stream=stream)
    log.hide(SECRET)
    local_variable = "-".join(["do", "not", "print"])

    try:
        raise ValueError(f"typed {SECRET}: {len(local_variable)}")
    except ValueError:
        log.get_logger().error("run failed", exc_info=True)

    assert "ValueError: typed ***: 12" in stream.getvalue()
    assert SECRET not in stream.getvalue()
    assert "do-not-print" not in stream.getvalue()


def test_what_another_library_logs_goes_the_same_way() -> None:
    stream = io.StringIO()
    log.configure(stream=stream)

    logging.getLogger("apscheduler").warning("missed by %s at https://a.example/?a=b", "1 s")
    logging.getLogger("apscheduler").info("added")

    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["library"]) == (
        "missed by 1 s at https://a.example/?***",
        "warning",
        "apscheduler",
    )


@pytest.mark.parametrize("verbose, count", [(0, 0), (1, 1)])
def test_details_are_for_who_asked(verbose: int, count: int) -> None:
    stream = io.StringIO()
    log.configure(verbose=verbose, stream=stream)

    log.get_logger().debug("page settled")

    assert stream.getvalue().count("\n") == count


def test_importing_the_log_does_not_import_structlog() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import sys, archiver.log, archiver.config, archiver.credentials\n"
         "print([m for m in ('structlog', 'zoneinfo', 'difflib', 'cryptography', 'subprocess') if m in sys.modules])"],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip

    assert ended.stdout == "[]\n"
