"""What is derived from the captures, so that it can be found: threads, messages and their versions, full text, runs.

Filed from readings, one capture a transaction, in the order of the chain; dropped and computed again at will. The
same captures and the same reader give the same rows: no clock and no random number has a part in it.

A message's row number is its time in milliseconds, its place in its thread (8 bits; sites give times by the minute)
and 13 bits of its id's hash: the full-text index then gives the newest first by itself. Only the newest version of a
message is searched; all are kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from archiver.archive.captures import Entry
from archiver.archive.disk import Database, Row, damaged
from archiver.errors import UsageError
from archiver.model import (
    Attachment,
    Capture,
    Direction,
    Kind,
    Known,
    Message,
    Scope,
    Source,
    Thread,
    Unread,
    listing_digest,
    message_id,
)
from archiver.text import identifiers, index_terms

if TYPE_CHECKING:
    import sqlite_utils

FORMAT = "2"
"""Changes with the tables or with how text is cut; an index of another format is computed again."""

_TABLES: dict[str, tuple[dict[str, type], str | tuple[str, ...]]] = {
    "meta": ({"key": str, "value": str}, "key"),
    "capture": (
        {
            "seq": int, "id": str, "kind": str, "thread": str, "account": str, "marketplace": str, "source": str,
            "taken_at": str, "run": str, "url": str, "stamp": str, "page": int, "unread_why": str, "unread_key": str,
        },
        "seq",
    ),
    "thread": (
        {
            "id": str, "account": str, "marketplace": str, "source": str, "site_thread": str, "subject": str,
            "status": str, "category": str, "url": str, "order_ids": str, "asins": str, "stamp": str,
            "left_at": str, "left_why": str, "first_seq": int, "last_seq": int, "read_seq": int,
        },
        "id",
    ),
    "message": (
        {
            "id": int, "thread": str, "message": str, "site_message": str, "version": int, "current": int, "place": int,
            "direction": str, "sender": str, "recipient": str, "language": str, "sent_at": str, "body": str,
            "capture": str,
        },
        "id",
    ),
    "attachment": (
        {
            "message": int, "place": int, "name": str, "media_type": str, "url": str, "artifact": str,
            "size_bytes": int, "sha256": str, "opens": int, "trouble": str,
        },
        ("message", "place"),
    ),
    "list_page": (
        {"account": str, "marketplace": str, "source": str, "page": int, "digest": str, "seq": int},
        ("account", "marketplace", "source", "page"),
    ),
    "run": (
        {"run": str, "seq": int, "started_at": str, "finished_at": str, "exit": int, "record": str},
        "run",
    ),
    "coverage": (
        {
            "run": str, "account": str, "marketplace": str, "source": str, "seq": int, "complete": int, "state": str,
            "oldest_visible": str, "record": str,
        },
        ("run", "account", "marketplace", "source"),
    ),
}  # fmt: skip

_INDEXES = (
    ("capture", ("thread",)),
    ("capture", ("id",)),
    ("thread", ("account", "marketplace", "source")),
    ("thread", ("site_thread",)),
    ("message", ("thread", "site_message", "version")),
    ("message", ("thread", "message")),
    ("coverage", ("account", "marketplace", "source", "seq")),
)

# The terms are cut in text.py and joined by spaces. The `ascii` tokenizer splits at ASCII punctuation and space only,
# and no term holds either: a term is never split or folded a second time, neither here nor in a query.
_FULL_TEXT = (
    "CREATE VIRTUAL TABLE message_fts USING fts5(subject, body, sender, files, content='', contentless_delete=1, "
    "tokenize='ascii')",
    "CREATE VIRTUAL TABLE ident_fts USING fts5(identifiers, content='', contentless_delete=1, "
    "tokenize='trigram case_sensitive 1')",
)
_BETWEEN = "\uffff"
"""A term no text and no query holds, between the parts of one column, so that no phrase is found across them."""

_STAMPS = """
SELECT t.site_thread, CASE WHEN (
    SELECT count(*) FROM capture c WHERE c.thread = t.id AND c.seq > t.read_seq AND c.stamp = t.stamp
) = 1 THEN '' ELSE t.stamp END
FROM thread t WHERE t.account = ? AND t.marketplace = ? AND t.source = ?
"""
"""An empty stamp equals no listed one: what could not be read is captured a second time, in case the page was only
half there. A third time would show the same again."""

_WANTING = """
SELECT t.site_thread, 'an attachment was not fetched'
    FROM thread t JOIN message m ON m.thread = t.id AND m.current = 1 JOIN attachment a ON a.message = m.id
    WHERE t.account = ? AND t.marketplace = ? AND t.source = ? AND a.artifact IS NULL
