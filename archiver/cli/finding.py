"""What the staff types: search, and show."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archiver import config, wiring
from archiver.cli.terminal import (
    HIT_END,
    HIT_START,
    clipped,
    flush_out,
    highlighted,
    json_line,
    local,
    out,
    out_bytes,
    safe,
    safe_line,
    say,
    styled,
)
from archiver.errors import ArchiveDamaged, DiskFailed, Exit, UsageError
from archiver.model import Hit
from archiver.query import parse

if TYPE_CHECKING:
    from archiver.archive.archive import Archive
    from archiver.archive.index import CaptureInfo, StoredMessage, StoredThread
    from archiver.model import Artifact, Unread

_LEFT = {"aged out": "its time had come", "before its time": "it left before its time"}

_SHOWN = 20
"""How many a person wants to see at once."""


def search(args: argparse.Namespace) -> int:
    """Messages that a query finds, newest first; exit 0 also where there are none.

    With --json the snippet is plain text; on a terminal the hits are coloured, elsewhere they stand between «».
    """
    line = " ".join((*args.query, *_bounds(args)))
    query = parse(line)
    loaded = config.load(config.find(args.config, os.environ))
    limit = args.limit or (None if args.json else _SHOWN)
    with wiring.opened(loaded, write=False) as archive:
        if args.count:
            count = archive.count(query)
            json_line({"count": count}) if args.json else out(str(count))
            return Exit.DONE
        hits = archive.search(query, limit=limit)
        if args.json:
            for hit in hits:
                json_line(_hit_row(hit))
            return Exit.DONE
        for hit in hits:
            out(_hit_text(hit))
        _say_how_many(hits, archive.count(query) if len(hits) == limit else len(hits), line)
    return Exit.DONE


def _bounds(args: argparse.Namespace) -> Iterator[str]:
    if args.since is not None:
        yield f"after:{args.since}"
    if args.until is not None:
        yield f"before:{args.until}"


def _hit_row(hit: Hit) -> dict[str, Any]:
    return {
        "thread": hit.thread,
        "message": hit.message,
        "account": hit.account,
        "marketplace": hit.marketplace,
        "source": hit.source,
        "subject": hit.subject,
        "sender": hit.sender,
        "direction": hit.direction,
        "sent_at": hit.sent_at,
        "snippet": _plain(hit.snippet),
        "url": hit.url,
    }


def _plain(snippet: str) -> str:
    return snippet.replace(HIT_START, "").replace(HIT_END, "")


def _hit_text(hit: Hit) -> str:
    way = "→" if hit.direction == "out" else "←"
    who = f"{local(hit.sent_at)}  {hit.marketplace} {hit.source}  {way} {safe_line(hit.sender)}"
    lines = [f"{styled(who, '1', sys.stdout)}  {styled(hit.thread, '2', sys.stdout)}"]
    if _plain(hit.snippet) != hit.subject:  # where the subject is what was found, it is the snippet
        lines.append(f"  {clipped(safe_line(hit.subject), 100)}")
    lines.append(f"  {' '.join(highlighted(hit.snippet, sys.stdout).split())}")
    return "\n".join((*lines, ""))


def _say_how_many(hits: list[Hit], count: int, line: str) -> None:
    flush_out()
    if not hits:
        say(f"Nothing found for {safe_line(line)}. Try fewer words, or `archiver status` to see what is kept.")
        return
    shown = "" if count == len(hits) else f", the newest {len(hits)} shown (--limit {count} shows all)"
    say(f"{count} message{'s' if count != 1 else ''} found{shown}. To read one: archiver show {hits[0].thread}")


# --- one thread ------------------------------------------------------------------------------------------------


def show(args: argparse.Namespace) -> int:
    """One thread: what it says, or its picture, or all that was captured of it.

    With --json a line for each message, as `export` of a later version gives them.
    """
    if args.screenshot == "-" and (args.json or sys.stdout.isatty()):
        where = "between JSON lines" if args.json else "on a terminal"
        raise UsageError(f"A picture does not go {where}.", hint="Name a file, or send the output to one.")
    loaded = config.load(config.find(args.config, os.environ))
    with wiring.opened(loaded, write=False) as archive:
        thread = archive.thread(args.thread)
        if args.screenshot is not None:
            _write_pictures(archive, thread, args.screenshot)
        if args.raw is not None:
            _write_raw(archive, thread, args.raw)
        stored = archive.versions(thread.id) if args.history else thread.messages
        if args.json:
            for message in stored:
                json_line(_message_row(thread, message))
            if thread.unread is not None:
                say(f"The last capture of {thread.id} is kept and could not be read: {_why(thread.unread)}")
        elif args.screenshot is None and args.raw is None:
            out(
                "\n".join(
                    (*_thread_lines(thread, stored), "", *(_capture_line(archive, info) for info in thread.captures))
                )
            )
    return Exit.DONE


def _message_row(thread: StoredThread, stored: StoredMessage) -> dict[str, Any]:
    message = stored.message
    return {
        "thread": thread.id,
        "message": stored.id,
        "account": thread.scope.account,
        "marketplace": thread.scope.marketplace,
        "source": thread.scope.source,
        "subject": thread.subject,
        "sender": message.sender,
        "direction": message.direction,
        "sent_at": message.sent_at,
        "url": thread.url,
        "body": message.body,
        "attachments": [
            {"name": a.name, "type": a.media_type, "size": a.size_bytes, "sha256": a.sha256, "opens": a.opens}
            for a in message.attachments
        ],
        "left": thread.left_why or None,
        "left_at": thread.left_at,
        "site_thread": thread.site_thread,
        "site_message": message.site_message,
        "version": stored.version,
        "seen_at": stored.seen_at,
    }


def _thread_lines(thread: StoredThread, messages: Sequence[StoredMessage]) -> list[str]:
    """The thread with these messages; where one has several versions, each says which it is and when it was seen."""
    several = {stored.id for stored in messages if stored.version > 1}
    scope = thread.scope
    place = f"{scope.account} {scope.marketplace} {scope.source}"
    facts = [place, thread.id, thread.site_thread, thread.status, thread.category]
    lines = [
        styled(safe_line(thread.subject or "(no subject)"), "1", sys.stdout),
        "  ".join(safe_line(fact) for fact in facts if fact),
    ]
    if thread.order_ids or thread.asins:
        named = (("order", thread.order_ids), ("ASIN", thread.asins))
        lines.append("  ".join(safe_line(" ".join((what, *ids))) for what, ids in named if ids))
    if thread.left_at is not None:
        lines.append(f"No longer listed by the site since {local(thread.left_at)}: {_LEFT[thread.left_why]}.")
    if thread.unread is not None:
        lines += [
            f"Its last capture is kept and could not be read: {_why(thread.unread)}",
            f"The picture shows it: archiver show {thread.id} --screenshot FILE",
        ]
    for stored in messages:
        message = stored.message
        way = f"{'→' if message.direction == 'out' else '←'} {message.sender}"
        if stored.id in several:
            way += f"  (version {stored.version}, seen {local(stored.seen_at)})"
        lines += ["", styled(f"{local(message.sent_at)}  {safe_line(way)}", "36", sys.stdout)]
        lines += [f"  {safe(line)}" for line in message.body.splitlines()]
        for attachment in message.attachments:
            size = f"{attachment.size_bytes} bytes" if attachment.size_bytes is not None else "not fetched"
            broken = f", does not open: {attachment.trouble}" if attachment.trouble else ""
            lines.append(f"  [{safe_line(f'{attachment.name}, {attachment.media_type}, {size}{broken}')}]")
    return lines


def _capture_line(archive: Archive, info: CaptureInfo) -> str:
    """When it was, and what there is to see of it. The text above comes from the index, and needs no capture."""
    try:
        pictures = sum(name.partition("/")[0] == "screenshot" for name in archive.artifact_names(info.id))
        seen = f"{pictures or 'no'} picture{'s' if pictures != 1 else ''}"
    except (ArchiveDamaged, DiskFailed):
        seen = "damaged: `archiver verify` says what is affected"
    return f"captured {local(info.taken_at)}, {seen}{'' if info.unread is None else ', not read'}"


def _why(unread: Unread) -> str:
    """The reason, and the key of the site map to mend, where it names one."""
    return safe_line(f"{unread.why.rstrip('.')}{f' (mend {unread.key} in site.toml)' if unread.key else ''}.")


# --- out of the archive, in the clear --------------------------------------------------------------------------


def _write_pictures(archive: Archive, thread: StoredThread, named: str) -> None:
    for info in reversed(thread.captures):
        pictures = archive.read_capture(info.id).named("screenshot")
        if pictures:
            break
    else:
        raise UsageError(f"There is no picture of {thread.id}.", hint="`archiver show` prints what it says.")
    if named == "-":
        if len(pictures) > 1:
            raise UsageError(f"The picture comes in {len(pictures)} parts.", hint="Name a file instead of -.")
        out_bytes(pictures[0].body)
        return
    first = Path(named)
    written = [first.with_stem(f"{first.stem}-{n}") if n > 1 else first for n in range(1, len(pictures) + 1)]
    for path, picture in zip(written, pictures, strict=True):
        _write(path, picture.body)
    say(f"Wrote {', '.join(map(str, written))}, taken {local(info.taken_at)}; not encrypted.")


def _write_raw(archive: Archive, thread: StoredThread, folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder.", hint="Name one that is empty or does not exist.")
    count = 0
    _make_folder(folder)
    for info in thread.captures:
        inside = folder / f"{info.taken_at:%Y%m%dT%H%M%SZ}-{info.seq}"
        _make_folder(inside)
        for artifact in archive.read_capture(info.id).artifacts:
            _write(inside / _file_name(artifact), artifact.body)
            count += 1
    say(f"Wrote {count} files of {len(thread.captures)} captures to {folder}; not encrypted.")


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{path} could not be made: {error.strerror}.", hint="Name another folder with --raw."
        ) from error


_ENDINGS = {"text/html": ".html", "application/json": ".json", "image/png": ".png", "multipart/related": ".mhtml"}


def _file_name(artifact: Artifact) -> str:
    """A name of our own, and after it what of the site's name is harmless."""
    name = artifact.name.replace("/", "-")
    if artifact.title:
        harmless = re.sub(r"[^\w.-]+", "_", artifact.title).strip(".")
        return f"{name}-{harmless[-80:]}"
    return name + _ENDINGS.get(artifact.media_type.partition(";")[0].strip(), "")


def _write(path: Path, content: bytes) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
    except OSError as error:
        raise UsageError(f"{path} could not be written: {error.strerror}.", hint="Name another place.") from error
