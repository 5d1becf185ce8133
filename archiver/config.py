"""config.toml to a frozen Config: read once, checked whole, every problem named at once with its line.

Decides nothing and opens nothing but the file itself. No secret lives in the file, and no value of a wrong type is
repeated in a message: it may be a password in the wrong place.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar
from urllib.parse import SplitResult, urlsplit

from archiver.errors import ConfigError, UsageError
from archiver.model import Source

T = TypeVar("T")

# --- what a configuration says ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyConfig:
    """Where the key of the archive comes from; at most one is set. None of them: a person is asked."""

    credential: str = ""
    file: Path | None = None
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ArchiveConfig:
    path: Path
    key: KeyConfig = KeyConfig()


@dataclass(frozen=True, slots=True)
class Cron:
    """A schedule in five fields. `text` is what stands in the file.

    `day_of_week` is spelled in names (`mon,tue`), because schedulers disagree about which day is 0.
    """

    text: str
    minute: str
    hour: str
    day: str
    month: str
    day_of_week: str


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """`timezone` None is the machine's own. `accounts_at_once`: each of these has a browser of its own."""

    sync: Cron
    timezone: str | None = None
    backup: Cron | None = None
    accounts_at_once: int = 2


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """A proxy, in which names are resolved. What it is told to sign in is in the archive."""

    scheme: Literal["http", "https", "socks5"]
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class AccountConfig:
    """One sign-in. `site` is an origin without a slash at its end; `label` is the account in the site's switcher.

    `egress` are the addresses the world may see it from; empty: any.

    `requests` are the most requests in a `minute`, an `hour` and a `day`, as far as the file names them.
    """

    name: str
    site: str
    marketplaces: tuple[str, ...]
    sources: tuple[Source, ...] = tuple(Source)
    label: str = ""
    retention_days: int = 90
    requests: tuple[tuple[str, int], ...] = ()
    egress: tuple[IPv4Address | IPv6Address, ...] = ()
    proxy: ProxyConfig | None = None


@dataclass(frozen=True, slots=True)
class BrowserConfig:
    """`contact` is told to the site with every request: whom to ask about this automation."""

    executable: Path | None = None
    contact: str = ""


@dataclass(frozen=True, slots=True)
class HandoverConfig:
    """Where the page listens on which a person answers a challenge. `url`: the origin they reach it by, if another."""

    host: str = "127.0.0.1"
    port: int = 8642
    url: str = ""


@dataclass(frozen=True, slots=True)
class BackupConfig:
    """`keep` is how many of each age are kept; empty keeps all."""

    to: Path
    keep: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NotifyConfig:
    """`urls` carry tokens, so they are never shown."""

    urls: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. `path` is its file; `not_yet` names what stands in it and does nothing yet.

    `echoes` are the URLs of services that say what address they see, in the order in which they are asked.
    """

    path: Path
    archive: ArchiveConfig
    schedule: ScheduleConfig
    accounts: tuple[AccountConfig, ...] = ()
    browser: BrowserConfig = BrowserConfig()
    backup: BackupConfig | None = None
    notify: NotifyConfig | None = None
    not_yet: tuple[str, ...] = ()
    echoes: tuple[str, ...] = ()
    handover: HandoverConfig | None = None


MARKETPLACES = frozenset("AE AU BE BR CA DE EG ES FR IE IN IT JP MX NL PL SA SE SG TR UK US".split())
"""Every marketplace Seller Central serves, by its two-letter code."""

DEFAULT_SYNC = "17 6,18 * * *"


# --- finding and reading the file -------------------------------------------------------------------------------


def example() -> str:
    """The commented configuration that `archiver init` writes."""
    from importlib.resources import files

    return files("archiver").joinpath("config.example.toml").read_text(encoding="utf-8")


def find(explicit: Path | None, environ: Mapping[str, str]) -> Path:
    """The configuration file: the one named, else $ARCHIVER_CONFIG, ./config.toml, /etc/archiver/config.toml.

    Raises UsageError where there is none. One that is named and missing is a mistake, not a reason to look further.
    """
    named = [(explicit, "--config")] if explicit else []
    if not named and environ.get("ARCHIVER_CONFIG"):
        named = [(Path(environ["ARCHIVER_CONFIG"]), "$ARCHIVER_CONFIG")]
    for path, by in named:
        if not _is_there(path):
            raise UsageError(f"There is no file {path}, which {by} names.", hint="Correct it, or run `archiver init`.")
        return path
    usual = (Path("config.toml"), Path("/etc/archiver/config.toml"))
    for path in usual:
        if _is_there(path):
            return path
    raise UsageError(
        f"There is no configuration: neither {usual[0]} here nor {usual[1]}.",
        hint="Run `archiver init` to make one, or name yours with --config.",
    )


def _is_there(path: Path) -> bool:
    try:
        # A pipe will do (`--config <(…)`).
        return not stat.S_ISDIR(path.stat().st_mode)
    except PermissionError:
        # It may well be there; reading it will say what is wrong.
        return True
    except OSError:
        return False


def load(path: Path) -> Config:
    """Read and check one configuration file. Raises ConfigError that names every problem."""
    try:
        # A byte order mark, as Windows editors write, is not a mistake anyone can see.
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.", hint="Correct the path, or the file's permissions."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text.", hint="Save it as UTF-8.") from error
    return parse(text, path)


def parse(text: str, path: Path) -> Config:
    """The configuration in `text`, which stands at `path`: messages name it, and relative paths start there."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        _refuse(path, [_syntax_problem(str(error), text)])
    problems = _Problems(text)
    config = _config(_Table(tree, (), problems, _folder(path)), path)
    if problems.found or config is None:
        _refuse(path, problems.in_order())
    return config


