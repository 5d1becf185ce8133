"""How a person is asked to answer what only a person may: the seam between the sign-in and the ways of handing over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from playwright.sync_api import CDPSession, Page

from archiver.portal.pace import Pace
from archiver.signin import Screen


@dataclass(frozen=True, slots=True)
class Task:
    """What a person is asked to do on the page that is showing: for whom, what, by when (UTC)."""

    account: str
    screen: Screen
    what: str
    hint: str
    until: datetime


class Person(Protocol):
    """One way of getting a person to the page. The guard lets a person's answers through only while one attends."""

    def attend(self, page: Page, session: CDPSession, task: Task, pace: Pace, answered: Callable[[], bool]) -> bool:
        """Tell a person, and let them at the page until `answered()`; False where nobody did by `task.until`.

        Waits by `pace`, so that a stop is heard. Nothing is typed or pressed but by the person.
        """
        ...

    def leave(self) -> None:
        """The sign-in is over, whichever way: what was opened for the person is closed. May be called twice."""
        ...
