"""How text is folded, and cut into what can be found. Pure: the same text gives the same terms everywhere.

The definition that search keeps exactly is in `cut`, `found_at` and `index_terms`; the index may be fast, but it finds
what these say and nothing else. Knows nothing of messages, queries as typed, or databases.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

# Han with radicals, extensions and compatibility forms, its iteration marks; hiragana and katakana with ー and the
# voicing marks U+3099/309A (which some kana have no composed letter for); bopomofo; hangul, its jamo too. The
# katakana dot ・ is punctuation.
_CJK = (
    "\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3041-\u3096\u3099\u309a\u309d-\u309f"
    "\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97f\uac00-\ud7a3\ud7b0-\ud7ff\uf900-\ufaff\U0001aff0-\U0001b16f\U00020000-\U0003fffd"
)
_CJK_CHARACTER = re.compile(f"[{_CJK}]")
_RUNS = re.compile(f"([{_CJK}]+)|((?:[0-9a-z]|[^\\x00-\\x7f{_CJK}])+)")
"""On folded text. Group 1: a CJK run. Group 2: letters, digits, and all above ASCII, which `_is_word` looks at."""

# Soft hyphen, zero-width space and joiners, direction marks, word joiner, byte order mark, variation selectors:
# nobody sees them and nobody types them, and they stand inside words.
_UNSEEN = re.compile(
    "[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]"
)
_ACCENTS = re.compile("[\u0300-\u036f]")
_IDENTIFIERS = re.compile("[0-9a-z-]+")
_PLAIN = re.compile("[\\x00-\\x7f\u4e00-\u9fff]+(?=[\\x00-\\x7f\u4e00-\u9fff]|\\Z)")
"""Characters that fold alone, but for the last of a run: a mark may follow that."""

_FEWEST_DIGITS = 4
_SHORTEST_PART = 3
"""Characters: the parts of an identifier are looked up by trigram."""


def fold(text: str) -> str:
    """`text` without what search does not see: width and compatibility forms (NFKC), case (ß is ss), the accents
    U+0300 to U+036F, and characters without a shape. Kana keep their voicing marks. Folding twice changes nothing.
    """
    if text.isascii():
        return text.lower()
    text = _UNSEEN.sub("", text)
    # Once more, because a fold may bring out what another fold sees; the fourth pass has never changed anything.
    for _ in range(4):
        folded = _fold_once(text)
        if folded == text:
            break
        text = folded
    return text


def _fold_once(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", _ACCENTS.sub("", unicodedata.normalize("NFKD", text)))


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text that knows where it came from: `starts[i]` and `ends[i]` bound, in the original, what the
    folded character `i` was made of."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]


def fold_with_map(text: str) -> Folded:
    """`fold(text)`, with the place in `text` of every character of it."""
    folded: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    begin = 0
    while begin < len(text):
        if plain := _PLAIN.match(text, begin):
            # Each is folded to one character, whatever follows its run.
            end = plain.end()
            folded.append(plain[0].lower())
            starts.extend(range(begin, end))
            ends.extend(range(begin + 1, end + 1))
        else:
            end = begin + 1
            while end < len(text) and not _begins_cluster(text[end]):
                end += 1
            part = fold(text[begin:end])
            folded.append(part)
            starts.extend([begin] * len(part))
            ends.extend([end] * len(part))
        begin = end
    return Folded("".join(folded), tuple(starts), tuple(ends))


@lru_cache(maxsize=4096)
def _begins_cluster(character: str) -> bool:
    """Whether folding treats what stands before `character` alone: it is no mark, no jamo that joins, not unseen."""
    if character.isascii():
        return True
    if _UNSEEN.match(character):
        return False
    first = unicodedata.normalize("NFKD", character)[0]
    return not unicodedata.category(first).startswith("M") and not "\u1160" <= first <= "\u11ff"


# --- runs ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """A word, or a stretch of CJK characters, from `start` to `end` (exclusive) of a folded text."""

    text: str
    cjk: bool
    start: int
    end: int


def cut(folded: str) -> tuple[Run, ...]:
    """The runs of a folded text, in order. What is neither CJK, letter, digit nor mark only separates.

    A run ends where the kind changes: `iphone退款` is a word and then a CJK run.
    """
    return tuple(_runs(folded))


def _runs(folded: str) -> Iterator[Run]:
    for match in _RUNS.finditer(folded):
        if match[1] is not None:
            yield Run(match[1], True, match.start(), match.end())
        elif match[2].isascii():
            yield Run(match[2], False, match.start(), match.end())
        else:
            begin = None
            for i, character in enumerate(match[2], match.start()):
                if _is_word(character):
                    begin = i if begin is None else begin
                elif begin is not None:
                    yield Run(folded[begin:i], False, begin, i)
                    begin = None
            if begin is not None:
                yield Run(folded[begin : match.end()], False, begin, match.end())


@lru_cache(maxsize=4096)
def _is_word(character: str) -> bool:
    # Letters, numbers, and the marks that vowels are written with in Arabic, Hindi or Thai.
    return unicodedata.category(character)[0] in "LNM"


def found_at(folded: str, term: str) -> tuple[tuple[int, int], ...]:
    """Where the folded `term` is found in `folded`, as (start, end) pairs; they do not overlap. The definition:

    The term's runs must meet consecutive runs of the text, whatever separates those. A word meets an equal word.
    A CJK run meets any part of a CJK run; where more of the term follows, the part must end its run, and where some
    of the term goes before, it must begin it. So `退款` is in `请退款` and not in `退。款`; `iPhone退款` is in
    `iPhone 退款吧` and not in `iPhone要退款`. A term without runs is nowhere.
    """
    wanted = cut(term)
    if not wanted:
        return ()
    runs = cut(folded)
    places: list[tuple[int, int]] = []
    for i in range(len(runs) - len(wanted) + 1):
        window = runs[i : i + len(wanted)]
        if len(wanted) == 1 and wanted[0].cjk:
            if window[0].cjk:
                at = window[0].text.find(wanted[0].text)
                while at >= 0:
                    places.append((window[0].start + at, window[0].start + at + len(wanted[0].text)))
                    at = window[0].text.find(wanted[0].text, at + len(wanted[0].text))
        elif all(_meets(run, want, k, len(wanted)) for k, (run, want) in enumerate(zip(window, wanted, strict=True))):
            start = window[0].end - len(wanted[0].text)
            end = window[-1].start + len(wanted[-1].text)
            if not places or places[-1][1] <= start:
                places.append((start, end))
    return tuple(places)


def _meets(run: Run, want: Run, place: int, count: int) -> bool:
    if run.cjk is not want.cjk:
        return False
    if not run.cjk or 0 < place < count - 1:
        return run.text == want.text
    return run.text.endswith(want.text) if place == 0 else run.text.startswith(want.text)


# --- terms -----------------------------------------------------------------------------------------------------


def index_terms(text: str) -> list[str]:
    """What the index stores of a text, in order: a word as it is; a CJK run as its bigrams and its last character.

    The last character closes the run, so that nothing is found across a separator.
    """
    terms: list[str] = []
    for run in _runs(fold(text)):
        if run.cjk:
            terms += [run.text[i : i + 2] for i in range(len(run.text))]
        else:
            terms.append(run.text)
    return terms


def query_terms(text: str) -> tuple[list[str], bool]:
    """The consecutive index terms that a text holds exactly where `found_at` finds `text`, and whether the last of
    them stands for every term that begins with it. No terms: `text` has nothing that can be searched for.
    """
    runs = cut(fold(text))
    terms: list[str] = []
    prefix = False
    for place, run in enumerate(runs):
        if not run.cjk:
            terms.append(run.text)
            continue
        last = place == len(runs) - 1
        # In the last run the closing character is left off: the text's run may go on. A single one is the
        # beginning of a bigram, or closes its run itself.
        terms += [run.text[i : i + 2] for i in range(len(run.text) - (1 if last and len(run.text) > 1 else 0))]
        prefix = last and len(run.text) == 1
    return terms, prefix


def identifiers(text: str) -> list[str]:
    """The order numbers, ASINs, case numbers and the like in a text, folded: maximal runs of ASCII letters, digits
    and hyphens that have at least four digits."""
    return [
        match[0]
        for match in _IDENTIFIERS.finditer(fold(text))
        if sum(character.isdigit() for character in match[0]) >= _FEWEST_DIGITS
    ]


def identifier_part(term: str) -> str | None:
    """The folded term, if it may be part of an identifier: three or more of ASCII letters, digits and hyphens, one
    digit among them. Else None."""
    part = fold(term)
    if len(part) < _SHORTEST_PART or not _IDENTIFIERS.fullmatch(part) or not any(c.isdigit() for c in part):
        return None
    return part
