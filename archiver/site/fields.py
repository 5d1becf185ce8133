"""Values out of JSON and HTML that a stranger wrote: each function either gives the value or says which key failed.

Here because every source needs it; a source's own knowledge does not belong here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from archiver.attachments import trouble
from archiver.model import Artifact, Attachment, Unread
from archiver.site.interface import Link


class Unreadable(Exception):
    """A key did not hold what it should. Caught at the edge of each reader and turned into `Unread`."""

    def __init__(self, why: str, key: str) -> None:
        super().__init__(why)
        self.unread = Unread(why, key)


def document(artifacts: Iterable[Artifact], endpoint: str) -> dict[str, Any]:
    """The last JSON object fetched from `endpoint` (a path, `{id}` already put in).

    Raises Unreadable where there is none, where it was not a 200, or where HTML came instead of JSON.
    """
    found = [a for a in artifacts if a.name.startswith("json/")]
    if not found:
        raise Unreadable(f"The page fetched nothing from {endpoint}.", endpoint)
    artifact = found[-1]
    if artifact.status != 200:
        raise Unreadable(f"{endpoint} answered {artifact.status}.", endpoint)
    try:
        tree = json.loads(artifact.body)
    except ValueError as error:
        raise Unreadable(f"{endpoint} answered something that is not JSON.", endpoint) from error
    if not isinstance(tree, dict):
        raise Unreadable(f"{endpoint} answered a {type(tree).__name__} where an object was expected.", endpoint)
    return tree


def get(tree: Mapping[str, Any], key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """`tree[key]`, which must be of `kind`. Raises Unreadable that names `where` in the site map."""
    if key not in tree:
        raise Unreadable(f"There is no `{key}` in the answer.", where)
    value = tree[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise Unreadable(f"`{key}` holds a {type(value).__name__}.", where)
    return value


def text(value: object) -> str:
    """A string, an integer id as its digits (ids exceed 2^53), or empty for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return ""


def stamp(row: object) -> str:
    """A list row as canonical JSON: equal stamps mean that the list says the same about the thread."""
    return json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
_LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp()


def from_seconds(value: float, where: str) -> datetime:
    """Epoch seconds, whole or broken (Hill [C]). Milliseconds given by mistake are refused, not guessed."""
    if not _EARLIEST <= value <= _LATEST:
        raise Unreadable(f"{value!r} is no time in seconds.", where)
    return datetime.fromtimestamp(round(value, 3), UTC)


