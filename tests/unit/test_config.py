"""The configuration: what it says, and what it says when it cannot be meant."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import astuple
from pathlib import Path

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given
from hypothesis import strategies as st

from archiver import config
from archiver.config import (
    AccountConfig,
    ArchiveConfig,
    BrowserConfig,
    Config,
    KeyConfig,
    NotifyConfig,
    cron,
    line_numbers,
)
from archiver.errors import ConfigError, Exit, UsageError
from archiver.model import Source

HERE = Path("/srv/shop/config.toml")
ACCOUNT = """
[[account]]
name = "acme-eu"
site = "https://sellercentral-europe.amazon.com"
marketplaces = ["UK", "DE"]
"""
ARCHIVE = '[archive]\npath = "archive"\n'


def parsed(text: str) -> Config:
    return config.parse(text, HERE)


def problems(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    return caught.value.message


def account_with(line: str) -> str:
    """A configuration whose line 7 is `line`."""
    return ARCHIVE + ACCOUNT.strip() + f"\n{line}\n"


def test_a_short_configuration_is_filled_with_defaults() -> None:
    found = parsed(ARCHIVE + ACCOUNT)

    assert found == Config(
        path=HERE,
        archive=ArchiveConfig(Path("/srv/shop/archive"), KeyConfig()),
        schedule=config.ScheduleConfig(sync=cron("17 6,18 * * *")),
        accounts=(
            AccountConfig(
                name="acme-eu",
                site="https://sellercentral-europe.amazon.com",
                marketplaces=("UK", "DE"),
                sources=(Source.CASES, Source.BUYER_MESSAGES, Source.PERFORMANCE_NOTIFICATIONS),
                label="",
                retention_days=90,
            ),
        ),
        browser=BrowserConfig(None),
    )


def test_every_setting_is_read() -> None:
    found = parsed(
        """
        [archive]
        path = "/var/lib/archiver"
        key = { command = ["pass", "show", "archiver"] }
        [schedule]
        timezone = "Asia/Shanghai"
        sync = "*/30 * * * mon-fri"
        [[account]]
        name = "美国店"
        site = "https://sellercentral.amazon.com/"
        marketplaces = ["US"]
        sources = ["cases"]
        label = "Acme Inc."
        retention_days = 120
        [browser]
        executable = "bin/chromium"
        contact = "ops@shop.example"
        """
    )

    assert found == Config(
        path=HERE,
        archive=ArchiveConfig(Path("/var/lib/archiver"), KeyConfig(command=("pass", "show", "archiver"))),
        schedule=config.ScheduleConfig(cron("*/30 * * * mon-fri"), "Asia/Shanghai"),
        accounts=(
            AccountConfig("美国店", "https://sellercentral.amazon.com", ("US",), (Source.CASES,), "Acme Inc.", 120),
        ),
        browser=BrowserConfig(Path("/srv/shop/bin/chromium"), "ops@shop.example"),
    )


def test_relative_paths_start_at_the_folder_of_the_file() -> None:
    found = parsed('[archive]\npath = "../data"\nkey = { file = "k" }\n').archive

    assert found == ArchiveConfig(Path("/srv/data"), KeyConfig(file=Path("/srv/shop/k")))


def test_a_tilde_is_the_home_folder() -> None:
    found = parsed('[archive]\npath = "~/archive"\n').archive.path

    assert found == Path.home() / "archive"


def test_every_problem_is_named_at_once_with_its_line() -> None:
    found = problems(
        """[archive]
pth = "archive"
[schedule]
sync = "61 * * * *"
timezone = "Asia/Shanghia"
[[account]]
name = "acme"
site = "https://sellercentral.amazon.com/home"
marketplaces = ["UK",
  "XX"]
