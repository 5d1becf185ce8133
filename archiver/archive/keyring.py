"""The archive key and the ways to open it.

The key is 32 random bytes that never touch the disk bare. `keyring.json` holds it wrapped with AES-256-GCM once for
each way to open it, as LUKS does with its slots, and a checksum, so that a damaged keyring is not called a wrong key.
Every other key is derived: HKDF-SHA256 of the archive key and the name of what it is for.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import os
import secrets
import stat
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from archiver.archive.disk import damaged, guarded, replace_file, sync_directory
from archiver.errors import UsageError, WrongKey

FORMAT = 1
KEY_BYTES = 32
_NONCE_BYTES = 12
_SALT_BYTES = 16

# RFC 9106's second recommendation, with twice its memory: about a quarter of a second here, once for each opening.
ARGON2_MEMORY_KIB = 128 * 1024
ARGON2_ITERATIONS = 3
ARGON2_LANES = 4
_MOST_MEMORY_KIB = 4 * 1024 * 1024
_MOST_ITERATIONS = 1000


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file that holds 32 random bytes in base64, readable to its owner alone."""

    path: Path


@dataclass(frozen=True, slots=True)
class RawSecret:
    """What a key file would hold, from elsewhere: a systemd credential, the output of a command. `label` names it."""

    secret: bytes = field(repr=False)
    label: str


@dataclass(frozen=True, slots=True)
class Passphrase:
    """A passphrase as a person typed it."""

    text: str = field(repr=False)


Unlock = KeyFile | RawSecret | Passphrase


@dataclass(frozen=True, slots=True)
class ArchiveKey:
    """The opened archive key, and the id of the archive it belongs to (32 hexadecimal characters)."""

    archive: str
    secret: bytes = field(repr=False)

    def derived(self, name: str) -> bytes:
        """The 32-byte key for one purpose; for a database, its path below the archive with forward slashes."""
        return _hkdf(self.secret, salt=None, info=f"archiver database {name}".encode())


# --- made and opened -------------------------------------------------------------------------------------------


def create(path: Path, unlocks: Sequence[Unlock]) -> ArchiveKey:
    """Draw an archive key and write the keyring that wraps it. A key file that does not exist yet is made.

    Raises UsageError or WrongKey for a way to open that cannot be used, DiskFailed. Overwrites an existing keyring:
    the caller has looked.
    """
    if not unlocks:
        raise UsageError("An archive needs a way to open it.", hint="Name a key file or a passphrase.")
    for unlock in unlocks:
        if isinstance(unlock, KeyFile) and not unlock.path.exists():
            make_key_file(unlock.path)
    key = ArchiveKey(secrets.token_hex(16), secrets.token_bytes(KEY_BYTES))
    keyring = {
        "format": FORMAT,
        "archive": key.archive,
        "slots": [_wrapped(key, unlock, place) for place, unlock in enumerate(unlocks)],
    }
    replace_file(path, _rendered(keyring))
    return key


def open_keyring(path: Path, unlock: Unlock) -> ArchiveKey:
    """The archive key, from the first slot that opens.

    Raises UsageError (there is no keyring; the key file is missing, unfit, or others may read it), WrongKey (no slot
    opens with this), ArchiveDamaged (the keyring is not what was written), DiskFailed.
    """
    keyring = load(path)
    kind = _kind(unlock)
    slots = [slot for slot in keyring["slots"] if slot["kind"] == kind]
    secret = _secret(unlock)
    for slot in slots:
        wrapping = _wrapping_key(slot["kdf"], secret)
        try:
            opened = AESGCM(wrapping).decrypt(
                _decoded(slot["nonce"]), _decoded(slot["wrapped"]), _slot_header(slot, keyring["archive"])
            )
        except InvalidTag:
            continue
        return ArchiveKey(keyring["archive"], opened)
    if not slots:
        ways = " or ".join(sorted({slot["kind"] for slot in keyring["slots"]}))
        raise WrongKey(f"The archive {path.parent} does not open with a {kind}.", hint=f"It opens with a {ways}.")
    raise WrongKey(
        f"{_label(unlock)} does not open the archive {path.parent}.",
        hint="Check that the key belongs to this archive; nothing was changed.",
    )


