"""Which screen is showing: the order and the meaning of the rules, and what the shipped map makes of known pages."""

from __future__ import annotations

import pytest

from archiver.signin import Screen
from archiver.site.screens import Landmarks, screen, selectors
from archiver.site.sitemap import ScreenRule, load

SHIPPED = load().screens


def seen(*visible: str, hidden: tuple[str, ...] = ()) -> Landmarks:
    return Landmarks(visible=frozenset(visible), present=frozenset((*visible, *hidden)))


def test_every_selector_is_asked_for_once_and_in_order() -> None:
    rules = [
        ScreenRule("EMAIL", visible=("#a", "#b"), present=("#c",)),
        ScreenRule("PASSWORD", visible=("#b",), needs=("#d", "#a")),
    ]

    assert selectors(rules) == ("#a", "#b", "#c", "#d")


def test_the_first_rule_that_holds_wins() -> None:
    rules = [ScreenRule("EMAIL", visible=("#a",)), ScreenRule("PASSWORD", visible=("#b",))]

    found = [screen(seen("#a", "#b"), order) for order in (rules, rules[::-1])]

    assert found == [Screen.EMAIL, Screen.PASSWORD]


def test_no_rule_is_no_guess() -> None:
    rules = [ScreenRule("EMAIL", visible=("#a",))]

    assert screen(seen("#b"), rules) is Screen.UNKNOWN
    assert screen(seen(), rules) is Screen.UNKNOWN
    assert screen(seen("#a"), []) is Screen.UNKNOWN


@pytest.mark.parametrize(
    "rule, landmarks, holds",
    [
        (ScreenRule("EMAIL", visible=("#a", "#b")), seen("#b"), True),
        (ScreenRule("EMAIL", visible=("#a",)), seen(hidden=("#a",)), False),
        (ScreenRule("EMAIL", present=("#a",)), seen(hidden=("#a",)), True),
        (ScreenRule("EMAIL", present=("#a",)), seen("#a"), True),
        (ScreenRule("EMAIL", visible=("#a",), present=("#b",)), seen(hidden=("#b",)), True),
        (ScreenRule("EMAIL", visible=("#a",), needs=("#x", "#y")), seen("#a", "#y"), True),
        (ScreenRule("EMAIL", visible=("#a",), needs=("#x",)), seen("#a"), False),
        (ScreenRule("EMAIL", visible=("#a",), needs=("#x",)), seen("#x"), False),
        (ScreenRule("EMAIL", visible=("#a",), needs=("#x",)), seen("#a", hidden=("#x",)), False),
        (ScreenRule("EMAIL", needs=("#x",)), seen("#x"), False),
        (ScreenRule("EMAIL"), seen("#x"), False),
    ],
)
def test_a_rule_holds_when(rule: ScreenRule, landmarks: Landmarks, holds: bool) -> None:
    assert (screen(landmarks, [rule]) is Screen.EMAIL) == holds


EMAIL = "form[name=signIn] #ap_email"
CLAIM = "form#ap_login_form #ap_email_login"
PASSWORD = "form[name=signIn] #ap_password"
CODE = "form#auth-mfa-form #auth-mfa-otpcode"
ERROR = "#auth-error-message-box"


@pytest.mark.parametrize(
    "landmarks, expected",
    [
        (seen(EMAIL), Screen.EMAIL),
        (seen(CLAIM), Screen.EMAIL),
        (seen(EMAIL, ERROR), Screen.EMAIL_REFUSED),
        (seen(CLAIM, "#invalid-email-alert"), Screen.EMAIL_REFUSED),
        # The password page holds the e-mail field, hidden, and warnings that are none [H].
        (seen(PASSWORD, hidden=(EMAIL, ERROR, "#auth-warning-message-box")), Screen.PASSWORD),
        (seen(PASSWORD, ERROR), Screen.PASSWORD_REFUSED),
        (seen(PASSWORD, "#auth-warning-message-box", hidden=(EMAIL,)), Screen.PASSWORD_REFUSED),
        (seen(CODE), Screen.MFA_OTP),
        (seen(CODE, ERROR), Screen.CODE_REFUSED),
        (seen(CODE, hidden=(ERROR,)), Screen.MFA_OTP),
        # A captcha on the password page is answered by nobody but a person.
        (seen(PASSWORD, "#auth-captcha-image", ERROR), Screen.IMAGE_CAPTCHA),
        (seen("form#auth-select-device-form"), Screen.OTP_DEVICE_CHOICE),
        (
            seen(
                "form[action$='/errors/validateCaptcha'] #captchacharacters",
                "form[action$='/errors/validateCaptcha'] button",
            ),
            Screen.IMAGE_CAPTCHA,
        ),
        (seen("form[action$='/errors/validateCaptcha'] button"), Screen.CONTINUE_WALL),
        (seen(hidden=("#challenge-container",)), Screen.WAF_CHALLENGE),
        (seen(hidden=("form#pollingForm[action*='/ap/cvf/approval/poll']",)), Screen.APPROVAL_PENDING),
        (seen(".full-page-account-switcher-accounts", hidden=("#partner-navigation",)), Screen.SELECT_ACCOUNT),
        (seen(hidden=("#partner-navigation",)), Screen.AUTHENTICATED),
        (seen(ERROR), Screen.UNKNOWN),
        (seen(hidden=(EMAIL, PASSWORD, CODE)), Screen.UNKNOWN),
    ],
)
def test_the_shipped_map_knows_the_page(landmarks: Landmarks, expected: Screen) -> None:
    unknown = landmarks.present - set(selectors(SHIPPED))

    assert unknown == set()
    assert screen(landmarks, SHIPPED) is expected


@pytest.mark.parametrize("rule", SHIPPED, ids=lambda rule: rule.name)
def test_every_shipped_rule_can_win(rule: ScreenRule) -> None:
    # A rule that another one always comes before would be a screen we only think we know. What is shown by a page that
    # asks the same with an oddity in it, the page alone cannot show.
    marks = [Landmarks(frozenset({s}), frozenset({s})) for s in rule.visible]
    marks += [Landmarks(frozenset(), frozenset({s})) for s in rule.present]
    needed = [frozenset({need}) for need in rule.needs] or [frozenset[str]()]

    names = {screen(Landmarks(m.visible | n, m.present | n), SHIPPED) for m in marks for n in needed}

    assert names == {rule.name}
