"""The vault: what must be remembered is on the disk before it is acted on, and no secret is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from archiver.archive.archive import Archive
from archiver.archive.keyring import KeyFile
from archiver.archive.vault import ProxySignIn, SignIn
from archiver.errors import UsageError
from archiver.query import parse
from tests.archive.samples import Said, read, thread_capture

ACME = SignIn("acme-eu", "me@acme.invalid", "pässword", "JBSWY3DPEHPK3PXP")


def test_sign_ins_are_kept_and_forgotten(archive: Archive) -> None:
    vault = archive.vault
    vault.add_account(ACME)
    vault.add_account(SignIn("a", "b", "c"))
    vault.put_session("acme-eu", b"cookies")
    names = [account.name for account in vault.accounts()]
    vault.remove_account("a")

    assert names == ["a", "acme-eu"]
    assert vault.sign_in("acme-eu") == ACME
    assert vault.session("acme-eu") == b"cookies"
    with pytest.raises(UsageError, match="no sign-in"):
        vault.sign_in("a")
    with pytest.raises(UsageError, match="no sign-in"):
        vault.remove_account("a")


def test_a_sign_in_does_not_show_its_secrets() -> None:
    shown = repr(ACME)

    assert "pässword" not in shown
    assert "JBSW" not in shown


def test_a_new_password_ends_the_old_session_and_its_refusals(archive: Archive) -> None:
    vault = archive.vault
    vault.add_account(ACME)
    vault.put_session("acme-eu", b"cookies")
    vault.refuse("acme-eu", "password", "wrong")
    vault.add_account(ACME)

    assert vault.session("acme-eu") is None
    assert vault.refusals("acme-eu") == ()


def test_what_a_proxy_is_told_is_kept_apart_from_the_sign_in(archive: Archive) -> None:
    vault = archive.vault
    told = ProxySignIn("me", "pässword")
    before = vault.proxy_sign_in("acme-eu")
    vault.put_proxy_sign_in("acme-eu", ProxySignIn("me", "earlier"))
    vault.put_proxy_sign_in("acme-eu", told)
    vault.add_account(ACME)
    kept = vault.proxy_sign_in("acme-eu")
    vault.put_proxy_sign_in("acme-eu", None)
    forgotten = vault.proxy_sign_in("acme-eu")
    vault.put_proxy_sign_in("acme-eu", told)
    vault.remove_account("acme-eu")

    assert (before, kept, forgotten) == (None, told, None)
    assert vault.proxy_sign_in("acme-eu") is None
    assert "pässword" not in repr(told)


def test_an_archive_of_an_earlier_version_learns_to_keep_it(root: Path, key: KeyFile) -> None:
    with Archive.open(root, key, write=True) as archive, archive.vault.database.transaction():
        archive.vault.database.run("DROP TABLE proxy_sign_in")
    with Archive.open(root, key, write=True) as archive:
        found = archive.vault.proxy_sign_in("acme-eu")

    assert found is None


def test_an_attempt_is_remembered_before_its_outcome_is_known(root: Path, key: KeyFile) -> None:
    with Archive.open(root, key, write=True) as archive:
        archive.vault.record_attempt("acme-eu", "password")
        archive.vault.record_attempt("acme-eu", "totp")
        archive.vault.settle("acme-eu", "password", "accepted")
    with Archive.open(root, key, write=False) as archive:
        vault = archive.vault
        outcomes = [(attempt.credential, attempt.outcome) for attempt in vault.attempts("acme-eu")]
        unsettled = [vault.unsettled("acme-eu", credential) for credential in ("password", "totp")]

    assert outcomes == [("password", "accepted"), ("totp", "")]
    assert unsettled == [0, 1]


def test_a_refusal_stands_until_a_person_clears_it(archive: Archive) -> None:
    vault = archive.vault
    vault.record_attempt("acme-eu", "password")
    vault.refuse("acme-eu", "password", "Your password is incorrect")
    vault.refuse("acme-eu", "account", "locked")
    refused = [(refusal.credential, refusal.why) for refusal in vault.refusals("acme-eu")]
    others = vault.refusals("acme-us")
    vault.clear_refusals("acme-eu")

    assert refused == [("password", "Your password is incorrect"), ("account", "locked")]
    assert others == ()
    assert vault.refusals("acme-eu") == ()
    assert vault.unsettled("acme-eu", "password") == 0


def test_a_code_step_never_goes_back(archive: Archive) -> None:
    steps = [archive.vault.totp_step("acme-eu")]
    for step in (58_000_001, 58_000_000):
        archive.vault.put_totp_step("acme-eu", step)
        steps.append(archive.vault.totp_step("acme-eu"))

    assert steps == [0, 58_000_001, 58_000_001]


def test_the_kill_switch_stops_one_account_or_all(archive: Archive) -> None:
    vault = archive.vault
    vault.stop_access("acme-eu", "audit")
    one = (vault.access_stopped("acme-eu"), vault.access_stopped("acme-us"), vault.access_stopped())
    vault.stop_access(None, "everything")
    vault.allow_access("acme-eu")
    every = (vault.access_stopped("acme-eu"), vault.access_stopped("acme-us"), vault.access_stopped())
    vault.allow_access()

    assert one == ("audit", None, None)
    assert every == ("everything", "everything", "everything")
    assert vault.access_stopped("acme-eu") is None


def test_an_erased_key_erases_its_thread_and_leaves_the_proof(archive: Archive) -> None:
    captures = [thread_capture(site, [Said("m1", "退款")]) for site in ("1", "2")]
    names = [archive.keep(capture) for capture in captures]
    for name, capture in zip(names, captures, strict=True):
        archive.file(name, read(capture))
    with archive.vault.database.transaction():
        archive.vault.database.run(
            "UPDATE seal_key SET key = NULL, erased_at = ? WHERE holder = ?",
            ("2026-08-02", archive.thread("1").id),
        )
    archive.rebuild(read)
    report = archive.verify()

    assert (report.problems, report.captures, report.erased, report.unfiled) == ([], 2, 1, 0)
    assert archive.count(parse("退款")) == 1
    assert archive.read_capture(names[1]) == captures[1]
    with pytest.raises(UsageError, match="erased"):
        archive.read_capture(names[0])
    with pytest.raises(UsageError, match="erased"):
        archive.keep(captures[0])
