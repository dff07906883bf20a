"""What the web page promises, in a real browser: what an operator sees and operates."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from clips import Clip
from doubles import quick_dehazer
from live_browser import chromium
from live_feed import BRIGHT, DARK, RenderedPipeline, web_page
from streamdehaze.live import CameraConfig, CameraState, LivePipeline
from streamdehaze.live.haze.history import HazeHistory
from streamdehaze.live.web import WebServer
from streamdehaze.meter.reading import Reading
from streamdehaze.meter.visibility import Visibility
from waiting import wait_until

TOKEN = "correct-horse-battery"
HAZY_BRIGHT, HAZY_DARK = 220, 110

# Grey level of the canvas a little to the left and right of a place, given as a fraction of the width.
PIXELS = """place => {
    const canvas = document.querySelector('.picture canvas');
    const pixels = canvas.getContext('2d');
    return [-0.05, 0.05].map(side => pixels.getImageData(
        Math.round((place + side) * canvas.width), Math.round(canvas.height / 2), 1, 1).data[0]);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def pipeline() -> Iterator[RenderedPipeline]:
    with RenderedPipeline("North gate", "Harbour", dead={"Tunnel": "wrong user or password"}) as running:
        yield running


@pytest.fixture(scope="module")
def server(pipeline: RenderedPipeline) -> Iterator[WebServer]:
    with web_page(pipeline) as running:
        yield running


@pytest.fixture
def page(browser: Any, server: WebServer) -> Iterator[Any]:
    """The wall, with everything the browser complains of collected in `page.problems`."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    opened.problems = []
    opened.on("pageerror", lambda error: opened.problems.append(str(error)))
    opened.on("console", lambda said: opened.problems.append(said.text) if said.type == "error" else None)
    opened.goto(server.url)
    yield opened
    context.close()
    assert opened.problems == []


def open_camera(page: Any, name: str) -> None:
    page.click(f".tile:has-text('{name}')")
    page.wait_for_selector(".camera:not(.blank)")


def wait_for_pixels(page: Any, place: float, left: int, right: int) -> None:
    """Until the picture has these grey levels on the two sides of `place`."""
    condition = (
        f"([left, right]) => (([l, r]) => Math.abs(l - left) < 8 && Math.abs(r - right) < 8)(({PIXELS})({place}))"
    )
    page.wait_for_function(condition, arg=[left, right])


def test_the_wall_shows_every_camera_with_picture_state_and_speed(page: Any) -> None:
    page.wait_for_function("() => document.querySelectorAll('.tile').length === 3")
    tile = page.locator(".tile:has-text('North gate')")
    page.wait_for_function(
        """() => { const canvas = document.querySelector('.tile canvas');
                   const pixels = canvas.getContext('2d').getImageData(canvas.width / 4, canvas.height / 2, 1, 1);
                   return pixels.data[0] > 200 }"""
    )
    assert tile.locator("[data-slot=state]").inner_text() == "Running"
    assert re.fullmatch(r"\d+\.\d fps · \d+ ms", tile.locator(".figures").inner_text())
    assert page.locator("#summary strong").inner_text() == "2 of 3 running"
    assert page.locator("#summary .chip").all_inner_texts() == ["1 failed"]
    assert page.locator("#reduced").is_hidden()


def test_a_dead_camera_says_that_it_is_dead_and_why(page: Any) -> None:
    tile = page.locator(".tile:has-text('Tunnel')")
    assert tile.locator("[data-slot=state]").inner_text() == "Failed"
    assert "Wrong user or password" in tile.locator(".veil").inner_text()
    assert tile.locator(".figures").inner_text() == "No picture yet"
    assert tile.get_attribute("data-trouble") == "failed"
    tile.click()
    page.wait_for_selector(".camera[data-state=failed]")
    assert "Wrong user or password" in page.locator(".camera .veil").inner_text()


def test_a_camera_that_dies_is_marked_dead_on_its_last_picture(page: Any, pipeline: RenderedPipeline) -> None:
    open_camera(page, "Harbour")
    machine = pipeline.cameras["Harbour"].machine
    machine.to(CameraState.STALLED, "no frame for 5 s")
    page.wait_for_selector(".camera[data-state=stalled] .veil:has-text('No frame for 5 s')")
    page.wait_for_selector(".camera .veil:has-text('Last picture')")
    with page.expect_download() as download:
        page.click("a:text-is('Snapshot')")
    assert download.value.suggested_filename.startswith("Harbour-clear-"), "what is shown, and when it was taken"
    machine.to(CameraState.BACKING_OFF)
    machine.to(CameraState.CONNECTING)
    machine.to(CameraState.RUNNING)
    page.wait_for_selector(".camera[data-state=running]")
    assert page.locator(".camera .veil").inner_text() == ""


def test_a_camera_whose_frames_do_not_become_clear_shows_them_hazy_with_a_note(
    page: Any, pipeline: RenderedPipeline
) -> None:
    machine = pipeline.cameras["Harbour"].machine
    machine.to(CameraState.UNCLEAR, "the engine is being prepared for 320×180")
    tile = page.locator(".tile:has-text('Harbour')")
    page.wait_for_selector(".tile[data-state=unclear] .veil:has-text('The engine is being prepared')")
    assert tile.locator("[data-slot=state]").inner_text() == "Not clear"
    assert tile.locator("canvas").evaluate("canvas => getComputedStyle(canvas).filter") == "none", "it is current"
    assert "1 not clear" in page.locator("#summary").inner_text()
    tile.click()
    page.wait_for_selector(".camera[data-state=unclear] .veil:has-text('fps arrive')")
    assert page.locator(".label.clear").is_hidden()
    page.wait_for_selector(".facts:has-text('Down')")
    assert re.search(r"since .*\(\d+ s\)", page.locator(".facts").inner_text())
    machine.to(CameraState.RUNNING)
    page.wait_for_selector(".camera[data-state=running]")
    page.wait_for_selector(".facts:has-text('Running')")


def test_the_wall_shows_what_is_wrong(page: Any, pipeline: RenderedPipeline) -> None:
    camera = pipeline.cameras["North gate"]
    tile = page.locator(".tile:has-text('North gate')")
    page.wait_for_selector(".tile:has-text('North gate') .remarks:has-text('Output down')")
    camera.set_strength(0.6)
    page.wait_for_selector(".tile:has-text('North gate') .remarks:has-text('Strength 60 %')")
    camera.set_enabled(False)
    camera.adapt_level = 2
    page.wait_for_selector(".tile:has-text('North gate') .remarks:has-text('Haze kept')")
    assert page.locator("#reduced").inner_text() == "Reduced quality, level 2"
    assert "network on every" in str(page.locator("#reduced").get_attribute("title"))
    camera.set_enabled(True)
    camera.set_strength(1.0)
    camera.adapt_level = 0
    page.wait_for_selector("#reduced", state="hidden")
    assert tile.get_attribute("data-trouble") == ""


def test_the_divider_follows_the_mouse(page: Any) -> None:
    open_camera(page, "North gate")
    wait_for_pixels(page, 0.5, HAZY_BRIGHT, DARK)
    box = page.locator(".picture").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 3, steps=4)
    page.mouse.up()
    wait_for_pixels(page, 0.25, HAZY_BRIGHT, BRIGHT)
    assert page.locator(".divider").get_attribute("aria-valuenow") == "25"
    line = page.locator(".divider").bounding_box()
    assert line["x"] + line["width"] / 2 == pytest.approx(box["x"] + box["width"] / 4, abs=1)


def test_the_divider_follows_the_keys(page: Any) -> None:
    open_camera(page, "North gate")
    divider = page.locator(".divider")
    divider.focus()
    page.keyboard.press("ArrowRight")
    assert divider.get_attribute("aria-valuenow") == "52"
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert divider.get_attribute("aria-valuenow") == "82"
    wait_for_pixels(page, 0.82, HAZY_DARK, DARK)
    page.keyboard.press("End")
    wait_for_pixels(page, 0.5, HAZY_BRIGHT, HAZY_DARK)
    page.keyboard.press("Home")
    wait_for_pixels(page, 0.5, BRIGHT, DARK)


def test_the_divider_follows_a_finger(browser: Any, server: WebServer) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(server.url)
    open_camera(page, "North gate")
    box = page.locator(".picture").bounding_box()
    touch = context.new_cdp_session(page)
    y = box["y"] + box["height"] / 2
    at = lambda share: [{"x": box["x"] + box["width"] * share, "y": y}]  # noqa: E731
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": at(0.5)})
    for share in (0.55, 0.65, 0.75):
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": at(share)})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    wait_for_pixels(page, 0.75, HAZY_DARK, DARK)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the phone"
    context.close()


def test_video_takes_over_to_save_bandwidth(page: Any, server: WebServer) -> None:
    pytest.importorskip("aiortc", reason="video by WebRTC needs the extra 'webrtc'")
    open_camera(page, "North gate")
    # A video that can be drawn replaces the JPEGs: count how often each is drawn.
    page.evaluate(
        """() => {
            const draw = CanvasRenderingContext2D.prototype.drawImage;
            window.drawn = { video: 0, jpeg: 0 };
            CanvasRenderingContext2D.prototype.drawImage = function (source, ...places) {
                if (source instanceof HTMLVideoElement) window.drawn.video++;
                if (source instanceof ImageBitmap) window.drawn.jpeg++;
                return draw.call(this, source, ...places);
            };
        }"""
    )
    page.locator(".switch:has-text('Save bandwidth') input").check()
    page.wait_for_function("() => window.drawn.video > 10")
    wait_for_pixels(page, 0.5, HAZY_BRIGHT, DARK)
    before = page.evaluate("() => window.drawn.jpeg")
    page.wait_for_timeout(500)
    assert page.evaluate("() => window.drawn.jpeg") == before
    page.locator(".switch:has-text('Save bandwidth') input").uncheck()
    page.wait_for_function(f"() => window.drawn.jpeg > {before} + 5")


def test_slider_and_switch_change_the_next_picture(page: Any, pipeline: RenderedPipeline) -> None:
    open_camera(page, "North gate")
    wait_for_pixels(page, 0.75, DARK, DARK)
    page.locator("input[type=range]").fill("50")
    wait_for_pixels(page, 0.75, 65, 65)
    assert pipeline.cameras["North gate"].strength == 0.5
    page.locator("[data-slot=enabled]").uncheck()
    wait_for_pixels(page, 0.75, HAZY_DARK, HAZY_DARK)
    page.locator("[data-slot=enabled]").check()
    page.locator("input[type=range]").fill("100")
    wait_for_pixels(page, 0.75, DARK, DARK)


def test_a_change_made_elsewhere_appears_on_the_page(page: Any, pipeline: RenderedPipeline) -> None:
    open_camera(page, "North gate")
    pipeline.cameras["North gate"].set_strength(0.25)
    page.wait_for_function("() => document.querySelector('input[type=range]').value === '25'")
    pipeline.cameras["North gate"].set_strength(1.0)
    page.wait_for_function("() => document.querySelector('output').textContent === '100 %'")


def test_a_snapshot_is_the_whole_clear_picture(page: Any) -> None:
    open_camera(page, "North gate")
    with page.expect_download() as download:
        page.click("text=Snapshot >> nth=0")
    assert re.fullmatch(r"North-gate-clear-\d{8}-\d{6}Z\.jpg", download.value.suggested_filename)
    picture = cv2.imdecode(np.fromfile(download.value.path(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture.shape == (180, 320)
    assert picture[90, 300] == pytest.approx(DARK, abs=4)


def test_light_and_dark_follow_the_system_or_a_choice(browser: Any, server: WebServer) -> None:
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(server.url)
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.click("#theme")
    light = page.evaluate(ground)
    assert light != dark
    page.reload()
    assert page.evaluate(ground) == light, "the choice is forgotten"
    page.click("#theme")
    assert page.evaluate(ground) == dark
    context.close()


def test_the_token_is_asked_for_refused_and_accepted(browser: Any, pipeline: RenderedPipeline) -> None:
    with web_page(pipeline, token=TOKEN) as server:
        context = browser.new_context()
        page = context.new_page()
        page.goto(server.url)
        page.fill("#token", "not the token at all")
        page.click("button[type=submit]")
        page.wait_for_selector("#problem:has-text('not the token')")
        page.fill("#token", TOKEN)
        page.click("button[type=submit]")
        page.wait_for_selector(".tile")
        (cookie,) = context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert TOKEN not in cookie["value"]
        page.click("text=Log out")
        page.wait_for_selector("#token")
        page.goto(server.url)
        assert page.url.endswith("/login")
        context.close()


def test_the_page_comes_back_when_the_server_does(browser: Any, pipeline: RenderedPipeline) -> None:
    with web_page(pipeline) as server:
        context = browser.new_context()
        page = context.new_page()
        page.goto(server.url)
        page.wait_for_selector(".tile")
    page.wait_for_selector("#notice:has-text('No contact')")
    page.evaluate(
        """() => { const notice = document.getElementById('notice');
                   window.blinks = 0;
                   const seen = new MutationObserver(() => { if (notice.hidden) window.blinks++; });
                   seen.observe(notice, { attributes: true }); }"""
    )
    for path in ("/wall", "/api/cameras", "/wall", "/api/cameras"):
        page.wait_for_event("requestfailed", lambda request: path in request.url)  # noqa: B023
    assert page.evaluate("window.blinks") == 0
    again = WebServer(pipeline, server.address)
    again.start()
    page.wait_for_selector("#notice", state="hidden")
    open_camera(page, "North gate")
    context.close()
    again.stop()


def test_the_haze_is_shown_now_and_over_the_day(page: Any, pipeline: RenderedPipeline) -> None:
    now = [time.time() - 7200]
    haze = pipeline.cameras["Harbour"].haze = HazeHistory(clock=lambda: now[0])
    for minute in range(121):
        haze.note(Reading(0.15 + 0.5 * minute / 120, (0.8, 0.8, 0.8), dark=False, agreed=0.1))
        now[0] += 60
    now[0] -= 60
    assert page.locator(".tile:has-text('Harbour') .figures").inner_text().count("haze") <= 1
    page.wait_for_selector(".tile:has-text('Harbour') .figures:has-text('haze 65 %')")
    open_camera(page, "Harbour")
    page.wait_for_selector(".haze output:has-text('65 %, dense fog')")
    page.wait_for_selector(".haze figcaption:has-text('15 % to 65 % in the last 2 hours')")
    assert page.eval_on_selector(".haze path", "path => path.getAttribute('d').match(/L/g).length") == 120
    haze.note(Reading(0.9, (0.1, 0.1, 0.1), dark=True, agreed=0.9))
    page.wait_for_selector(".haze output:has-text('too dark to tell')")
    pipeline.cameras["Harbour"].visibility = Visibility(340.2, 210, 1500)
    page.wait_for_selector(".haze p:has-text('Visibility 340 m (210 m to 1.5 km)')")


def test_a_clip_is_asked_for_and_downloaded(browser: Any, tmp_path: Path) -> None:
    film = Clip(pts=tuple(512 * n for n in range(50)), size=(160, 120)).write(tmp_path / "film.mp4")
    places = {"url": str(film), "clips": str(tmp_path / "clips" / "{name}.mkv")}
    gate = CameraConfig(name="gate", realtime=True, loop=True, **places)
    with (
        LivePipeline([gate], dehazer=quick_dehazer()) as pipeline,
        web_page(pipeline) as server,
        browser.new_context() as context,
    ):
        page = context.new_page()
        page.goto(server.url)
        open_camera(page, "gate")
        page.click("button:has-text('Save a clip')")
        page.wait_for_selector(".clips li:has-text('being recorded')")
        with page.expect_download() as download:
            page.click(".clips a")
        assert Path(download.value.path()).read_bytes() == pipeline.cameras["gate"].clips[0].path.read_bytes()


def test_a_profile_can_be_chosen_if_there_are_any(page: Any, pipeline: RenderedPipeline) -> None:
    harbour = pipeline.cameras["Harbour"]
    open_camera(page, "Harbour")
    page.wait_for_selector(".camera[data-state]")
    assert page.locator("[data-slot=profiles]").is_hidden()
    harbour.profiles = ("fog", "night")
    page.wait_for_selector("[data-slot=profiles]:not([hidden])")
    offered = page.locator("[data-slot=profile] option").all_inner_texts()
    assert offered == ["By time and haze (now none)", "None", "fog", "night"]
    page.select_option("[data-slot=profile]", "night")
    wait_until(lambda: harbour.profile_choice == "night", "the camera gets it")
    harbour.profiles = ()
