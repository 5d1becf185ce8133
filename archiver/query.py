"""The search language: a line as typed to a Query, or one UsageError that points at the place. Pure.

    refund -resolved "exact words" from:amazon subject:A-to-z source:cases account:acme-eu marketplace:DE
    after:2026-08 before:2026-09-15

Words, phrases and fields are all required (AND); `-` in front excludes. Dates are days, months or years in UTC;
`after` includes its own, `before` does not. Nothing else is spoken yet, and what is not is refused, never guessed.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from archiver.errors import UsageError
from archiver.model import Source
from archiver.text import cut, fold

LONGEST = 4000
"""Characters. A longer line is pasted by mistake; and no word of the index is cut off at fewer."""

MOST_PARTS = 100

TEXT_FIELDS = ("from", "subject")
FIELDS = (*TEXT_FIELDS, "source", "account", "marketplace", "after", "before")

_FIELD = re.compile(r"([A-Za-z][A-Za-z-]*):")
_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")


@dataclass(frozen=True, slots=True)
class Words:
    """A word or phrase that a message must hold, or must not. `field` is `from`, `subject`, or empty for anywhere."""

    text: str
    field: str = ""
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class Where:
    """Where a message must lie, or must not: `field` is `source`, `account` or `marketplace`."""

    field: str
    value: str
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """All of it must hold. `after` is inclusive, `before` exclusive, both aware; None: no bound."""

    words: tuple[Words, ...] = ()
    wheres: tuple[Where, ...] = ()
    after: datetime | None = None
    before: datetime | None = None


def parse(line: str) -> Query:
    """The query of a line. Raises UsageError, with the column (from 1) and a caret under the place, for all else."""
    if len(line) > LONGEST:
        raise UsageError(
            f"The query is {len(line)} characters long; at most {LONGEST} are read.", hint="Search for a part of it."
        )
    query = Query()
    at = _skip_space(line, 0)
    if at == len(line):
        raise UsageError("The query is empty.", hint="Name a word to search for, or a field such as `source:cases`.")
    while at < len(line):
        if len(query.words) + len(query.wheres) == MOST_PARTS:
            raise _wrong(line, at, f"The query has more than {MOST_PARTS} parts", hint="Search for fewer words.")
        query, at = _one_part(line, at, query)
        at = _skip_space(line, at)
    return query


def _skip_space(line: str, at: int) -> int:
    while at < len(line) and line[at].isspace():
        at += 1
    return at


def _one_part(line: str, start: int, query: Query) -> tuple[Query, int]:
    excluded = line[start] == "-"
    at = start + excluded
    field, field_at = "", at
    if match := _FIELD.match(line, at):
        field, at = match[1].lower(), match.end()
        if field not in FIELDS:
            raise _wrong(
                line, field_at, f"The field `{match[1]}:` is not known",
                hint=f"Known are {', '.join(name + ':' for name in FIELDS)}. To search for the text itself, "
                "put it in quotes.",
            )  # fmt: skip
    if at == len(line) or line[at].isspace():
        what = f"`{field}:`" if field else "`-`"
        raise _wrong(
            line, start, f"Nothing stands after {what}", hint="Write the word right after it, without a space."
        )
    text, quoted, end = _text(line, at)
    if not field or field in TEXT_FIELDS:
        if not field and not quoted and not excluded and text == "OR":
            raise _wrong(line, at, "OR is not spoken yet", hint='Words mean AND; write "OR" in quotes for the word.')
        if not cut(fold(text)):
            raise _wrong(
                line, at, "There is no letter or digit to search for here", hint="Leave it out, or name a word."
            )
        return replace(query, words=(*query.words, Words(text, field, excluded))), end
    if field in ("after", "before"):
        if excluded:
            raise _wrong(
                line, start, f"`-{field}:` is not spoken",
                hint=f"Write `{'before' if field == 'after' else 'after'}:` instead.",
            )  # fmt: skip
        return _bounded(query, field, _date(line, at, text)), end
    if field == "source" and text not in tuple(Source):
        raise _wrong(line, at, f"There is no source `{_shown(text)}`", hint=f"Sources are {', '.join(Source)}.")
    if not text.strip():
        raise _wrong(line, at, f"Nothing is named for `{field}:`", hint="Write the name right after the colon.")
    value = text.upper() if field == "marketplace" else text
    return replace(query, wheres=(*query.wheres, Where(field, value, excluded))), end


def _text(line: str, at: int) -> tuple[str, bool, int]:
    """The word or the quoted text at `at`, whether it was quoted, and where the next part may begin."""
    if line[at] == '"':
        end = line.find('"', at + 1)
        if end < 0:
            raise _wrong(line, at, "The quote is not closed", hint='Put a " at the end of the phrase.')
        if end + 1 < len(line) and not line[end + 1].isspace():
            raise _wrong(line, end + 1, "A space is missing after the quote", hint="Put a space between the two.")
        return line[at + 1 : end], True, end + 1
    end = at
    while end < len(line) and not line[end].isspace():
        refusal = _NOT_SPOKEN.get(line[end])
        if refusal is not None:
            raise _wrong(line, end, refusal, hint="To search for the text itself, put it in quotes.")
        end += 1
    return line[at:end], False, end


_NOT_SPOKEN = {
    "(": "Parentheses are not spoken yet",
    ")": "Parentheses are not spoken yet",
    "*": "`*` is not spoken yet",
    '"': "A quote begins in the middle of a word",
}


def _bounded(query: Query, field: str, bound: datetime) -> Query:
    # Of several bounds the narrower holds: parts mean AND.
    if field == "after":
        return replace(query, after=bound if query.after is None else max(query.after, bound))
    return replace(query, before=bound if query.before is None else min(query.before, bound))


def _date(line: str, at: int, text: str) -> datetime:
    hint = "Write a date as 2026, 2026-08 or 2026-08-31."
    match = _DATE.fullmatch(text)
    if match is None:
        raise _wrong(line, at, f"`{_shown(text)}` is no date", hint=hint)
    try:
        return datetime(int(match[1]), int(match[2] or 1), int(match[3] or 1), tzinfo=UTC)
    except ValueError:
        raise _wrong(line, at, f"There is no such day as {text}", hint=hint) from None


def _wrong(line: str, at: int, what: str, *, hint: str) -> UsageError:
    # The caret stands under the place in a terminal, where a CJK character is two columns wide and a mark none.
    begin = max(0, at - 40)
    shown = _shown(line[begin : at + 40])
    gap = sum(map(_width, _shown(line[begin:at])))
    return UsageError(f"{what}, at column {at + 1}:\n  {shown}\n  {' ' * gap}^", hint=hint)


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _shown(text: str) -> str:
    """As one printable line, a character for a character."""
    return "".join(" " if c.isspace() else c if c.isprintable() else "\ufffd" for c in text)
