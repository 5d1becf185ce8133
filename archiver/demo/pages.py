"""The HTML that the server sends: the shells of Seller Central's pages, and the sign-in pages of www.amazon.

Text in, text out; nothing here knows a request or a session. Ids, names and classes of the sign-in pages are those of
saved real pages [H], their oddities kept: ids that are there twice, a healthy page with a warning box in it.
"""

# ruff: noqa: E501 - markup is written as it is served, not wrapped

from __future__ import annotations

import hashlib
import html
import json
from datetime import datetime
from pathlib import Path
from string import Template

from archiver.demo.seller import Marketplace, Notice, Seller

_STATIC = Path(__file__).with_name("static")

# Real sign-in pages carry 100-300 kB of scripts [H]; whoever searches the text of a page should meet that.
_NOISE = "\n".join(
    f"/* ue.count('{hashlib.sha256(str(n).encode()).hexdigest()}'); if(captcha||passkey||error){{P.register({n})}} */"
    for n in range(900)
)


def _e(text: str) -> str:
    return html.escape(text, quote=True)


def static_url(name: str) -> str:
    """With the content's hash in it, as bundles of the site have [L]."""
    return f"/assets/{hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:12]}/{name}"


# --- sign-in ----------------------------------------------------------------------------------------------


def hidden_fields(fields: dict[str, str]) -> str:
    return "".join(f'<input type="hidden" name="{_e(k)}" value="{_e(v)}">' for k, v in fields.items())


def sign_in_page(title: str, inner: str) -> str:
    return f"""<!doctype html>
<html lang="en-gb" class="a-js a-audio a-video a-canvas a-no-touch"><head><meta charset="utf-8">
<title dir="ltr">{_e(title)}</title><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="{static_url("sign_in.css")}"><script>{_NOISE}</script></head>
<body class="ap-locale-en_GB a-m-gb a-aui_72554-c"><div id="a-page"><div class="a-section a-padding-medium auth-workflow">
<div class="a-section a-spacing-none auth-navbar"><a class="a-link-nav-icon" tabindex="-1" href="#">
<i class="a-icon a-icon-logo">seller&#8202;central</i><span class="stand-in-mark">stand-in</span></a></div>
<div id="authportal-center-section" class="a-section"><div id="authportal-main-section" class="a-section">
<div id="auth-cookie-warning-message" class="a-box a-alert a-alert-warning"><div class="a-box-inner a-alert-container">
<h4 class="a-alert-heading">Please Enable Cookies to Continue</h4><i class="a-icon a-icon-alert"></i>
<div class="a-alert-content"><p>To continue shopping at Amazon, please enable cookies in your web browser.</p></div></div></div>
{inner}
</div></div>
<div class="a-divider a-divider-section"></div><div class="auth-footer"><a href="#">Conditions of Use</a>
<a href="#">Privacy Notice</a><a href="#">Help</a><p>© 1996-2026, a stand-in, not Amazon</p></div></div></div>
<script src="{static_url("sign_in.js")}"></script></body></html>"""


def error_box(heading: str, text: str) -> str:
    return f"""<div id="auth-error-message-box" class="a-box a-alert a-alert-error auth-server-side-message-box a-spacing-base">
<div class="a-box-inner a-alert-container"><h4 class="a-alert-heading">{_e(heading)}</h4><i class="a-icon a-icon-alert"></i>
<div class="a-alert-content"><ul class="a-unordered-list a-nostyle a-vertical"><li><span class="a-list-item">{_e(text)}</span>
</li></ul></div></div></div>"""


def email_page(fields: dict[str, str]) -> str:
    """Classic: `#ap_email` visible; the id `continue` is there twice [H]."""
    hidden = hidden_fields({"appAction": "SIGNIN_PWD_COLLECT", "subPageType": "SignInClaimCollect", **fields})
    return sign_in_page(
        "Amazon Sign-In",
        f"""
<form name="signIn" method="post" novalidate action="/ap/signin" class="auth-validate-form auth-real-time-validation a-spacing-none">
{hidden}<div class="a-box"><div class="a-box-inner a-padding-extra-large"><h1 class="a-spacing-small">Sign in</h1>
<div class="a-row a-spacing-base"><label for="ap_email" class="a-form-label">E-mail or mobile phone number</label>
<input type="email" maxlength="128" id="ap_email" autocomplete="username" name="email" tabindex="1"
 class="a-input-text a-span12 auth-autofocus auth-required-field">
<div id="auth-email-missing-alert" class="a-box a-alert-inline a-alert-inline-error auth-inlined-error-message aok-hidden" role="alert">
Enter your e-mail or mobile phone number</div></div>
<span id="continue" class="a-button a-button-span12 a-button-primary"><span class="a-button-inner">
<input id="continue" tabindex="5" class="a-button-input" type="submit" aria-labelledby="continue-announce" value="Continue">
</span></span><p class="legal">By continuing, you agree to the Conditions of Use &amp; Sale.</p></div></div></form>""",
    )


