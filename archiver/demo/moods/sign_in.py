"""Every mood of the sign-in, each with the end it must come to.

A mood shows its page in the place of the healthy answer to one stage, until a person (or time) has answered it.
"""

# ruff: noqa: E501 - markup is written as it is served, not wrapped

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from aiohttp import web

from archiver.demo import pages
from archiver.demo.moods import Ends, Flow, SignInMood, Stage, Visit
from archiver.demo.moods.challenges import ImageCaptcha, SmsCode, box, button, cvf_alert, page, see_other
from archiver.demo.moods.drawing import captcha

IN = "SELECT_ACCOUNT"
"""Where a sign-in that goes through arrives: the account switcher."""
_GOES_THROUGH = Ends(IN, 0, 1, 1, 1)


@dataclass
class Shown:
    """`draw` instead of the answer to `after` (for "password": to the right one), until `right` says yes to a form."""

    name: str
    ends: Ends
    after: Stage
    draw: Callable[[Flow | None], str]
    right: Callable[[Mapping[str, str]], bool] = lambda form: False
    """Whether what was sent from the page, to a challenge path or back to the sign-in, answers it."""
    status: int = 200
    passed: bool = False

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        form, flow = visit.form or dict(visit.request.query), visit.flow
        if self.passed:
            return None
        if flow is not None and visit.stage in ("challenge", "code", "password") and self.right(form):
            self.passed = True
            return flow.accept()
        wrong_password = visit.stage == "password" and not (flow and flow.knows(form))
        if visit.stage == "challenge" or (visit.stage == self.after and not wrong_password):
            return page(self.draw(flow), self.status)
        return None


@dataclass
class Wall:
    """Before the sign-in, a page that one click leads on from; it is no captcha though its form is a captcha's."""

    name: str = "“Continue shopping” wall"
    passed: bool = False
    ends: ClassVar[Ends] = Ends("CONTINUE_WALL", 3, 0, 0, 0)

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if visit.stage == "challenge" and visit.request.path == "/errors/validateCaptcha":
            self.passed = True
            return see_other("/home")
        if visit.stage == "door" and not self.passed:
            return page(
                '<!doctype html><html lang="en-us"><head><title dir="ltr">Amazon.co.uk</title></head><body>'
                "<h4>Click the button below to continue shopping</h4>"
                '<form method="get" action="/errors/validateCaptcha" name=""><input type="hidden" name="amzn" value="q8=="><input type="hidden" name="amzn-r" value="/home">'
                '<input type="hidden" name="field-keywords" value="KXTMPA"><button type="submit" class="a-button-text">Continue shopping</button></form></body></html>'
            )
        return None


@dataclass
class Reloads:
    """A page that checks the browser by a script and loads the same address again, `seconds` later, `times` times."""

    name: str
    markup: str
    seconds: float = 0.5
    times: int = 1
    ends: Ends = _GOES_THROUGH

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if visit.stage == "door" and self.times > 0:
            self.times -= 1
            return page(
                self.markup.replace("$MS", str(int(self.seconds * 1000))).replace("$URL", visit.request.path_qs)
            )
        return None


