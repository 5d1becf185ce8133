"""What is put together: the one exit code, the chosen accounts, what is this machine, and the memory of a sign-in."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from archiver.archive.archive import Archive
from archiver.archive.keyring import KeyFile
from archiver.config import AccountConfig, ArchiveConfig, Config, Cron, ScheduleConfig
from archiver.coverage import Coverage
from archiver.errors import ArchiverError, CredentialRefused, Defect, Exit, PersonNeeded, UsageError
from archiver.log import configure
from archiver.model import Ended, Identified, Listed, Listing, Scope, Source
from archiver.signin import Credential
from archiver.sync import Outcome
from archiver.wiring import Report, VaultMemory, chosen_accounts, is_loopback, sync_accounts

SCOPE = Scope("acme", "DE", Source.CASES)


def covered(*, complete: bool) -> Coverage:
    proven = Identified(True, "ACME", "A1PA6795UKMFR9")
    coverage = Coverage(SCOPE, 0)
    for event in (proven, Listed(Listing(()), 1), Ended(reached_end=complete), proven):
        coverage = coverage.after(event)
    return coverage


def failed(code: Exit) -> ArchiverError:
    error = ArchiverError("It broke.", hint="Mend it.")
    error.exit_code = code
    return error


def report(*outcomes: Outcome) -> Report:
    return Report("run-1", {f"account-{number}": outcome for number, outcome in enumerate(outcomes)})


# --- the exit code ----------------------------------------------------------------------------------------------

# What a person must act on comes before what the next run heals.
BY_WEIGHT = [
    Exit.PERSON_NEEDED,
    Exit.ACCESS_STOPPED,
    Exit.WRONG_EGRESS,
    Exit.USAGE,
    Exit.ARCHIVE_HELD,
    Exit.FAILED,
    Exit.INCOMPLETE,
]


def test_every_code_but_done_has_a_weight() -> None:
    assert set(BY_WEIGHT) == set(Exit) - {Exit.DONE}


@pytest.mark.parametrize("code", BY_WEIGHT)
def test_a_failure_is_never_done(code: Exit) -> None:
    assert report(Outcome((), failed(code))).exit is code


def test_of_two_accounts_the_one_that_needs_a_person_more_gives_the_code() -> None:
    wrong = {
        (first, second): report(Outcome((), failed(first)), Outcome((), failed(second))).exit
        for first, second in permutations(BY_WEIGHT, 2)
    }

    assert wrong == {pair: min(pair, key=BY_WEIGHT.index) for pair in wrong}


@pytest.mark.parametrize(
    "outcomes, code",
    [
        ([], Exit.DONE),
        ([Outcome((covered(complete=True),))], Exit.DONE),
        ([Outcome((covered(complete=True), covered(complete=False)))], Exit.INCOMPLETE),
        ([Outcome((covered(complete=True),)), Outcome((covered(complete=False),))], Exit.INCOMPLETE),
        ([Outcome((covered(complete=False),), failed(Exit.FAILED))], Exit.FAILED),
        ([Outcome((covered(complete=True),), failed(Exit.PERSON_NEEDED))], Exit.PERSON_NEEDED),
        ([Outcome((covered(complete=False),)), Outcome((), failed(Exit.ACCESS_STOPPED))], Exit.ACCESS_STOPPED),
    ],
)
def test_a_run_ends_with(outcomes: list[Outcome], code: Exit) -> None:
    assert report(*outcomes).exit is code


# --- the accounts -----------------------------------------------------------------------------------------------


def configured(*names: str) -> Config:
    accounts = tuple(AccountConfig(name, "https://sellercentral.amazon.de", ("DE",)) for name in names)
    schedule = ScheduleConfig(Cron("0 6 * * *", "0", "6", "*", "*", "*"))
    return Config(Path("/etc/archiver/config.toml"), ArchiveConfig(Path("/archive")), schedule, accounts)


@pytest.mark.parametrize(
    "names, chosen",
    [([], ["eu", "us", "jp"]), (["us"], ["us"]), (["jp", "eu"], ["jp", "eu"]), (["us", "us"], ["us", "us"])],
)
def test_the_named_accounts_are_chosen_and_all_of_them_for_no_name(names: list[str], chosen: list[str]) -> None:
    accounts = chosen_accounts(configured("eu", "us", "jp"), names)

    assert [account.name for account in accounts] == chosen


@pytest.mark.parametrize(
    "config, names, sentence",
    [
        (configured("eu"), ["eu", "uk", "fr"], "There is no account uk, fr in the configuration. Configured are: eu."),
        (configured(), [], "No account is configured. Add an [[account]] to /etc/archiver/config.toml."),
        (configured(), ["eu"], "There is no account eu in the configuration. Add an [[account]] to"),
    ],
)
def test_an_account_that_is_not_there_is_one_sentence(config: Config, names: list[str], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        chosen_accounts(config, names)

    assert str(refused.value).startswith(sentence)


# --- a run ------------------------------------------------------------------------------------------------------


def test_a_defect_in_one_account_costs_the_others_nothing(archive: Archive) -> None:
    config = configured("eu", "us")
    answers: list[Exception | ArchiverError] = [KeyError("a defect"), UsageError("No.", hint="Stop.")]

    def halt() -> ArchiverError | None:
        answer = answers.pop(0)
        if isinstance(answer, ArchiverError):
            return answer
        raise answer

    said = io.StringIO()
    configure(stream=said)
    ran = sync_accounts(config, archive, config.accounts, tell=lambda *_: None, halt=halt)

    assert {name: type(outcome.failure) for name, outcome in ran.outcomes.items()} == {"eu": Defect, "us": UsageError}
    assert [str(c.verdict) for c in ran.outcomes["eu"].coverages] == ["FAILED"] * len(Source)
    assert {status.scope.account: status.state for status in archive.status()} == {"eu": "FAILED", "us": "FAILED"}
    assert "KeyError: 'a defect'" in said.getvalue()


# --- this machine -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "site, expected",
    [
        ("http://127.0.0.1:8765", True),
        ("http://127.8.9.10", True),
        ("http://localhost:8765", True),
        ("http://LOCALHOST", True),
        ("http://[::1]:8765", True),
        ("https://sellercentral.amazon.de", False),
        ("https://127.evil.com", False),
        ("https://127.0.0.1.evil.com", False),
        ("https://127.0.0.1@evil.com", False),
        ("https://localhost.evil.com", False),
        ("https://evil.com/127.0.0.1", False),
        ("http://128.0.0.1", False),
        ("http://0.0.0.0", False),
        ("http://[2001:db8::1]", False),
        ("", False),
    ],
)
def test_only_this_machine_is_this_machine(site: str, expected: bool) -> None:
    assert is_loopback(site) == expected


# --- what a sign-in remembers -----------------------------------------------------------------------------------


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An empty archive, open for writing."""
    with Archive.create(tmp_path / "archive", [KeyFile(tmp_path / "archive.key")]) as made:
        yield made


