"""Lists that move, go in circles, shrink, come late or do not come: what a reader of lists must survive.

Each names the source it plays on and the verdict that an honest run ends in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import urlencode

from aiohttp import web

from archiver.demo.moods import Mood, Visit

Verdict = Literal["COMPLETE", "PARTIAL", "SUSPECT", "FAILED"]

CASES, BUYERS, NOTICES = "cases", "buyer-messages", "performance-notifications"
_LISTS = {
    CASES: ("/hill/hillservice/mons-api/SearchForCases", "caseSearchResultList"),
    BUYERS: ("/messaging/api/global/cases", "cases"),
    NOTICES: ("/performance/api/notification", "list"),
}
_PAGES = {CASES: "/cu/case-lobby", BUYERS: "/messaging/inbox", NOTICES: "/performance/notifications"}
_FOREVER = 1_000_000


class ListMood(Mood, Protocol):
    """`source` is where it shows; `ends` is the verdict there."""

    @property
    def source(self) -> str: ...

    @property
    def ends(self) -> Verdict: ...


@dataclass
class _Of:
    """The part that all share: they let every visit pass to the healthy site."""

    name: str
    source: str
    ends: Verdict

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        return None

    def lists(self, visit: Visit) -> bool:
        return visit.stage == "json" and visit.request.path == _LISTS[self.source][0]


@dataclass
class Pushed(_Of):
    """Something new comes in at the top between the first page and the second: the first page's last row is on the
    second again, and another row on none. For so many ways through the list.
    """

    passes: int = 1
    _last: Any = None

    def bend(self, visit: Visit, tree: Any) -> Any:
        rows = tree.get(_LISTS[self.source][1]) if self.lists(visit) else None
        if not rows or visit.request.query.get("filterList"):
            return tree
        if tree.get("previousToken") == "0":
            self._last = rows[-1]
        elif self.passes and self._last is not None:
            self.passes -= 1
            rows[0], self._last = self._last, None
        return tree


@dataclass
class Shrinks(_Of):
    """The site's own count is one less on every answer but the first. For so many ways through the list."""

    passes: int = 1
    _total: int | None = None

    def bend(self, visit: Visit, tree: Any) -> Any:
        if self.lists(visit) and self.passes:
            if self._total is None:
                self._total = tree["totalNumberOfResults"]
            else:
                self._total, self.passes = None, self.passes - 1
                tree["totalNumberOfResults"] -= 1
        return tree


@dataclass
class Circles(_Of):
    """Every page but the first leads to itself."""

    _token: str = ""

    def bend(self, visit: Visit, tree: Any) -> Any:
        if self.lists(visit) and not visit.request.query.get("filterList"):
            self._token = self._token or tree["nextToken"]
            tree["nextToken"] = self._token
        return tree


@dataclass
class Empty(_Of):
    """From the moment it is `on`, the list says that there is nothing."""

    on: bool = True

    def bend(self, visit: Visit, tree: Any) -> Any:
        if self.on and self.lists(visit):
            tree[_LISTS[self.source][1]] = []
            tree |= {key: 0 for key in ("totalNumberOfResults", "totalCount") if key in tree}
            tree |= {"nextToken": ""} if "nextToken" in tree else {}
        return tree


@dataclass
class PageForData(_Of):
    """The list answers 200 with a page where data was expected, whatever is asked again [L]."""

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if visit.signed_in and self.lists(visit):
            return web.Response(text="<!doctype html><title></title><div id=root></div>", content_type="text/html")
        return None


@dataclass
class Shell(_Of):
    """The page of the list is a shell that never asks for anything."""

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if visit.signed_in and visit.stage == "page" and visit.request.path == _PAGES[self.source]:
            frame = '<meta name="anti-csrftoken-a2z" content="x"><div id="partner-navigation">Seller Central</div>'
            return web.Response(text=f"<!doctype html>{frame}<div id=root></div>", content_type="text/html")
        return None


@dataclass
class Late(_Of):
    """The list's data takes seconds to come."""

    delay_s: float = 2.0

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if self.lists(visit):
            await asyncio.sleep(self.delay_s)
        return None


@dataclass
class MovedFor307(_Of):
    """The list's data is at another address for the moment [L: 307 before 200]."""

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if visit.signed_in and self.lists(visit) and "weblab" not in visit.request.query:
            query = urlencode({**visit.request.query, "weblab": "T1"})
            raise web.HTTPTemporaryRedirect(f"{visit.request.path}?{query}")
        return None


def list_moods() -> Sequence[ListMood]:
    """All of them, new."""
    return (
        Pushed("a row is pushed to the next page, once", BUYERS, "COMPLETE"),
        Pushed("rows are pushed to the next page, each time", BUYERS, "SUSPECT", passes=_FOREVER),
        Shrinks("a list that shrinks, once", CASES, "COMPLETE"),
        Shrinks("a list that shrinks, each time", CASES, "SUSPECT", passes=_FOREVER),
        Circles("tokens that loop", BUYERS, "SUSPECT"),
        PageForData("a page where the list's data was expected", NOTICES, "FAILED"),
        Shell("a shell without a list", NOTICES, "FAILED"),
        Late("a slow list", NOTICES, "COMPLETE"),
        MovedFor307("a list at another address", BUYERS, "COMPLETE"),
    )
