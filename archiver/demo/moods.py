"""Moods: how the stand-in may misbehave, each one on its own and none known to the pages.

A mood sees a visit before the normal answer is made and may answer it itself; the first that does wins. It keeps its
own memory (how often, since when). With no mood the site is healthy. A mood names stages, not paths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from aiohttp import web

Stage = Literal[
    "door",  # the sign-in opens: GET of a sign-in page
    "email",
    "password",
    "code",  # one credential was submitted; the form is in `Visit.form`
    "switcher",  # the account switcher, page and JSON
    "page",  # an HTML page of Seller Central
    "json",  # a read of data: JSON GETs and SearchForCases
    "attachment",
    "write",
    "noise",
    "static",
]


@dataclass(frozen=True)
class Visit:
    """One request as a mood sees it. `number` counts visits of the same stage from 1, over all sessions."""

    stage: Stage
    number: int
    request: web.Request
    signed_in: bool
    now: datetime  # the content clock
    form: Mapping[str, str] | None = None  # of "email", "password", "code"


class Mood(Protocol):
    name: str

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        """The answer instead of the normal one, or None to let the visit pass."""


Moods = Sequence[Mood]
