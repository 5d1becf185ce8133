"""Pages as the site is known to serve them, written down by hand from the published facts. No tests here."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from archiver.model import Artifact, Capture, Kind, Scope, Source

FOLDER = Path(__file__).parent
CASES = sorted(path.parent for path in FOLDER.glob("*/*/payload.json"))
TAKEN_AT = datetime(2026, 9, 5, 12, tzinfo=UTC)


def capture(case: Path, *, account: str = "acme", marketplace: str = "DE") -> Capture:
    """The capture a sample folder describes; its source is the folder above."""
    payload = json.loads((case / "payload.json").read_text("utf-8"))
    return Capture(
        scope=Scope(account, marketplace, Source(case.parent.name)),
        kind=Kind.THREAD,
        taken_at=TAKEN_AT,
        url=f"https://sellercentral.example/{case.name}",
        artifacts=tuple(_artifact(artifact) for artifact in payload["artifacts"]),
        site_thread=payload["site_thread"],
        stamp=payload.get("stamp", ""),
    )


def _artifact(tree: dict[str, Any]) -> Artifact:
    body = tree["text"] if "text" in tree else json.dumps(tree["body"], ensure_ascii=False)
    return Artifact(
        tree["name"],
        tree["media_type"],
        body.encode(),
        url=tree.get("url", ""),
        title=tree.get("title", ""),
        status=tree["status"],
    )