UNION ALL
SELECT t.site_thread, 'kept and not read: ' || c.unread_why
    FROM thread t JOIN capture c ON c.seq = t.last_seq
    WHERE t.account = ? AND t.marketplace = ? AND t.source = ? AND t.read_seq < t.last_seq
"""

_ACTIVE = """
SELECT t.site_thread, max(m.sent_at) FROM thread t JOIN message m ON m.thread = t.id AND m.current = 1
WHERE t.account = ? AND t.marketplace = ? AND t.source = ? GROUP BY t.id
"""

AGED_OUT, LEFT_EARLY = "aged out", "before its time"
"""Why a thread left the list of the site (`StoredThread.left_why`)."""

_HASH_BITS = 13
_LAST_PLACE = 255
ROW_BITS = 21
"""How far the time is shifted: place and hash are below it."""
_FIRST_MS, _LAST_MS = -(1 << 41), (1 << 42) - 1
"""From 1900 to 2109. What is outside is filed at the end of the range."""


@dataclass(frozen=True, slots=True)
class CaptureInfo:
    """One capture, as the index knows it. `unread`: why it could not be read, or None."""

    id: str
    seq: int
    kind: Kind
    scope: Scope
    thread: str
    taken_at: datetime
    run: str
    url: str
    stamp: str
    page: int
    unread: Unread | None


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One version of a message. `capture` is the id of the capture that showed this version first, and `seen_at` when
    that was; its attachments' artifacts are in there. `version` counts from 1."""

    id: str
    thread: str
    version: int
    capture: str
    message: Message
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class StoredThread:
    """A thread with its newest messages, oldest first. `unread`: why its last capture could not be read, or None;
    the messages are then those of earlier captures. `captures` are in the order they were taken. `left_at` is when a
    run found it listed no more (`left_why`: AGED_OUT or LEFT_EARLY), None while it is listed."""

    id: str
    scope: Scope
    site_thread: str
    subject: str
    status: str
    category: str
    url: str
    order_ids: tuple[str, ...]
    asins: tuple[str, ...]
    messages: tuple[StoredMessage, ...]
    unread: Unread | None
    captures: tuple[CaptureInfo, ...]
    left_at: datetime | None = None
    left_why: str = ""