def _folder(path: Path) -> Path:
    return Path(os.path.abspath(path)).parent


Problem = tuple[int, str]
"""A line number (0: the file as a whole) and what is wrong there."""


def _refuse(path: Path, problems: Sequence[Problem]) -> NoReturn:
    sentences = [f"line {line}: {sentence}" if line else sentence for line, sentence in problems]
    if len(sentences) == 1:
        raise ConfigError(f"{path}, {sentences[0]}", hint="Correct it and try again.")
    listed = "".join(f"\n  {sentence}" for sentence in sentences)
    raise ConfigError(f"{path} has {len(sentences)} problems:{listed}\n", hint="Correct them and try again.")


_AT_LINE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def _syntax_problem(message: str, text: str) -> Problem:
    """tomllib's error as a problem. Its message may quote one character or a key, never a value."""
    found = _AT_LINE.search(message)
    line = int(found[1]) if found and found[1] else len(text.splitlines()) or 1
    where = f" at column {found[2]}" if found and found[2] else ""
    what = _AT_LINE.sub("", message)
    return line, f"this is not TOML: {what[:1].lower()}{what[1:]}{where}."


# --- the sections -----------------------------------------------------------------------------------------------


def _config(top: _Table, path: Path) -> Config | None:
    top.allow("archive", "schedule", "account", "browser", "egress", "handover", "backup", "notify")
    archive = _archive(top.table("archive"))
    schedule_table = top.table("schedule")
    schedule = _schedule(schedule_table)
    egress = top.table("egress")
    echoes = _echoes(egress)
    tables = top.tables("account")
    accounts = [_account(table) for table in tables]
    _check_names_differ(accounts, top)
    for table in tables:
        if table.has("egress_ip") and not egress.has("echo"):
            table.problem("egress_ip", _NO_ECHO)
    browser = _browser(top.table("browser"))
    backup = _backup(top.table("backup"))
    notify = _notify(top.table("notify"))
    if archive is None or schedule is None:
        return None
    return Config(
        path=Path(os.path.abspath(path)),
        archive=archive,
        schedule=schedule,
        accounts=tuple(account for account in accounts if account is not None),
        browser=browser,
        backup=backup,
        notify=notify,
        not_yet=_not_yet(top, schedule_table),
        echoes=echoes,
        handover=_handover(top.table("handover")),
    )