def load(path: Path) -> dict[str, Any]:
    """The keyring's JSON, checked whole. Raises UsageError, ArchiveDamaged, DiskFailed."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            f"There is no archive in {path.parent}: its keyring.json is missing.",
            hint="Check the path in the configuration; `archiver init` makes a new archive.",
        ) from None
    except OSError as error:
        with guarded(path):
            raise error
    try:
        keyring = json.loads(content)
        checksum = keyring.pop("sha256")
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        raise damaged(path, "it is not the JSON that was written") from None
    if checksum != _checksum(keyring):
        raise damaged(path, "its checksum does not fit")
    if keyring["format"] != FORMAT:
        raise UsageError(
            f"{path} has format {keyring['format']}; this version reads format {FORMAT}.",
            hint="Install the version of archiver that wrote it, or a newer one.",
        )
    for slot in keyring["slots"]:
        kdf = slot["kdf"]
        memory, iterations = kdf.get("memory_kib", 0), kdf.get("iterations", 0)
        if memory > _MOST_MEMORY_KIB or iterations > _MOST_ITERATIONS:
            raise damaged(path, "its key derivation asks for more than any keyring does")
    return keyring  # type: ignore[no-any-return]


def make_key_file(path: Path) -> None:
    """Write a new key file: 32 random bytes in base64, mode 0600, durably. Never overwrites. Raises DiskFailed."""
    with guarded(path):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync_directory(path.absolute().parent)


# --- slots -----------------------------------------------------------------------------------------------------


def _wrapped(key: ArchiveKey, unlock: Unlock, place: int) -> dict[str, Any]:
    salt = _encoded(secrets.token_bytes(_SALT_BYTES))
    kdf: dict[str, Any] = {"name": "hkdf-sha256", "salt": salt}
    if isinstance(unlock, Passphrase):
        kdf = {
            "name": "argon2id",
            "salt": salt,
            "memory_kib": ARGON2_MEMORY_KIB,
            "iterations": ARGON2_ITERATIONS,
            "lanes": ARGON2_LANES,
        }
    nonce = secrets.token_bytes(_NONCE_BYTES)
    slot = {"slot": place, "kind": _kind(unlock), "kdf": kdf, "cipher": "aes-256-gcm", "nonce": _encoded(nonce)}
    wrapping = _wrapping_key(kdf, _secret(unlock))
    slot["wrapped"] = _encoded(AESGCM(wrapping).encrypt(nonce, key.secret, _slot_header(slot, key.archive)))
    return slot


def _slot_header(slot: dict[str, Any], archive: str) -> bytes:
    """What a slot says in the clear, bound to what it wraps: a slot moved or changed does not open."""
    header = {name: value for name, value in slot.items() if name != "wrapped"}
    return _canonical({"archive": archive, **header})


def _wrapping_key(kdf: dict[str, Any], secret: bytes) -> bytes:
    salt = _decoded(kdf["salt"])
    if kdf["name"] == "hkdf-sha256":
        return _hkdf(secret, salt=salt, info=b"archiver key slot")
    # Imported where it is used: opening with a key file is the common case and is to be instant.
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    return Argon2id(
        salt=salt,
        length=KEY_BYTES,
        iterations=kdf["iterations"],
        lanes=kdf["lanes"],
        memory_cost=kdf["memory_kib"],
    ).derive(secret)


def _kind(unlock: Unlock) -> str:
    return "passphrase" if isinstance(unlock, Passphrase) else "key-file"


def _label(unlock: Unlock) -> str:
    match unlock:
        case KeyFile(path):
            return f"The key file {path}"
        case RawSecret(_, label):
            return f"The key from {label}"
        case Passphrase():
            return "This passphrase"


def _secret(unlock: Unlock) -> bytes:
    match unlock:
        case KeyFile(path):
            return _key_bytes(_read_key_file(path), f"The key file {path}")
        case RawSecret(secret, label):
            return _key_bytes(secret, f"The key from {label}")
        case Passphrase(text):
            if not text:
                raise WrongKey("The passphrase is empty.", hint="Type the passphrase of the archive.")
            # Two keyboards may type the same letter differently (RFC 8265).
            return unicodedata.normalize("NFC", text).encode()


def _read_key_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
                raise UsageError(
                    f"Others may read the key file {path} (mode {stat.S_IMODE(status.st_mode):04o}).",
                    hint=f"Run `chmod 600 {path}`.",
                )
            return file.read(4096)
    except FileNotFoundError:
        raise UsageError(
            f"The key file {path} is missing.", hint="Put the key file of this archive there, or name the right path."
        ) from None
    except OSError as error:
        raise UsageError(
            f"The key file {path} cannot be read: {error.strerror}.", hint="Make it readable to this user alone."
        ) from error


def _key_bytes(content: bytes, label: str) -> bytes:
    if len(content) == KEY_BYTES:
        return content
    try:
        key = b64decode(b"".join(content.split()), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise WrongKey(
            f"{label} is not 32 bytes in base64.", hint="Name the file that `archiver init` made, or a copy of it."
        )
    return key


def _hkdf(secret: bytes, *, salt: bytes | None, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(secret)


# --- JSON ------------------------------------------------------------------------------------------------------


def _rendered(keyring: dict[str, Any]) -> bytes:
    return json.dumps({**keyring, "sha256": _checksum(keyring)}, indent=2).encode() + b"\n"


def _checksum(keyring: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(keyring)).hexdigest()


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _encoded(value: bytes) -> str:
    return b64encode(value).decode()


def _decoded(text: str) -> bytes:
    return b64decode(text, validate=True)
