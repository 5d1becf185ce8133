"""Several accounts are read at the same time, each in a browser of its own, into one archive."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime
from itertools import pairwise

import pytest

from archiver.archive.archive import Archive
from archiver.demo.seller import Seller, make_seller
from archiver.demo.stand_in import StandIn
from archiver.model import Kind, Source
from tests.browser.conftest import ACCOUNT, NOW, Office, Opener

OTHER = "abendstern"


@pytest.fixture(scope="module")
def other_seller() -> Seller:
    return make_seller(seed=8, now=NOW, cases=3, threads=4, notifications=2)


def _spans(archive: Archive, run: str) -> dict[str, tuple[datetime, datetime]]:
    """When each account's first and last request left, by the record of the run."""
    [record] = [e for _, e in archive._chain().entries() if e.kind is Kind.RUN and e.run == run]
    [sent] = archive.read_capture(record.id).named("requests")
    at: dict[str, list[datetime]] = {}
    for line in sent.body.splitlines():
        request = json.loads(line)
        at.setdefault(request["account"], []).append(datetime.fromisoformat(request["at"]))
    return {account: (min(times), max(times)) for account, times in at.items()}


def _add(office: Office, site: StandIn) -> None:
    """A second account, at another site."""
    with office.config.open("a") as file:
        file.write(
            f'[[account]]\nname = "{OTHER}"\nsite = "{site.origin}"\nmarketplaces = ["UK"]\n'
            f'label = "{site.seller.label}"\n'
        )
    reading, writing = os.pipe()
    os.write(writing, f"{site.seller.password}\n".encode())
    os.close(writing)
    secret, writing = os.pipe()
    os.write(writing, site.seller.totp_secret.encode())
    os.close(writing)
    words = ("--password-file", f"/dev/fd/{reading}", "--totp-secret-file", f"/dev/fd/{secret}")
    subprocess.run(
        office.command("account", "add", OTHER, "--email", site.seller.email, *words),
        env=office.environ,
        pass_fds=[reading, secret],
        check=True,
        capture_output=True,
    )


def test_two_accounts_are_read_at_the_same_time_and_each_is_whole(
    open_office: Opener, small_seller: Seller, other_seller: Seller
) -> None:
    with StandIn(small_seller, now=NOW) as first, StandIn(other_seller, now=NOW) as second:
        office = open_office(first)
        _add(office, second)
        lines = [json.loads(line) for line in office.done("--json", "sync").splitlines()]
        run = lines[-1]["run"]
        again = [json.loads(line) for line in office.done("--json", "sync", OTHER).splitlines()]
    with office.opened() as archive:
        problems = archive.verify().problems
        spans = _spans(archive, run)

    assert {line["account"] for line in lines[:-1]} == {ACCOUNT, OTHER}
    assert all(line["complete"] for line in lines[:-1])
    assert [line["captured"] for line in again[:-1]] == [0] * len(Source)
    assert problems == []
    assert set(spans) == {ACCOUNT, OTHER}
    assert all(one[1] > two[0] for one, two in pairwise(sorted(spans.values())))
