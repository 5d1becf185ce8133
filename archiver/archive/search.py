"""A parsed query to hits, newest first. What is found is exactly what `text.found_at` defines, in messages:

A word or phrase is in a message if it is found in one of: the subject of its thread, its body, its sender, the name of
one of its attachments. A word of three or more ASCII letters, digits and hyphens with a digit among them is also in a
message if it is any part of one of the message's identifiers (`index.message_identifiers`). `from:` and `subject:`
look at the sender and the subject alone. Nothing typed becomes SQL or full-text syntax: only quoted terms do, and no
term holds a quote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from archiver.archive.disk import Database
from archiver.archive.index import ROW_BITS, first_row
from archiver.model import Hit
from archiver.query import Query, Words
from archiver.text import fold, fold_with_map, found_at, identifier_part, query_terms

SNIPPET_CHARACTERS = 160
_BEFORE_HIT = 48
HIT_BEGINS, HIT_ENDS = "\x02", "\x03"
_COLUMNS = {"": "", "from": "sender : ", "subject": "subject : "}
_SPACE = re.compile(r"[\s\x00-\x1f\x7f]+")


def search(index: Database, query: Query, *, limit: int | None = None) -> list[Hit]:
    """The messages that satisfy the query, newest first, at most `limit`. Raises what the index raises."""
    selection, row, values = _selection(query)
    rows = index.rows(
        "SELECT t.id, m.message, t.account, t.marketplace, t.source, t.subject, m.sender, m.direction, m.sent_at, "
        f"t.url, m.body, t.order_ids, t.asins, t.site_thread, m.id {selection} ORDER BY {row} DESC LIMIT ?",
        (*values, -1 if limit is None else limit),
    )
    wanted = [words for words in query.words if not words.excluded]
    return [_hit(index, found, wanted) for found in rows]


def count(index: Database, query: Query) -> int:
    """How many messages satisfy the query."""
    selection, _, values = _selection(query)
    return int(index.value(f"SELECT count(*) {selection}", values))


def _selection(query: Query) -> tuple[str, str, list[object]]:
    """FROM and WHERE of a query, the column that orders by time, and the values.

    All that varies in the text is which of the fixed pieces below are in it.
    """
    plain: list[str] = []
    conditions = ["m.current = 1"]
    values: list[object] = []
    for words in query.words:
        match, part = _match(words)
        if part is None and not words.excluded:
            plain.append(match)
            continue
        rows = "SELECT rowid FROM message_fts WHERE message_fts MATCH ?"
        values.append(match)
        if part is not None:
            rows += " UNION SELECT rowid FROM ident_fts WHERE ident_fts MATCH ?"
            values.append(part)
        conditions.append(f"m.id {'NOT ' if words.excluded else ''}IN ({rows})")
    source, row = "FROM message m JOIN thread t ON t.id = m.thread", "m.id"
    if plain:
        # The full text drives, from the newest on; the order of a CROSS JOIN is kept by SQLite.
        source = "FROM message_fts f CROSS JOIN message m ON m.id = f.rowid CROSS JOIN thread t ON t.id = m.thread"
        row = "f.rowid"
        conditions.insert(0, "message_fts MATCH ?")
        values.insert(0, " AND ".join(plain))
    for where in query.wheres:
        conditions.append(f"t.{_SCOPE[where.field]} {'<>' if where.excluded else '='} ?")
        values.append(where.value)
    for bound, sign in ((query.after, ">="), (query.before, "<")):
        if bound is not None:
            # The row's number narrows, so that the full text is not read from its beginning; the time decides.
            conditions.append(f"{row} {sign} ? AND m.sent_at {sign} ?")
            values += [_row_bound(bound, sign), bound.astimezone(UTC).isoformat(timespec="microseconds")]
    return f"{source} WHERE {' AND '.join(conditions)}", row, values


_SCOPE = {"source": "source", "account": "account", "marketplace": "marketplace"}


def _row_bound(bound: datetime, sign: str) -> int:
    # A bound may fall inside a millisecond, and times out of range share the last one: leave that to the time.
    row = first_row(bound)
    return row if sign == ">=" else row + (1 << ROW_BITS + 1)


def _match(words: Words) -> tuple[str, str | None]:
    """What to MATCH in the full text, and in the identifiers (None: these are not looked at)."""
    terms, prefix = query_terms(words.text)
    match = f'{_COLUMNS[words.field]}"{" ".join(terms)}"{" *" if prefix else ""}'
    part = None if words.field else identifier_part(words.text)
    return match, None if part is None else f'"{part}"'


# --- snippets --------------------------------------------------------------------------------------------------


def _hit(index: Database, row: tuple[Any, ...], wanted: list[Words]) -> Hit:
    thread, message, account, marketplace, source, subject, sender, direction, sent_at, url, body = row[:11]

    def texts() -> Iterable[tuple[str, str]]:
        yield "", body
        yield "subject", subject
        yield "from", sender
        for (name,) in index.rows("SELECT name FROM attachment WHERE message = ? ORDER BY place", (row[14],)):
            yield "", name
        yield "", " ".join((*json.loads(row[11]), *json.loads(row[12]), row[13]))

    return Hit(
        thread=thread,
        message=message,
        account=account,
        marketplace=marketplace,
        source=source,
        subject=subject,
        sender=sender,
        direction=direction,
        sent_at=datetime.fromisoformat(sent_at),
        snippet=_snippet(texts, wanted),
        url=url,
    )


def _snippet(texts: Callable[[], Iterable[tuple[str, str]]], wanted: list[Words]) -> str:
    """About 160 characters of the first text that holds a hit, around the first one; else of the first text."""
    first = ""
    for place, (field, text) in enumerate(texts()):
        first = first if place else text
        spoken = [words.text for words in wanted if words.field in ("", field)]
        hits = hits_in(text, spoken)
        if hits:
            return _cut_out(text, hits)
    return _cut_out(first, [])


def hits_in(text: str, wanted: Iterable[str]) -> list[tuple[int, int]]:
    """Where the words are found in `text`, as (start, end) of the original; in order, not overlapping."""
    folded = fold(text)
    found: list[tuple[int, int]] = []
    for word in wanted:
        term = fold(word)
        found += found_at(folded, term)
        part = identifier_part(word)
        at = folded.find(part) if part is not None else -1
        while part is not None and at >= 0:
            found.append((at, at + len(part)))
            at = folded.find(part, at + len(part))
    if not found:
        return []
    mapped = fold_with_map(text)
    merged: list[tuple[int, int]] = []
    for start, end in sorted((mapped.starts[start], mapped.ends[end - 1]) for start, end in found):
        if merged and start <= merged[-1][1] and end > merged[-1][0]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _cut_out(text: str, hits: list[tuple[int, int]]) -> str:
    begin = max(0, (hits[0][0] if hits else 0) - _BEFORE_HIT)
    end = min(len(text), max(begin + SNIPPET_CHARACTERS, hits[0][1] if hits else 0))
    begin = max(0, min(begin, end - SNIPPET_CHARACTERS))
    pieces = ["…" if begin else ""]
    at = begin
    for start, stop in hits:
        if stop > end:
            break
        pieces += [_clean(text[at:start]), HIT_BEGINS, _clean(text[start:stop]), HIT_ENDS]
        at = stop
    pieces += [_clean(text[at:end]), "…" if end < len(text) else ""]
    return re.sub(" +", " ", "".join(pieces)).strip()


def _clean(text: str) -> str:
    # Line breaks, and control characters, the two that mark hits among them.
    return _SPACE.sub(" ", text)