[brwoser]
"""
    )

    assert found == (
        "/srv/shop/config.toml has 7 problems:\n"
        "  line 1: `path` of [archive] is missing.\n"
        "  line 2: `pth` is not a setting of [archive]; did you mean `path`?\n"
        "  line 4: `sync` is not a schedule: the minute is '61' and takes 0 to 59.\n"
        "  line 5: `timezone` names no time zone: 'Asia/Shanghia'; did you mean `Asia/Shanghai`?\n"
        "  line 8: `site` is the address of the site alone, without a path: write https://sellercentral.amazon.com.\n"
        "  line 10: `marketplaces` names 'XX', which is not one; there are AE, AU, BE, BR, CA, DE, EG, ES, FR, IE, IN, "
        "IT, JP, MX, NL, PL, SA, SE, SG, TR, UK, US.\n"
        "  line 11: `brwoser` is not a setting; did you mean `browser`?\n"
    )


@pytest.mark.parametrize(
    "line, sentence",
    [
        ("label = 7", "line 7: `label` must be text in quotes."),
        ('retention_days = "90"', "line 7: `retention_days` must be a whole number."),
        ("retention_days = true", "line 7: `retention_days` must be a whole number."),
        ("retention_days = 0", "line 7: `retention_days` must be 1 or more."),
        ("sources = []", "line 7: `sources` is empty: name at least one of"),
        ('sources = "cases"', 'line 7: `sources` must be a list, like ["cases", "buyer-messages"].'),
        ("sources = [1]", "line 7: `sources` must be a list of texts in quotes"),
        ('sources = ["case"]', "line 7: `sources` names 'case', which is not one; did you mean `cases`?"),
        ('sources = ["cases", "cases"]', "line 7: `sources` names 'cases' twice."),
        ('sources = ["account-health"]', "which cannot be captured by this version"),
        ("egress_ip = 7", 'line 7: `egress_ip` must be text in quotes, or a list of them, like "203.0.113.7"'),
        ('egress_ip = ""', "line 7: `egress_ip` is not an address: ''; write it like"),
        ('egress_ip = "seller.example.com"', "line 7: `egress_ip` is not an address: 'seller.example.com'"),
        ('egress_ip = "203.0.113.0/24"', "line 7: `egress_ip` is not an address: '203.0.113.0/24'"),
        ('egress_ip = ["203.0.113.7", 7]', "line 7: `egress_ip` must be text in quotes, or a list of them"),
        ("egress_ip = []", "line 7: `egress_ip` is empty: write it like"),
        ('egress_ip = "203.0.113.7"', "line 7: `egress_ip` needs a service that says what address it sees"),
        ("proxy = 1080", "line 7: `proxy` must be text in quotes."),
        ('proxy = "10.0.0.5:1080"', "line 7: `proxy` is none that is known here (http, https, socks5): write it like"),
        ('proxy = "socks4://10.0.0.5:1080"', "line 7: `proxy` is none that is known here"),
        ('proxy = "socks5://10.0.0.5"', "line 7: `proxy` needs a host and a port: write it like"),
        ('proxy = "socks5://10.0.0.5:0"', "line 7: `proxy` needs a host and a port"),
        ('proxy = "socks5://10.0.0.5:port"', "line 7: `proxy` is not an address: write it like"),
        ('proxy = "http://:3128"', "line 7: `proxy` needs a host and a port"),
        ('proxy = "http://10.0.0.5:3128/path"', "line 7: `proxy` takes no path"),
        ('proxy = "socks5://me:hunter2@10.0.0.5:x"', "line 7: `proxy` is not an address"),
        ('proxy = "socks5://me:hunter2@10.0.0.5:1080"', "`archiver account proxy` keeps it in the encrypted archive"),
        ('email = "a@example.com"', "line 7: `email` does not belong in this file: `archiver account add` keeps it"),
    ],
)
def test_a_mistake_in_an_account_is_told_with_its_line_and_what_was_meant(line: str, sentence: str) -> None:
    found = problems(account_with(line))

    assert sentence in found
    assert "hunter2" not in found


@pytest.mark.parametrize("key", ["password", "Passwort", "totp_secret", "totp", "otp", "api_key", "session-cookie"])
def test_a_secret_is_refused_and_never_repeated(key: str) -> None:
    found = problems(account_with(f'{key} = "hunter2"'))

    assert "line 7: `" + key in found
    assert "no secret belongs in this file: `archiver account add` keeps it in the encrypted archive" in found
    assert "hunter2" not in found


@pytest.mark.parametrize(
    "text", ['key = "hunter2"', 'key = { passphrase = "hunter2" }', 'key = { file = ["hunter2"] }']
)
def test_a_key_written_into_the_file_is_never_repeated(text: str) -> None:
    found = problems(f"{ARCHIVE}{text}\n")

    assert "line 3: " in found
    assert "hunter2" not in found


@pytest.mark.parametrize(
    "site, origin",
    [
        ("https://sellercentral.amazon.de", "https://sellercentral.amazon.de"),
        ("https://SellerCentral.amazon.de/", "https://sellercentral.amazon.de"),
        ("https://sellercentral.amazon.de:443", "https://sellercentral.amazon.de"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("http://localhost:80", "http://localhost"),
        ("http://[::1]:8765", "http://[::1]:8765"),
    ],
)
def test_a_site_is_an_origin(site: str, origin: str) -> None:
    found = parsed(ARCHIVE + ACCOUNT.replace("https://sellercentral-europe.amazon.com", site)).accounts[0].site

    assert found == origin


@pytest.mark.parametrize(
    "site, why",
    [
        ("sellercentral.amazon.de", "is not an https address"),
        ("ftp://sellercentral.amazon.de", "is not an https address"),
        ("https://", "is not an https address"),
        ("https://sellercentral.amazon.de:port", "is not an address"),
        (
            "https://sellercentral.amazon.de/home",
            "is the address of the site alone, without a path: write https://sellercentral.amazon.de",
        ),
        ("https://sellercentral.amazon.de?x=1", "is the address of the site alone"),
        ("http://sellercentral.amazon.de", "would send the password in clear"),
        ("http://127.0.0.1.example.com", "would send the password in clear"),
        ("https://me:hunter2@sellercentral.amazon.de", "holds a name or password"),
    ],
)
def test_what_is_no_origin_is_refused_with_the_reason(site: str, why: str) -> None:
    found = problems(ARCHIVE + ACCOUNT.replace("https://sellercentral-europe.amazon.com", site))

    assert f"line 6: `site` {why}" in found
    assert "hunter2" not in found


@pytest.mark.parametrize(
    "line, addresses",
    [
        ('egress_ip = "203.0.113.7"', ("203.0.113.7",)),
        ('egress_ip = ["203.0.113.7", "2001:DB8:0::7"]', ("203.0.113.7", "2001:db8::7")),
        ('egress_ip = "::ffff:203.0.113.7"', ("203.0.113.7",)),
        ("", ()),
    ],
)
def test_an_account_may_be_pinned_to_addresses(line: str, addresses: tuple[str, ...]) -> None:
    found = parsed(account_with(line) + '[egress]\necho = "https://echo.example.com"\n').accounts[0].egress

    assert tuple(map(str, found)) == addresses


@pytest.mark.parametrize(
    "proxy, meant",
    [
        ("socks5://10.0.0.5:1080", ("socks5", "10.0.0.5", 1080)),
        ("socks5h://Proxy.example.com:1080/", ("socks5", "proxy.example.com", 1080)),
        ("http://[2001:db8::5]:3128", ("http", "2001:db8::5", 3128)),
        ("https://proxy.example.com:443", ("https", "proxy.example.com", 443)),
    ],
)
def test_a_proxy_is_a_scheme_a_host_and_a_port(proxy: str, meant: tuple[str, str, int]) -> None:
    found = parsed(account_with(f'proxy = "{proxy}"')).accounts[0].proxy

    assert found is not None
    assert astuple(found) == meant


@pytest.mark.parametrize(
    "echo, urls",
    [
        ('"https://echo.example.com"', ("https://echo.example.com/",)),
        (
            '["https://Echo.example.com:443/?format=json", "http://127.0.0.1:80"]',
            ("https://echo.example.com/?format=json", "http://127.0.0.1/"),
        ),
        ('"http://[::1]:8765/ip"', ("http://[::1]:8765/ip",)),
    ],
)
def test_an_echo_service_is_named_as_the_browser_will_write_it(echo: str, urls: tuple[str, ...]) -> None:
    found = parsed(ARCHIVE + f"[egress]\necho = {echo}\n").echoes

    assert found == urls


@pytest.mark.parametrize(
    "line, sentence",
    [
        ("", "line 3: [egress] names no `echo`"),
        ("echo = []", "line 4: `echo` is empty: write it like"),
        ("echo = 7", "line 4: `echo` must be text in quotes, or a list of them"),
        ('echo = ["https://a.example", 7]', "line 4: `echo` must be text in quotes, or a list of them"),
        ('echo = "echo.example.com"', "line 4: `echo` is not an https address"),
        ('echo = "https://"', "line 4: `echo` is not an https address"),
        ('echo = "https://écho.example/"', "line 4: `echo` is not an https address"),
        ('echo = "https://echo.example/#ip"', "line 4: `echo` is not an https address"),
        ('echo = "https://echo.example:port/"', "line 4: `echo` is not an address"),
        (
            'echo = "http://echo.example.com/"',
            "line 4: `echo` must be https: over http anybody on the way could answer",
        ),
        ('echo = "https://me:hunter2@echo.example.com/"', "line 4: `echo` holds a name or password"),
        ('ecko = "https://echo.example.com/"', "line 4: `ecko` is not a setting of [egress]; did you mean `echo`?"),
    ],
)
def test_a_mistake_in_the_echo_service_is_told_with_its_line(line: str, sentence: str) -> None:
    found = problems(ARCHIVE + f"[egress]\n{line}\n")

    assert sentence in found
    assert "hunter2" not in found


def test_great_britain_is_told_its_code() -> None:
    found = problems(ARCHIVE + ACCOUNT.replace('"UK"', '"GB"'))

    assert "names 'GB', which is not one; it is called `UK`" in found


def test_two_accounts_with_one_name_are_a_contradiction() -> None:
    found = problems(ARCHIVE + ACCOUNT + ACCOUNT.replace("acme-eu", "ACME-eu"))

    assert "line 10: `name` 'ACME-eu' is taken by the account in line 5." in found


def test_two_ways_to_the_key_are_a_contradiction() -> None:
    found = problems(ARCHIVE + 'key = { credential = "k", file = "f" }\n')

    assert "line 3: `file` contradicts the other way to the key" in found


def test_an_account_in_single_brackets_is_told_to_take_two() -> None:
    found = problems(ARCHIVE + ACCOUNT.replace("[[account]]", "[account]"))

    assert "line 4: `account` is written with two brackets, as there may be several: [[account]]." in found


@pytest.mark.parametrize(
    "text, sentence",
    [
        ('[archive]\npath = "a\n', "line 2: this is not TOML: "),
        ("[archive]\npath = a\n", "line 2: this is not TOML: invalid value at column 8."),
        ("[archive]\n[archive]\n", "line 2: this is not TOML: "),
        ("[archive]\nkey = {", "line 2: this is not TOML: "),
    ],
)
def test_what_is_not_toml_is_told_with_its_line(text: str, sentence: str) -> None:
    found = problems(text)

    assert sentence in found


def test_what_does_nothing_yet_is_said_and_not_refused() -> None:
    found = parsed(
        ARCHIVE + '[schedule]\nbackup = "30 2 * * *"\n[backup]\nto = "/mnt/nas"\nkeep = { daily = 7 }\n'
        '[notify]\nurls = ["mailto://ops:hunter2@example.com"]\n'
    )

    assert found.not_yet == (
        "line 5: [backup] does nothing yet: this version makes no backups.",
        "line 8: [notify] does nothing yet: this version tells nobody.",
        "line 4: `backup` in [schedule] does nothing yet: this version makes no backups.",
    )
    assert found.backup == config.BackupConfig(Path("/mnt/nas"), {"daily": 7})
    assert found.notify == NotifyConfig(("mailto://ops:hunter2@example.com",))
    assert "hunter2" not in repr(found)


# Every setting switched on; of the three ways to the key, which exclude each other, one.
WHOLE = re.sub(r"^#(?!key = \{ [fc][ir])(?=[a-z\[])", "", config.example(), flags=re.MULTILINE)


def test_the_whole_example_is_sound_before_it_is_damaged() -> None:
    assert parsed(WHOLE).archive.key == KeyConfig(command=("pass", "show", "archiver"))


@given(st.data())
def test_whatever_is_damaged_in_a_configuration_is_a_problem_and_never_a_traceback(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(WHOLE)))
    end = start + data.draw(st.integers(0, 30))
    put = data.draw(st.text(alphabet="abé\n =[]{}\"'.,#\\10:-\0", max_size=6))

    try:
        parsed(WHOLE[:start] + put + WHOLE[end:])
    except ConfigError as error:
        assert error.message.startswith("/srv/shop/config.toml")  # noqa: PT017  the point: no other exception


@pytest.mark.parametrize("section", ["archive", "schedule", "browser", "backup", "notify", "account"])
def test_a_section_of_the_wrong_type_is_one_problem(section: str) -> None:
    found = problems(f"{section} = 1\n" + (ARCHIVE if section != "archive" else ""))

    assert f"line 1: `{section}` " in found
    assert found.count(f"`{section}` ") == 1


@pytest.mark.parametrize("contact", ["ops@example.com (night)", "a;b", "ops@example.com\\nHost: x", "运营", "x" * 101])
def test_a_contact_that_would_break_the_user_agent_is_a_problem(contact: str) -> None:
    found = problems(f'{ARCHIVE}[browser]\ncontact = "{contact}"\n')

    assert "`contact` goes into the User-Agent" in found


# --- the file ---------------------------------------------------------------------------------------------------


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (ARCHIVE + ACCOUNT).replace("\n", "\r\n").encode())

    found = config.load(path)

    assert found.archive.path == tmp_path / "archive"


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "config.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError, match=re.escape(str(path))) as caught:
        config.load(path)

    assert caught.value.exit_code == Exit.USAGE
    assert "\n" not in str(caught.value)


def test_the_configuration_is_the_one_named_else_the_variables_else_the_one_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("config.toml", "named.toml", "variable.toml"):
        (tmp_path / name).touch()
    environ = {"ARCHIVER_CONFIG": str(tmp_path / "variable.toml")}

    found = [config.find(Path("named.toml"), environ), config.find(None, environ), config.find(None, {})]

    assert found == [Path("named.toml"), tmp_path / "variable.toml", Path("config.toml")]


@pytest.mark.parametrize("by", ["--config", "$ARCHIVER_CONFIG"])
def test_a_configuration_that_is_named_and_missing_is_not_replaced_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").touch()
    explicit = Path("gone.toml") if by == "--config" else None
    environ = {} if explicit else {"ARCHIVER_CONFIG": "gone.toml"}

    with pytest.raises(UsageError, match=re.escape(f"There is no file gone.toml, which {by} names.")):
        config.find(explicit, environ)


def test_where_there_is_no_configuration_the_hint_is_init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if os.path.exists("/etc/archiver/config.toml"):  # noqa: PTH110  a developer's own
        pytest.skip("this machine has a configuration of its own")

    with pytest.raises(UsageError) as caught:
        config.find(None, {})

    assert "archiver init" in caught.value.hint


# --- schedules --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, fields",
    [
        ("17 6,18 * * *", ("17", "6,18", "*", "*", "*")),
        ("*/20 * * * *", ("0,20,40", "*", "*", "*", "*")),
        ("0 8-18/5 1 jan,JUL *", ("0", "8,13,18", "1", "1,7", "*")),
        ("0 0 * * 0", ("0", "0", "*", "*", "sun")),
        ("0 0 * * 7", ("0", "0", "*", "*", "sun")),
        ("0 0 * * 1-5", ("0", "0", "*", "*", "mon,tue,wed,thu,fri")),
        ("0 0 * * fri-sat", ("0", "0", "*", "*", "fri,sat")),
        ("0 0 * * 0-6", ("0", "0", "*", "*", "*")),
    ],
)
def test_a_schedule_means_what_it_means_to_cron(text: str, fields: tuple[str, ...]) -> None:
    found = cron(text)

    assert astuple(found) == (text, *fields)


@pytest.mark.parametrize(
    "text, why",
    [
        ("17 6,18 * *", "it has 4 fields and takes five"),
        ("@daily", "it has 1 field and takes five"),
        ("60 * * * *", "the minute is '60' and takes 0 to 59"),
        ("* 24 * * *", "the hour is '24' and takes 0 to 23"),
        ("* * 0 * *", "the day of the month is '0' and takes 1 to 31"),
        ("* * * * die", "the day of the week is 'die' and takes 0 to 7, or sun to sat"),
        ("* 18-6 * * *", "in the hour, 18-6 runs backwards"),
        ("*/0 * * * *", "in the minute, a step is a number from 1 to 59"),
        ("5/10 * * * *", "5/10 has a step and no range: write 5-59/10"),
        ("1,,2 * * * *", "the minute is '' and takes 0 to 59"),
        ("0 0 13 * fri", "names both a day of the month and a day of the week"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        cron(text)


def _field(first: int, last: int) -> st.SearchStrategy[str]:
    number = st.integers(first, last)
    reach = st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}")
    stepped = st.tuples(st.one_of(st.just("*"), reach), st.integers(1, last)).map(lambda both: f"{both[0]}/{both[1]}")
    return st.lists(st.one_of(st.just("*"), number.map(str), reach, stepped), min_size=1, max_size=3).map(",".join)


@given(st.tuples(_field(0, 59), _field(0, 23), _field(1, 31), _field(1, 12)))
def test_the_scheduler_takes_every_schedule_the_configuration_takes(fields: tuple[str, ...]) -> None:
    found = cron(" ".join([*fields, "*"]))

    CronTrigger(minute=found.minute, hour=found.hour, day=found.day, month=found.month, day_of_week=found.day_of_week)


@given(_field(0, 7))
def test_the_scheduler_takes_every_day_of_the_week_the_configuration_takes(field: str) -> None:
    found = cron(f"0 0 * * {field}")

    CronTrigger(day_of_week=found.day_of_week)


@given(st.text(alphabet="0123456789*/-, sunmofrijaeb", max_size=20))
def test_any_text_is_a_schedule_or_a_reason(text: str) -> None:
    try:
        cron(text)
    except ValueError as error:
        assert str(error)  # noqa: PT017  the point: no other exception, and a reason


# --- lines ------------------------------------------------------------------------------------------------------


def test_every_key_and_element_has_its_line() -> None:
    text = '''a = 1
"b.c" = [1.5, "]", [["x"],
  [2]]]
[d.e] # a comment with [brackets]
f = { g = "}", h = [
  "one",
  { i = 1 } ] }
j = """
k = 1
"""
[[l]]
m.n = 1979-05-27 07:32:00.5
[[l]]
[l.o]
p = \'\'\'[[q]]\'\'\'
[[l.r]]
s = 1
'''
    tomllib.loads(text)

    found = line_numbers(text)

    assert found == {
        ("a",): 1,
        ("b.c",): 2,
        ("b.c", 0): 2,
        ("b.c", 1): 2,
        ("b.c", 2): 2,
        ("b.c", 2, 0): 2,
        ("b.c", 2, 0, 0): 2,
        ("b.c", 2, 1): 3,
        ("b.c", 2, 1, 0): 3,
        ("d",): 4,
        ("d", "e"): 4,
        ("d", "e", "f"): 5,
        ("d", "e", "f", "g"): 5,
        ("d", "e", "f", "h"): 5,
        ("d", "e", "f", "h", 0): 6,
        ("d", "e", "f", "h", 1): 7,
        ("d", "e", "f", "h", 1, "i"): 7,
        ("d", "e", "j"): 8,
        ("l",): 11,
        ("l", 0): 11,
        ("l", 0, "m"): 12,
        ("l", 0, "m", "n"): 12,
        ("l", 1): 13,
        ("l", 1, "o"): 14,
        ("l", 1, "o", "p"): 15,
        ("l", 1, "r"): 16,
        ("l", 1, "r", 0): 16,
        ("l", 1, "r", 0, "s"): 17,
    }


# --- the example ------------------------------------------------------------------------------------------------


def test_the_example_loads_as_it_is() -> None:
    found = parsed(config.example())

    assert found.archive == ArchiveConfig(Path("/srv/shop/archive"))
    assert found.accounts == ()
    assert found.not_yet == ()


def test_every_setting_that_the_example_has_switched_off_works_when_it_is_switched_on() -> None:
    lines = [re.sub(r"^#(?=[a-z\[])", "", line) for line in config.example().splitlines()]
    keys = [line for line in lines if line.startswith("key = ")]
    rest = [line for line in lines if line not in keys]
    at = rest.index("[schedule]")

    found = [parsed("\n".join([*rest[:at], key, *rest[at:]])) for key in keys]

    assert [f.archive.key for f in found] == [
        KeyConfig(file=Path("/srv/shop/archive.key")),
        KeyConfig(credential="archive-key"),
        KeyConfig(command=("pass", "show", "archiver")),
    ]
    assert [f.accounts[0].label for f in found] == ["Acme Europe Ltd"] * 3
    assert found[0].browser == BrowserConfig(Path("/usr/bin/chromium"), "ops@example.com")
    assert found[0].schedule.timezone == "Asia/Shanghai"