def _archive(table: _Table) -> ArchiveConfig | None:
    table.allow("path", "key")
    path = table.required("path", table.path)
    key = table.table("key", like='{ file = "archive.key" }')
    key.allow("credential", "file", "command")
    credential = key.text("credential")
    if credential and ("/" in credential or credential in (".", "..")):
        key.problem("credential", "is the name of a systemd credential, not a path")
    file = key.path("file")
    command = key.texts("command", like='["pass", "show", "archiver"]')
    if key.has("command") and command is not None and not any(command[:1]):
        key.problem("command", "names no program")
    for other in [name for name in ("credential", "file", "command") if key.has(name)][1:]:
        key.problem(other, "contradicts the other way to the key in the same line: keep one")
    return ArchiveConfig(path, KeyConfig(credential or "", file, command or ())) if path else None


def _schedule(table: _Table) -> ScheduleConfig | None:
    table.allow("timezone", "sync", "backup", "accounts_at_once")
    timezone = table.text("timezone")
    if timezone is not None:
        _check_timezone(timezone, table)
    sync = _cron(table, "sync") if table.has("sync") else cron(DEFAULT_SYNC)
    backup = _cron(table, "backup") if table.has("backup") else None
    at_once = table.number("accounts_at_once", at_least=1)
    return ScheduleConfig(sync, timezone, backup, 2 if at_once is None else at_once) if sync else None


def _check_timezone(name: str, table: _Table) -> None:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        table.problem("timezone", f"names no time zone: {_shown(name)}{_nearest(name, available_timezones())}")


def _cron(table: _Table, key: str) -> Cron | None:
    text = table.text(key)
    if text is None:
        return None
    try:
        return cron(text)
    except ValueError as error:
        table.problem(key, f"is not a schedule: {error}")
        return None


_ACCOUNT_NAME = re.compile(r"\w[\w.-]{0,63}")
_ELSEWHERE = "`archiver account add` keeps it in the encrypted archive"
_PROXY_SIGN_IN = "`archiver account proxy` keeps it in the encrypted archive"
_NO_ECHO = (
    "needs a service that says what address it sees, and no stranger is asked unbidden: name one with `echo` in "
    "[egress]; `archiver echo` runs one on a server of yours"
)


def _account(table: _Table) -> AccountConfig | None:
    table.allow(
        "name", "site", "marketplaces", "sources", "label", "retention_days", "egress_ip", "proxy",
        "requests",
        elsewhere={"email": _ELSEWHERE, "login": _ELSEWHERE, "user": _ELSEWHERE, "username": _ELSEWHERE},
    )  # fmt: skip
    name = table.required("name", table.text)
    if name is not None and not _ACCOUNT_NAME.fullmatch(name):
        table.problem("name", "takes letters, digits, `.`, `_` and `-`, at most 64, and begins with a letter or digit")
    site = table.required("site", table.text)
    origin = _origin(site, table) if site is not None else None
    marketplaces = table.required("marketplaces", table.texts, like='["UK", "DE"]')
    if marketplaces is not None:
        _check_chosen("marketplaces", marketplaces, MARKETPLACES, table)
    sources = table.texts("sources", like='["cases", "buyer-messages"]')
    if sources is not None:
        _check_chosen("sources", sources, tuple(Source), table)
    retention_days = table.number("retention_days", at_least=1)
    egress = _egress(table)
    proxy = _proxy(table)
    label = table.text("label")
    requests = table.table("requests", like="{ minute = 600, hour = 12000, day = 100000 }")
    spans = ("minute", "hour", "day")
    requests.allow(*spans)
    limits = {span: requests.number(span, at_least=1) for span in spans}
    if name is None or origin is None or marketplaces is None:
        return None
    return AccountConfig(
        name=name,
        site=origin,
        marketplaces=marketplaces,
        sources=tuple(Source(s) for s in sources if s in tuple(Source)) if sources is not None else tuple(Source),
        label=label or "",
        retention_days=90 if retention_days is None else retention_days,
        requests=tuple((span, limit) for span, limit in limits.items() if limit is not None),
        egress=egress,
        proxy=proxy,
    )


def _check_names_differ(accounts: Sequence[AccountConfig | None], top: _Table) -> None:
    first: dict[str, int] = {}
    for index, account in enumerate(accounts):
        if account is None:
            continue
        # Folded: names end up in file names and are typed by people.
        before = first.setdefault(account.name.casefold(), index)
        if before != index:
            there = top.problems.line(("account", before, "name"))
            top.problems.add(
                ("account", index, "name"), f"`name` {_shown(account.name)} is taken by the account in line {there}"
            )


