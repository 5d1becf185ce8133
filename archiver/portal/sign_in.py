"""Plays the sign-in machine's moves on the live page. Decides nothing: the table is `archiver.signin`.

A secret is typed only where the page stands on an origin of the site's own sign-in, and only after the attempt has
been written down. Playwright's messages repeat what was typed, so none of them leaves this file.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from archiver import signin
from archiver.errors import (
    AccessStopped,
    ArchiverError,
    BrowserFailed,
    CredentialRefused,
    PageUnknown,
    PersonNeeded,
    SiteUnreachable,
)
from archiver.portal import totp
from archiver.portal.camera import Recorder, settle
from archiver.portal.guard import Guard
from archiver.portal.pace import Pace
from archiver.signin import Blame, Credential, Move, Screen, Step
from archiver.site import screens
from archiver.site.sitemap import Fill, SiteMap

PAGE_TIMEOUT_S = 30.0
_NAVIGATION_TIMEOUT_S = 20.0
_SELF_RELOAD_TIMEOUT_S = 20.0
_LOOKS = 5
_LEAST_LEFT_OF_STEP_S = 3.0
"""A code typed in the last moments of its time step may arrive after it."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What signs one account in. Never shown."""

    email: str = field(repr=False)
    password: str = field(repr=False)
    totp_secret: str = field(repr=False)


class Memory(Protocol):
    """What a sign-in must remember across processes; durable before each call returns."""

    def trying(self, credential: Credential) -> None:
        """Called before a credential is submitted. Raises PersonNeeded if it was tried too often unanswered."""
        ...

    def accepted(self, credential: Credential) -> None: ...

    def refused(self, credential: Credential | None, why: str) -> None:
        """None: the account as a whole was refused (locked, reset)."""
        ...

    def stop_access(self, why: str) -> None:
        """The site asked for it: nothing more is sent for this account before a person allows it."""
        ...

    def last_code_step(self) -> int:
        """The TOTP time step whose code was last submitted, or 0."""
        ...

    def code_step_used(self, step: int) -> None: ...


# For each selector: is it there, and is any match something a person could see? Looks into open shadow roots.
_LANDMARKS = r"""selectors => {
    const roots = [document];
    for (let i = 0; i < roots.length; i++)
        for (const element of roots[i].querySelectorAll('*'))
            if (element.shadowRoot) roots.push(element.shadowRoot);
    const shows = element => element.checkVisibility({checkOpacity: true, checkVisibilityCSS: true})
        && element.getClientRects().length > 0;
    const found = {visible: [], present: []};
    // What Playwright calls :has-text(), for the few screens that only their words tell apart.
    const within = /^(.*):has-text\("([^"]*)"\)$/;
    const folded = text => text.replace(/\s+/g, ' ').toLowerCase();
    const texts = new Map();
    const text = e => texts.get(e) ?? texts.set(e, folded(e.innerText ?? '')).get(e);
    for (const selector of selectors) {
        const [, scope, words] = selector.match(within) || [null, selector, null];
        let matches = roots.flatMap(root => [...root.querySelectorAll(scope)]);
        if (words) matches = matches.filter(e => text(e).includes(folded(words)));
        if (matches.length) found.present.push(selector);
        if (matches.some(shows)) found.visible.push(selector);
    }
    return found;
}"""


def landmarks(page: Page, sitemap: SiteMap) -> screens.Landmarks:
    """Which selectors of the map match on this page, and which of the matches can be seen."""
    found: dict[str, Any] = page.evaluate(_LANDMARKS, list(screens.selectors(sitemap.screens)))
    return screens.Landmarks(visible=frozenset(found["visible"]), present=frozenset(found["present"]))


def showing(page: Page, sitemap: SiteMap) -> Screen:
    """The sign-in screen that is showing. A page that goes to another while it is asked is asked again."""
    for _ in range(_LOOKS):
        try:
            return screens.screen(landmarks(page, sitemap), sitemap.screens)
        except PlaywrightError:
            if page.is_closed():
                raise
            page.wait_for_load_state("domcontentloaded", timeout=PAGE_TIMEOUT_S * 1000)
    return screens.screen(landmarks(page, sitemap), sitemap.screens)