@dataclass
class Approval:
    """After the right password, an approval on the owner's phone is awaited; `answers` are the polls' in turn."""

    name: str
    ends: Ends
    answers: Sequence[str]
    with_code: bool = False
    code: str = "730164"
    polls: int = 0
    every_ms: int = 200  # the site's own: 5000 [H]

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        flow = visit.flow
        if flow is None:
            return None
        if visit.stage == "password" and flow.knows(visit.form or {}):
            return see_other("/ap/cvf/approval?arb=91c2")
        if visit.stage != "challenge":
            return None
        if visit.request.path == "/ap/cvf/approval/verifyOtp" and (visit.form or {}).get("otpCode") == self.code:
            return flow.accept()
        if visit.request.path != "/ap/cvf/approval/poll":
            return page(self._page(self.answers[min(self.polls, len(self.answers)) - 1] if self.polls else ""))
        status = self.answers[min(self.polls, len(self.answers) - 1)]
        self.polls += 1
        response = page(f'<input type="hidden" name="transactionApprovalStatus" value="{status}">')
        if status == "TransactionCompleted":
            for cookie in flow.accept().cookies.values():
                response.headers.add("Set-Cookie", cookie.OutputString())
        return response

    def _page(self, status: str) -> str:
        code = """<form id="verification-code-form" action="/ap/cvf/approval/verifyOtp" method="post">
<h1>Enter verification code</h1><input id="input-box-otp" type="tel" maxlength="6"><input type="hidden" id="otpCode" name="otpCode">
<input type="submit" class="a-button-input" value="Submit code" onclick="otpCode.value = this.form.querySelector('#input-box-otp').value"></form>"""
        expired = status == "TransactionExpired"
        return pages.sign_in_page(
            "Amazon Sign-In",
            f"""{code if self.with_code else ""}<div id="channelDetails"><span class="transaction-approval-word-break">
{"This request has expired." if expired else "For your security, approve the notification sent to your Amazon app"}</span></div>
<form id="resend-approval-form" action="/ap/cvf/approval/resend" method="post"><a href="#" onclick="this.closest('form').submit()">Resend notification</a></form>
<form id="pollingForm" action="/ap/cvf/approval/poll" method="get"><input type="hidden" name="arb" value="91c2">
<input type="hidden" name="transactionApprovalStatus" value="{status or "TransactionPending"}"></form>
<script>const was = "{status or "TransactionPending"}"; const poll = async () => {{
  const text = await (await fetch("/ap/cvf/approval/poll?arb=91c2")).text();
  const now = new DOMParser().parseFromString(text, "text/html").querySelector("[name=transactionApprovalStatus]").value;
  if (now === "TransactionCompleted") location.replace("/home");
  else if (now === "TransactionPending") setTimeout(poll, {self.every_ms});
  else location.reload();
}}; if (was === "TransactionPending") setTimeout(poll, {self.every_ms});</script>""",
        )


@dataclass
class Dressed:
    """The healthy sign-in, in other words, another layout, or with what other people's software put into it."""

    name: str
    changes: Sequence[tuple[str, str]]
    ends: Ends = _GOES_THROUGH

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        return None

    def dress(self, markup: str) -> str:
        for old, new in self.changes:
            markup = markup.replace(old, new)
        return markup


@dataclass
class Nag:
    """After the right code, an offer that can be declined: the link leads on."""

    name: str
    markup: str
    ends: Ends = _GOES_THROUGH
    seen: list[str] = field(default_factory=list)

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if visit.flow is not None and visit.stage == "code" and not self.seen:
            self.seen.append("offered")
            accepted = visit.flow.accept()
            response = page(pages.sign_in_page("Amazon", self.markup))
            for cookie in accepted.cookies.values():
                response.headers.add("Set-Cookie", cookie.OutputString())
            return response
        return None


def _refused_at(flow: Flow | None, text: str) -> str:
    markup = pages.code_page(flow.fields if flow else {}, refused=True)
    return markup.replace("The One Time Password (OTP) you entered is not valid. Please try again.", text)


def _password(flow: Flow | None, before: str = "") -> str:
    return before + pages.password_page(flow.fields if flow else {}, flow.email if flow else "")


def _unknown_email(flow: Flow | None) -> str:
    alert = pages.error_box("There was a problem", "We cannot find an account with that email address")
    return _password(flow).replace('<div id="passkey-error-alert"', alert + '<div id="passkey-error-alert"', 1)


def _captcha_in_password(flow: Flow | None) -> str:
    picture = base64.b64encode(captcha("HEXPAT")).decode()
    inside = f"""<div id="image-captcha-section"><img id="auth-captcha-image" alt="captcha" src="data:image/png;base64,{picture}">
<input type="text" id="auth-captcha-guess" name="guess" autocomplete="off" class="a-input-text"></div><span id="auth-signin-button\""""
    return _password(flow).replace('<span id="auth-signin-button"', inside, 1)