def claim_page(fields: dict[str, str]) -> str:
    """The unified page (2025+): an empty title and other ids [H]."""
    hidden = hidden_fields({"subPageType": "FullPageUnifiedClaimCollect", **fields})
    alerts = "".join(
        f'<div id="{name}" class="a-box a-alert-inline a-alert-inline-error aok-hidden" role="alert">{text}</div>'
        for name, text in (
            ("empty-claim-alert", "Enter your mobile number or e-mail"),
            ("invalid-phone-alert", "The mobile number you entered isn’t valid"),
            ("invalid-email-alert", "The e-mail address you entered isn’t valid"),
            ("error-alert", "There was a problem"),
        )
    )
    return sign_in_page(
        "",
        f"""<div id="claim-collection-container" class="a-section">
<form id="ap_login_form" name="signIn" method="post" action="/ax/claim?policy_handle=Retail" class="auth-validate-form">{hidden}
<div class="a-box"><div class="a-box-inner a-padding-extra-large"><h1 class="a-size-medium-plus">Sign in or create account</h1>
<label for="ap_email_login" class="a-form-label">Enter mobile number or e-mail</label>
<input type="text" maxlength="128" id="ap_email_login" autocomplete="username" name="email" class="a-input-text a-span12">{alerts}
<span id="continue" class="a-button a-button-span12 a-button-primary"><span class="a-button-inner">
<input class="a-button-input" type="submit" aria-labelledby="continue-announce" value="Continue"></span></span>
<p class="legal">By continuing, you agree to the Conditions of Use &amp; Sale.</p></div></div></form></div>""",
    )


def password_page(fields: dict[str, str], email: str, *, refused: bool = False) -> str:
    """The e-mail is hidden and prefilled; `button#continue` is the passkey's; rememberMe has no id [H]."""
    hidden = hidden_fields({"appAction": "SIGNIN_PWD_COLLECT", "subPageType": "SignInPwdCollect", **fields})
    box = """<div class="a-box a-alert a-alert-error auth-server-side-message-box a-spacing-base" role="alert">
<div class="a-box-inner a-alert-container"><h4 class="a-alert-heading">There was a problem</h4><div class="a-alert-content">
<ul class="a-unordered-list a-nostyle"><li><span class="a-list-item">Your password is incorrect</span></li></ul></div></div></div>"""
    return sign_in_page(
        "Amazon Sign-In",
        f"""{box if refused else ""}
<div id="passkey-error-alert" class="a-box a-alert a-alert-error aok-hidden" role="alert"><div class="a-box-inner a-alert-container">
<h4 class="a-alert-heading">There was a problem</h4><div class="a-alert-content">There was an error with your passkey.</div></div></div>
<div class="a-box"><div class="a-box-inner a-padding-extra-large"><h1 class="a-spacing-small">Sign in</h1>
<div class="a-row a-spacing-base"><span id="auth-email-claim">{_e(email)}</span>
 <a id="ap_change_login_claim" class="a-link-normal" href="/ap/signin">Change</a></div>
<form name="signIn" method="post" novalidate action="/ap/signin" class="auth-validate-form a-spacing-none">{hidden}
<input type="hidden" id="ap_email" name="email" value="{_e(email)}">
<div class="a-row"><label for="ap_password" class="a-form-label">Password</label>
 <a id="auth-fpp-link-bottom" class="a-link-normal right" href="/ap/forgotpassword">Forgot password?</a></div>
<input type="password" id="ap_password" maxlength="1024" autocomplete="current-password" name="password" tabindex="2"
 class="a-input-text a-span12 auth-autofocus auth-required-field">
<div id="auth-password-missing-alert" class="a-box a-alert-inline a-alert-inline-error aok-hidden" role="alert">Enter your password</div>
<span id="auth-signin-button" class="a-button a-button-span12 a-button-primary auth-disable-button-on-submit"><span class="a-button-inner">
<input id="signInSubmit" tabindex="5" class="a-button-input" type="submit" aria-labelledby="auth-signin-button-announce" value="Sign in">
</span></span><div class="a-checkbox"><label><input type="checkbox" name="rememberMe" value="true" tabindex="4">
<span class="a-label a-checkbox-label">Keep me signed in.</span></label></div></form>
<div class="a-divider a-divider-break"><h5>or</h5></div>
<form id="passkey-form" method="post" action="/ax/passkey" class="a-spacing-none">
<button id="continue" type="button" class="a-button a-button-span12 a-button-base">Sign in with a passkey</button></form>
</div></div>""",
    )


