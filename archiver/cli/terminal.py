"""What a person sees: colour only on a terminal, tables that line up in Chinese too, times in local time.

People's text goes to stderr or, where it is the command's result, to stdout; with --json stdout holds JSON lines only.
"""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, TextIO

from archiver.errors import DiskFailed

HIT_START, HIT_END = "\x02", "\x03"


def has_colour(stream: TextIO) -> bool:
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def styled(text: str, code: str, stream: TextIO) -> str:
    """`text` in an ANSI style (`1` bold, `31` red …) where the stream takes it."""
    return f"\x1b[{code}m{text}\x1b[0m" if has_colour(stream) else text


_HARMLESS = "\n\t\u200c\u200d"
"""Line breaks, and the two joiners that emoji, Persian and Hindi are written with."""


def safe(text: str) -> str:
    """Text that a stranger wrote, without the control characters that would move a terminal's cursor."""
    return "".join(c if c in _HARMLESS or unicodedata.category(c) not in ("Cc", "Cf") else "\ufffd" for c in text)


def safe_line(text: str) -> str:
    """The same on one line, for what stands in a heading or a table."""
    return safe(" ".join(text.split()))


def highlighted(snippet: str, stream: TextIO) -> str:
    """A snippet with its hits shown: inverse on a terminal, between «» elsewhere."""
    start, end = ("\x1b[1;33m", "\x1b[0m") if has_colour(stream) else ("«", "»")
    parts = []
    for piece in snippet.split(HIT_START):
        hit, found, rest = piece.partition(HIT_END)
        parts.append(f"{start}{safe(hit)}{end}{safe(rest)}" if found else safe(piece))
    return "".join(parts)


def say(text: str = "") -> None:
    """To the person, beside the result."""
    print(text, file=sys.stderr, flush=True)


def out(text: str = "") -> None:
    """The result itself. Raises DiskFailed where it cannot be written, BrokenPipeError where nobody reads on."""
    with _writing():
        print(text, flush=False)


def out_bytes(content: bytes) -> None:
    """A result that is no text. Raises as `out`."""
    with _writing():
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def flush_out() -> None:
    """What was printed so far is out before anything else is said. Raises as `out`."""
    with _writing():
        sys.stdout.flush()


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DiskFailed(
            f"The output could not be written: {error.strerror}.", hint="Free space, or send it elsewhere."
        ) from error


def json_line(row: Mapping[str, Any]) -> None:
    """One JSON object on one line of stdout. Raises as `out`."""
    with _writing():
        print(json.dumps(row, ensure_ascii=False, default=_as_json), flush=True)


def _as_json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def local(moment: datetime | None) -> str:
    """A time for a person: local, to the minute."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M") if moment else "never"


_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def width(text: str) -> int:
    """Columns a terminal uses: CJK and emoji take two, a style none."""
    return sum(_columns(c) for c in _STYLE.sub("", text))


def _columns(c: str) -> int:
    if unicodedata.combining(c) or unicodedata.category(c) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(c) in ("W", "F") else 1


def clipped(text: str, columns: int) -> str:
    """At most `columns` wide; an ellipsis where something was cut."""
    if width(text) <= columns:
        return text
    kept = ""
    for c in text:
        if width(kept + c) > columns - 1:
            break
        kept += c
    return kept + "…"


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, right: frozenset[int] = frozenset()) -> str:
    """Columns that line up; those in `right` are set flush right."""
    cells = [list(headings), *([str(cell) for cell in row] for row in rows)]
    widths = [max(width(row[i]) for row in cells) for i in range(len(headings))]
    lines = []
    for row in cells:
        parts = [
            " " * (widths[i] - width(cell)) + cell if i in right else cell + " " * (widths[i] - width(cell))
            for i, cell in enumerate(row)
        ]
        lines.append("  ".join(parts).rstrip())
    lines.insert(1, "  ".join("─" * w for w in widths))
    return "\n".join(lines)