def _passkey_first(flow: Flow | None) -> str:
    return (
        _password(flow)
        .replace('<form name="signIn"', '<form name="signIn" style="display: none"', 1)
        .replace(
            '<form id="passkey-form"',
            """<a class="a-link-normal" href="#" onclick="document.forms.signIn.style.display = ''; return false">Other ways to sign in</a>
<form id="passkey-form\"""",
            1,
        )
    )


def _reauthenticate(flow: Flow | None) -> str:
    return (
        _password(flow)
        .replace('value="SIGNIN_PWD_COLLECT"', 'value="SIGNIN_PASSWORD_ASSERT"')
        .replace('id="signInSubmit"', 'id="auth-enter-pwd-to-cont"')
    )


def _sms(flow: Flow | None) -> str:
    return pages.code_page(flow.fields if flow else {}).replace(
        "generated by your Authenticator App", "sent to a phone number ending in 044"
    )


def _cvf(inner: str, title: str = "Authentication required") -> Callable[[Flow | None], str]:
    return lambda flow: pages.sign_in_page(title, f'<div id="cvf-page-content">{inner}</div>')


_DEVICES = """<form id="auth-select-device-form" method="post" action="/ap/mfa/new-otp" class="a-spacing-none">
<h1>Choose where to receive the One Time Password (OTP)</h1>
<div class="a-radio auth-SMS"><label><input type="radio" name="otpDeviceContext" value="aXs8, SMS" checked>Text me at my number ending in 044</label></div>
<div class="a-radio auth-VOICE"><label><input type="radio" name="otpDeviceContext" value="aXs8, VOICE">Call me</label></div>
<input id="auth-send-code" type="submit" value="Send OTP"></form>"""

_CVF_CAPTCHA = f"""{cvf_alert("Enter the characters you see")}<form action="verify" method="post" class="cvf-widget-form cvf-widget-form-captcha">
<input type="hidden" name="action" value="captcha"><p>Solve this puzzle to protect your account</p>
<img alt="captcha" src="data:image/png;base64,{base64.b64encode(captcha("PAXREM")).decode()}">
<input type="text" name="cvf_captcha_input" autocomplete="off">{button("Continue")}</form>"""

_ACIC = """<div id="cvf-aamation-container" data-challenge-type="WAF_ADVERSARIAL_SYNTHETIC_GRID_3X3"></div>
<form action="/ap/cvf/verify" method="post"><input type="hidden" name="cvf_aamation_response_token"><input type="hidden" name="cvf_aamation_error_code"></form>"""

_CLAIMS = """<form name="claimspicker" action="/ap/cvf/verify" method="post"><h1>Verification needed</h1>
<label><input type="radio" name="option" value="sms" checked>Text a code to the number ending in 044</label>
<label><input type="radio" name="option" value="email">E-mail</label><input type="submit" value="Continue"></form>"""

_DCQ = """<form action="/ap/dcq" method="post" class="cvf-widget-form cvf-widget-form-dcq"><h1>Verify your identity</h1>
<p>When does your payment card expire?</p><select name="dcq_question_date_picker_1_month"><option>01</option><option>09</option></select>
<select name="dcq_question_date_picker_1_year"><option>2027</option></select><input type="submit" value="Continue"></form>"""

_RETAIL_SWITCHER = """<form class="cvf-widget-form cvf-widget-form-account-switcher" action="/ap/switchaccount" method="post">
<div data-test-id="switchableAccounts"><a data-name="switch_account_request" href="#"><span data-test-id="customerName">Lena Morgenstern</span>
<span data-test-id="accountType">Business</span></a><a data-name="switch_account_request" href="#"><span data-test-id="customerName">Lena M.</span></a></div></form>
<form action="/ap/removeaccount" method="post"><button>Sign out of this account</button></form>"""

