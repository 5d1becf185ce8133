"""Pages that Amazon has changed overnight: a field has another name, a heading is drawn in another way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from archiver.demo.moods import Visit


@dataclass
class RenamedField:
    """Every object of every answer calls `old` `new`."""

    name: str
    old: str
    new: str

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        return None

    def bend(self, visit: Visit, tree: Any) -> Any:
        if isinstance(tree, dict):
            return {self.new if key == self.old else key: self.bend(visit, value) for key, value in tree.items()}
        if isinstance(tree, list):
            return [self.bend(visit, value) for value in tree]
        return tree


@dataclass
class RenamedHeading:
    """A notification's heading is a custom element that draws what stands in its attribute, where no text is."""

    name: str

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        return None

    def redraw(self, visit: Visit, markup: str) -> str:
        if "/performance/notifications/" not in visit.request.path:
            return markup
        return re.sub(r"<h1>(.*?)</h1>", r'<kat-page-header header="\1"></kat-page-header>', markup, flags=re.DOTALL)
