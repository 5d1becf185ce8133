"""One person for several sign-ins: they come to one at a time, and to the next when it is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

import pytest

from archiver.errors import Interrupted
from archiver.portal.person import InTurn, Task
from archiver.signin import Screen


@dataclass
class Somebody:
    """Answers at once, and writes down for whom."""

    came_to: list[str] = field(default_factory=list)

    def attend(self, page: Any, session: Any, task: Task, pace: Any, answered: Callable[[], bool]) -> bool:
        self.came_to.append(task.account)
        return True

    def leave(self) -> None:
        self.came_to.append("home")


@dataclass
class Clockless:
    """A pace whose waits do something instead."""

    meanwhile: Callable[[], None]

    def wait(self, seconds: float) -> None:
        self.meanwhile()


def task(account: str, *, minutes: float = 25) -> Task:
    return Task(account, Screen.IMAGE_CAPTCHA, "A captcha.", "", datetime.now(UTC) + timedelta(minutes=minutes))


def attend(way: InTurn, of: Task, meanwhile: Callable[[], None] = lambda: None) -> bool:
    return way.attend(None, None, of, Clockless(meanwhile), lambda: True)  # type: ignore[arg-type]  # none is touched


def test_the_second_waits_until_the_first_has_left() -> None:
    somebody, turn = Somebody(), Lock()
    first, second = InTurn(somebody, turn), InTurn(somebody, turn)

    assert attend(first, task("first"))
    assert attend(first, task("first"))
    assert attend(second, task("second"), meanwhile=first.leave)
    assert somebody.came_to == ["first", "first", "home", "second"]


def test_who_waits_too_long_is_not_come_to() -> None:
    somebody, turn = Somebody(), Lock()
    turn.acquire()

    assert not attend(InTurn(somebody, turn), task("late", minutes=-1))
    assert somebody.came_to == []


def test_a_stop_is_heard_while_waiting_and_nobody_elses_turn_is_given_away() -> None:
    somebody, turn = Somebody(), Lock()
    turn.acquire()
    waiting = InTurn(somebody, turn)

    def stop() -> None:
        raise Interrupted("The run was stopped on request.", hint="")

    with pytest.raises(Interrupted):
        attend(waiting, task("stopped"), meanwhile=stop)
    waiting.leave()

    assert turn.locked()
