"""The archive key: who opens it, who does not, and what each is told."""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from archiver.archive import keyring
from archiver.archive.archive import Archive
from archiver.archive.keyring import ArchiveKey, KeyFile, Passphrase, RawSecret, Unlock
from archiver.errors import ArchiveDamaged, DiskFailed, UsageError, WrongKey

SECRET = b64encode(bytes(range(32)))


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    """Where a keyring is to be."""
    return tmp_path / "keyring.json"


def test_a_key_file_and_a_passphrase_open_the_same_key(tmp_path: Path, ring: Path) -> None:
    made = keyring.create(ring, [KeyFile(tmp_path / "key"), Passphrase("großes Geheimnis")])

    actual = [
        keyring.open_keyring(ring, unlock)
        for unlock in (
            KeyFile(tmp_path / "key"),
            RawSecret((tmp_path / "key").read_bytes(), "a credential"),
            Passphrase("gro\u00dfes Geheimnis"),
        )
    ]

    assert actual == [made, made, made]


def test_a_passphrase_is_stretched_with_memory(ring: Path) -> None:
    keyring.create(ring, [Passphrase("x")])

    kdf = keyring.load(ring)["slots"][0]["kdf"]

    assert kdf["name"] == "argon2id"
    assert kdf["memory_kib"] >= 64 * 1024
    assert kdf["iterations"] >= 3


def test_the_wrong_passphrase_is_refused(ring: Path) -> None:
    keyring.create(ring, [Passphrase("x")])

    with pytest.raises(WrongKey, match="does not open"):
        keyring.open_keyring(ring, Passphrase("y"))


@pytest.mark.parametrize(
    "unlock, error, said",
    [
        (RawSecret(b64encode(bytes(32)), "the output of pass"), WrongKey, "the output of pass does not open"),
        (RawSecret(b"too short", "x"), WrongKey, "not 32 bytes"),
        (RawSecret(b"", "x"), WrongKey, "not 32 bytes"),
        (RawSecret(b"\xff\xfe=", "x"), WrongKey, "not 32 bytes"),
        (Passphrase("x"), WrongKey, "does not open with a passphrase"),
        (Passphrase(""), WrongKey, "empty"),
        (KeyFile(Path("/nowhere/key")), UsageError, "is missing"),
        (KeyFile(Path("/")), UsageError, "cannot be read"),
    ],
)
def test_what_does_not_open_is_told_in_one_sentence(
    ring: Path, unlock: Unlock, error: type[UsageError], said: str
) -> None:
    keyring.create(ring, [RawSecret(SECRET, "x")])

    with pytest.raises(error, match=said) as refused:
        keyring.open_keyring(ring, unlock)

    assert refused.value.hint
    assert "\n" not in refused.value.message


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, ring: Path, mode: int) -> None:
    keyring.create(ring, [KeyFile(tmp_path / "key")])
    (tmp_path / "key").chmod(mode)

    with pytest.raises(UsageError, match="Others may read") as refused:
        keyring.open_keyring(ring, KeyFile(tmp_path / "key"))

    assert "chmod 600" in refused.value.hint


def test_a_new_key_file_is_readable_to_its_owner_alone(tmp_path: Path, ring: Path) -> None:
    usual = os.umask(0o000)
    try:
        keyring.create(ring, [KeyFile(tmp_path / "key")])
    finally:
        os.umask(usual)

    modes = [(tmp_path / "key").stat().st_mode & 0o777, ring.stat().st_mode & 0o777]

    assert modes == [0o600, 0o600]
    assert len(b64decode((tmp_path / "key").read_bytes())) == 32


def test_every_flipped_bit_of_the_keyring_is_noticed(ring: Path) -> None:
    keyring.create(ring, [RawSecret(SECRET, "x")])
    good = ring.read_bytes()
    unnoticed = []
    for bit in range(len(good) * 8):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        ring.write_bytes(bad)
        try:
            keyring.open_keyring(ring, RawSecret(SECRET, "x"))
        except ArchiveDamaged as damaged:
            assert str(ring) in damaged.message  # noqa: PT017  every other outcome is collected
            continue
        unnoticed.append(bit)

    assert unnoticed == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"{}", b"\xff", b'{"sha256": 1}', b"[" * 100_000])
