"""A person who sits at this machine: at its screen with the browser's window, or at a terminal with a code to type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from playwright.sync_api import CDPSession, Page
from playwright.sync_api import Error as PlaywrightError

from archiver.portal.pace import Pace
from archiver.portal.person import Person, Task
from archiver.signin import Screen
from archiver.site.sitemap import Fill

CODES = frozenset({Screen.CVF_CODE, Screen.CVF_CODE_AND_POLL, Screen.MFA_SENT_CODE})
"""The screens that want a code which was sent to a person."""

_MOST_CODES = 3
"""Amazon counts wrong codes [R], and locks who gives too many."""

_FIELD_TIMEOUT_S = 10.0
_ANSWER_TIMEOUT_S = 30.0


class Window:
    """A person at the screen: the browser's own window is in front of them."""

    def __init__(self, tell: Callable[[Task], None]) -> None:
        self._tell = tell

    def attend(self, page: Page, session: CDPSession, task: Task, pace: Pace, answered: Callable[[], bool]) -> bool:
        self._tell(task)
        page.bring_to_front()
        return _until(task.until, pace, answered)

    def leave(self) -> None:
        """Nothing was opened for them: the window is the run's own."""


class Terminal:
    """A person at the terminal, for the screens that want a code sent to them; anything else is `otherwise`'s.

    `ask` shows a question and gives what was typed. While it waits nothing is sent, and a stop is heard after it.
    """

    def __init__(self, fills: Mapping[str, Fill], ask: Callable[[Task, int], str], otherwise: Person) -> None:
        self._fills = fills
        self._ask = ask
        self._otherwise = otherwise

    def attend(self, page: Page, session: CDPSession, task: Task, pace: Pace, answered: Callable[[], bool]) -> bool:
        """Type what the person was sent, each code once; False where they gave none that was taken."""
        fill = self._fills.get(task.screen)
        if task.screen not in CODES or fill is None:
            return self._otherwise.attend(page, session, task, pace, answered)
        for number in range(_MOST_CODES):
            code = self._ask(task, number).strip()
            if not code or datetime.now(UTC) >= task.until:
                return False
            pace.wait(0)  # a stop may have come while they typed
            if not _submit(page, fill, code):
                return self._otherwise.attend(page, session, task, pace, answered)
            if _taken(page, pace, answered):
                return True
        return False

    def leave(self) -> None:
        self._otherwise.leave()


def _submit(page: Page, fill: Fill, code: str) -> bool:
    """Type the code and press the button; False where the page has no such field."""
    field = page.locator(", ".join(f"{selector}:visible" for selector in fill.field)).first
    control = page.locator(", ".join(f"{selector}:visible" for selector in fill.submit)).first
    try:
        field.fill(code, timeout=_FIELD_TIMEOUT_S * 1000)
        with page.expect_navigation(wait_until="domcontentloaded", timeout=_ANSWER_TIMEOUT_S * 1000):
            control.click(timeout=_FIELD_TIMEOUT_S * 1000, no_wait_after=True)
    except PlaywrightError:
        # Its message repeats what was typed. A page that answers without a new one is looked at all the same.
        return bool(field.count())
    return True


def _taken(page: Page, pace: Pace, answered: Callable[[], bool]) -> bool:
    """Whether the page went on. One that only shows the question again wants another code."""
    page.wait_for_load_state("load")
    pace.wait(0.5)
    return answered()


def _until(until: datetime, pace: Pace, answered: Callable[[], bool]) -> bool:
    while datetime.now(UTC) < until:
        if answered():
            return True
        pace.wait(0.5)
    return False
