"""Moods: how the stand-in may misbehave, each one on its own and none known to the pages.

A mood sees a visit before the normal answer is made and may answer it itself; the first that does wins. It keeps its
own memory (how often, since when). With no mood the site is healthy. A mood names stages, not paths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from aiohttp import web

Stage = Literal[
    "door",  # the sign-in opens: GET of a sign-in page
    "email",
    "password",
    "code",  # one credential was submitted; the form is in `Visit.form`
    "challenge",  # a page between the credentials and the seller's pages, and what is sent from it
    "switcher",  # the account switcher, page and JSON
    "page",  # an HTML page of Seller Central
    "json",  # a read of data: JSON GETs and SearchForCases
    "attachment",
    "write",
    "noise",
    "static",
]


class Flow(Protocol):
    """The sign-in under way that a visit belongs to, for moods that stand in its way."""

    @property
    def fields(self) -> dict[str, str]:
        """The hidden fields that tie a form to this sign-in."""
        ...

    @property
    def email(self) -> str:
        """What was given as the e-mail address, or empty."""
        ...

    def knows(self, form: Mapping[str, str]) -> bool:
        """Whether the form has the account's e-mail address and password."""
        ...

    def accept(self) -> web.StreamResponse:
        """Signs in, and leads to where the visitor wanted to go."""
        ...

    def ask_password(self) -> web.StreamResponse: ...

    def ask_code(self, *, refused: bool = False) -> web.StreamResponse: ...


@dataclass(frozen=True)
class Visit:
    """One request as a mood sees it. `number` counts visits of the same stage from 1, over all sessions."""

    stage: Stage
    number: int
    request: web.Request
    signed_in: bool
    now: datetime  # the content clock
    form: Mapping[str, str] | None = None  # of "email", "password", "code", "challenge"
    flow: Flow | None = None


class Mood(Protocol):
    name: str

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        """The answer instead of the normal one, or None to let the visit pass."""


@dataclass(frozen=True)
class Ends:
    """How a sign-in that meets a mood must end: the state of its last page, the exit code, what was submitted."""

    screen: str  # empty where the site shows no page that could be told
    exit: int
    email: int
    password: int
    code: int


class SignInMood(Mood, Protocol):
    @property
    def ends(self) -> Ends: ...


@runtime_checkable
class Dress(Protocol):
    """A mood may also change how the healthy sign-in pages look."""

    def dress(self, markup: str) -> str: ...


@runtime_checkable
class Bend(Protocol):
    """A mood may also change what the healthy site's JSON says."""

    def bend(self, visit: Visit, tree: Any) -> Any:
        """The JSON to serve in the place of `tree`, which may be changed and given back."""


@runtime_checkable
class Redraw(Protocol):
    """A mood may also change how the healthy seller's pages are drawn."""

    def redraw(self, visit: Visit, markup: str) -> str: ...


Moods = Sequence[Mood]