def _egress(table: _Table) -> tuple[IPv4Address | IPv6Address, ...]:
    like = '"203.0.113.7", or ["203.0.113.7", "2001:db8::7"] where there are several'
    addresses = []
    for index, text in enumerate(table.one_or_more("egress_ip", like=like)):
        try:
            address = ip_address(text)
        except ValueError:
            table.problem("egress_ip", f"is not an address: {_shown(text)}; write it like {like}", index)
            continue
        # As a socket that speaks both shows an IPv4 peer.
        addresses.append((address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address)
    return tuple(addresses)


_PROXIES: Mapping[str, Literal["http", "https", "socks5"]] = {
    "http": "http",
    "https": "https",
    "socks5": "socks5",
    # curl's two names for SOCKS5 differ in who resolves names. Here it is always the proxy.
    "socks5h": "socks5",
}


def _proxy(table: _Table) -> ProxyConfig | None:
    text = table.text("proxy")
    if text is None:
        return None
    like = 'write it like "socks5://10.0.0.5:1080" or "http://10.0.0.5:3128"'
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        table.problem("proxy", f"is not an address: {like}")
        return None
    scheme = _PROXIES.get(parts.scheme)
    if "@" in text:
        table.problem("proxy", f"holds a name or password, and no secret belongs in this file: {_PROXY_SIGN_IN}")
    elif scheme is None:
        table.problem("proxy", f"is none that is known here (http, https, socks5): {like}")
    elif not host or not port or not _is_plain(text):
        table.problem("proxy", f"needs a host and a port: {like}")
    elif parts.path not in ("", "/") or parts.query or parts.fragment:
        table.problem("proxy", f"takes no path: {like}")
    else:
        return ProxyConfig(scheme, host, port)
    return None


def _echoes(table: _Table) -> tuple[str, ...]:
    """The URLs as the browser will write them, because the guard compares."""
    table.allow("echo")
    like = '"https://echo.example.com/"'
    if table.present and not table.has("echo"):
        table.problems.add(table.at, f"[egress] names no `echo`, a service that says what address it sees, like {like}")
    echoes = []
    for index, text in enumerate(table.one_or_more("echo", like=like)):
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            table.problem("echo", f"is not an address: write it like {like}", index)
            continue
        problem = ""
        if "@" in text:
            problem = f"holds a name or password, and no secret belongs in this file: write it like {like}"
        elif parts.scheme not in ("http", "https") or not host or parts.fragment or not _is_plain(text):
            problem = f"is not an https address: write it like {like}"
        elif parts.scheme == "http" and not _is_loopback(host):
            problem = "must be https: over http anybody on the way could answer"
        if problem:
            table.problem("echo", problem, index)
            continue
        bracketed = f"[{host}]" if ":" in host else host
        default = {"http": 80, "https": 443}[parts.scheme]
        netloc = bracketed + (f":{port}" if port is not None and port != default else "")
        echoes.append(parts._replace(netloc=netloc, path=parts.path or "/").geturl())
    return tuple(echoes)


def _is_plain(text: str) -> bool:
    """Whether it has only characters that nobody writes in another way: printable ASCII, no space."""
    return text.isascii() and text.isprintable() and " " not in text


def _origin(site: str, table: _Table) -> str | None:
    like = 'write it like "https://sellercentral-europe.amazon.com"'
    try:
        parts = urlsplit(site)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        table.problem("site", f"is not an address: {like}")
        return None
    problem = _origin_problem(parts, host, site, like)
    if problem:
        table.problem("site", problem)
        return None
    bracketed = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{bracketed}" + (f":{port}" if port is not None and port != default else "")


def _origin_problem(parts: SplitResult, host: str, site: str, like: str) -> str:
    if parts.username is not None or parts.password is not None:
        return f"holds a name or password, and no secret belongs in this file: {like}"
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() for c in site):
        return f"is not an https address: {like}"
    if parts.path not in ("", "/") or parts.query or parts.fragment or site.endswith(("?", "#")):
        return f"is the address of the site alone, without a path: write {parts.scheme}://{parts.netloc}"
    if parts.scheme == "http" and not _is_loopback(host):
        return "would send the password in clear: http is for this machine only, so write https"
    return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


