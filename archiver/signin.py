"""The sign-in machine: one table. What to do on each screen, given what was already submitted. Pure, no I/O.

Amazon's sign-in is a challenge loop, not a sequence [H][C]: any screen may follow any other. The table answers each
screen with one move; three laws hold on every path, and the tests walk all of them: a credential is submitted at
most once, a screen that only a person may answer is never answered, every path ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto


class Screen(StrEnum):
    """What the sign-in may show."""

    STOP_ASKED = "STOP_ASKED"
    WAF_CHALLENGE = "WAF_CHALLENGE"
    AKAMAI_INTERSTITIAL = "AKAMAI_INTERSTITIAL"
    SERVER_ERROR = "SERVER_ERROR"
    IMAGE_CAPTCHA = "IMAGE_CAPTCHA"
    CONTINUE_WALL = "CONTINUE_WALL"
    OTP_DEVICE_CHOICE = "OTP_DEVICE_CHOICE"
    OTP_QUOTA = "OTP_QUOTA"
    CODE_REFUSED = "CODE_REFUSED"
    MFA_SENT_CODE = "MFA_SENT_CODE"
    MFA_PENDING = "MFA_PENDING"
    MFA_OTP = "MFA_OTP"
    CVF_CAPTCHA = "CVF_CAPTCHA"
    CVF_CODE_AND_POLL = "CVF_CODE_AND_POLL"
    APPROVAL_EXPIRED = "APPROVAL_EXPIRED"
    APPROVAL_PENDING = "APPROVAL_PENDING"
    CVF_CODE = "CVF_CODE"
    CLAIMS_PICKER = "CLAIMS_PICKER"
    ACIC_CHALLENGE = "ACIC_CHALLENGE"
    DCQ = "DCQ"
    ACCOUNT_SWITCHER = "ACCOUNT_SWITCHER"
    PHONE_NAG = "PHONE_NAG"
    LOCKED_OR_RESET = "LOCKED_OR_RESET"
    UNKNOWN_EMAIL = "UNKNOWN_EMAIL"
    EMAIL_REFUSED = "EMAIL_REFUSED"
    PASSWORD_REFUSED = "PASSWORD_REFUSED"  # noqa: S105  the name of a screen, not a password
    PASSWORD_PENDING = "PASSWORD_PENDING"  # noqa: S105  the name of a screen, not a password
    PASSWORD_ASSERT = "PASSWORD_ASSERT"  # noqa: S105  the name of a screen, not a password
    PASSWORD = "PASSWORD"  # noqa: S105  the name of a screen, not a password
    EMAIL_PENDING = "EMAIL_PENDING"
    EMAIL = "EMAIL"
    PASSKEY_NAG = "PASSKEY_NAG"
    SELECT_ACCOUNT = "SELECT_ACCOUNT"
    AUTHENTICATED = "AUTHENTICATED"
    UNKNOWN = "UNKNOWN"


class Credential(StrEnum):
    """What may be submitted, each at most once in one sign-in."""

    EMAIL = "e-mail"
    PASSWORD = "password"  # noqa: S105  the word, not a password
    CODE = "code"


class Step(StrEnum):
    """A move of the machine."""

    SUBMIT = auto()
    SKIP = auto()
    WAIT = auto()
    DONE = auto()
    HAND_OVER = auto()
    STOP = auto()


class Blame(StrEnum):
    """Why a sign-in stopped; each has its own error and exit code."""

    REFUSED = auto()
    PERSON = auto()
    SITE = auto()
    STOPPED = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Move:
    """What to do now. `credential` goes with SUBMIT; `blame`, `why` and `hint` with STOP, and with HAND_OVER and WAIT:
    what it means where no person comes, or the page does not change. `elsewhere`: a person may answer it without being
    at this page, so that waiting is worth it even where nobody comes."""

    step: Step
    credential: Credential | None = None
    blame: Blame | None = None
    why: str = ""
    hint: str = ""
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """What this sign-in has done so far. `steps` bounds every path: see `MOST_STEPS`."""

    submitted: frozenset[Credential] = frozenset()
    skipped: frozenset[Screen] = frozenset()
    steps: int = 0


MOST_STEPS = 12
"""E-mail, password and code take three; nags and self-reloading pages a few more. Beyond this it is a loop."""

_CHECKS_BROWSER = Move(
    Step.WAIT,
    blame=Blame.PERSON,
    why="Amazon checks the browser and does not let it pass.",
    hint="Open the site once in your own browser from this network, then run `archiver login`.",
)
_PENDING = Move(
    Step.WAIT,
    blame=Blame.SITE,
    why="The sign-in page does not let its form be sent.",
    hint="Nothing to do: the next scheduled run tries again.",
)

_RULES: dict[Screen, Move] = {
    Screen.EMAIL: Move(Step.SUBMIT, Credential.EMAIL),
    Screen.PASSWORD: Move(Step.SUBMIT, Credential.PASSWORD),
    Screen.MFA_OTP: Move(Step.SUBMIT, Credential.CODE),
    Screen.PASSWORD_ASSERT: Move(Step.SUBMIT, Credential.PASSWORD),
    Screen.PHONE_NAG: Move(Step.SKIP),
    Screen.PASSKEY_NAG: Move(Step.SKIP),
    Screen.WAF_CHALLENGE: _CHECKS_BROWSER,
    Screen.AKAMAI_INTERSTITIAL: _CHECKS_BROWSER,
    Screen.EMAIL_PENDING: _PENDING,
    Screen.PASSWORD_PENDING: _PENDING,
    Screen.MFA_PENDING: _PENDING,
    Screen.SELECT_ACCOUNT: Move(Step.DONE),
    Screen.AUTHENTICATED: Move(Step.DONE),
    Screen.EMAIL_REFUSED: Move(
        Step.STOP,
        blame=Blame.REFUSED,
        why="Amazon refused the e-mail address.",
        hint="Correct it with `archiver account add`; it is not tried again before that.",
    ),
    Screen.UNKNOWN_EMAIL: Move(
        Step.STOP,
        blame=Blame.REFUSED,
        why="Amazon knows no account with this e-mail address.",
        hint="Correct it with `archiver account add`; it is not tried again before that.",
    ),
    Screen.PASSWORD_REFUSED: Move(
        Step.STOP,
        blame=Blame.REFUSED,
        why="Amazon refused the password.",
        hint="Give the right one with `archiver account add`; it is not tried again before that.",
    ),
    Screen.CODE_REFUSED: Move(
        Step.STOP,
        blame=Blame.REFUSED,
        why="Amazon refused the one-time code.",
        hint="Check this machine's clock and the TOTP secret, then give the secret again with `archiver account add`.",
    ),
    Screen.OTP_QUOTA: Move(
        Step.STOP,
        blame=Blame.REFUSED,
        why="Amazon gives this account no more one-time codes today.",
        hint="Wait 24 hours, make an authenticator app the preferred method, then run `archiver login`.",
    ),
    Screen.LOCKED_OR_RESET: Move(
        Step.STOP,
        blame=Blame.REFUSED,
        why="Amazon wants the password to be reset before anyone signs in.",
        hint="Reset it in your own browser, then run `archiver account add` with the new one.",
    ),
    Screen.IMAGE_CAPTCHA: Move(
        Step.HAND_OVER,
        blame=Blame.PERSON,
        why="Amazon shows a captcha.",
        hint="Sign in once in your own browser from this network, then run `archiver login`.",
    ),
    Screen.CVF_CAPTCHA: Move(
        Step.HAND_OVER,
        blame=Blame.PERSON,
        why="Amazon shows a captcha.",
        hint="Sign in once in your own browser from this network, then run `archiver login`.",
    ),
    Screen.ACIC_CHALLENGE: Move(
        Step.HAND_OVER,
        blame=Blame.PERSON,
        why="Amazon shows a picture puzzle; no code was sent to anyone.",
        hint="Sign in once in your own browser from this network, then run `archiver login`.",
    ),
    Screen.CONTINUE_WALL: Move(
        Step.HAND_OVER,
        blame=Blame.PERSON,
        why="Amazon asks for a click on “Continue shopping” before it shows the sign-in.",
        hint="Open the site once in your own browser from this network, then run `archiver login`.",
    ),
    Screen.OTP_DEVICE_CHOICE: Move(
        Step.HAND_OVER,
        blame=Blame.PERSON,
        why="Amazon asks where to send a one-time code.",
        hint="Make an authenticator app the preferred method of this sign-in, then run `archiver login`.",
    ),
    Screen.CVF_CODE: Move(
        Step.HAND_OVER,
        blame=Blame.PERSON,
        why="Amazon sent a verification code to the owner of the account and waits for it.",
        hint="Sign in once in your own browser from this network and enter it there, then run `archiver login`.",
    ),
    Screen.APPROVAL_PENDING: Move(
        Step.HAND_OVER,
        blame=Blame.PERSON,
        why="Amazon waits for an approval on the account owner's phone.",
        hint="Approve it there, then run `archiver login`.",
        elsewhere=True,
    ),
    Screen.MFA_SENT_CODE: Move(
        Step.HAND_OVER,
        blame=Blame.PERSON,
        why="Amazon sent a one-time code to the owner of the account; it is none that the TOTP secret makes.",
        hint="Enter it in your own browser, make an authenticator app the preferred method, then run `archiver login`.",
    ),
    Screen.CVF_CODE_AND_POLL: Move(
        Step.HAND_OVER,
        blame=Blame.PERSON,
        why="Amazon waits for a code it sent, or for an approval in the account owner's Amazon app.",
        hint="Approve it in the app, or enter the code in your own browser, then run `archiver login`.",
        elsewhere=True,
    ),
    Screen.DCQ: Move(
        Step.HAND_OVER,
        blame=Blame.PERSON,
        why="Amazon asks a question that only the owner of the account can answer.",
        hint="Sign in once in your own browser from this network, then run `archiver login`.",
    ),
    Screen.ACCOUNT_SWITCHER: Move(
        Step.HAND_OVER,
        blame=Blame.PERSON,
        why="Amazon asks which of several sign-ins of this browser is meant.",
        hint="Sign in once in your own browser from this network, then run `archiver login`.",
    ),
    Screen.APPROVAL_EXPIRED: Move(
        Step.STOP,
        blame=Blame.PERSON,
        why="Amazon waited for an approval on the account owner's phone until it expired.",
        hint="Keep the phone at hand, then run `archiver login`.",
    ),
    Screen.CLAIMS_PICKER: Move(
        Step.HAND_OVER,
        blame=Blame.PERSON,
        why="Amazon asks how to verify that it is you.",
        hint="Sign in once in your own browser from this network, then run `archiver login`.",
    ),
    Screen.STOP_ASKED: Move(
        Step.STOP,
        blame=Blame.STOPPED,
        why="Amazon asks automated software to stop. Access is stopped; the page is kept, sealed, in the archive.",
        hint="Read in your own browser what it says. When it may go on, run `archiver allow-access`.",
    ),
    Screen.SERVER_ERROR: Move(
        Step.STOP,
        blame=Blame.SITE,
        why="Amazon says that something went wrong on its side.",
        hint="Nothing to do: the next scheduled run tries again.",
    ),
    Screen.UNKNOWN: Move(
        Step.STOP,
        blame=Blame.UNKNOWN,
        why="The sign-in shows a page the site map does not know; it is kept, sealed, in the archive.",
        hint="Sign in once in your own browser to see what Amazon asks, then run `archiver login`.",
    ),
}

_TWICE: dict[Credential, str] = {
    Credential.EMAIL: "Amazon asked for the e-mail address a second time.",
    Credential.PASSWORD: "Amazon asked for the password a second time.",
    Credential.CODE: "Amazon asked for the one-time code a second time.",
}


_UNASKED: dict[Screen, tuple[Credential, str]] = {
    Screen.PASSWORD_REFUSED: (
        Credential.PASSWORD,
        "Amazon shows an error where it asks for the password, before one was submitted.",
    ),
    Screen.CODE_REFUSED: (
        Credential.CODE,
        "Amazon shows an error where it asks for the one-time code, before one was submitted.",
    ),
    Screen.EMAIL_REFUSED: (
        Credential.EMAIL,
        "Amazon shows an error where it asks for the e-mail address, before one was submitted.",
    ),
}
"""An error beside a field we never filled is not about what we would have put there."""


def decide(screen: Screen, state: State) -> tuple[Move, State]:
    """The one move for this screen, and the state after it."""
    move = _RULES[screen]
    # What is an end by itself stays it on the last step: a refusal told there as a loop would be tried again.
    if move.credential is not None and move.credential in state.submitted:
        move = Move(
            Step.STOP,
            blame=Blame.REFUSED,
            why=_TWICE[move.credential],
            hint="Sign in once in your own browser to see why, then run `archiver login`.",
        )
    elif screen in _UNASKED and _UNASKED[screen][0] not in state.submitted:
        move = Move(
            Step.STOP,
            blame=Blame.REFUSED,
            why=_unasked(screen, state),
            hint="Sign in once in your own browser to see what it says, then run `archiver account add` if the sign-in "
            "was wrong, else `archiver login`.",
        )
    elif screen in state.skipped and move.step is Step.SKIP:
        move = Move(
            Step.STOP,
            blame=Blame.PERSON,
            why=f"Amazon shows a page again that was declined ({screen}).",
            hint="Sign in once in your own browser and answer it there, then run `archiver login`.",
        )
    elif state.steps >= MOST_STEPS and move.step not in (Step.DONE, Step.STOP):
        move = Move(
            Step.STOP,
            blame=Blame.PERSON if move.step is Step.HAND_OVER else Blame.SITE,
            why=f"The sign-in did not come to an end in {MOST_STEPS} steps; the last screen was {screen}.",
            hint="Sign in once in your own browser from this network, then run `archiver login`."
            if move.step is Step.HAND_OVER
            else "Nothing to do: the next scheduled run tries again, from the session it has.",
        )
    submitted = {move.credential} if move.credential is not None else set()
    skipped = {screen} if move.step is Step.SKIP else set()
    return move, State(state.submitted | submitted, state.skipped | skipped, state.steps + 1)


def _unasked(screen: Screen, state: State) -> str:
    if screen is Screen.PASSWORD_REFUSED and Credential.EMAIL in state.submitted:
        # An e-mail address nobody has is answered with a password page with an error in it [H].
        return "Amazon answered the e-mail address with an error; perhaps it knows no account with it."
    return _UNASKED[screen][1]


def interrupts(screen: Screen) -> bool:
    """Whether this screen, met in the middle of the work, is the sign-in's matter and not the work's."""
    return _RULES[screen].step is not Step.DONE and screen not in (Screen.UNKNOWN, Screen.SERVER_ERROR)


def table() -> dict[Screen, Move]:
    """The whole table, for the tests and for the documentation."""
    return dict(_RULES)
