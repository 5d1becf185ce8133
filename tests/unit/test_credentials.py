"""Secrets come from where they are kept, and a secret that cannot be had is one sentence."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from archiver import credentials
from archiver.archive.keyring import KeyFile, RawSecret
from archiver.errors import UsageError


@dataclass(frozen=True)
class Source:
    """What the configuration says of the key."""

    credential: str = ""
    file: Path | None = None
    command: tuple[str, ...] = ()


def secret_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return path


# --- the key of the archive -------------------------------------------------------------------------------------


def test_a_key_file_is_named_and_not_read() -> None:
    found = credentials.unlock(Source(file=Path("/nowhere/key")), {})

    assert found == KeyFile(Path("/nowhere/key"))


def test_a_systemd_credential_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "archive-key").write_bytes(b"\x00key\n")

    found = credentials.unlock(Source(credential="archive-key"), {"CREDENTIALS_DIRECTORY": str(tmp_path)})

    assert isinstance(found, RawSecret)
    assert b"\x00key\n" in vars_of(found)


def test_what_a_command_prints_is_the_key_without_the_line_end() -> None:
    found = credentials.unlock(Source(command=(sys.executable, "-c", "print(' a key ')")), {})

    assert isinstance(found, RawSecret)
    assert b" a key " in vars_of(found)


def vars_of(found: RawSecret) -> list[object]:
    return [getattr(found, name) for name in found.__dataclass_fields__]


@pytest.mark.parametrize("environ", [{}, {"CREDENTIALS_DIRECTORY": "/nowhere"}])
def test_a_credential_that_was_not_given_says_which_line_gives_it(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"The systemd credential archive-key .*") as caught:
        credentials.unlock(Source(credential="archive-key"), environ)

    assert "LoadCredential=archive-key:" in caught.value.hint


@pytest.mark.parametrize(
    "command, why",
    [
        (("no-such-program-here",), "no-such-program-here could not be started: No such file or directory."),
        ((sys.executable, "-c", "import sys; sys.exit('hunter2')"), "it ended with code 1."),
        ((sys.executable, "-c", "print()"), "printed no key."),
        ((sys.executable, "-c", "import time; time.sleep(60)"), "did not give the key within 0.5 seconds."),
    ],
)
def test_a_command_that_gives_no_key_is_one_sentence(command: tuple[str, ...], why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)) as caught:
        credentials.command_output(command, timeout_s=0.5 if "sleep" in command[-1] else 30)

    assert "hunter2" not in caught.value.message


def test_a_command_meets_no_shell(tmp_path: Path) -> None:
    found = credentials.command_output(("echo", "$HOME", ";", f">{tmp_path}/made"))

    assert found == f"$HOME ; >{tmp_path}/made".encode()
    assert list(tmp_path.iterdir()) == []


# --- a secret from a file or standard input ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "content, secret",
    [(b"hunter2", "hunter2"), (b"hunter2\n", "hunter2"), (b"hunter2\r\n", "hunter2"), (b" h \n\n", " h \n")],
)
def test_one_line_end_is_left_off_and_nothing_else(tmp_path: Path, content: bytes, secret: str) -> None:
    found = credentials.read_secret(str(secret_file(tmp_path, content)), "The password")

    assert found == secret


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = secret_file(tmp_path, b"hunter2", mode)

    with pytest.raises(UsageError, match=f"Others may read .* \\(mode {mode:04o}\\)") as caught:
        credentials.read_secret(str(path), "The password")

    assert caught.value.hint.startswith(f"Run `chmod 600 {path}`")


@pytest.mark.parametrize(
    "content, why",
    [(b"", "The password is empty."), (b"\n", "The password is empty."), (b"\xff", "is not UTF-8 text."),
     (b"x" * 70_000, "The password is longer than any secret")],
)  # fmt: skip
def test_what_is_no_secret_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)):
        credentials.read_secret(str(secret_file(tmp_path, content)), "The password")


@pytest.mark.parametrize("name", ["gone", "."])
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"The password cannot be read from .*: .*\."):
        credentials.read_secret(str(tmp_path / name), "The password")


def test_a_hyphen_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("pässwort\n".encode())))

    found = credentials.read_secret("-", "The password")

    assert found == "pässwort"


# --- a secret from a person -------------------------------------------------------------------------------------

ASK = """
from archiver import credentials, errors
try:
    print("got", credentials.ask_twice("Passphrase: ", otherwise="Name a key."))
except errors.UsageError as error:
    print("refused:", error)
"""


# A session leader that opens a terminal gets it as its own, which is what getpass looks for.
TAKE_TERMINAL = "import os; os.close(os.open(os.ttyname(0), os.O_RDWR))\n"


def at_a_terminal(*lines: str) -> str:
    """What the program above says on a terminal where a person types these lines, each when asked."""
    person, terminal = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-c", TAKE_TERMINAL + ASK],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
        start_new_session=True,
    )
    os.close(terminal)
    shown = b""
    try:
        for prompt, line in zip((b"Passphrase: ", b"Once more: "), lines, strict=True):
            while prompt not in shown:
                shown += os.read(person, 1024)
            os.write(person, line.encode() + b"\n")
        said, _ = program.communicate(timeout=30)
        # Linux tells that the other end is closed as an I/O error; what was shown before comes first.
        with contextlib.suppress(OSError):
            while more := os.read(person, 1024):
                shown += more
    finally:
        program.kill()
        program.wait()
        os.close(person)
    assert shown.decode().split() == ["Passphrase:", "Once", "more:"]
    return said


def test_a_person_is_asked_on_the_terminal_and_sees_nothing_of_what_they_type() -> None:
    found = at_a_terminal("correct horse", "correct horse")

    assert found == "got correct horse\n"


def test_a_new_secret_typed_two_ways_is_refused() -> None:
    found = at_a_terminal("correct horse", "battery staple")

    assert found == "refused: The two are not the same. Try again.\n"


def test_without_a_terminal_nobody_is_asked_and_the_hint_says_what_to_do() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ASK],
        input="correct horse\ncorrect horse\n",
        capture_output=True,
        text=True,
        timeout=30,
        start_new_session=True,
        check=True,
    )

    assert ended.stdout == "refused: There is no terminal to ask on (Passphrase). Name a key.\n"


# --- memory -----------------------------------------------------------------------------------------------------


def test_a_process_that_holds_secrets_leaves_no_core_and_cannot_be_looked_into() -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "import resource, ctypes; from archiver import credentials; credentials.no_core_dumps()\n"
            "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert ended.stdout == "(0, 0) 0\n"