_RESET = """<form name="forgotPassword" method="post" action="/ap/forgotpassword/reverification"><h1>Password reset required</h1>
<p>For your security, you need to reset your password.</p><input type="email" name="email"><input type="submit" value="Continue"></form>"""

_LOCKED = """<h1>Your account is locked</h1><p>There were too many failed attempts.</p>
<a id="ap_error_return_home" href="/">Return home</a>"""

_PHONE = """<form id="auth-account-fixup-phone-form" method="post" action="/ap/accountfixup"><h1>Keep hackers out</h1>
<input type="tel" id="account-fixup-phone-number" name="phone"><input type="submit" value="Continue">
<a id="ap-account-fixup-phone-skip-link" href="/home">Not now</a></form>"""

_PASSKEY = """<form id="passkey-enrollment-form" method="post" action="/ax/account/passkey"><h1>Sign in faster with a passkey</h1>
<button type="submit">Set up</button></form><a class="a-link-normal" href="/home">Skip for now</a>"""

_DOGS = """<!doctype html><html><head><title>Sorry! Something went wrong!</title></head><body><center>
<h1>Sorry! Something went wrong!</h1><a href="/dogsofamazon"><img alt="Dogs of Amazon" src="data:," width="200" height="200"></a></center></body></html>"""

_WAF = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title></title><script>window.gokuProps =
{"key":"AQIDAHjc","iv":"D549qQ","context":"x5f"};</script></head><body><div id="challenge-container"></div>
<script>setTimeout(() => location.reload(), $MS);</script><noscript><h1>JavaScript is disabled</h1>In order to continue,
we need to verify that you're not a robot. Enable JavaScript and then reload the page.</noscript></body></html>"""

_AKAMAI = """<!doctype html><html><head><meta http-equiv="refresh" content="1; URL='$URL&amp;bm-verify=AAQAAAAJ'"><title>&nbsp;</title></head>
<body><iframe height="0" width="0" src="about:blank"></iframe><iframe height="0" width="0" src="about:blank"></iframe></body></html>"""

_EXTENSION = '<iframe id="ext-frame" srcdoc="&lt;form name=signIn&gt;&lt;input id=ap_email type=email&gt;&lt;div id=auth-error-message-box&gt;captcha&lt;/div&gt;&lt;/form&gt;"></iframe></body>'

_ZH = (
    *(('lang="en-gb"', 'lang="zh-cn"'), ("Sign in", "登录"), ("Password", "密码"), ("Continue", "继续")),
    *(
        ("Two-Step Verification", "两步验证"),
        ("Enter OTP", "输入一次性密码"),
        ("Please Enable Cookies", "请启用 Cookie"),
    ),
    ("For added security, please enter the One Time", "请输入您的身份验证器应用生成的一次性"),
)
_DE = (
    *(('lang="en-gb"', 'lang="de-de"'), ("Sign in", "Anmelden"), ("Continue", "Weiter"), ("Enter OTP", "OTP eingeben")),
    ("Two-Step Verification", "Zwei-Schritt-Verifizierung"),
    ("generated by your Authenticator App", "das Ihre Authentifizierungs-App erzeugt"),
)
_JA = (
    *(('lang="en-gb"', 'lang="ja-jp"'), ("Sign in", "ログイン"), ("Continue", "次へ進む"), ("Password", "パスワード")),
    *(("Two-Step Verification", "2段階認証"), ("generated by your Authenticator App", "認証アプリのワンタイム")),
)
# Every id of the sign-in once more, before the real one and never seen; the error boxes, too.
_TWICE = (
    (
        '<div id="authportal-main-section" class="a-section">',
        """<div id="authportal-main-section" class="a-section"><div style="display: none">
<div id="auth-error-message-box" class="a-box a-alert a-alert-error">There was a problem</div><div id="auth-warning-message-box"></div>
<form name="signIn" method="post" action="/ap/signin"><input type="email" id="ap_email"><input type="password" id="ap_password">
<input type="submit" id="continue"><input type="submit" id="signInSubmit"><span id="auth-signin-button"></span></form>
<form id="auth-mfa-form" method="post" action="/ap/signin"><input type="tel" id="auth-mfa-otpcode"><input type="submit" id="auth-signin-button"></form>
</div>""",
    ),
)
_SCRIPTS = (
    (
        "</head>",
        "<script>" + "/* captcha; passkey; P.register('auth-error-message-box'); */\n" * 6000 + "</script></head>",
    ),
)
_NOT_READY = (
    ('<input id="signInSubmit"', '<input id="signInSubmit" disabled'),
    (
        "</body>",
        '<script>setTimeout(() => document.querySelector("input:disabled")?.removeAttribute("disabled"), 600)</script></body>',
    ),
)