_LATER_SOURCES = {"account-health": "cannot be captured by this version: remove it, or wait for the version that can"}


def _check_chosen(key: str, chosen: Sequence[str], known: Collection[str], table: _Table) -> None:
    if not chosen:
        table.problem(key, f"is empty: name at least one of {', '.join(sorted(known))}")
    for index, name in enumerate(chosen):
        if name in chosen[:index]:
            table.problem(key, f"names {_shown(name)} twice", index)
        elif key == "sources" and name in _LATER_SOURCES:
            table.problem(key, f"names {_shown(name)}, which {_LATER_SOURCES[name]}", index)
        elif name not in known:
            near = "; it is called `UK`" if name.upper() == "GB" else _nearest(name, known)
            near = near or f"; there are {', '.join(sorted(known))}"
            table.problem(key, f"names {_shown(name)}, which is not one{near}", index)


def _browser(table: _Table) -> BrowserConfig:
    table.allow("executable", "contact")
    contact = table.text("contact") or ""
    if contact and not _CONTACT.fullmatch(contact):
        table.problem("contact", 'goes into the User-Agent: an address or a URL without spaces, as "ops@example.com"')
        contact = ""
    return BrowserConfig(table.path("executable"), contact)


_CONTACT = re.compile(r"[!-'*-:<-\[\]-~]{3,100}")
"""Printable ASCII but for what ends a comment in a User-Agent, or stands for something there: ( ) ; and backslash."""


_IN_THE_CLEAR = (
    "would show the sign-in to others on the network in the clear: keep it on 127.0.0.1, or put a web server with TLS "
    'before it and name that with `url`, like "https://archiver.example.com"'
)


def _handover(table: _Table) -> HandoverConfig | None:
    table.allow("listen", "url")
    if not table.present:
        return None
    host, port = _listen(table)
    url = _https_origin(table)
    if table.has("listen") and not url and not ip_address(host).is_loopback:
        table.problem("listen", _IN_THE_CLEAR)
    return HandoverConfig(host, port, url)


def _listen(table: _Table) -> tuple[str, int]:
    there = HandoverConfig()
    text = table.text("listen")
    if text is None:
        return there.host, there.port
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        if not colon or not 0 < int(port) < 65536:
            raise ValueError
        return str(ip_address(host)), int(port)
    except ValueError:
        table.problem("listen", 'is not an address of this machine: write it like "127.0.0.1:8642"')
        return there.host, there.port


def _https_origin(table: _Table) -> str:
    text = table.text("url")
    if text is None:
        return ""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.path.strip("/") or parts.query:
        table.problem("url", 'is not an https address without a path: write it like "https://archiver.example.com"')
        return ""
    # As a browser writes it in Host and Origin.
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"https://{host}" + (f":{port}" if port not in (None, 443) else "")


def _backup(table: _Table) -> BackupConfig | None:
    table.allow("to", "keep")
    keep = table.table("keep", like="{ daily = 7, weekly = 5, monthly = 24 }")
    ages = ("daily", "weekly", "monthly")
    keep.allow(*ages)
    counts = {age: keep.number(age, at_least=0) for age in ages}
    to = table.required("to", table.path) if table.present else None
    return BackupConfig(to, {age: n for age, n in counts.items() if n is not None}) if to else None


def _notify(table: _Table) -> NotifyConfig | None:
    table.allow("urls")
    urls = table.texts("urls", like='["mailto://…"]')
    return NotifyConfig(urls or ()) if table.present else None


def _not_yet(top: _Table, schedule: _Table) -> tuple[str, ...]:
    waiting = (
        (top, "backup", "[backup] does nothing yet: this version makes no backups."),
        (top, "notify", "[notify] does nothing yet: this version tells nobody."),
        (schedule, "backup", "`backup` in [schedule] does nothing yet: this version makes no backups."),
    )
    return tuple(
        f"line {top.problems.line((*table.at, key))}: {sentence}" for table, key, sentence in waiting if table.has(key)
    )


# --- schedules --------------------------------------------------------------------------------------------------

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)


