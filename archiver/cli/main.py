"""argv to one call, an error to one sentence and one exit code. What a command does lives in the module of its family.

A family is imported when one of its commands is typed: `archiver search` must feel instant.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from datetime import date
from io import TextIOWrapper
from pathlib import Path

from archiver import __version__
from archiver.cli.terminal import flush_out, safe, say
from archiver.errors import ArchiverError, Exit
from archiver.model import Source

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. Nothing escapes but SystemExit of a command line that cannot be meant."""
    args = _parser().parse_args(words_apart(sys.argv[1:] if argv is None else argv))
    _from_now_on(args)
    try:
        family, _, name = args.call.partition(":")
        command: Command = getattr(importlib.import_module(f"archiver.cli.{family}"), name)
        ended = command(args)
        flush_out()
        return ended
    except ArchiverError as error:
        say(f"archiver: {safe(str(error))}")
        _give_up_output()
        return error.exit_code
    except BrokenPipeError:
        # Who read us has seen enough.
        _give_up_output()
        return Exit.FAILED
    except KeyboardInterrupt:
        say("archiver: Interrupted. What was kept stays kept; run the command again to go on.")
        return Exit.FAILED
    except Exception as error:
        if args.verbose:
            raise
        # No message of it: it may repeat what a stranger wrote, or a secret.
        say(
            f"archiver: Something went wrong in the archiver itself ({type(error).__name__}). "
            "Run it again with -v to see where, and report that."
        )
        return Exit.FAILED


