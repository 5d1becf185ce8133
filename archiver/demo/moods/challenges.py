"""Challenges that a person can answer: the forms work, and who answers right gets on.

Ids, names and classes are those of saved real pages [H] and of published code [C]; the wording is Amazon's own where
a source quotes it.
"""

# ruff: noqa: E501 - markup is written as it is served, not wrapped

from __future__ import annotations

import base64
import html
from dataclasses import dataclass
from typing import ClassVar

from aiohttp import web

from archiver.demo import pages
from archiver.demo.moods import Ends, Visit
from archiver.demo.moods.drawing import captcha


def page(markup: str, status: int = 200) -> web.Response:
    return web.Response(text=markup, content_type="text/html", charset="utf-8", status=status)


def see_other(location: str) -> web.Response:
    return web.Response(status=302, headers={"Location": location})


def box(heading: str, inner: str) -> str:
    return f'<div class="a-box"><div class="a-box-inner a-padding-extra-large"><h1>{heading}</h1>{inner}</div></div>'


def button(text: str, attributes: str = "") -> str:
    return (
        '<span class="a-button a-button-span12 a-button-primary"><span class="a-button-inner">'
        f'<input class="a-button-input" type="submit" value="{text}" {attributes}></span></span>'
    )


def cvf_alert(text: str) -> str:
    return f'<div class="a-section cvf-widget-alert cvf-widget-alert-id-cvf-captcha-error"><div class="a-box a-alert a-alert-error"><div class="a-box-inner">{text}</div></div></div>'


@dataclass
class ImageCaptcha:
    """The sign-in opens with a picture of letters; `answer_text` are the letters."""

    ends: ClassVar[Ends] = Ends("IMAGE_CAPTCHA", 3, 0, 0, 0)

    name: str = "image captcha"
    answer_text: str = "KFTMRA"
    passed: bool = False

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        request = visit.request
        if visit.stage == "challenge" and request.path == "/errors/validateCaptcha":
            back = request.query.get("amzn-r", "/home")
            self.passed = request.query.get("field-keywords", "").strip().upper() == self.answer_text
            back = back if back.startswith("/") and not back.startswith("//") else "/home"
            return see_other(back) if self.passed else page(self._page(back))
        if visit.stage == "door" and not self.passed:
            return page(self._page(request.path_qs))
        return None

    def _page(self, back: str) -> str:
        picture = base64.b64encode(captcha(self.answer_text)).decode()
        return f"""<!doctype html><html class="a-no-js" lang="en-us"><head><meta charset="utf-8"><title dir="ltr">Amazon.co.uk</title></head>
<body><div class="a-container a-padding-double-large"><div class="a-box a-alert a-alert-info"><div class="a-box-inner">
<h4>Enter the characters you see below</h4><p>Sorry, we just need to make sure you're not a robot.</p></div></div>
<form method="get" action="/errors/validateCaptcha" name=""><input type="hidden" name="amzn" value="k3Xw0hQ7==">
<input type="hidden" name="amzn-r" value="{html.escape(back)}"><h4>Type the characters you see in this image:</h4>
<div class="a-row a-text-center"><img src="data:image/png;base64,{picture}" alt=""></div>
<input autocomplete="off" spellcheck="false" id="captchacharacters" name="field-keywords" placeholder="Type characters" type="text">
<button type="submit" class="a-button-text">Continue shopping</button></form></div></body></html>"""


@dataclass
class SmsCode:
    """After the right password, a code that went to the owner's phone is asked for; `code` is that code."""

    ends: ClassVar[Ends] = Ends("CVF_CODE", 3, 1, 1, 0)

    name: str = "code by SMS (CVF)"
    code: str = "482913"
    passed: bool = False

    async def answer(self, visit: Visit) -> web.StreamResponse | None:
        if visit.flow is None:
            return None
        if visit.stage == "challenge" and visit.request.path == "/ap/cvf/verify":
            form = visit.form or {}
            self.passed = form.get("action") == "code" and form.get("code", "").strip() == self.code
            return visit.flow.accept() if self.passed else page(self._page(wrong=True))
        if visit.stage == "challenge" and visit.request.path == "/ap/cvf/request":
            return page(self._page())
        if visit.stage == "password" and not self.passed and visit.flow.knows(visit.form or {}):
            return see_other("/ap/cvf/request?arb=6e0f3a1c")
        return None

    def _page(self, *, wrong: bool = False) -> str:
        return pages.sign_in_page(
            "Authentication required",
            f"""<div id="cvf-page-content" class="a-section">{
                cvf_alert("Invalid code. Please check your code and try again.") if wrong else ""
            }
<form action="verify" method="post" class="cvf-widget-form cvf-widget-form-code fwcim-form a-spacing-none">
<input type="hidden" name="arb" value="6e0f3a1c"><input type="hidden" name="action" value="code">
{
                box(
                    "Verification needed",
                    "<p>We sent a code to the phone number ending in 044. Please enter it below.</p>"
                    '<input type="text" maxlength="8" autocomplete="off" name="code" class="a-input-text a-span12 cvf-widget-input-code" aria-label="Enter code">'
                    + button("Continue", 'name="cvf_action"'),
                )
            }</form>
<form action="verify" method="post"><input type="hidden" name="action" value="resend"><a class="a-link-normal" href="#">Resend code</a></form></div>""",
        )