def cron(text: str) -> Cron:
    """A schedule from cron's five fields. Raises ValueError with a sentence that says which field, and why."""
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(
            f"it has {len(fields)} field{'' if len(fields) == 1 else 's'} and takes five: "
            "minute, hour, day of the month, month, day of the week"
        )
    values = [_cron_field(field.lower(), *spec) for field, spec in zip(fields, _FIELDS, strict=True)]
    if len(values[2]) < 31 and len({number % 7 for number in values[4]}) < 7:
        # cron runs on either, other schedulers where both agree: a schedule must not mean two things.
        raise ValueError("it names both a day of the month and a day of the week: name one of them")
    minute, hour, day, month = (
        "*" if len(numbers) == last - first + 1 else ",".join(map(str, numbers))
        for numbers, (_, first, last, _names) in zip(values[:4], _FIELDS[:4], strict=True)
    )
    days = sorted({number % 7 for number in values[4]})
    return Cron(text, minute, hour, day, month, "*" if len(days) == 7 else ",".join(_DAYS[d] for d in days))


def _cron_field(text: str, name: str, first: int, last: int, names: tuple[str, ...]) -> list[int]:
    """The numbers one field stands for, in order."""
    numbers: set[int] = set()
    for part in text.split(","):
        reach, slash, step = part.partition("/")
        start, dash, end = reach.partition("-")
        if reach == "*":
            low, high = first, last
        else:
            low = _cron_number(start, name, first, last, names)
            high = _cron_number(end, name, first, last, names) if dash else low
        if high < low:
            raise ValueError(f"in the {name}, {reach} runs backwards")
        if slash and not (step.isascii() and step.isdigit() and 1 <= int(step) <= last):
            raise ValueError(f"in the {name}, a step is a number from 1 to {last}")
        if slash and reach != "*" and not dash:
            raise ValueError(f"in the {name}, {part} has a step and no range: write {start}-{last}/{step}")
        numbers.update(range(low, high + 1, int(step) if slash else 1))
    return sorted(numbers)


def _cron_number(text: str, name: str, first: int, last: int, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text) + first
    if text.isascii() and text.isdigit() and first <= int(text) <= last:
        return int(text)
    also = f", or {names[0]} to {names[-1]}" if names else ""
    raise ValueError(f"the {name} is {_shown(text)} and takes {first} to {last}{also}")


# --- problems ---------------------------------------------------------------------------------------------------

Place = tuple[str | int, ...]
"""Where something stands: ("account", 0, "site"), ("archive", "key", "file")."""


