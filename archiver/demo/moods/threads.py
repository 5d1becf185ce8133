"""Files that are missing, broken, or large: what a reader of threads must survive."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from archiver.demo.moods import Visit


@dataclass
class Files:
    """Every attachment is answered with this. `times`: how often, before the healthy site answers again."""

    name: str
    status: int = 200
    media_type: str = ""
    body: bytes = b""
    times: int = 1_000_000
    asked: int = 0

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if visit.stage != "attachment" or not visit.signed_in or self.asked >= self.times:
            return None
        self.asked += 1
        return web.Response(status=self.status, body=self.body, content_type=self.media_type or "text/plain")
