"""The camera: everything a person could see is in what is kept, however the page hides it."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from archiver.model import Artifact
from archiver.portal import camera
from archiver.portal.camera import Recorder


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": camera.VIEWPORT_WIDTH_PX, "height": camera.VIEWPORT_HEIGHT_PX})
    yield context.new_page()
    context.close()


def photograph(page: Page, html: str) -> dict[str, Artifact]:
    recorder = Recorder(page)
    page.set_content(html)
    assert camera.settle(page, recorder, timeout_s=10)
    kept = camera.photograph(page, page.context.new_cdp_session(page))
    camera.reset_window(page)
    return {artifact.name: artifact for artifact in kept}


def size(picture: Artifact) -> tuple[int, int]:
    """Width and height of a PNG in px."""
    width, height = struct.unpack(">II", picture.body[16:24])
    return int(width), int(height)


def test_open_shadow_roots_are_written_out(page: Page) -> None:
    kept = photograph(
        page,
        """<kat-box></kat-box><script>
        const outer = document.querySelector('kat-box').attachShadow({mode: 'open'});
        outer.innerHTML = '<p>退款 outside</p><kat-row></kat-row>';
        outer.querySelector('kat-row').attachShadow({mode: 'open'}).innerHTML = '<b>inside</b>';
        </script>""",
    )
    dom = kept["dom"].body.decode()

    assert "退款 outside" in dom
    assert "<b>inside</b>" in dom
    assert dom.count("<template shadowrootmode") == 2


def test_frames_are_kept_beside_the_page(page: Page) -> None:
    kept = photograph(page, "<p>letter head</p><iframe srcdoc='<p>the letter</p>'></iframe>")

    assert "the letter" in kept["frame/0"].body.decode()
    assert "letter head" in kept["dom"].body.decode()


def test_a_pane_that_scrolls_is_shown_to_its_end(page: Page) -> None:
    lines = "".join(f"<p style='height:50px'>line {n}</p>" for n in range(60))
    kept = photograph(
        page,
        f"<body style='margin:0'><div style='height:100vh;display:flex;flex-direction:column'><h1>thread</h1>"
        f"<div style='overflow-y:auto;flex:1'>{lines}</div></div>",
    )

    assert size(kept["screenshot/0"])[1] > 60 * 50


def test_a_page_too_tall_for_one_picture_becomes_several(page: Page) -> None:
    kept = photograph(page, "<body style='margin:0'><div style='height:20001px'>tall</div>")
    pictures = [kept[name] for name in sorted(kept) if name.startswith("screenshot")]

    assert [size(picture) for picture in pictures] == [(1600, 8000), (1600, 8000), (1600, 4001)]


def test_the_window_is_as_before_for_the_next_page(page: Page) -> None:
    photograph(page, "<div style='height:100vh;overflow:auto'><div style='height:5000px'>pane</div></div>")
    kept = photograph(page, "<p>short</p>")

    assert size(kept["screenshot/0"]) == (camera.VIEWPORT_WIDTH_PX, camera.VIEWPORT_HEIGHT_PX)


# Each character alone, by the page's own way of drawing: [the picture's bytes, how many colours it has].
_DRAWN = """characters => characters.map(character => {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 48;
    const pen = canvas.getContext('2d');
    pen.font = '32px sans-serif';
    pen.fillText(character, 4, 38);
    const bytes = pen.getImageData(0, 0, 48, 48).data;
    let coloured = 0;
    for (let i = 0; i < bytes.length; i += 4)
        if (bytes[i + 3] > 128 && Math.max(bytes[i], bytes[i + 1], bytes[i + 2]) > 60) coloured++;
    return [canvas.toDataURL(), coloured];
})"""


def test_chinese_japanese_and_emoji_are_drawn_and_not_boxes(page: Page) -> None:
    characters = ["退", "款", "訴", "の", "ハ", "ß", "é", "📦", "🙏", "\U0010ffff"]
    drawn = page.evaluate(_DRAWN, characters)
    *pictures, box = [picture for picture, _ in drawn]

    assert len(set(pictures)) == len(pictures)
    assert box not in pictures
    assert [coloured > 50 for _, coloured in drawn[7:9]] == [True, True]


@pytest.mark.parametrize("after_ms", range(0, 30, 3))
def test_a_page_that_goes_to_another_meanwhile_is_waited_for(page: Page, after_ms: int) -> None:
    recorder = Recorder(page)
    page.set_content("<p>here</p>")
    page.evaluate("ms => { setTimeout(() => { location.replace('about:blank'); }, ms); }", after_ms)

    assert camera.settle(page, recorder, timeout_s=10)