def play(
    page: Page,
    recorder: Recorder,
    guard: Guard,
    sitemap: SiteMap,
    account: str,
    secrets: Secrets,
    memory: Memory,
    pace: Pace,
    keep_unknown: Callable[[Screen], None],
    hand_over: Callable[[Screen, Move], bool],
    *,
    saw: Callable[[Screen], None] = lambda _: None,
    approval_s: float = 0.0,
) -> Screen:
    """From whatever is showing to a signed-in screen (SELECT_ACCOUNT or AUTHENTICATED), which is returned.

    `hand_over` gets a person to the page and says whether the screen is another one since.
    `saw` is told of each screen. Where nobody comes to the page, what may be answered elsewhere (an approval on a
    phone) is awaited for `approval_s`, and never asked for again.

    Raises CredentialRefused, PersonNeeded, PageUnknown or SiteUnreachable, each with what to do next.
    """
    state = signin.State()
    pending: Credential | None = None
    while True:
        at_rest = settle(page, recorder, timeout_s=PAGE_TIMEOUT_S)
        if pending is not None and not at_rest:
            # What the page still shows is the question. To take it for the answer would be a refusal nobody made.
            raise SiteUnreachable(
                f"The site did not answer the {pending} within {PAGE_TIMEOUT_S:.0f} s.",
                hint="Nothing to do: the next scheduled run tries again, a few times at most.",
            )
        screen = showing(page, sitemap)
        saw(screen)
        move, state = signin.decide(screen, state)
        # Only a step forward says that it was taken. What stands before a captcha or an error is not known, and counts
        # as unanswered.
        if pending is not None and move.step in (Step.SUBMIT, Step.SKIP, Step.DONE):
            memory.accepted(pending)
            pending = None
        match move.step:
            case Step.DONE:
                return screen
            case Step.SUBMIT:
                assert move.credential is not None  # noqa: S101  the table gives every SUBMIT its credential
                _submit(page, guard, sitemap.fills[screen], move.credential, secrets, memory, pace)
                pending = move.credential
            case Step.SKIP:
                _decline(page, sitemap, screen, pace)
            case Step.WAIT | Step.HAND_OVER | Step.STOP:
                if move.step is Step.WAIT and _changes(page, sitemap, screen, pace, _SELF_RELOAD_TIMEOUT_S):
                    continue
                if move.step is Step.HAND_OVER and hand_over(screen, move):
                    continue
                if move.elsewhere and approval_s and _changes(page, sitemap, screen, pace, approval_s):
                    continue
                stopped = stop(move, screen, account)
                if pending is not None and move.blame in (Blame.REFUSED, Blame.PERSON, Blame.UNKNOWN):
                    # A captcha after the password is how a refusal often looks [C]: nothing is typed again by itself.
                    memory.refused(pending, move.why)
                elif move.blame is Blame.REFUSED:
                    memory.refused(None, move.why)
                if move.blame in (Blame.PERSON, Blame.UNKNOWN, Blame.STOPPED):
                    # A page that polls may go away under the camera, and the person must be told all the same.
                    with suppress(PlaywrightError):
                        keep_unknown(screen)
                if move.blame is Blame.STOPPED:
                    memory.stop_access("a page of the site asks automated software to stop")
                raise stopped


def stop(move: Move, screen: Screen, account: str) -> ArchiverError:
    """The error a STOP of the table means, with the account in its hint."""
    hint = move.hint.replace("`archiver login`", f"`archiver login {account}`").replace(
        "`archiver account add`", f"`archiver account add {account} --email E`"
    )
    hint = hint.replace("`archiver allow-access`", f"`archiver allow-access --account {account}`")
    match move.blame:
        case Blame.REFUSED:
            return CredentialRefused(move.why, hint=hint)
        case Blame.PERSON:
            return PersonNeeded(move.why, hint=hint)
        case Blame.UNKNOWN:
            return PageUnknown(move.why, hint=hint)
        case Blame.STOPPED:
            return AccessStopped(move.why, hint=hint)
        case _:
            return SiteUnreachable(f"{move.why} ({screen})", hint=hint)