def test_a_damaged_keyring_is_not_called_a_wrong_key(ring: Path, content: bytes) -> None:
    ring.write_bytes(content)

    with pytest.raises(ArchiveDamaged):
        keyring.open_keyring(ring, RawSecret(SECRET, "x"))


def test_a_keyring_of_another_version_is_not_guessed_at(ring: Path) -> None:
    keyring.create(ring, [RawSecret(SECRET, "x")])
    said = json.loads(ring.read_bytes())
    said["format"] = 2
    del said["sha256"]
    ring.write_bytes(keyring._rendered(said))

    with pytest.raises(UsageError, match="format 2"):
        keyring.open_keyring(ring, RawSecret(SECRET, "x"))


def test_a_slot_of_another_archive_does_not_open(tmp_path: Path, ring: Path) -> None:
    other = tmp_path / "other.json"
    keyring.create(ring, [RawSecret(SECRET, "x")])
    keyring.create(other, [RawSecret(SECRET, "x")])
    mixed = keyring.load(ring) | {"slots": keyring.load(other)["slots"]}
    ring.write_bytes(keyring._rendered(mixed))

    with pytest.raises(WrongKey):
        keyring.open_keyring(ring, RawSecret(SECRET, "x"))


def test_no_archive_is_told_apart_from_a_wrong_key(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no archive"):
        Archive.open(tmp_path / "nowhere", RawSecret(SECRET, "x"), write=True)

    assert list(tmp_path.iterdir()) == []


def test_an_archive_is_never_made_over_another(root: Path, key: KeyFile) -> None:
    before = {path: path.read_bytes() for path in root.iterdir() if path.is_file()}

    with pytest.raises(UsageError, match="already"):
        Archive.create(root, [key])

    assert {path: path.read_bytes() for path in root.iterdir() if path.is_file()} == before


def test_a_creation_that_was_cut_off_is_finished_or_begun_again(tmp_path: Path, key: KeyFile) -> None:
    made = tmp_path / "archive"
    Archive.create(made, [key]).close()
    (made / "vault.db").rename(made / "vault.db.new")
    with Archive.open(made, key, write=True) as finished:
        accounts = finished.vault.accounts()
    (made / "vault.db").rename(made / "vault.db.new")
    (made / "keyring.json").unlink()
    (made / "index.db").unlink()
    with Archive.create(made, [key]) as again:
        accounts += again.vault.accounts()

    assert accounts == ()


def test_a_disk_that_cannot_be_written_is_said_to_be_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(DiskFailed):
        Archive.create(tmp_path / "file" / "archive", [RawSecret(SECRET, "x")])


def test_secrets_are_not_shown() -> None:
    shown = repr([RawSecret(SECRET, "x"), Passphrase("hunter2"), ArchiveKey("ab", SECRET)])

    assert "hunter2" not in shown
    assert repr(SECRET) not in shown


def test_every_purpose_has_a_key_of_its_own() -> None:
    key = ArchiveKey("ab", bytes(32))

    # RFC 5869's HKDF-SHA256 with an empty salt, computed by hand with hmac.
    import hmac

    extracted = hmac.digest(bytes(32), bytes(32), "sha256")
    expected = hmac.digest(extracted, b"archiver database vault.db\x01", "sha256")

    assert key.derived("vault.db") == expected
    assert key.derived("vault.db") != key.derived("index.db")


def test_an_archive_is_not_made_in_a_folder_that_others_use(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o755)
    (tmp_path / "shared" / "letters.txt").write_text("somebody's")
    with pytest.raises(UsageError, match=r"letters\.txt"):
        Archive.create(tmp_path / "shared", [KeyFile(tmp_path / "key")])

    assert (tmp_path / "shared").stat().st_mode & 0o777 == 0o755