def code_page(fields: dict[str, str], *, refused: bool = False) -> str:
    hidden = hidden_fields({"appAction": "SIGNIN_MFA", "subPageType": "SignInMfa", "deviceId": "", **fields})
    box = (
        error_box("There was a problem", "The One Time Password (OTP) you entered is not valid. Please try again.")
        if refused
        else ""
    )
    return sign_in_page(
        "Two-Step Verification",
        f"""{box}
<form id="auth-mfa-form" method="post" novalidate action="/ap/signin" class="auth-validate-form a-spacing-none">{hidden}
<div class="a-box"><div class="a-box-inner a-padding-extra-large"><h1 class="a-spacing-small">Two-Step Verification</h1>
<p>For added security, please enter the One Time Password (OTP) generated by your Authenticator App</p>
<label for="auth-mfa-otpcode" class="a-form-label">Enter OTP</label>
<input type="tel" maxlength="20" id="auth-mfa-otpcode" autocomplete="off" name="otpCode" class="a-input-text a-span12 auth-autofocus">
<div class="a-checkbox"><label for="auth-mfa-remember-device"><input id="auth-mfa-remember-device" type="checkbox" name="rememberDevice" value="">
<span class="a-label a-checkbox-label">Don't require OTP on this browser</span></label></div>
<span class="a-button a-button-span12 a-button-primary"><span class="a-button-inner">
<input id="auth-signin-button" name="mfaSubmit" class="a-button-input" type="submit" value="Sign in"></span></span>
<p><a id="auth-get-new-otp-link" class="a-link-normal" href="/ap/mfa/new-otp">Didn't receive the OTP?</a></p>
</div></div></form>""",
    )


def intent_page(email: str) -> str:
    return sign_in_page(
        "Amazon",
        f"""<div id="intent-confirmation-container" class="a-section">
<form id="intent-confirmation-form" method="post" action="/ap/register" class="a-spacing-none"><div class="a-box">
<div class="a-box-inner a-padding-extra-large"><h1 class="a-spacing-small">Looks like you're new to Amazon</h1>
<p><b>{_e(email)}</b> <a class="a-link-normal" href="/ap/signin">Change</a></p><p>Let's create an account using your e-mail</p>
<span class="a-button a-button-span12 a-button-primary"><span class="a-button-inner">
<input class="a-button-input" type="submit" value="Proceed to create an account"></span></span>
<p>Already a customer? <a class="a-link-normal" href="/ap/signin">Sign in with another e-mail or mobile</a></p>
</div></div></form></div>""",
    )


# --- Seller Central ---------------------------------------------------------------------------------------

_CHROME = Template("""<!doctype html>
<html lang="en-GB"><head><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="anti-csrftoken-a2z" content="$csrf">
<link rel="stylesheet" href="$css"><script src="$kat" defer></script><script src="$chrome" defer></script>$scripts</head>
<body class="$body_class"><div id="partner-navigation"><header class="nav-bar">
<div class="nav-button" data-test-tag="hamburger-icon" aria-label="Menu" role="button"><i></i><i></i><i></i></div>
<a class="nav-logo" href="/home">seller <b>central</b><span class="stand-in-mark">stand-in</span></a>
<div id="ngstrim-account-switcher-dropdown" class="dropdown-account-switcher-header" data-href="/account-switcher/default/merchantMarketplace">
<span class="dropdown-account-switcher-header-label"><span class="dropdown-account-switcher-header-label-global">$global_label</span>
<span class="separator">|</span><span class="dropdown-account-switcher-header-label-regional">$regional_label</span></span></div>
<div class="nav-search"><input id="sc-search-field" placeholder="Search" aria-label="Search"></div>
<nav class="nav-right"><a href="/messaging/inbox">Messages</a><a href="/help/center">Help</a><span class="nav-lang">EN</span></nav></header>
<navigation-favorites-bar class="favourites"><a href="/messaging/inbox">Buyer messages</a><a href="/cu/case-lobby">Case log</a>
<a href="/performance/notifications">Performance notifications</a><a href="/performance/dashboard">Account health</a></navigation-favorites-bar>
</div><div id="sc-content-container">$content</div>
<div id="hmd2f-trigger-tab" role="button">Feedback</div>
<footer class="sc-footer"><span>Help</span><span>Programme Policies</span><span>English (UK)</span>
<span class="right">A stand-in on loopback. Not Amazon.</span></footer></body></html>""")