def sign_in_moods() -> tuple[SignInMood, ...]:
    """A fresh one of each: moods remember."""
    return (
        Shown(
            "unknown e-mail, intent page",
            Ends("UNKNOWN_EMAIL", 3, 1, 0, 0),
            "email",
            lambda f: pages.intent_page(f.email if f else ""),
        ),
        Shown(
            "unknown e-mail, password page with an error", Ends("PASSWORD_REFUSED", 3, 1, 0, 0), "email", _unknown_email
        ),
        Shown(
            "wrong password",
            Ends("PASSWORD_REFUSED", 3, 1, 1, 0),
            "password",
            lambda f: pages.password_page(f.fields if f else {}, f.email if f else "", refused=True),
        ),
        Shown(
            "e-mail asked again after the password",
            Ends("EMAIL", 3, 1, 1, 0),
            "password",
            lambda f: pages.email_page(f.fields if f else {}),
        ),
        Shown("password asked again after the password", Ends("PASSWORD", 3, 1, 1, 0), "password", _password),
        Shown(
            "invalid code",
            Ends("CODE_REFUSED", 3, 1, 1, 1),
            "code",
            lambda f: pages.code_page(f.fields if f else {}, refused=True),
        ),
        Shown(
            "expired code",
            Ends("CODE_REFUSED", 3, 1, 1, 1),
            "code",
            lambda f: _refused_at(f, "The One Time Password (OTP) you entered has expired."),
        ),
        Shown(
            "code used before",
            Ends("CODE_REFUSED", 3, 1, 1, 1),
            "code",
            lambda f: _refused_at(f, "The One Time Password (OTP) has already been used."),
        ),
        Shown(
            "code quota",
            Ends("OTP_QUOTA", 3, 1, 1, 0),
            "password",
            lambda f: _refused_at(f, "You've requested too many OTPs today. You can request a new OTP in 24 hours."),
        ),
        Shown(
            "two-step code by SMS",
            Ends("MFA_SENT_CODE", 3, 1, 1, 0),
            "password",
            _sms,
            lambda form: form.get("otpCode") == "551907",
        ),
        Shown(
            "choice of device for the code",
            Ends("OTP_DEVICE_CHOICE", 3, 1, 1, 0),
            "password",
            _cvf(_DEVICES, "Two-Step Verification"),
            lambda form: "otpDeviceContext" in form,
        ),
        SmsCode(),
        ImageCaptcha(),
        Shown(
            "captcha in the password page",
            Ends("IMAGE_CAPTCHA", 3, 1, 0, 0),
            "email",
            _captcha_in_password,
            lambda form: form.get("guess", "").upper() == "HEXPAT",
        ),
        Shown(
            "captcha after the password (CVF)",
            Ends("CVF_CAPTCHA", 3, 1, 1, 0),
            "password",
            _cvf(_CVF_CAPTCHA),
            lambda form: form.get("cvf_captcha_input", "").upper() == "PAXREM",
        ),
        Wall(),
        Reloads("WAF check that reloads itself", _WAF),
        Reloads("Akamai interstitial", _AKAMAI),
        Approval(
            "approval given on the phone",
            Ends(IN, 0, 1, 1, 0),
            ("TransactionPending", "TransactionPending", "TransactionCompleted"),
        ),
        Approval(
            "approval expired", Ends("APPROVAL_EXPIRED", 3, 1, 1, 0), ("TransactionPending", "TransactionExpired")
        ),
        Approval("approval that nobody gives", Ends("APPROVAL_PENDING", 3, 1, 1, 0), ("TransactionPending",)),
        Approval("code or approval", Ends("CVF_CODE_AND_POLL", 3, 1, 1, 0), ("TransactionPending",), with_code=True),
        Shown("picture puzzle (ACIC)", Ends("ACIC_CHALLENGE", 3, 1, 1, 0), "password", _cvf(_ACIC)),
        Shown(
            "choice of how to verify",
            Ends("CLAIMS_PICKER", 3, 1, 1, 0),
            "password",
            _cvf(_CLAIMS),
            lambda form: form.get("option") == "email",
        ),
        Shown(
            "question for the owner (DCQ)",
            Ends("DCQ", 3, 1, 1, 0),
            "password",
            _cvf(_DCQ),
            lambda form: form.get("dcq_question_date_picker_1_month") == "09",
        ),
        Shown(
            "choice of retail account",
            Ends("ACCOUNT_SWITCHER", 3, 0, 0, 0),
            "door",
            _cvf(_RETAIL_SWITCHER, "Switch accounts"),
        ),
        Nag("phone nag", _PHONE),
        Nag("passkey nag", _PASSKEY),
        Shown("passkey first", Ends(IN, 0, 1, 1, 1), "email", _passkey_first),
        Shown("password asked to go on (re-authentication)", Ends(IN, 0, 1, 1, 1), "email", _reauthenticate),
        Shown("forced reset", Ends("LOCKED_OR_RESET", 3, 1, 1, 0), "password", _cvf(_RESET)),
        Shown("account locked", Ends("LOCKED_OR_RESET", 3, 1, 1, 0), "password", _cvf(_LOCKED)),
        Shown(
            "automation asked to stop",
            Ends("STOP_ASKED", 5, 0, 0, 0),
            "door",
            lambda f: _cvf(box("Access denied", "<p>Automated access to this service is not permitted.</p>"))(f),
            status=403,
        ),
        Shown(
            "automation asked to stop, as an error",
            Ends("STOP_ASKED", 5, 0, 0, 0),
            "door",
            lambda f: box("Sorry", "<p>Automated access to this service is not permitted.</p>"),
            status=503,
        ),
        Shown("too many requests", Ends("", 1, 0, 0, 0), "door", lambda f: _DOGS, status=429),
        Shown("server error with 200", Ends("SERVER_ERROR", 1, 0, 0, 0), "door", lambda f: _DOGS),
        Shown("server error with 503", Ends("", 1, 0, 0, 0), "door", lambda f: _DOGS, status=503),
        Shown(
            "a page nobody knows",
            Ends("UNKNOWN", 3, 1, 1, 0),
            "password",
            _cvf(box("Something new", "<p>captcha passkey</p>"), "New"),
        ),
        Dressed("tablet layout", (('class="a-js ', 'class="a-tablet a-js '), ("max-width: 390px", "width: 100%"))),
        Dressed("in Chinese", _ZH),
        Dressed("in German", _DE),
        Dressed("in Japanese", _JA),
        Dressed(
            "scripts that never come, and an extension's frame", (("/sign_in.js", "/gone.js"), ("</body>", _EXTENSION))
        ),
        Dressed("a button that is not ready at once", _NOT_READY),
        Dressed("every id twice, the first never seen", _TWICE),
        Dressed("400 kB of scripts", _SCRIPTS),
    )
