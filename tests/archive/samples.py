"""Small archives with known content, and the reader that goes with them. No tests here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from archiver.model import Artifact, Attachment, Capture, Direction, Kind, Message, Scope, Source, Thread, Unread

CASES = Scope("acme-eu", "DE", Source.CASES)
BUYERS = Scope("acme-eu", "DE", Source.BUYER_MESSAGES)
NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8


@dataclass(frozen=True)
class Said:
    """One message of a sample thread."""

    site_message: str
    body: str
    sender: str = "Amazon Seller Support"
    direction: str = "in"
    minutes: int = 0
    files: tuple[str, ...] = ()


def thread_capture(
    site_thread: str,
    said: list[Said],
    *,
    subject: str = "Your case",
    scope: Scope = CASES,
    days: int = 0,
    stamp: str = "1",
    order_ids: tuple[str, ...] = (),
    asins: tuple[str, ...] = (),
    broken: bool = False,
) -> Capture:
    """A capture whose JSON holds just what `read` makes a Thread of."""
    content = {
        "subject": subject,
        "order_ids": order_ids,
        "asins": asins,
        "broken": broken,
        "messages": [vars(message) for message in said],
    }
    return Capture(
        scope=scope,
        kind=Kind.THREAD,
        taken_at=NOON + timedelta(days=days),
        url=f"https://site.invalid/cases/{site_thread}",
        artifacts=(
            Artifact("json/0", "application/json", json.dumps(content).encode(), "https://site.invalid/api", ""),
            Artifact("dom", "text/html", f"<p>{subject}</p>".encode() * 20, status=203),
            Artifact("screenshot/0", "image/png", PNG),
            Artifact("attachment/0", "text/plain", b"", "https://site.invalid/file", "R\u00fcckgabe.txt"),
        ),
        run="run-1",
        site_thread=site_thread,
        stamp=stamp,
    )


def list_capture(page: int, body: bytes, *, scope: Scope = CASES, days: int = 0) -> Capture:
    """A capture of one list page."""
    return Capture(
        scope=scope,
        kind=Kind.LIST,
        taken_at=NOON + timedelta(days=days),
        url=f"https://site.invalid/cases?page={page}",
        artifacts=(Artifact("json/0", "application/json", body),),
        run="run-1",
        page=page,
    )


def run_record(run: str, *, complete: bool, started_at: datetime = NOON) -> bytes:
    """The record of a run over CASES."""
    coverage = {
        "account": CASES.account,
        "marketplace": CASES.marketplace,
        "source": str(CASES.source),
        "listed": 2,
        "captured": 1,
        "unchanged": 1,
        "failed": 0 if complete else 1,
        "complete": complete,
        "oldest_visible": NOON.isoformat(),
        "state": "COMPLETE" if complete else "PARTIAL",
    }
    record = {
        "run": run,
        "started_at": started_at.isoformat(),
        "finished_at": (started_at + timedelta(minutes=3)).isoformat(),
        "exit": 0 if complete else 4,
        "coverages": [coverage],
    }
    return json.dumps(record).encode()


def read(capture: Capture) -> Thread | Unread:
    """The reader of these samples: pure, as the real ones are."""
    content: dict[str, Any] = json.loads(capture.named("json")[0].body)
    if content["broken"]:
        return Unread("the subject is not where it was", "source.cases.title")
    return Thread(
        scope=capture.scope,
        site_thread=capture.site_thread,
        subject=content["subject"],
        status="open",
        category="refunds",
        url=capture.url,
        messages=tuple(_message(said) for said in content["messages"]),
        order_ids=tuple(content["order_ids"]),
        asins=tuple(content["asins"]),
    )


def _message(said: dict[str, Any]) -> Message:
    return Message(
        site_message=said["site_message"],
        direction=Direction(said["direction"]),
        sender=said["sender"],
        sent_at=NOON + timedelta(minutes=said["minutes"]),
        body=said["body"],
        recipient="acme",
        language="de",
        attachments=tuple(
            Attachment(name, "text/plain", f"https://site.invalid/{name}", "attachment/0", 0, "e3b0c44298fc")
            for name in said["files"]
        ),
    )
