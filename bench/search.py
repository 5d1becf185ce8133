"""What a search costs a person who waits: a whole `archiver search` process against `python -c pass`, in one run.

The archive is filled from the stand-in's own correspondence, as a sync of the demonstration would fill it, without a
browser: the same messages, each thread with a capture.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from archiver.archive.archive import Archive
from archiver.archive.keyring import KeyFile, make_key_file
from archiver.demo.seller import TruthMessage, make_seller, truth
from archiver.model import Artifact, Capture, Direction, Kind, Message, Scope, Source, Thread

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
QUERIES = ("退款", "返金", "Lieferung", "invoice", "677-83")
PARTS = {
    "python -c pass": ["-c", "pass"],
    "importing the command line": ["-c", "import archiver.cli.main"],
    "importing the archive": ["-c", "import archiver.archive.archive"],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        configuration, messages = _fill(Path(folder))
        commands = {name: [sys.executable, *words] for name, words in PARTS.items()}
        program = str(Path(sys.executable).with_name("archiver"))
        for query in QUERIES:
            commands[f"archiver search {query}"] = [program, "--config", str(configuration), "search", query]
        times_s: dict[str, list[float]] = defaultdict(list)
        for _ in range(rounds):
            for name, command in commands.items():
                began = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                times_s[name].append(time.perf_counter() - began)
    floor = statistics.median(times_s["python -c pass"])
    print(f"{messages} messages, median of {rounds} rounds")
    for name, taken_s in times_s.items():
        median = statistics.median(taken_s)
        print(f"{name:32} {median * 1000:6.0f} ms   {median / floor:5.1f} times python -c pass")
    print("aim: under 300 ms for a whole search")
    return 0


def _fill(folder: Path) -> tuple[Path, int]:
    """Make an archive of the demonstration's messages: (its configuration, how many messages)."""
    key = folder / "archive.key"
    configuration = folder / "config.toml"
    configuration.write_text(f'[archive]\npath = "archive"\nkey = {{ file = "{key}" }}\n')
    make_key_file(key)
    threads: dict[tuple[str, str, str], list[TruthMessage]] = defaultdict(list)
    for message in truth(make_seller(now=NOW), NOW, timedelta(days=90)):
        threads[message.marketplace, message.source, message.site_thread].append(message)
    with Archive.create(folder / "archive", [KeyFile(key)]) as archive:
        for (marketplace, source, site_thread), said in threads.items():
            scope = Scope("demo", marketplace, Source(source))
            page = Artifact("json/0", "application/json", repr(said).encode())
            capture = Capture(scope, Kind.THREAD, NOW, "", (page,), site_thread=site_thread)
            archive.file(archive.keep(capture), _thread(scope, site_thread, said))
    return configuration, sum(map(len, threads.values()))


def _thread(scope: Scope, site_thread: str, said: list[TruthMessage]) -> Thread:
    return Thread(
        scope=scope,
        site_thread=site_thread,
        subject=said[0].subject,
        status="",
        category="",
        url="",
        messages=tuple(
            Message(m.site_message, Direction(m.direction), m.sender, m.sent_at, m.body)
            for m in sorted(said, key=lambda m: m.sent_at)
        ),
        order_ids=tuple({m.order_id for m in said if m.order_id}),
        asins=tuple({asin for m in said for asin in m.asins}),
    )


if __name__ == "__main__":
    sys.exit(main())
