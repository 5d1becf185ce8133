"""How a person is asked to answer what only a person may: the seam between the sign-in and the ways of handing over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Protocol

from playwright.sync_api import CDPSession, Page

from archiver.portal.pace import Pace
from archiver.signin import Screen

_ASK_AGAIN_S = 1.0


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


@dataclass(slots=True)
class InTurn:
    """A person whom several sign-ins may need at once, and who comes to one at a time. `turn` is theirs together."""

    person: Person
    turn: Lock
    _ours: bool = False

    def attend(self, page: Page, session: CDPSession, task: Task, pace: Pace, answered: Callable[[], bool]) -> bool:
        while not self._ours:
            self._ours = self.turn.acquire(blocking=False)
            if not self._ours:
                if datetime.now(UTC) >= task.until:
                    return False
                pace.wait(_ASK_AGAIN_S)
        return self.person.attend(page, session, task, pace, answered)

    def leave(self) -> None:
        try:
            self.person.leave()
        finally:
            if self._ours:
                self._ours = False
                self.turn.release()