def _give_up_output() -> None:
    """Where standard output takes no more, the interpreter must not find that out again when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _from_now_on(args: argparse.Namespace) -> None:
    from archiver.credentials import no_core_dumps

    no_core_dumps()
    # Closed by who started us (`>&-`): print() would take the other one instead.
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    if isinstance(sys.stdout, TextIOWrapper):
        # JSON is UTF-8 wherever it is written; people's text does not fail on a terminal that lacks a letter.
        sys.stdout.reconfigure(encoding="utf-8" if args.json else None, errors="backslashreplace")
    if args.verbose:
        from archiver.log import configure

        configure(verbose=args.verbose)


def _nowhere() -> TextIOWrapper:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  a device, and open as long as we are


# --- what may be typed -----------------------------------------------------------------------------------------

_TAKE_A_VALUE = ("--config", "--limit", "--since", "--until")


def words_apart(argv: Sequence[str]) -> list[str]:
    """The words of a search behind a `--`, so that `-word` excludes a word and is no option, wherever it stands.

    Whatever is no search is given back as it is.
    """
    at = 0
    while at < len(argv) and argv[at].startswith("-"):
        at += 2 if argv[at] in _TAKE_A_VALUE else 1
    if at >= len(argv) or argv[at] != "search":
        return list(argv)
    options, words = list(argv[: at + 1]), list[str]()
    rest = iter(argv[at + 1 :])
    for typed in rest:
        if typed == "--":
            words += rest
        elif typed.startswith("--") or re.fullmatch("-h|-v+", typed):
            options.append(typed)
            if typed in _TAKE_A_VALUE:
                options += [value for value in (next(rest, None),) if value is not None]
        else:
            words.append(typed)
    return [*options, "--", *words] if words else options


def _parser() -> argparse.ArgumentParser:
    # The same three options before and after the command; what stands after it wins.
    top = _options(argparse.ArgumentParser(prog="archiver", description=_DESCRIPTION, allow_abbrev=False), first=True)
    top.add_argument("--version", action="version", version=f"archiver {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, call: str, what: str, into: object = commands) -> argparse.ArgumentParser:
        assert isinstance(into, argparse._SubParsersAction)  # noqa: S101  argparse has no public name for it
        made: argparse.ArgumentParser = into.add_parser(name, help=what, description=what, allow_abbrev=False)
        made.set_defaults(call=call)
        return _options(made, first=False)

    _add_setting_up(command)
    _add_running(command)
    _add_finding(command)
    _add_keeping(command)
    echo = command("echo", "echo:echo", "a web service that says what address it sees, for `egress_ip`")
    echo.add_argument(
        "--listen", metavar="ADDR:PORT", default="127.0.0.1:8765", type=_endpoint, help="where (127.0.0.1:8765)"
    )
    echo.add_argument(
        "--trust",
        metavar="ADDR",
        action="append",
        default=[],
        type=_address,
        help="believe the X-Forwarded-For of a proxy at this address, and of no one else",
    )
    demo = command("demo", "demo:demo", "the whole job against a local stand-in of Seller Central")
    demo.add_argument(
        "--dir", metavar="DIR", default="demo", help="where config.toml and the archive are left (./demo)"
    )
    demo.add_argument("--serve", action="store_true", help="only run the stand-in, and print how to sign in")
    demo.add_argument("--moods", action="store_true", help="sign in to it on every bad day it knows, and print a table")
    return top


_DESCRIPTION = "Keeps what Amazon Seller Central tells a seller, encrypted and searchable."


def _options(parser: argparse.ArgumentParser, *, first: bool) -> argparse.ArgumentParser:
    def otherwise(value: object) -> object:
        return value if first else argparse.SUPPRESS

    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=otherwise(None),
        help="the configuration ($ARCHIVER_CONFIG, ./config.toml, /etc/archiver/config.toml)",
    )
    parser.add_argument(
        "--json", action="store_true", default=otherwise(False), help="one JSON object a line on standard output"
    )
    parser.add_argument(
        "-v", "--verbose", action="count", default=otherwise(0), help="log to standard error; twice for more"
    )
    return parser


Adder = Callable[..., argparse.ArgumentParser]


def _add_setting_up(command: Adder) -> None:
    init = command("init", "setting_up:init", "make an archive and its key; write a configuration where there is none")
    init.add_argument("--passphrase-file", metavar="FILE", help="read the passphrase there (- for standard input)")

    account = command("account", "", "the sign-ins in the vault")
    actions = account.add_subparsers(metavar="ACTION", required=True)
    add = command("add", "setting_up:account_add", "keep one seller's sign-in in the vault", actions)
    add.add_argument("name", metavar="NAME", help="the account's name in the configuration")
    add.add_argument("--email", metavar="E", required=True, help="the e-mail address it signs in with")
    add.add_argument("--password-file", metavar="FILE", help="read the password there (- for standard input)")
    add.add_argument(
        "--totp-secret-file",
        metavar="FILE",
        help="read the TOTP secret there (- for standard input): text, an otpauth:// URI, a picture of the QR code",
    )
    proxy = command("proxy", "setting_up:account_proxy", "keep what its proxy is told to sign in", actions)
    proxy.add_argument("name", metavar="NAME")
    what = proxy.add_mutually_exclusive_group(required=True)
    what.add_argument("--user", metavar="U", help="the name it signs in to the proxy with")
    what.add_argument("--forget", action="store_true", help="the proxy wants no sign-in any more")
    proxy.add_argument("--password-file", metavar="FILE", help="read the password there (- for standard input)")
    check = command("check", "setting_up:account_check", "prove secret and clock, without signing in", actions)
    check.add_argument("name", metavar="NAME")
    check.add_argument("--offline", action="store_true", help="do not ask the site for its time")
    check.add_argument("--show-code", action="store_true", help="show the one-time code, to compare it with a phone's")
    command("list", "setting_up:account_list", "the accounts, and whether each can sign in", actions)
    remove = command("remove", "setting_up:account_remove", "forget a sign-in; what was captured stays", actions)
    remove.add_argument("name", metavar="NAME")


def _add_running(command: Adder) -> None:
    sync = command("sync", "running:sync", "sign in, capture what is new or changed, say what was complete")
    sync.add_argument("accounts", metavar="ACCOUNT", nargs="*", help="only these (all)")
    sync.add_argument(
        "--source",
        metavar="S",
        action="append",
        default=[],
        type=_source,
        help=f"only these: {', '.join(Source)}",
    )
    sync.add_argument("--full", action="store_true", help="capture unchanged threads again, too")
    command("daemon", "running:daemon", "sync on schedule until told to stop")
    login = command("login", "running:login", "sign in once because a person said so; earlier refusals are forgotten")
    login.add_argument("account", metavar="ACCOUNT")
    how = login.add_mutually_exclusive_group()
    how.add_argument("--headed", action="store_true", help="show the browser (needs a screen)")
    how.add_argument("--link", action="store_true", help="only print the link of the page on which a run waits for you")
    stop = command("stop-access", "running:stop_access", "the kill switch: no request to the site from now on")
    stop.add_argument("--account", metavar="A", help="only this one (all)")
    stop.add_argument("--reason", metavar="R", required=True, help="said to everyone who runs into it")
    allow = command("allow-access", "running:allow_access", "release the kill switch")
    allow.add_argument("--account", metavar="A", help="only this one (all)")


def _add_finding(command: Adder) -> None:
    search = command("search", "finding:search", "find messages, newest first")
    search.add_argument("query", metavar="QUERY", nargs="+", help='words, "a phrase", from: source: after: before: …')
    search.add_argument("--limit", metavar="N", type=_count, help="at most so many (20; all with --json)")
    search.add_argument("--since", metavar="DATE", type=_date, help="not before this day: the same as after:DATE")
    search.add_argument("--until", metavar="DATE", type=_date, help="before this day: the same as before:DATE")
    search.add_argument("--count", action="store_true", help="only how many")
    show = command("show", "finding:show", "one thread, readable")
    show.add_argument("thread", metavar="THREAD", help="its id, as search prints it, or the site's own")
    show.add_argument("--history", action="store_true", help="every version of every message, and when it was seen")
    show.add_argument(
        "--screenshot", metavar="FILE", help="write its picture there, in the clear (- for standard output)"
    )
    show.add_argument("--raw", metavar="DIR", type=Path, help="write all that was captured of it there, in the clear")


def _add_keeping(command: Adder) -> None:
    command("status", "keeping:status", "what is kept of each source, how old it is, and what needs a person")
    coverage = command("coverage", "coverage:coverage", "a calendar of what was looked at in time, and every gap in it")
    coverage.add_argument("accounts", metavar="ACCOUNT", nargs="*", help="only these accounts")
    coverage.add_argument("--source", metavar="S", action="append", default=[], type=_source, help="only this")
    coverage.add_argument("--since", metavar="DATE", type=_day, help="from this day on")
    coverage.add_argument("--until", metavar="DATE", type=_day, help="up to this day")
    stats = command("stats", "stats:stats", "how long answers take, and what looks as if it was asked twice")
    by = ("source", "marketplace", "category")
    stats.add_argument("--by", metavar="G", default="source", choices=by, help=f"one of {', '.join(by)} (source)")
    stats.add_argument("--since", metavar="DATE", type=_day, help="threads that began on this day or later")
    stats.add_argument("--until", metavar="DATE", type=_day, help="threads that began up to this day")
    command("verify", "keeping:verify", "prove that the archive is whole and unchanged")
    command("reindex", "keeping:reindex", "compute everything derived from the captures again")


# argparse says these in the one line that names the option.


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) == 0:
        raise argparse.ArgumentTypeError("it takes a number from 1 on")
    return int(text)


def _endpoint(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not colon or not host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        raise argparse.ArgumentTypeError("write an address and a port, as 127.0.0.1:8765 or [::]:8765")
    return _address(host), int(port)


def _address(text: str) -> str:
    from ipaddress import ip_address

    try:
        return str(ip_address(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError("write an address, as 127.0.0.1 or ::1") from error


def _date(text: str) -> str:
    if not re.fullmatch("[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?", text):
        raise argparse.ArgumentTypeError("write a date as 2026, 2026-08 or 2026-08-31")
    return text


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("write a day as 2026-08-31") from None


def _source(text: str) -> Source:
    if text not in tuple(Source):
        raise argparse.ArgumentTypeError(f"there is no such source; sources are {', '.join(Source)}")
    return Source(text)
