"""Colour, brightness and covered parts, handled around the network in frames of videos and photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from clips import Clip
from doubles import EngineDouble
from streamdehaze import Dehazer, Frame, open_source
from streamdehaze.dehaze import Stream
from streamdehaze.dehaze.atmosphere import Atmosphere
from streamdehaze.dehaze.frame_mask import fill
from streamdehaze.frame import FloatArray, PixelFormat

pytestmark = pytest.mark.usefixtures("engine_alone")  # test_smoke.py has the network for sand
SAND = np.array([0.85, 0.7, 0.5], np.float32)


def sandy(height: int = 144, width: int = 256, seed: int = 1) -> np.ndarray:
    """A sandy picture, (height, width, 3) uint8: colours and dark things on the ground, nothing but sand in the sky."""
    rng = np.random.default_rng(seed)
    blocks = rng.uniform(0, 0.6, (height // 8, width // 8, 3))
    blocks[rng.random(blocks.shape[:2]) < 0.5] *= 0.1
    ground = np.kron(blocks, np.ones((8, 8, 1)))
    t = np.exp(-2.5 * np.linspace(1, 0.05, height))[:, None, None]
    hazy = ground * t + SAND * (1 - t)
    hazy[: height // 5] = SAND
    return (hazy * 255 + 0.5).astype(np.uint8)


def darken(hazy: FloatArray) -> FloatArray:
    """The "network": removes a veil, which darkens the picture."""
    return np.clip((hazy - 0.45) / 0.55, 0, 1).astype(np.float32)


def dehazer(answer: Callable[[FloatArray], FloatArray] = darken, **settings: object) -> Dehazer:
    return Dehazer(engine=EngineDouble(answer), **settings)  # type: ignore[arg-type]


def letterboxed(picture: np.ndarray, rows: int) -> np.ndarray:
    barred = picture.copy()
    barred[:rows] = barred[-rows:] = 0
    return barred


def spread(pixels: np.ndarray) -> float:
    mean = pixels.reshape(-1, 3).mean(axis=0)
    return float(np.ptp(mean) / mean.mean())


def test_the_network_sees_grey_haze() -> None:
    seen: list[FloatArray] = []
    dehazer(lambda hazy: seen.append(hazy) or hazy)(sandy())  # type: ignore[func-returns-value]
    assert spread(seen[0][0, :, :20].transpose(1, 2, 0)) < 0.02


def test_sand_is_drawn_to_neutral_by_default_kept_if_asked_and_whitened_if_asked() -> None:
    picture = sandy()
    skies = {mode: dehazer(airlight=mode, brightness="natural")(picture)[:20] for mode in ("auto", "keep", "neutral")}
    assert spread(skies["keep"]) == pytest.approx(spread(picture[:20]), rel=0.1)
    assert spread(skies["auto"]) < 0.6 * spread(picture[:20])
    assert spread(skies["neutral"]) < 0.05


def test_a_network_that_changes_nothing_changes_nothing() -> None:
    picture = sandy()
    kept = dehazer(lambda hazy: hazy, airlight="keep")(picture)
    assert np.abs(kept.astype(int) - picture).max() <= 2


def test_brightness_is_kept_by_default_and_natural_if_asked() -> None:
    picture = sandy()
    keep, natural = (dehazer(brightness=mode)(picture).mean() for mode in ("keep", "natural"))
    assert natural < 0.5 * picture.mean()  # so dark that the strongest curve does not bring all of it back
    assert 0.65 * picture.mean() < keep < picture.mean()


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("format_name", ["rgb24", "yuv420p", "nv12", "p010le", "gray"])
def test_bars_are_kept_bit_for_bit_and_do_not_change_the_rest(format_name: str, *, exact: bool) -> None:
    def clear(rgb: np.ndarray) -> tuple[Frame, Frame]:
        picture = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=format_name)
        layout = PixelFormat.parse(format_name)
        planes = tuple(
            np.frombuffer(plane, np.uint8)
            .reshape(plane.height, plane.line_size)
            .view(layout.dtype)[:, : plane.width * layout.components[0].step if format_name == "rgb24" else None]
            .copy()
            for plane in picture.planes
        )
        frame = Frame(planes, picture.width, picture.height, layout)
        return frame, dehazer(exact=exact).process([frame])[0]

    rows = 34  # at full size; not a multiple of anything
    hazy, result = clear(letterboxed(sandy(288, 512), rows))
    _, without = clear(sandy(288, 512))
    changed = result.planes[0].astype(int) - hazy.planes[0]
    assert not changed[:rows].any()
    assert not changed[-rows:].any()
    middle = slice(rows + 8, 288 - rows - 8)
    difference = np.abs(result.planes[0][middle].astype(float) - without.planes[0][middle])
    effect = np.abs(without.planes[0][middle].astype(float) - hazy.planes[0][middle])
    assert difference.mean() < 0.25 * effect.mean()


def test_airlight_and_brightness_do_not_pump_over_time() -> None:
    rng = np.random.default_rng(4)
    stream = Stream(steady="low", airlight="neutral")
    levels = []
    for _ in range(24):
        base = sandy() * rng.uniform(0.995, 1.005) + rng.normal(0, 1.5, (144, 256, 3))
        look = stream.look(Frame.from_array(np.clip(base, 0, 255).astype(np.uint8)))
        assert look.balanced is not None
        levels.append(look.balanced.airlight.color.mean())
    assert np.ptp(levels[4:]) < 0.01


def test_the_airlight_follows_as_fast_where_the_network_runs_on_every_third_frame() -> None:
    rng = np.random.default_rng(4)
    found = {}
    for every in (1, 3):
        stream = Stream(steady="low", every=every)
        for number in range(25):
            dimming = 1 - 0.004 * number
            noisy = sandy() * dimming + rng.normal(0, 1.5, (144, 256, 3))
            look = stream.look(Frame.from_array(np.clip(noisy, 0, 255).astype(np.uint8)))
            if look.balanced is not None:
                found[every] = look.balanced.airlight.color.mean()
    assert found[3] == pytest.approx(found[1], abs=0.006)  # three times as slow, it lags by 0.02


def test_a_cut_starts_the_airlight_again() -> None:
    stream = Stream(steady="low")
    for _ in range(5):
        stream.look(Frame.from_array(sandy()))
    other = np.ascontiguousarray(255 - sandy(seed=7)[::-1] // 2)
    look = stream.look(Frame.from_array(other))
    alone = Stream().look(Frame.from_array(other))
    assert look.balanced is not None
    assert alone.balanced is not None
    np.testing.assert_array_equal(look.balanced.airlight.color, alone.balanced.airlight.color)


def test_a_stream_continues_bit_for_bit_where_its_state_was_taken() -> None:
    frames = [Frame.from_array(letterboxed(sandy(seed=n // 3), 20)) for n in range(8)]
    whole, first, second = (Stream(steady="low") for _ in range(3))

    def run(stream: Stream, part: list[Frame]) -> list[Frame]:
        clear: list[Frame] = []
        for frame in part:
            look = stream.look(frame)
            clear += stream.answer(look, None if look.picture is None else darken(look.picture))
        return clear

    expected = run(whole, frames)
    begun = run(first, frames[:4])
    second.load_state_dict(first.state_dict())
    for found, wanted in zip(begun + run(second, frames[4:]), expected, strict=True):
        np.testing.assert_array_equal(found.planes[0], wanted.planes[0])


def test_strength_0_is_bit_exact_whatever_the_modes() -> None:
    picture = letterboxed(sandy(), 20)
    for airlight in ("auto", "keep", "neutral"):
        np.testing.assert_array_equal(dehazer(strength=0, airlight=airlight)(picture), picture)


def test_a_video_keeps_its_bars_in_every_frame(tmp_path: Path) -> None:
    path = Clip(size=(320, 200), pts=tuple(512 * n for n in range(20))).write(tmp_path / "film.mkv")
    with open_source(path) as source:
        frames = list(source)
    barred = []
    for frame in frames:
        planes = tuple(plane.copy() for plane in frame.planes)
        planes[0][:27] = planes[0][-27:] = 16
        for chroma in planes[1:]:
            chroma[:14] = chroma[-14:] = 128
        barred.append(frame.with_planes(planes))
    cleared = dehazer(steady="low", every=3)
    for hazy, clear in zip(barred, cleared.process(barred), strict=True):
        assert np.array_equal(clear.planes[0][:27, :320], hazy.planes[0][:27, :320])
        assert np.array_equal(clear.planes[0][-27:, :320], hazy.planes[0][-27:, :320])


def test_the_sky_below_a_letterbox_bar_stays_as_it_was_seen() -> None:
    rng = np.random.default_rng(3)
    picture = np.full((3, 144, 256), 0.8, np.float32)
    picture[:, 60:] = rng.uniform(0.1, 0.6, (3, 14, 32)).repeat(6, 1).repeat(8, 2)
    covered = np.zeros((144, 256), bool)
    covered[:40] = covered[124:] = True  # the bar mirrors what stands below the sky, too
    atmosphere = Atmosphere()
    balanced = atmosphere.balance(fill(picture, covered), ~covered)
    blotched = balanced.picture + 0.05 * np.sin(np.arange(256, dtype=np.float32) / 20)
    clear = atmosphere.finish(balanced, blotched, "auto", "natural")
    assert clear[:, 42:52].std() < 0.2 * blotched[:, 42:52].std()


@pytest.mark.parametrize(("thickness", "share"), [(0.0, 0.75), (1.0, 1.03), (9.0, 1.0)])
def test_the_measured_haze_decides_how_much_of_the_networks_change_is_made(thickness: float, share: float) -> None:
    """In clear air a part of it, in haze a little more than all; where only haze is visible, exactly all of it."""
    rng = np.random.default_rng(1)
    blocks = np.kron(rng.uniform(0, 0.6, (3, 12, 16)), np.ones((8, 8)))
    blocks[:, rng.random(96) < 0.3] = 0
    t = np.exp(-thickness * np.linspace(1, 0.3, 96))[:, None]
    hazy = (0.8 - (0.8 - blocks) * t).astype(np.float32)
    if thickness:
        hazy[:, :8] = 0.8
    atmosphere = Atmosphere()
    balanced = atmosphere.balance(hazy)
    clear = atmosphere.finish(balanced, balanced.picture * np.float32(0.9), "keep", "natural")
    change = float((clear - hazy)[:, 20:].mean() / (-0.1 * hazy[:, 20:]).mean())
    assert change == pytest.approx(share, abs=0.01)
