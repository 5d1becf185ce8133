"""What is typed about the way out: what a proxy is told, and the echo service; each by the real program."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

import archiver
from archiver import config, wiring
from archiver.archive.vault import ProxySignIn
from archiver.errors import Exit
from tests.cli.conftest import CONFIGURATION, PROGRAM, Desk


def test_what_a_proxy_is_told_is_kept_and_forgotten_without_the_sign_in(desk: Desk) -> None:
    desk.config.write_text(CONFIGURATION + 'proxy = "socks5://10.0.0.5:1080"\n')
    kept = desk.run("account", "proxy", "acme", "--user", "me", "--password-file", "-", "--json", typed="hunter2: x\n")
    with wiring.opened_vault(config.load(desk.config)) as vault:
        told = vault.proxy_sign_in("acme")
    forgotten = desk.run("account", "proxy", "acme", "--forget")
    with wiring.opened_vault(config.load(desk.config)) as vault:
        after = vault.proxy_sign_in("acme")

    assert (kept.returncode, json.loads(kept.stdout)) == (0, {"account": "acme", "proxy_sign_in": True})
    assert told == ProxySignIn("me", "hunter2: x")
    assert forgotten.returncode == 0, forgotten.stderr
    assert after is None


@pytest.mark.parametrize(
    "proxy, user, password, sentence",
    [
        ("http://10.0.0.5:3128", "a:b", "x", "The proxy's name has a colon in it"),
        ("socks5://10.0.0.5:1080", "me", "x" * 256, "The proxy's password is longer than the 255 bytes SOCKS5"),
        ("socks5://10.0.0.5:1080", "me", "hunter2\tx", "The proxy's password is empty or has a control character"),
    ],
)
def test_what_no_such_proxy_can_be_told_is_not_kept(
    desk: Desk, proxy: str, user: str, password: str, sentence: str
) -> None:
    desk.config.write_text(CONFIGURATION + f'proxy = "{proxy}"\n')
    ended = desk.run("account", "proxy", "acme", "--user", user, "--password-file", "-", typed=password + "\n")

    assert ended.returncode == Exit.USAGE
    assert sentence in ended.stderr
    assert "hunter2" not in ended.stderr


def test_an_account_that_connects_directly_is_told_so_when_its_proxy_gets_a_password(desk: Desk) -> None:
    ended = desk.run("account", "proxy", "acme", "--user", "me", "--password-file", "-", typed="x\n")

    assert ended.returncode == 0
    assert "acme has no `proxy` in " in ended.stderr


# --- the echo service ------------------------------------------------------------------------------------------


def test_the_echo_service_says_what_address_it_sees_until_it_is_told_to_stop(empty: Desk) -> None:
    with subprocess.Popen(
        [PROGRAM, "echo", "--listen", "[::]:0", "--trust", "127.0.0.2"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=empty.folder,
        env={**os.environ, "PYTHONPATH": str(Path(archiver.__file__).parents[1])},  # the tree these tests look at
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        port = int(re.findall(r"http://\[::\]:(\d+)/", said)[0])
        answers = [
            _asked(port, "127.0.0.3", {"X-Forwarded-For": "203.0.113.7"}),
            _asked(port, "127.0.0.2", {"X-Forwarded-For": "203.0.113.7"}),
            _asked(port, "127.0.0.3", {"Accept": "application/json"}),
            _asked(port, "127.0.0.2", {"X-Forwarded-For": "nobody"}),
        ]
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=20)

    assert answers == [
        (200, "127.0.0.3\n"),
        (200, "203.0.113.7\n"),
        (200, '{"ip": "127.0.0.3"}'),
        (400, "X-Forwarded-For holds no address\n"),
    ]
    assert code == 0


def _asked(port: int, by: str, fields: dict[str, str]) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10, source_address=(by, 0))
    connection.request("GET", "/", headers=fields)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


@pytest.mark.parametrize("listen", ["8765", "localhost:8765", "127.0.0.1:99999", "::1", "127.0.0.1:"])
def test_where_to_listen_is_an_address_and_a_port(empty: Desk, listen: str) -> None:
    ended = empty.run("echo", "--listen", listen)

    assert ended.returncode == Exit.USAGE
    assert "127.0.0.1" in ended.stderr


def test_an_echo_service_that_cannot_listen_says_so(empty: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = empty.run("echo", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")

    assert ended.returncode == Exit.USAGE
    assert "cannot be listened at: Address already in use. Name another place with --listen." in ended.stderr
