"""Who resolves names, seen from a machine of its own: a network namespace whose only name server notes every question.

Needs root and `unshare`; skips where they are not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import archiver

_ON_A_MACHINE_OF_ITS_OWN = """
import json, socket, subprocess, sys, tempfile, threading
from playwright.sync_api import Error
from archiver.portal import browser as browsers
from archiver.portal.guard import Guard, Rules
from archiver.portal.relay import Proxy, Relay
from archiver.site.sitemap import load
from tests.browser.proxies import PASSWORD, USER, PasswordProxy

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["mount", "--bind", sys.argv[1], "/etc/resolv.conf"], check=True)
questions = set()
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))

def note():
    while True:
        question, asker = server.recvfrom(2000)
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode())
            at += 1 + question[at]
        questions.add(".".join(labels))
        server.sendto(question[:2] + bytes((0x81, 0x83)) + question[4:], asker)  # no such name

threading.Thread(target=note, daemon=True).start()
rules = Rules("https://seller.test", frozenset({"https://seller.test"}), load().guard)

def visit(browser):
    page = browser.new_page()
    page.set_content("<link rel=dns-prefetch href=//prefetched.test><link rel=preconnect href=https://preconnected.test>")
    try:
        page.goto("https://seller.test/")
    except Error:
        pass
    page.wait_for_timeout(500)

found = {}
with PasswordProxy("socks5") as proxy:
    told = Proxy("socks5", "127.0.0.1", proxy.port, USER, PASSWORD)
    with Relay(told, "acme", rules.may_reach) as relay:
        with browsers.running(browsers.find(None), relay=relay.address) as browser:
            Guard(rules).watch(browser, relay)
            visit(browser)
    found["proxy"], found["asked of the proxy"] = sorted(questions), sorted({host for host, _ in proxy.asked})
questions.clear()
with browsers.running(browsers.find(None), hosts=rules.hosts) as browser:
    Guard(rules).watch(browser)
    visit(browser)
found["direct"] = sorted(questions)
print(json.dumps(found))
"""

pytestmark = pytest.mark.xdist_group("names")  # they share what is made once, at some cost


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Which names were asked for, of the name server and of the proxy."""
    unshare = shutil.which("unshare")
    if unshare is None or shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("needs root, unshare and ip")
    alone = [unshare, "--net", "--mount"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode != 0:
        pytest.skip("network namespaces are not allowed here")
    nobody = tmp_path_factory.mktemp("names") / "resolv.conf"
    nobody.write_text("nameserver 127.0.0.1\n")
    ended = subprocess.run(
        [*alone, sys.executable, "-c", _ON_A_MACHINE_OF_ITS_OWN, str(nobody)],
        env={**os.environ, "PYTHONPATH": str(Path(archiver.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    said: dict[str, list[str]] = json.loads(ended.stdout)
    return said


def test_behind_a_proxy_no_name_is_asked_for_on_this_machine(found: dict[str, list[str]]) -> None:
    assert found["proxy"] == []
    assert found["asked of the proxy"] == ["seller.test"]


def test_without_a_proxy_only_names_the_guard_lets_through_are_asked_for(found: dict[str, list[str]]) -> None:
    assert found["direct"] == ["seller.test"]