def _submit(
    page: Page, guard: Guard, fill: Fill, credential: Credential, secrets: Secrets, memory: Memory, pace: Pace
) -> None:
    # Before a code is made and anything written down: a sign-in is as slow as a person's, and within the budget.
    pace.before_page()
    match credential:
        case Credential.EMAIL:
            value = secrets.email
        case Credential.PASSWORD:
            value = secrets.password
        case Credential.CODE:
            value = _fresh_code(pace, secrets.totp_secret, memory)
    # Only now: the waits above are long enough for a page to go to another.
    parts = urlsplit(page.url)
    if f"{parts.scheme}://{parts.netloc}" not in guard.rules.origins:
        raise PersonNeeded(
            f"The sign-in page stands on {parts.netloc}, which is not the site's own.",
            hint="Nothing was typed. Check `site` in the configuration, and this network's way to the site.",
        )
    memory.trying(credential)
    try:
        page.locator(_visible(page, fill.field)).first.fill(value, timeout=PAGE_TIMEOUT_S * 1000)
    except PlaywrightError:
        raise PageUnknown(
            f"The field for the {credential} would not take it.",
            hint="Sign in once in your own browser to see what Amazon asks, then run `archiver login`.",
        ) from None  # Playwright's message repeats what was typed
    guard.sign_in_posts = 1
    try:
        _press(page, fill)
    finally:
        guard.sign_in_posts = 0


def _fresh_code(pace: Pace, secret: str, memory: Memory) -> str:
    """A code of a time step that was never submitted and still lasts; awaits the next step where it must."""
    while True:
        now_s = pace.clock.now_s()
        step = totp.step_at(now_s)
        left_s = (step + 1) * totp.STEP_S - now_s
        if memory.last_code_step() > step + 2:
            raise PersonNeeded(
                "A one-time code of a later time than the clock shows was used already.",
                hint="Set this machine's clock right, then give the sign-in again with `archiver account add`.",
            )
        if step > memory.last_code_step() and left_s >= _LEAST_LEFT_OF_STEP_S:
            memory.code_step_used(step)
            return totp.code(secret, step)
        pace.wait(left_s + 0.05)


def _visible(page: Page, selectors: tuple[str, ...]) -> str:
    """The first of the alternatives that shows; the first of all where none does, to fail by its name.

    Ids are there twice [H], and the first may be the one nobody sees.
    """
    for selector in selectors:
        shown = f"{selector} >> visible=true"
        if page.locator(shown).count():
            return shown
    return selectors[0]


def _press(page: Page, fill: Fill) -> None:
    control = page.locator(_visible(page, fill.submit)).first
    try:
        with page.expect_navigation(wait_until="domcontentloaded", timeout=_NAVIGATION_TIMEOUT_S * 1000):
            try:
                control.click(timeout=PAGE_TIMEOUT_S * 1000, no_wait_after=True)
            except PlaywrightError:
                raise PageUnknown(
                    "The sign-in page has no button that could be pressed.",
                    hint="Sign in once in your own browser to see what Amazon asks, then run `archiver login`.",
                ) from None  # Playwright's message may repeat what was typed
    except PlaywrightTimeoutError:
        # No new page came: the next look says what the old one shows now, and the table answers that.
        return


def _decline(page: Page, sitemap: SiteMap, screen: Screen, pace: Pace) -> None:
    """Press what declines a nag. It may lead to a page, or only show what it hid."""
    pace.before_page()
    control = page.locator(_visible(page, sitemap.fills[screen].submit)).first
    try:
        control.click(timeout=PAGE_TIMEOUT_S * 1000, no_wait_after=True)
    except PlaywrightError:
        raise PageUnknown(
            f"The sign-in shows {screen}, and nothing that declines it could be pressed.",
            hint="Sign in once in your own browser and answer it there, then run `archiver login`.",
        ) from None
    _changes(page, sitemap, screen, pace, _NAVIGATION_TIMEOUT_S)


def _changes(page: Page, sitemap: SiteMap, screen: Screen, pace: Pace, timeout_s: float) -> bool:
    """Wait until the page shows something else, at whatever address [H][C]; False if it does not in `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if showing(page, sitemap) is not screen:
                return True
        except PlaywrightError as error:
            if page.is_closed():
                raise BrowserFailed(
                    "The browser went away while the sign-in waited.", hint="Nothing to do: the next run tries again."
                ) from error
            # The question met the reload itself; ask again.
        pace.wait(0.25 if timeout_s <= _SELF_RELOAD_TIMEOUT_S else 1.0)
    return False
