"""The sign-in machine: one table. What to do on each screen, given what was already submitted. Pure, no I/O.

Amazon's sign-in is a challenge loop, not a sequence [H][C]: any screen may follow any other. The table answers each
screen with one move; three laws hold on every path, and the tests walk all of them: a credential is submitted at
most once, a screen that only a person may answer is never answered, every path ends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum, auto


class Screen(StrEnum):
    """What the sign-in may show."""

    WAF_CHALLENGE = "WAF_CHALLENGE"
    SERVER_ERROR = "SERVER_ERROR"
    IMAGE_CAPTCHA = "IMAGE_CAPTCHA"
    CONTINUE_WALL = "CONTINUE_WALL"
    OTP_DEVICE_CHOICE = "OTP_DEVICE_CHOICE"
    CODE_REFUSED = "CODE_REFUSED"
    MFA_OTP = "MFA_OTP"
    CVF_CAPTCHA = "CVF_CAPTCHA"
    CVF_CODE = "CVF_CODE"
    APPROVAL_PENDING = "APPROVAL_PENDING"
    CLAIMS_PICKER = "CLAIMS_PICKER"
    ACIC_CHALLENGE = "ACIC_CHALLENGE"
    PHONE_NAG = "PHONE_NAG"
    LOCKED_OR_RESET = "LOCKED_OR_RESET"
    UNKNOWN_EMAIL = "UNKNOWN_EMAIL"
    EMAIL_REFUSED = "EMAIL_REFUSED"
    PASSWORD_REFUSED = "PASSWORD_REFUSED"  # noqa: S105  the name of a screen, not a password
    PASSWORD = "PASSWORD"  # noqa: S105  the name of a screen, not a password
    EMAIL = "EMAIL"
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
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Move:
    """What to do now. `credential` goes with SUBMIT; `blame`, `why` and `hint` with STOP, and with HAND_OVER: what it
    means where no person comes."""

    step: Step
    credential: Credential | None = None
    blame: Blame | None = None
    why: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """What this sign-in has done so far. `steps` bounds every path: see `MOST_STEPS`."""

    submitted: frozenset[Credential] = frozenset()
    steps: int = 0


MOST_STEPS = 12
"""E-mail, password and code take three; nags and self-reloading pages a few more. Beyond this it is a loop."""

_RULES: dict[Screen, Move] = {
    Screen.EMAIL: Move(Step.SUBMIT, Credential.EMAIL),
    Screen.PASSWORD: Move(Step.SUBMIT, Credential.PASSWORD),
    Screen.MFA_OTP: Move(Step.SUBMIT, Credential.CODE),
    Screen.PHONE_NAG: Move(Step.SKIP),
    Screen.WAF_CHALLENGE: Move(Step.WAIT),
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
    ),
    Screen.CLAIMS_PICKER: Move(
        Step.HAND_OVER,
        blame=Blame.PERSON,
        why="Amazon asks how to verify that it is you.",
        hint="Sign in once in your own browser from this network, then run `archiver login`.",
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
    elif state.steps >= MOST_STEPS and move.step is Step.HAND_OVER:
        move = replace(move, step=Step.STOP)
    elif state.steps >= MOST_STEPS and move.step not in (Step.DONE, Step.STOP):
        move = Move(
            Step.STOP,
            blame=Blame.SITE,
            why=f"The sign-in did not come to an end in {MOST_STEPS} steps; the last screen was {screen}.",
            hint="Nothing to do: the next scheduled run tries again, from the session it has.",
        )
    submitted = {move.credential} if move.credential is not None else set()
    return move, State(state.submitted | submitted, state.steps + 1)


def table() -> dict[Screen, Move]:
    """The whole table, for the tests and for the documentation."""
    return dict(_RULES)
