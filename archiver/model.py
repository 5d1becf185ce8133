"""The words of the trade, as values.

Frozen, comparable, without behaviour that touches the world. Every other module speaks in these. Times are aware
and in UTC; ids of the site are text, because some exceed 2^53 [L].
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Source(StrEnum):
    """A kind of correspondence Seller Central keeps, by its name in the command line's contract."""

    CASES = "cases"
    BUYER_MESSAGES = "buyer-messages"
    PERFORMANCE_NOTIFICATIONS = "performance-notifications"


class Direction(StrEnum):
    """`IN` came to the seller, `OUT` was written by the seller."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a thread lives: site ids are unique only inside one account, marketplace and source.

    What belongs to an account as a whole, a sign-in page or a run, has neither marketplace nor source.
    """

    account: str
    marketplace: str = ""
    source: Source | None = None


def thread_id(scope: Scope, site_thread: str) -> str:
    """The archive's own short id of a thread: 12 lower-case base-32 characters (60 bits of SHA-256).

    Computed from the scope and the site's id alone, so that a rebuilt index gives the same ids. At 200,000 threads
    the chance of any collision is below 2 in 10^8.
    """
    words = "\x1f".join((scope.account, scope.marketplace, scope.source or "", site_thread))
    return b32encode(hashlib.sha256(words.encode()).digest())[:12].decode().lower()


def message_id(thread: str, site_message: str) -> str:
    """The archive's own short id of a message: 16 lower-case base-32 characters of SHA-256."""
    words = f"{thread}\x1f{site_message}"
    return b32encode(hashlib.sha256(words.encode()).digest())[:16].decode().lower()


# --- what the site lists ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ref:
    """One row of a list: a thread the site says it has.

    `stamp` is all that the list says about the thread's state (last change, status, count), as text: an equal
    stamp means that nothing has changed. `active_at` is the time of the last activity the list names, or None.
    """

    scope: Scope
    site_thread: str
    stamp: str
    active_at: datetime | None = None

    @property
    def thread(self) -> str:
        return thread_id(self.scope, self.site_thread)


@dataclass(frozen=True, slots=True)
class Listing:
    """What one page of a list said. `total` is the site's own count of the whole list, where it names one.

    `rows` are the ids of all rows of the page, those of other marketplaces too; empty means those of `refs`.

    `last` is True or False where the answer itself says whether more pages follow, else None. `elsewhere` counts,
    by the site's marketplace id, rows that belong to marketplaces the configuration does not name.
    """

    refs: tuple[Ref, ...]
    rows: tuple[str, ...] = ()
    total: int | None = None
    last: bool | None = None
    elsewhere: tuple[tuple[str, int], ...] = ()


# --- what the browser saw --------------------------------------------------------------------------------------