class _Problems:
    """Every problem of one file. Lines are looked up only where there is something to say."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: dict[Place, int] | None = None
        self.found: list[Problem] = []

    def line(self, at: Place) -> int:
        """The line of `at`, or of the nearest thing around it; 0 for what stands nowhere."""
        if self._lines is None:
            self._lines = line_numbers(self._text)
        while at and at not in self._lines:
            at = at[:-1]
        return self._lines[at] if at else 0

    def add(self, at: Place, sentence: str) -> None:
        self.found.append((self.line(at), sentence if sentence.endswith("?") else sentence + "."))

    def in_order(self) -> list[Problem]:
        return sorted(self.found, key=lambda problem: problem[0])


_SECRET_WORDS = re.compile(
    r"passwo?r?[dt]|passphrase|secret|totp|token|cookie|(?:api|private)[_-]?key|(?:^|[_-])(?:pwd|pin|otp)(?:$|[_-])",
    re.IGNORECASE,
)
_TYPES: dict[type, str] = {str: "text in quotes", int: "a whole number", list: "a list", dict: "a table"}


class _Table:
    """One table of the file, asked for its values one by one. What is wrong becomes a problem and reads as absent."""

    def __init__(
        self, values: Mapping[str, Any], at: Place, problems: _Problems, folder: Path, *, present: bool = True
    ) -> None:
        self.values, self.at, self.problems, self.folder, self.present = values, at, problems, folder, present

    def has(self, key: str) -> bool:
        return key in self.values

    def problem(self, key: str, sentence: str, *further: int) -> None:
        self.problems.add((*self.at, key, *further), f"`{key}` {sentence}")

    def allow(self, *known: str, elsewhere: Mapping[str, str] | None = None) -> None:
        """Complain about every key that is not one of these. `elsewhere`: where a well-meant one belongs."""
        for key in self.values:
            if key in known:
                continue
            if _SECRET_WORDS.search(key):
                belongs = "leave `key` out to be asked" if "key" in self.at else _ELSEWHERE
                self.problem(key, f"looks like a secret, and no secret belongs in this file: {belongs}")
            elif elsewhere and key in elsewhere:
                self.problem(key, f"does not belong in this file: {elsewhere[key]}")
            else:
                near = _nearest(key, known) or f"; there are {', '.join(f'`{k}`' for k in known)}"
                self.problem(key, f"is not a setting{self._place()}{near}")

    def _place(self) -> str:
        names = [str(part) for part in self.at if isinstance(part, str)]
        if not names:
            return ""
        return f" of [[{names[0]}]]" if names[0] == "account" else f" of [{'.'.join(names)}]"

    def required(self, key: str, read: Callable[..., T | None], **more: str) -> T | None:
        if key not in self.values:
            self.problems.add(self.at, f"`{key}`{self._place()} is missing")
            return None
        return read(key, **more)

    def _value(self, key: str, kind: type, like: str = "") -> Any:
        value = self.values.get(key)
        # bool is an int in Python and not in TOML.
        if value is None or (isinstance(value, kind) and not isinstance(value, bool)):
            return value
        self.problem(key, f"must be {_TYPES[kind]}" + (f", like {like}" if like else ""))
        return None

    def text(self, key: str) -> str | None:
        value = self._value(key, str)
        if value is not None and not value.strip():
            self.problem(key, "is empty")
            return None
        return None if value is None else str(value)

    def number(self, key: str, *, at_least: int) -> int | None:
        value = self._value(key, int)
        if value is not None and value < at_least:
            self.problem(key, f"must be {at_least} or more")
            return None
        return None if value is None else int(value)

    def path(self, key: str) -> Path | None:
        text = self.text(key)
        if text is None:
            return None
        try:
            return Path(os.path.abspath(self.folder / Path(text).expanduser()))
        except (RuntimeError, ValueError):  # no such user's home; a NUL
            self.problem(key, "is not a path")
            return None

    def texts(self, key: str, *, like: str) -> tuple[str, ...] | None:
        values = self._value(key, list, like)
        if values is None:
            return None
        for index, value in enumerate(values):
            if not isinstance(value, str):
                self.problem(key, f"must be a list of texts in quotes, like {like}", index)
                return None
        return tuple(values)

    def one_or_more(self, key: str, *, like: str) -> tuple[str, ...]:
        """A text, or a list of them; empty where there is nothing, and where what stands there is something else."""
        value = self.values.get(key, ())
        values = [value] if isinstance(value, str) else value
        if self.has(key) and (not isinstance(values, list) or not all(isinstance(text, str) for text in values)):
            self.problem(key, f"must be text in quotes, or a list of them, like {like}")
            return ()
        if self.has(key) and not values:
            self.problem(key, f"is empty: write it like {like}, or remove the line")
        return tuple(values)

    def table(self, key: str, *, like: str = "") -> _Table:
        """The table under `key`; an empty one that is not `present` where there is none."""
        values = self._value(key, dict, like or f"[{key}]")
        return _Table(values or {}, (*self.at, key), self.problems, self.folder, present=key in self.values)

    def tables(self, key: str) -> list[_Table]:
        """The tables of an array `[[key]]`."""
        values = self.values.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            self.problem(key, f"is written with two brackets, as there may be several: [[{key}]]")
            return []
        return [_Table(value, (*self.at, key, i), self.problems, self.folder) for i, value in enumerate(values)]


def _nearest(word: str, known: Collection[str]) -> str:
    from difflib import get_close_matches

    by_folded = {name.casefold(): name for name in known}
    found = get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return f"; did you mean `{by_folded[found[0]]}`?" if found else ""


def _shown(text: str) -> str:
    """A value in a message, short and in quotes."""
    return repr(text if len(text) <= 40 else text[:39] + "…")


# --- which line something stands in -----------------------------------------------------------------------------

# tomllib tells values and not their lines. It has checked the text before, so this may believe that it is TOML.
_PIECE = r"""
      (?P<string>\"\"\"(?:\\.|[^\\])*?\"{3,5}|'''.*?'{3,5}|"(?:\\.|[^"\\])*"|'[^']*')
    | (?P<comment>\#[^\n]*)
    | (?P<newline>\n)
    | (?P<space>[ \t\r]+)
    | (?P<mark>\[\[|\]\]|[\[\]{}=,.])
    | (?P<bare>[^\s\[\]{}=,.\#"']+)
    """


def line_numbers(text: str) -> dict[Place, int]:
    """The line of every table, key and element of a valid TOML text: where its header or first key stands."""
    return _Scanner(text.replace("\r\n", "\n")).lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.lines: dict[Place, int] = {}
        self.tokens: list[tuple[str, str, int]] = []
        line = 1
        for token in re.finditer(_PIECE, text, re.VERBOSE | re.DOTALL):
            kind = token.lastgroup or ""
            if kind not in ("comment", "space"):
                self.tokens.append((kind, token[0], line))
            line += token[0].count("\n")
        self.tokens.append(("end", "", line))
        self.next = 0
        self._document()

    def _peek(self) -> str:
        return self.tokens[self.next][1]

    def _take(self) -> tuple[str, str, int]:
        token = self.tokens[self.next]
        self.next += 1
        return token

    def _skip_newlines(self) -> None:
        while self._peek() == "\n":
            self.next += 1

    def _note(self, at: Place, line: int) -> None:
        for end in range(1, len(at) + 1):
            self.lines.setdefault(at[:end], line)

    def _document(self) -> None:
        table: Place = ()
        arrays: dict[Place, int] = {}
        while True:
            self._skip_newlines()
            kind, mark, line = self.tokens[self.next]
            if kind == "end":
                return
            if mark in ("[", "[["):
                self.next += 1
                key = self._key()
                self.next += 1  # the closing brackets
                # A header goes through the newest element of every array on its way.
                table = ()
                for position, part in enumerate(key):
                    table = (*table, part)
                    last = position == len(key) - 1
                    if mark == "[[" and last:
                        arrays[table] = arrays.get(table, -1) + 1
                    if table in arrays:
                        table = (*table, arrays[table])
                self._note(table, line)
            else:
                self._pair(table)

    def _key(self) -> Place:
        parts: list[str | int] = []
        while True:
            kind, text, _ = self._take()
            parts.append(_unquoted(text) if kind == "string" else text)
            if self._peek() != ".":
                return tuple(parts)
            self.next += 1

    def _pair(self, table: Place) -> None:
        line = self.tokens[self.next][2]
        at = (*table, *self._key())
        self._note(at, line)
        self.next += 1  # the equals sign
        self._value(at)

    def _value(self, at: Place) -> None:
        mark = self._peek()
        # Where an array begins with an array, its brackets read like those of a header.
        if mark in ("[", "[["):
            self._array(at, nested=mark == "[[")
        elif mark == "{":
            self._inline_table(at)
        else:
            # 1979-05-27 07:32:00.5 and 1.5 are several tokens.
            while self._peek() not in (",", "]", "]]", "}", "\n", ""):
                self.next += 1

    def _array(self, at: Place, *, nested: bool) -> None:
        if nested:
            kind, _, line = self.tokens[self.next]
            self.tokens[self.next : self.next + 1] = [(kind, "[", line), (kind, "[", line)]
        self.next += 1
        index = 0
        while True:
            self._skip_newlines()
            self._split_closing()
            if self._peek() == "]":
                self.next += 1
                return
            if self._peek() == ",":
                self.next += 1
                continue
            self._note((*at, index), self.tokens[self.next][2])
            self._value((*at, index))
            index += 1

    def _split_closing(self) -> None:
        kind, mark, line = self.tokens[self.next]
        if mark == "]]":
            self.tokens[self.next : self.next + 1] = [(kind, "]", line), (kind, "]", line)]

    def _inline_table(self, at: Place) -> None:
        self.next += 1
        while True:
            self._skip_newlines()
            if self._peek() == "}":
                self.next += 1
                return
            if self._peek() == ",":
                self.next += 1
                continue
            self._pair(at)


def _unquoted(key: str) -> str:
    """A quoted key as tomllib reads it."""
    return next(iter(tomllib.loads(f"{key} = 0")))
