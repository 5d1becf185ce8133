"""Where secrets come from: a systemd credential, a file, a command, standard input, a person at a terminal.

Never from an argument or an environment variable, which every process of the machine may read, and never from the
configuration. A secret is returned to who asked and kept nowhere; no message repeats one.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from archiver.errors import UsageError

if TYPE_CHECKING:
    from archiver.archive.keyring import Unlock

LARGEST_SECRET = 64 * 1024
"""Bytes. What is longer is the wrong file."""

LARGEST_PICTURE = 32 * 1024 * 1024
"""Bytes, of a picture that a secret is read from: a screenshot of a large screen has a tenth of it."""

COMMAND_TIMEOUT_S = 120
"""A person may have to unlock a password manager first."""


class KeySource(Protocol):
    """Where the configuration says that the archive's key is; at most one is set. None: a person is asked."""

    @property
    def credential(self) -> str: ...

    @property
    def file(self) -> Path | None: ...

    @property
    def command(self) -> Sequence[str]: ...


def unlock(source: KeySource, environ: Mapping[str, str] = os.environ) -> Unlock:
    """What opens the archive. Raises UsageError where it cannot be had."""
    from archiver.archive.keyring import KeyFile, Passphrase, RawSecret

    if source.credential:
        return RawSecret(systemd_credential(source.credential, environ), f"the credential {source.credential}")
    if source.file is not None:
        return KeyFile(source.file)
    if source.command:
        return RawSecret(command_output(source.command), f"the output of {source.command[0]}")
    return Passphrase(
        ask(
            "Passphrase of the archive: ",
            otherwise="Name a key in the configuration: `key = { file = … }` in [archive].",
        )
    )


def systemd_credential(name: str, environ: Mapping[str, str] = os.environ) -> bytes:
    """The content of a systemd credential. Raises UsageError where this process was given none of this name."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    hint = f"Give the unit a line LoadCredential={name}:/path/to/the/key, or run this as that unit does."
    if not folder:
        raise UsageError(f"The systemd credential {name} is not here: this process was not given any.", hint=hint)
    try:
        with (Path(folder) / name).open("rb") as file:
            secret = _read_bounded(file, f"the credential {name}")
    except OSError as error:
        raise UsageError(f"The systemd credential {name} cannot be read: {error.strerror}.", hint=hint) from error
    if not secret:
        raise UsageError(f"The systemd credential {name} is empty.", hint=hint)
    return secret


def command_output(command: Sequence[str], timeout_s: float = COMMAND_TIMEOUT_S) -> bytes:
    """What a command prints, the line's end left off. No shell. Raises UsageError in one sentence."""
    import subprocess

    program = command[0]
    hint = f"Run `{' '.join(command)}` yourself to see what it says."
    try:
        # What it says on standard error may be meant for a person who unlocks something, but it may also echo.
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"{program} did not give the key within {timeout_s:g} seconds.", hint=hint) from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "its arguments are not text"
        raise UsageError(f"{program} could not be started: {why}.", hint=hint) from error
    if ended.returncode != 0:
        raise UsageError(f"{program} did not give the key; it ended with code {ended.returncode}.", hint=hint)
    secret = _without_line_end(ended.stdout)
    if not secret:
        raise UsageError(f"{program} printed no key.", hint=hint)
    return secret


def read_secret(named: str, what: str) -> str:
    """A secret from the file of this name, or from standard input for `-`. `what` names it in messages.

    Raises UsageError. A file that others may read is refused: what was readable is to be treated as known.
    """
    secret = read_bytes(named, what)
    try:
        text = _without_line_end(secret).decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{what} is not UTF-8 text.", hint="Save the file as UTF-8.") from error
    if not text:
        raise UsageError(
            f"{what} is empty.",
            hint="Write it into the file, or pipe it in." if named == "-" else f"Look into {named}.",
        )
    return text


def read_bytes(named: str, what: str, largest: int = LARGEST_SECRET) -> bytes:
    """What `read_secret` reads, as it stands there; at most `largest` bytes."""
    if named == "-":
        return _read_bounded(sys.stdin.buffer, what, largest)
    try:
        with open(named, "rb") as file:  # noqa: PTH123  /dev/fd/63, as a shell writes <(…), is no path to resolve
            _check_private(file, named)
            return _read_bounded(file, what, largest)
    except OSError as error:
        raise UsageError(
            f"{what} cannot be read from {named}: {error.strerror}.", hint="Name another file, or `-`."
        ) from error


def ask(prompt: str, *, otherwise: str) -> str:
    """A secret from a person, typed unseen. `otherwise` is the hint where there is no terminal to ask on."""
    import warnings
    from getpass import GetPassWarning, getpass

    nobody = UsageError(f"There is no terminal to ask on ({prompt.strip().rstrip(':')}).", hint=otherwise)
    # Standard input may be a pipe with another secret; a person is there where either of the two is a terminal.
    if not (_is_terminal(0) or _is_terminal(2)):
        raise nobody
    try:
        with warnings.catch_warnings():
            # getpass warns, and then shows what is typed, where it cannot turn the echo off.
            warnings.simplefilter("error", GetPassWarning)
            typed = getpass(prompt)
    except (GetPassWarning, EOFError) as error:
        raise nobody from error
    if not typed:
        raise UsageError("Nothing was typed.", hint=otherwise)
    return typed


def ask_twice(prompt: str, *, otherwise: str) -> str:
    """A new secret: asked again, because nobody sees what they type."""
    first = ask(prompt, otherwise=otherwise)
    if ask("Once more: ", otherwise=otherwise) != first:
        raise UsageError("The two are not the same.", hint="Try again.")
    return first


def no_core_dumps() -> None:
    """Keep this process's memory, with its secrets, from the disk and from other processes of this user."""
    import ctypes
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # A crash handler that core_pattern pipes to ignores the limit; this stops it, and ptrace, too.
        pr_set_dumpable = 4
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_dumpable, 0, 0, 0, 0)


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _check_private(file: BinaryIO, named: str) -> None:
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
        raise UsageError(
            f"Others may read {named} (mode {stat.S_IMODE(status.st_mode):04o}), so what is in it is no secret.",
            hint=f"Run `chmod 600 {named}`, and change the secret if it lay there for long.",
        )


def _read_bounded(file: BinaryIO, what: str, largest: int = LARGEST_SECRET) -> bytes:
    secret = file.read(largest + 1)
    if len(secret) > largest:
        raise UsageError(f"{what} is longer than any secret ({largest} bytes).", hint="Name the right file.")
    return secret


def _without_line_end(secret: bytes) -> bytes:
    # One line's end, which editors and `echo` add; other white space may be part of a password.
    return secret.removesuffix(b"\n").removesuffix(b"\r")