class Kind(StrEnum):
    """What a capture is an observation of."""

    THREAD = "thread"
    LIST = "list"
    SIGN_IN = "sign-in"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One thing the browser saw, byte for byte.

    `name` is unique in its capture and says what it is: `json/0`, `dom`, `dom/frame-1`, `mhtml`, `screenshot/0`,
    `attachment/0`. `title` is the file name of an attachment, as the site gave it. `url` is where it came from.
    """

    name: str
    media_type: str
    body: bytes = field(repr=False)
    url: str = ""
    title: str = ""
    status: int = 200


@dataclass(frozen=True, slots=True)
class Capture:
    """One observation of one thread, one list page, one sign-in page or one run, whole.

    `site_thread` is the site's id (thread captures only); `stamp` is the stamp of the listing that led here;
    `page` is the page number of a list capture, from 1.
    """

    scope: Scope
    kind: Kind
    taken_at: datetime
    url: str
    artifacts: tuple[Artifact, ...]
    run: str = ""
    site_thread: str = ""
    stamp: str = ""
    page: int = 0

    def named(self, prefix: str) -> tuple[Artifact, ...]:
        """The artifacts whose name is `prefix` or starts with `prefix/`, in order."""
        return tuple(a for a in self.artifacts if a.name == prefix or a.name.startswith(prefix + "/"))


def listing_digest(capture: Capture) -> str:
    """What a list page said, as SHA-256 in hexadecimal: over its JSON artifacts in order, or its DOM if it has none.

    Equal digests mean that there is nothing new to keep. Each body goes in with its length before it.
    """
    digest = hashlib.sha256()
    for artifact in capture.named("json") or capture.named("dom"):
        digest.update(len(artifact.body).to_bytes(8, "big"))
        digest.update(artifact.body)
    return digest.hexdigest()


# --- what was read ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that hangs on a message: as the site declares it, and which artifact holds it (None: not fetched).

    `opens`: whether it is what it is said to be and a program can open it; None where nobody could say. `trouble` is
    why it does not.
    """

    name: str
    media_type: str
    url: str
    artifact: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    opens: bool | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message, read from a capture. `body` is plain text as the site gave it, white space kept."""

    site_message: str
    direction: Direction
    sender: str
    sent_at: datetime
    body: str
    recipient: str = ""
    language: str = ""
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread with its messages, oldest first."""

    scope: Scope
    site_thread: str
    subject: str
    status: str
    category: str
    url: str
    messages: tuple[Message, ...]
    order_ids: tuple[str, ...] = ()
    asins: tuple[str, ...] = ()

    @property
    def thread(self) -> str:
        return thread_id(self.scope, self.site_thread)


@dataclass(frozen=True, slots=True)
class Unread:
    """A capture that is kept and could not be read. `key` names what to mend in `site.toml`."""

    why: str
    key: str = ""


# --- what happened, in order -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """The browser saw something that is not in the archive yet. It is kept before anything else happens."""

    capture: Capture


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of the list was read."""

    listing: Listing
    page: int


@dataclass(frozen=True, slots=True)
class Relisted:
    """The list is read again from its beginning: what its pages said before counts no more."""

    why: str


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The list says that the archive already has this thread as it is."""

    ref: Ref


@dataclass(frozen=True, slots=True)
class Missed:
    """Something was listed, or was to be listed, and is not in the archive. `ref` is None for a list page."""

    ref: Ref | None
    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The walk is over. `reached_end`: the pager or the answer said that there is no more."""

    reached_end: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Identified:
    """The site was asked which account and marketplace it shows, and this is whether it was the right one."""

    proven: bool
    account_label: str
    marketplace_id: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A person must hear of this, though it leaves nothing out of the archive. `hint` is what to do next.

    `ref` is None where it is of no single thread.
    """

    ref: Ref | None
    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class Left:
    """A thread the archive has is not listed any more. `aged_out`: its time had come; else it left before its time."""

    scope: Scope
    site_thread: str
    active_at: datetime | None
    aged_out: bool

    @property
    def thread(self) -> str:
        return thread_id(self.scope, self.site_thread)


@dataclass(frozen=True, slots=True)
class Returned:
    """A thread that had left the list is listed again."""

    ref: Ref


Event = Seen | Listed | Relisted | Unchanged | Missed | Ended | Identified | Left | Returned | Alarm


# --- what is known ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """What the archive has of one scope: the stamp of each thread, and the digest of each list page last kept.

    `wanting` says of a thread, by its site id, why what is kept of it is not all of it. `active` is when its newest
    message was sent, where one could be read. `left` are the threads that were listed once and are no longer.
    """

    stamps: dict[str, str]
    pages: dict[int, str]
    wanting: dict[str, str] = field(default_factory=dict)
    active: dict[str, datetime] = field(default_factory=dict)
    left: frozenset[str] = frozenset()

    def listed_still(self, since: datetime) -> frozenset[str]:
        """The threads a list should still show: those that have not left it and were active at `since` or later."""
        return frozenset(
            name for name in self.stamps if name not in self.left and self.active.get(name, since) >= since
        )


# --- what can be found -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that a query found. `snippet` marks the hits with U+0002 and U+0003."""

    thread: str
    message: str
    account: str
    marketplace: str
    source: str
    subject: str
    sender: str
    direction: str
    sent_at: datetime
    snippet: str
    url: str
