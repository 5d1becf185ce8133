"""What a terminal shows: nothing a stranger wrote moves the cursor, and tables line up in any script and colour."""

from __future__ import annotations

import io

import pytest

from archiver.cli.terminal import clipped, highlighted, safe, safe_line, table, width


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _a_terminal_with_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x9b2J", "\r", "\x07", "\u202e", "\u2066", "\ufeff", "\x00"])
def test_what_moves_a_cursor_or_turns_text_around_is_replaced(evil: str) -> None:
    assert evil[0] not in safe(f"a{evil}b")


@pytest.mark.parametrize("fine", ["退款\n\tGrüße", "👩\u200d👧", "می\u200cخواهم", "e\u0301"])
def test_what_people_write_is_left_alone(fine: str) -> None:
    assert safe(fine) == fine


def test_a_heading_stays_on_its_line() -> None:
    assert safe_line("one\ntwo\tthree \x1b[31m") == "one two three \ufffd[31m"


def test_a_hit_is_coloured_on_a_terminal_and_between_marks_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    snippet = "our \x02退款\x03 today"

    assert highlighted(snippet, io.StringIO()) == "our «退款» today"
    assert highlighted(snippet, Screen()) == "our \x1b[1;33m退款\x1b[0m today"
    monkeypatch.setenv("NO_COLOR", "")
    assert highlighted(snippet, Screen()) == "our «退款» today"


def test_a_snippet_cannot_colour_itself() -> None:
    assert highlighted("\x1b[31m \x02\x1b[0m\x03", io.StringIO()) == "\ufffd[31m «\ufffd[0m»"


@pytest.mark.parametrize("text, columns", [("abc", 3), ("退款", 4), ("e\u0301", 1), ("\x1b[32mok\x1b[0m", 2), ("", 0)])
def test_a_text_is_as_wide_as_a_terminal_draws_it(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.parametrize("text, shown", [("退款进度", "退款…"), ("abcdef", "abcde…"[:4] + "…"), ("退款", "退款")])
def test_what_is_too_wide_is_cut_to_fit(text: str, shown: str) -> None:
    assert clipped(text, 5) == shown


def test_columns_line_up_whatever_stands_in_them() -> None:
    lines = table(
        ("a", "b", "n"), [("退款", "\x1b[32mok\x1b[0m", 7), ("x", "later", 1234)], right=frozenset({2})
    ).splitlines()

    assert [line.replace("\x1b[32m", "").replace("\x1b[0m", "") for line in lines] == [
        "a     b         n",
        "────  ─────  ────",
        "退款  ok        7",
        "x     later  1234",
    ]