class Index:
    """The open index. Raises what `disk.Database` raises."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._filing: sqlite_utils.Database | None = None

    def fits(self) -> bool:
        """Whether the tables are there, and of this version's format."""
        return not self.empty() and bool(self.database.value("SELECT value FROM meta WHERE key = 'format'") == FORMAT)

    def empty(self) -> bool:
        """Whether it was never made."""
        return not self.database.value("SELECT count(*) FROM sqlite_master WHERE name = 'meta'")

    def make(self) -> None:
        """Make every table anew, empty. Belongs in a transaction."""
        for (name,) in self.database.rows(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND (sql LIKE 'CREATE VIRTUAL%') "
            "UNION ALL SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%\\_fts%' ESCAPE '\\' "
            "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        ):
            self.database.run(f'DROP TABLE IF EXISTS "{name}"')
        tables = self._tables()
        for table, (columns, key) in _TABLES.items():
            tables.table(table).create(columns, pk=key)
        for table, of in _INDEXES:
            tables.table(table).create_index(of)
        for statement in _FULL_TEXT:
            self.database.run(statement)
        tables.table("meta").insert({"key": "format", "value": FORMAT})

    def _tables(self) -> sqlite_utils.Database:
        if self._filing is None:
            # Imported where it is used: it takes longer to load than a search takes.
            import sqlite_utils

            self._filing = sqlite_utils.Database(self.database.connection)
        return self._filing

    def close(self) -> None:
        self.database.close()

    # --- filing ------------------------------------------------------------------------------------------------

    def filed(self, seq: int) -> bool:
        """Whether this capture is in the index."""
        return self.database.row("SELECT 1 FROM capture WHERE seq = ?", (seq,)) is not None

    def filed_seqs(self) -> set[int]:
        """The numbers of all filed captures."""
        return {seq for (seq,) in self.database.rows("SELECT seq FROM capture")}

    def filed_range(self) -> tuple[int, int]:
        """How many captures are filed, and the number of the last; 0 before any."""
        row = self.database.row("SELECT count(*), max(seq) FROM capture")
        return (int(row[0]), int(row[1] or 0)) if row is not None else (0, 0)

    def file(self, entry: Entry, capture: Capture | None, reading: Thread | Unread | None) -> None:
        """File one capture with what was read from it. `capture` None: it was erased. Belongs in a transaction.

        Captures of one thread are filed in the order of the chain, or the versions of messages would change places;
        ValueError otherwise. Filing twice changes nothing.
        """
        if self.filed(entry.seq):
            return
        unread = reading if isinstance(reading, Unread) else None
        is_thread = entry.kind is Kind.THREAD
        self._tables().table("capture").insert(
            {
                "seq": entry.seq,
                "id": entry.id,
                "kind": str(entry.kind),
                "thread": entry.holder if is_thread else "",
                **_scope_columns(entry.scope),
                "taken_at": _time(entry.taken_at),
                "run": entry.run,
                "url": _storable(capture.url) if capture else "",
                "stamp": _storable(capture.stamp) if capture else "",
                "page": capture.page if capture else 0,
                "unread_why": _storable(unread.why) if unread else "",
                "unread_key": _storable(unread.key) if unread else "",
            }
        )
        if capture is None:
            return
        match entry.kind:
            case Kind.THREAD:
                self._file_thread(entry, capture, reading if isinstance(reading, Thread) else None)
            case Kind.LIST:
                self._tables().table("list_page").insert(
                    {
                        **_scope_columns(entry.scope),
                        "page": capture.page,
                        "digest": listing_digest(capture),
                        "seq": entry.seq,
                    },
                    replace=True,
                )
            case Kind.RUN:
                self._file_run(entry, capture)
            case Kind.SIGN_IN:
                pass  # its row in `capture` is all there is to find

    def _file_run(self, entry: Entry, capture: Capture) -> None:
        artifacts = capture.named("json")
        record = json.loads(artifacts[0].body) if artifacts else {}
        run = str(record.get("run", entry.run))
        self._tables().table("run").insert(
            {
                "run": run,
                "seq": entry.seq,
                "started_at": record.get("started_at", ""),
                "finished_at": record.get("finished_at", ""),
                "exit": record.get("exit", 0),
                "record": artifacts[0].body.decode() if artifacts else "{}",
            },
            replace=True,
        )
        for coverage in record.get("coverages", ()):
            self._tables().table("coverage").insert(
                {
                    "run": run,
                    "account": coverage["account"],
                    "marketplace": coverage["marketplace"],
                    "source": coverage["source"],
                    "seq": entry.seq,
                    "complete": int(bool(coverage["complete"])),
                    "state": coverage["state"],
                    "oldest_visible": coverage["oldest_visible"],
                    "record": json.dumps(coverage, sort_keys=True),
                },
                replace=True,
            )
            for left in coverage.get("left", ()):
                self.database.run(
                    "UPDATE thread SET left_at = ?, left_why = ? WHERE id = ?",
                    (record.get("finished_at", ""), AGED_OUT if left["aged_out"] else LEFT_EARLY, left["thread"]),
                )
            for returned in coverage.get("returned", ()):
                self.database.run("UPDATE thread SET left_at = '', left_why = '' WHERE id = ?", (returned,))

    def _file_thread(self, entry: Entry, capture: Capture, thread: Thread | None) -> None:
        before = self.database.row(
            "SELECT first_seq, last_seq, read_seq, subject, status, category, url, order_ids, asins "
            "FROM thread WHERE id = ?",
            (entry.holder,),
        )
        if before is not None and before[1] > entry.seq:
            raise ValueError(f"capture {entry.id} is filed after a later one of the same thread")
        described: Row = before[3:] if before is not None else ("", "", "", _storable(capture.url), "[]", "[]")
        if thread is not None:
            described = (
                _storable(thread.subject),
                _storable(thread.status),
                _storable(thread.category),
                _storable(thread.url),
                json.dumps(thread.order_ids),
                json.dumps(thread.asins),
            )
        self._tables().table("thread").upsert(
            {
                "id": entry.holder,
                **_scope_columns(entry.scope),
                "site_thread": _storable(capture.site_thread),
                **dict(zip(("subject", "status", "category", "url", "order_ids", "asins"), described, strict=True)),
                "stamp": _storable(capture.stamp),
                **({} if before is not None else {"left_at": "", "left_why": ""}),
                "first_seq": before[0] if before is not None else entry.seq,
                "last_seq": entry.seq,
                "read_seq": entry.seq if thread is not None else before[2] if before is not None else 0,
            },
            pk="id",
        )
        if thread is None:
            return
        changed = self._file_messages(entry, thread)
        searched = (described[0], described[4], described[5])
        if before is not None and (before[3], before[7], before[8]) != searched:
            # Every message of the thread is found by its subject and identifiers, so all are searched anew.
            changed = [row for (row,) in self.database.rows(
                "SELECT id FROM message WHERE thread = ? AND current = 1", (entry.holder,)
            )]  # fmt: skip
        for row in changed:
            self._make_searchable(row, capture.site_thread if entry.scope.source is Source.CASES else "")

    def _file_messages(self, entry: Entry, thread: Thread) -> list[int]:
        """Enter what is new or has changed; the row numbers of these."""
        rows = self.database.rows(
            "SELECT id, site_message, version, direction, sender, recipient, language, sent_at, body "
            "FROM message WHERE thread = ? AND current = 1",
            (entry.holder,),
        )
        stored = {row[1]: row for row in rows}
        changed = []
        for place, (site_message, message) in enumerate(_told_apart(thread.messages)):
            content = _content(message)
            before = stored.get(site_message)
            if before is not None:
                same = before[3:] == content and self._keep_attachments(before[0], message.attachments, entry.id)
                if same:
                    continue
                self.database.run("UPDATE message SET current = 0 WHERE id = ?", (before[0],))
                self.database.run("DELETE FROM message_fts WHERE rowid = ?", (before[0],))
                self.database.run("DELETE FROM ident_fts WHERE rowid = ?", (before[0],))
            version = before[2] + 1 if before is not None else 1
            name = message_id(entry.holder, site_message)
            row = self._free_row(message.sent_at, place, f"{name} {version}")
            direction, sender, recipient, language, sent_at, body = content
            self._tables().table("message").insert(
                {
                    "id": row, "thread": entry.holder, "message": name, "site_message": site_message,
                    "version": version, "current": 1, "place": place, "direction": direction, "sender": sender,
                    "recipient": recipient, "language": language, "sent_at": sent_at, "body": body,
                    "capture": entry.id,
                }
            )  # fmt: skip
            self._enter_attachments(row, message.attachments)
            changed.append(row)
        return changed

    def _enter_attachments(self, row: int, attachments: Sequence[Attachment]) -> None:
        if attachments:
            self._tables().table("attachment").insert_all(
                {
                    "message": row,
                    "place": place,
                    "name": _storable(attachment.name),
                    "media_type": _storable(attachment.media_type),
                    "url": _storable(attachment.url),
                    "artifact": attachment.artifact,
                    "size_bytes": attachment.size_bytes,
                    "sha256": attachment.sha256,
                    "opens": None if attachment.opens is None else int(attachment.opens),
                    "trouble": attachment.trouble,
                }
                for place, attachment in enumerate(attachments)
            )

    def _keep_attachments(self, row: int, now: Sequence[Attachment], capture: str) -> bool:
        """Whether the message still carries the same files. What could not be fetched before and was now is entered.

        Neither URL nor artifact tell: a signed URL changes at every look, and the artifact is the capture's.
        """
        before = self.database.rows(
            "SELECT name, media_type, size_bytes, sha256 FROM attachment WHERE message = ? ORDER BY place", (row,)
        )
        said = _said(now)
        if before == said:
            return True
        if [b[0] for b in before] != [s[0] for s in said]:
            return False
        if any(b[3] is not None and s[3] is not None and b != s for b, s in zip(before, said, strict=True)):
            return False
        # The same files, of which one look or the other did not get all. One capture holds them all, or the old stays.
        if all(s[3] is not None for s in said):
            self.database.run("DELETE FROM attachment WHERE message = ?", (row,))
            self._enter_attachments(row, now)
            self.database.run("UPDATE message SET capture = ? WHERE id = ?", (capture, row))
        return True

    def _free_row(self, sent_at: datetime, place: int, name: str) -> int:
        digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") & ((1 << _HASH_BITS) - 1)
        row = first_row(sent_at) + (min(place, _LAST_PLACE) << _HASH_BITS) + digest
        while self.database.row("SELECT 1 FROM message WHERE id = ?", (row,)) is not None:
            row += 1
        return row

    def _make_searchable(self, row: int, site_case: str) -> None:
        found = self.database.row(
            "SELECT t.subject, m.body, m.sender, t.order_ids, t.asins FROM message m JOIN thread t ON t.id = m.thread "
            "WHERE m.id = ?",
            (row,),
        )
        if found is None:
            raise damaged(self.database.path, f"message {row} has no thread")
        subject, body, sender, order_ids, asins = found
        files = [
            name
            for (name,) in self.database.rows("SELECT name FROM attachment WHERE message = ? ORDER BY place", (row,))
        ]
        self.database.run("DELETE FROM message_fts WHERE rowid = ?", (row,))
        self.database.run("DELETE FROM ident_fts WHERE rowid = ?", (row,))
        self.database.run(
            "INSERT INTO message_fts (rowid, subject, body, sender, files) VALUES (?,?,?,?,?)",
            (row, _searchable([subject]), _searchable([body]), _searchable([sender]), _searchable(files)),
        )
        named = message_identifiers(subject, body, sender, files, json.loads(order_ids), json.loads(asins), site_case)
        if named:
            self.database.run("INSERT INTO ident_fts (rowid, identifiers) VALUES (?,?)", (row, " ".join(named)))

    # --- reading -----------------------------------------------------------------------------------------------

    def known(self, scope: Scope) -> Known:
        """What of this scope need not be captured again."""
        where = tuple(_scope_columns(scope).values())
        return Known(
            stamps=dict(self.database.rows(_STAMPS, where)),
            pages=dict(
                self.database.rows(
                    "SELECT page, digest FROM list_page WHERE account = ? AND marketplace = ? AND source = ?", where
                )
            ),
            wanting=dict(self.database.rows(_WANTING, where * 2)),
            active={name: datetime.fromisoformat(sent_at) for name, sent_at in self.database.rows(_ACTIVE, where)},
            left=frozenset(
                name
                for (name,) in self.database.rows(
                    "SELECT site_thread FROM thread WHERE account = ? AND marketplace = ? AND source = ? "
                    "AND left_at <> ''",
                    where,
                )
            ),
        )

    def captures(self, thread: str) -> tuple[CaptureInfo, ...]:
        """The captures of a thread, by its id, in the order they were taken."""
        rows = self.database.rows(
            "SELECT id, seq, kind, account, marketplace, source, thread, taken_at, run, url, stamp, page, unread_why, "
            "unread_key FROM capture WHERE thread = ? ORDER BY seq",
            (thread,),
        )
        return tuple(_capture_info(row) for row in rows)

    def thread(self, named: str) -> StoredThread:
        """The thread of this id, of an id that begins so, or of this id of the site.

        Raises UsageError where there is none or more than one.
        """
        row = self.database.row(
            "SELECT account, marketplace, source, site_thread, subject, status, category, url, order_ids, asins, "
            "read_seq, last_seq, id, left_at, left_why FROM thread WHERE id = ?",
            (self._thread_named(named.strip()),),
        )
        if row is None:
            raise damaged(self.database.path, f"thread {named} is gone")
        account, marketplace, source, site_thread, subject, status, category, url, order_ids, asins = row[:10]
        captures = self.captures(row[12])
        return StoredThread(
            id=row[12],
            scope=_scope(account, marketplace, source),
            site_thread=site_thread,
            subject=subject,
            status=status,
            category=category,
            url=url,
            order_ids=tuple(json.loads(order_ids)),
            asins=tuple(json.loads(asins)),
            messages=self.messages(row[12]),
            unread=captures[-1].unread if captures else None,
            captures=captures,
            left_at=datetime.fromisoformat(row[13]) if row[13] else None,
            left_why=row[14],
        )

    def _thread_named(self, named: str) -> str:
        if named:
            short = named.lower()
            for sql, values in (
                ("SELECT id, subject FROM thread WHERE id = ? LIMIT 4", (short,)),
                ("SELECT id, subject FROM thread WHERE site_thread = ? ORDER BY id LIMIT 4", (named,)),
                (
                    "SELECT id, subject FROM thread WHERE id > ? AND id < ? ORDER BY id LIMIT 4",
                    (short, short + "\uffff"),
                ),
            ):
                found = self.database.rows(sql, values)
                if len(found) == 1:
                    return str(found[0][0])
                if found:
                    raise UsageError(
                        f"{named} names more than one thread.",
                        hint=f"Name one of {', '.join(name for name, _ in found[:3])}"
                        + (" or others." if len(found) > 3 else "."),
                    )
        raise UsageError(f"There is no thread {named}.", hint="`archiver search` names the thread of every message.")

    def messages(self, thread: str) -> tuple[StoredMessage, ...]:
        """The newest version of every message of a thread, oldest first."""
        return self._messages(thread, "m.current = 1")

    def versions(self, thread: str) -> tuple[StoredMessage, ...]:
        """Every version of every message of a thread: messages oldest first, the versions of each in order."""
        return self._messages(thread, "1")

    def _messages(self, thread: str, which: str) -> tuple[StoredMessage, ...]:
        # A later version may say another time; all stand where the first one stood.
        rows = self.database.rows(
            "SELECT m.id, m.message, m.version, m.capture, m.site_message, m.direction, m.sender, m.recipient, "  # noqa: S608
            "m.language, m.sent_at, m.body, c.taken_at FROM message m JOIN capture c ON c.id = m.capture "
            f"WHERE m.thread = ? AND {which} ORDER BY (SELECT min(f.sent_at) FROM message f WHERE f.thread = m.thread "
            "AND f.message = m.message), m.place, m.message, m.version",
            (thread,),
        )
        return tuple(
            StoredMessage(
                id=row[1],
                thread=thread,
                version=row[2],
                capture=row[3],
                message=Message(
                    site_message=row[4],
                    direction=Direction(row[5]),
                    sender=row[6],
                    sent_at=datetime.fromisoformat(row[9]),
                    body=row[10],
                    recipient=row[7],
                    language=row[8],
                    attachments=self._attachments(row[0]),
                ),
                seen_at=datetime.fromisoformat(row[11]),
            )
            for row in rows
        )

    def _attachments(self, row: int) -> tuple[Attachment, ...]:
        rows = self.database.rows(
            "SELECT name, media_type, url, artifact, size_bytes, sha256, opens, trouble FROM attachment "
            "WHERE message = ? ORDER BY place",
            (row,),
        )
        return tuple(
            Attachment(
                name, media_type, url, artifact, size_bytes, sha256, None if opens is None else bool(opens), trouble
            )
            for name, media_type, url, artifact, size_bytes, sha256, opens, trouble in rows
        )

    def threads(self) -> tuple[str, ...]:
        """The id of every thread, in the order they were first captured."""
        return tuple(name for (name,) in self.database.rows("SELECT id FROM thread ORDER BY first_seq"))


# --- what is searched ------------------------------------------------------------------------------------------


def message_identifiers(
    subject: str,
    body: str,
    sender: str,
    files: Iterable[str],
    order_ids: Iterable[str],
    asins: Iterable[str],
    site_case: str,
) -> list[str]:
    """The identifiers a message is found by, folded, each once, in order: those of its thread, then those in its
    own text. None holds a space."""
    of_thread = [part for named in (*order_ids, *asins, site_case) for part in named.lower().split() if part]
    of_text = [part for text in (subject, body, sender, *files) for part in identifiers(text)]
    return list(dict.fromkeys(_storable(part) for part in (*of_thread, *of_text)))


def first_row(moment: datetime) -> int:
    """The least row number of a message sent in the millisecond of `moment`."""
    milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return min(max(milliseconds, _FIRST_MS), _LAST_MS) << ROW_BITS


def _searchable(parts: Sequence[str]) -> str:
    return f" {_BETWEEN} ".join(" ".join(index_terms(part)) for part in parts)


# --- columns ---------------------------------------------------------------------------------------------------


def _told_apart(messages: Iterable[Message]) -> list[tuple[str, Message]]:
    """The messages of one reading by the site's id; where an id comes twice, the second gets a mark of its own, so
    that neither takes the other's place."""
    seen: dict[str, int] = {}
    told: list[tuple[str, Message]] = []
    for message in messages:
        name = _storable(message.site_message)
        seen[name] = seen.get(name, 0) + 1
        told.append((name if seen[name] == 1 else f"{name}~{seen[name]}", message))
    return told


def _content(message: Message) -> tuple[str, ...]:
    return (
        str(message.direction),
        _storable(message.sender),
        _storable(message.recipient),
        _storable(message.language),
        _time(message.sent_at),
        _storable(message.body),
    )


def _said(attachments: Iterable[Attachment]) -> list[Row]:
    return [(_storable(a.name), _storable(a.media_type), a.size_bytes, a.sha256) for a in attachments]


def _storable(text: str) -> str:
    """Without lone surrogates, which a site's JSON may hold and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _time(moment: datetime) -> str:
    # Always of one length, so that text sorts as time does.
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _scope_columns(scope: Scope) -> dict[str, str]:
    return {"account": scope.account, "marketplace": scope.marketplace, "source": str(scope.source or "")}


def _scope(account: str, marketplace: str, source: str) -> Scope:
    return Scope(account, marketplace, Source(source) if source else None)


def _capture_info(row: Sequence[Any]) -> CaptureInfo:
    name, seq, kind, account, marketplace, source, thread, taken_at, run, url, stamp, page, why, key = row
    return CaptureInfo(
        id=name,
        seq=seq,
        kind=Kind(kind),
        scope=_scope(account, marketplace, source),
        thread=thread,
        taken_at=datetime.fromisoformat(taken_at),
        run=run,
        url=url,
        stamp=stamp,
        page=page,
        unread=Unread(why, key) if why else None,
    )
