"""Every way to stop, and who must act on it.

What went wrong with one item is a value with a reason (`model.Missed`, `model.Unread`); what stops the program is
one of these. The class says who must act, the message says what happened, `hint` says what to do next, and
`exit_code` is the contract of the command line. Nothing here imports anything.
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command. People script against them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PERSON_NEEDED = 3
    INCOMPLETE = 4
    ACCESS_STOPPED = 5
    WRONG_EGRESS = 6
    ARCHIVE_HELD = 7


class ArchiverError(Exception):
    """Something stopped the program. `hint` is the next step, as an imperative sentence."""

    exit_code: Exit = Exit.FAILED

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"


# --- nobody: the next run heals it -----------------------------------------------------------------------------


class SiteUnreachable(ArchiverError):
    """The site did not answer, or answered that it is out of order."""


class BrowserFailed(ArchiverError):
    """The browser went away in the middle of the work."""


class Interrupted(ArchiverError):
    """A person or the system asked the run to stop; what was captured is kept."""

    exit_code = Exit.INCOMPLETE


class ArchiveHeld(ArchiverError):
    """Another process writes to the archive."""

    exit_code = Exit.ARCHIVE_HELD


class Defect(ArchiverError):
    """The archiver itself is wrong. What was captured is kept."""


# --- a person, at the sign-in ----------------------------------------------------------------------------------


class PersonNeeded(ArchiverError):
    """The sign-in stands before something only a person may answer."""

    exit_code = Exit.PERSON_NEEDED


class CredentialRefused(PersonNeeded):
    """A credential was refused. It is not tried again until a person says so."""


class AccessStopped(ArchiverError):
    """The kill switch is set."""

    exit_code = Exit.ACCESS_STOPPED


# --- the person who set it up ----------------------------------------------------------------------------------


class UsageError(ArchiverError):
    """What was typed, or what stands in the configuration, cannot be meant."""

    exit_code = Exit.USAGE


class ConfigError(UsageError):
    """The configuration has problems; the message names every one of them with its line."""


class BrowserMissing(UsageError):
    """There is no browser to run."""


class WrongKey(UsageError):
    """No key slot opens with what was given."""


class WrongEgress(ArchiverError):
    """The way out is not the configured one: another address than the pinned one, or a proxy that is of no use."""

    exit_code = Exit.WRONG_EGRESS


class WrongIdentity(ArchiverError):
    """The site shows another account or marketplace than the configured one."""


# --- the person who keeps the disk -----------------------------------------------------------------------------


class ArchiveDamaged(ArchiverError):
    """A file of the archive is not what was written."""


class DiskFailed(ArchiverError):
    """The disk is full, read-only, or failing. What was stored before is untouched."""


# --- whoever mends the site map --------------------------------------------------------------------------------


class PageUnknown(ArchiverError):
    """The site showed a page the site map does not know."""

    exit_code = Exit.PERSON_NEEDED