def chrome(
    seller: Seller,
    store: Marketplace | None,
    csrf: str,
    *,
    title: str,
    content: str,
    scripts: tuple[str, ...] = (),
    body_class: str = "",
) -> str:
    """The frame of every signed-in page; its two labels are the truth about account and marketplace [C]."""
    return _CHROME.substitute(
        title=_e(title),
        csrf=csrf,
        css=static_url("seller_central.css"),
        kat=static_url("kat.js"),
        chrome=static_url("chrome.js"),
        body_class=body_class,
        content=content,
        global_label=_e(seller.label),
        regional_label=_e(store.name) if store else "",
        scripts="".join(f'<script src="{static_url(name)}" defer></script>' for name in scripts),
    )


HOME = """<main class="page"><h1>Good morning</h1><div class="cards">
<a class="card" href="/messaging/inbox"><h3>Buyer messages</h3><p>Answer within 24 hours</p></a>
<a class="card" href="/cu/case-lobby?ref=xx_caselog_count_home"><h3>Case log</h3><p>Your conversations with Seller Support</p></a>
<a class="card" href="/performance/notifications"><h3>Performance notifications</h3><p>Policy and compliance</p></a></div></main>"""

SHELL = '<main class="page"><div id="root"><kat-spinner></kat-spinner></div></main>'

HEALTH = """<main class="page"><h1>Account health</h1><div class="panel"><p>Account Health Rating</p>
<p class="big">864 <span class="tag good">Healthy</span></p><p class="text-secondary">Based on the last 180 days.</p></div></main>"""

SWITCHER = """<div class="full-page-account-switcher account-switcher-root"><h1>Select an account</h1>
<kat-input class="full-page-account-switcher-search" type="search" placeholder="Search accounts"></kat-input>
<div class="full-page-account-switcher-accounts-wrapper"><div class="full-page-account-switcher-accounts"></div></div>
<kat-button data-test="confirm-selection" label="Select account" variant="primary" disabled></kat-button></div>"""

CASE_LOBBY = """<main class="page hill-case-lobby"><h1>Manage your case log</h1>
<div class="hill-case-lobby-tabs-container"><kat-input type="search" placeholder="Search by case ID or description"></kat-input>
<kat-button id="search" label="Search" variant="secondary"></kat-button></div>
<div id="root" class="panel"><kat-spinner></kat-spinner></div></main>"""

VIEW_CASE = '<main class="page view-case"><div id="root"><kat-spinner></kat-spinner></div></main>'


def inbox(now: datetime) -> str:
    """The application counts its metrics' days from the site's clock, not from the browser's."""
    root = f'id="messaging-root" class="messaging" data-now="{now.isoformat()}"'
    return f"<div {root}><kat-spinner></kat-spinner></div>"


NOTIFICATIONS = """<main class="page"><h1>Performance notifications</h1>
<p class="text-secondary">Messages about your account and your listings in this store.</p>
<div id="root" class="panel"><kat-spinner></kat-spinner></div></main>"""


def notification(notice: Notice) -> str:
    """The heading and the date are in the page, the body in a frame [3P]."""
    return f"""<main class="page notification"><a class="back" href="/performance/notifications">Back to notifications</a>
<div class="panel"><h1>{_e(notice.subject)}</h1>
<p class="text-secondary"><time datetime="{notice.created.isoformat(timespec="milliseconds")}">{notice.created:%d %B %Y, %H:%M} UTC</time></p>
<iframe title="{_e(notice.subject)}" src="/performance/notifications/{notice.notice_id}/content" sandbox="allow-same-origin"></iframe>
</div></main>"""


def notification_body(notice: Notice) -> str:
    return f"""<!doctype html><html><head><meta charset="utf-8"><link rel="stylesheet" href="{static_url("letter.css")}"></head>
<body>{notice.markup}</body></html>"""


def gone(text: str) -> str:
    return f'<main class="page"><div class="panel"><kat-alert variant="warning">{_e(text)}</kat-alert></div></main>'


def as_json(value: object) -> bytes:
    """The bytes on the wire: compact, keys in the order given, text as UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