def from_milliseconds(value: int, where: str) -> datetime:
    """Epoch milliseconds (buyer messages, notifications [L][C]). Seconds given by mistake are refused."""
    if not _EARLIEST <= value / 1000 <= _LATEST:
        raise Unreadable(f"{value!r} is no time in milliseconds.", where)
    return datetime.fromtimestamp(value // 1000, UTC).replace(microsecond=value % 1000 * 1000)


_BREAKS = {"p": 2} | dict.fromkeys(
    "address article blockquote dd div dl dt figure footer h1 h2 h3 h4 h5 h6 header hr li main ol pre section "
    "table tr ul".split(),
    1,
)
"""Line breaks before and after an element, as browsers put them into `innerText`; neighbours share the larger one."""

_SILENT = frozenset(("script", "style", "template", "noscript", "head", "-comment"))
_LOOKS_LIKE_HTML = re.compile(r"<(?:/?[a-zA-Z][a-zA-Z0-9]*)(?:\s[^<>]*)?/?>|&(?:#\d+|#x[0-9a-fA-F]+|[a-zA-Z]+);")


def plain(markup: str) -> str:
    """The text a person sees of a message that may hold HTML or entities; plain text comes back unchanged."""
    if not _LOOKS_LIKE_HTML.search(markup):
        return markup
    # A message that is text with a stray tag keeps its own line breaks; HTML folds them.
    return html_text(markup.replace("\n", "<br>") if "<br" not in markup and "<p" not in markup else markup)


def shown(markup: str, places: Iterable[str]) -> Iterator[str]:
    """What stands in each of these places, white space folded: `selector` is a text, `selector@attribute` a value."""
    for place in places:
        selector, _, attribute = place.partition("@")
        if not attribute:
            yield " ".join(html_text(markup, selector).split())
            continue
        for node in LexborHTMLParser(markup).css(selector):
            yield " ".join((node.attributes.get(attribute) or "").split())


def html_text(markup: str, selector: str = "body") -> str:
    """The text of the first element that `selector` finds, laid out in lines as browsers do; no scripts or styles."""
    root = LexborHTMLParser(markup).css_first(selector)
    if root is None:
        return ""
    parts: list[str | int] = []
    # A stack and no recursion: a stranger decides how deep his markup goes. An int is a closing tag's break.
    pending: list[Any] = [root]
    while pending:
        node = pending.pop()
        if isinstance(node, int):
            parts.append(node)
        elif node.tag == "-text":
            parts.append(re.sub(r"[ \t\r\n\f]+", " ", node.text_content or ""))
        elif node.tag == "br":
            parts.append("\n")
        elif node.tag not in _SILENT:
            if node.tag in ("td", "th"):
                parts.append(" ")
            breaks = _BREAKS.get(node.tag, 0)
            children = list(node.iter(include_text=True))
            if breaks:
                parts.append(breaks)
                pending.append(breaks)
            pending.extend(reversed(children))
    return _laid_out(parts)


def _laid_out(parts: list[str | int]) -> str:
    out: list[str] = []
    wanted = 0
    for part in parts:
        if isinstance(part, int):
            wanted = max(wanted, part)
        elif part == "\n" or part.strip() or not wanted:
            if wanted and out:
                # A `<br>` that ends a block is that block's own break.
                out.append("\n" * (wanted - 1 if out[-1] == "\n" else wanted))
            out.append(part)
            wanted = 0
    lines = (re.sub(" +", " ", line).strip(" ") for line in "".join(out).split("\n"))
    return "\n".join(lines).strip()


def attachment_links(items: object) -> tuple[Link, ...]:
    """The files in an attachment list whose shape no source documents (a gap: seller-central facts, section 8).

    Taken from any object that holds a path or address of the site; the name is the value whose key speaks of a name or
    title. What cannot be made out is a link without a URL: named, so that it is missed and not passed over. The raw
    JSON is kept whatever is made out here.
    """
    if not items:
        return ()
    return tuple(_link(item) for item in (items if isinstance(items, list) else [items]))


def _link(item: object) -> Link:
    if not isinstance(item, dict):
        return Link("", str(item)[:200])
    texts = {key.lower(): value for key, value in item.items() if isinstance(value, str)}
    url = next((v for v in texts.values() if (v.startswith("/") and v[1:2] != "/") or v.startswith("https://")), "")
    name = next((v for k, v in texts.items() if "name" in k or "title" in k), "")
    media_type = next((v for k, v in texts.items() if "type" in k and "/" in v), "")
    return Link(url, name or url.partition("?")[0].rsplit("/", 1)[-1] or "(no name)", media_type)


def attachments(items: object, artifacts: Iterable[Artifact]) -> tuple[Attachment, ...]:
    """The same list as values, each with the artifact that holds it, where it was fetched."""
    kept = {a.url: a for a in artifacts if a.name.startswith("attachment/") and a.status == 200}
    found: list[Attachment] = []
    for link in attachment_links(items):
        artifact = kept.get(link.url)
        media_type = link.media_type or (artifact.media_type if artifact else "")
        why = trouble(link.name, media_type, artifact.body) if artifact else None
        found.append(
            Attachment(
                name=link.name,
                media_type=media_type,
                url=link.url,
                artifact=artifact.name if artifact else None,
                size_bytes=len(artifact.body) if artifact else None,
                sha256=hashlib.sha256(artifact.body).hexdigest() if artifact else None,
                opens=None if why is None else not why,
                trouble=why or "",
            )
        )
    return tuple(found)