@pytest.fixture
def memory(archive: Archive) -> VaultMemory:
    return VaultMemory(archive, "acme")


def test_three_submissions_without_an_answer_bar_the_fourth(archive: Archive, memory: VaultMemory) -> None:
    for _ in range(3):
        memory.trying(Credential.PASSWORD)
    with pytest.raises(PersonNeeded) as refused:
        memory.trying(Credential.PASSWORD)

    assert str(refused.value) == (
        "The password of acme was submitted 3 times and the answer never seen. "
        "Sign in once in your own browser, then run `archiver login acme`."
    )
    assert refused.value.exit_code is Exit.PERSON_NEEDED
    assert archive.vault.unsettled("acme", "password") == 3


def test_each_credential_and_each_account_is_counted_by_itself(archive: Archive, memory: VaultMemory) -> None:
    for _ in range(3):
        memory.trying(Credential.PASSWORD)
    memory.trying(Credential.CODE)
    VaultMemory(archive, "other").trying(Credential.PASSWORD)

    assert [archive.vault.unsettled("acme", credential) for credential in Credential] == [0, 3, 1]


def test_an_answer_starts_the_count_again(archive: Archive, memory: VaultMemory) -> None:
    for _ in range(3):
        memory.trying(Credential.PASSWORD)
    memory.accepted(Credential.PASSWORD)
    memory.trying(Credential.PASSWORD)

    assert archive.vault.unsettled("acme", "password") == 1
    assert memory.barred() is None


def test_a_person_who_says_so_starts_the_count_again(archive: Archive, memory: VaultMemory) -> None:
    for _ in range(3):
        memory.trying(Credential.CODE)
    archive.vault.clear_refusals("acme")
    memory.trying(Credential.CODE)

    assert archive.vault.unsettled("acme", "code") == 1


def test_a_refusal_bars_the_account_until_a_person_clears_it(archive: Archive, memory: VaultMemory) -> None:
    before = memory.barred()
    memory.trying(Credential.PASSWORD)
    memory.refused(Credential.PASSWORD, "Amazon refused the password.")
    barred = memory.barred()
    other = VaultMemory(archive, "other").barred()
    archive.vault.clear_refusals("acme")

    assert before is None
    assert other is None
    assert isinstance(barred, CredentialRefused)
    assert "is not tried again by itself: Amazon refused the password." in barred.message
    assert "archiver account add acme" in barred.hint
    assert memory.barred() is None


def test_an_acceptance_of_another_credential_does_not_lift_a_refusal(memory: VaultMemory) -> None:
    memory.refused(Credential.CODE, "Amazon refused the one-time code.")
    memory.accepted(Credential.PASSWORD)
    memory.accepted(Credential.CODE)

    assert memory.barred() is not None


def test_an_account_may_be_refused_as_a_whole(archive: Archive, memory: VaultMemory) -> None:
    memory.refused(None, "Amazon wants the password to be reset.")
    barred = memory.barred()

    assert barred is not None
    assert [refusal.credential for refusal in archive.vault.refusals("acme")] == ["account"]
    assert "Amazon wants the password to be reset." in barred.message


def test_a_refusal_is_remembered_by_the_next_process(tmp_path: Path) -> None:
    key = KeyFile(tmp_path / "archive.key")
    with Archive.create(tmp_path / "archive", [key]) as made:
        VaultMemory(made, "acme").refused(Credential.PASSWORD, "Amazon refused the password.")
    with Archive.open(tmp_path / "archive", key, write=True) as opened:
        barred = VaultMemory(opened, "acme").barred()

    assert barred is not None


def test_a_code_is_never_submitted_twice(memory: VaultMemory) -> None:
    steps = [memory.last_code_step()]
    for step in (58_000_001, 58_000_000):
        memory.code_step_used(step)
        steps.append(memory.last_code_step())

    assert steps == [0, 58_000_001, 58_000_001]


def test_a_session_is_kept_for_its_own_account(archive: Archive, memory: VaultMemory) -> None:
    before = memory.session()
    memory.keep_session(b'{"cookies": []}')

    assert before is None
    assert memory.session() == b'{"cookies": []}'
    assert VaultMemory(archive, "other").session() is None
