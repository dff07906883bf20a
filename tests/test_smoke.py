"""Smoke and sand, cleared by a small network of their own."""

from __future__ import annotations

import functools
from dataclasses import replace
from importlib import resources

import cv2
import numpy as np
import pytest

from streamdehaze.control.color import Color
from streamdehaze.dehaze.atmosphere import Atmosphere, atmosphere, smoke
from streamdehaze.dehaze.atmosphere.airlight import AIRLIGHT_MODES
from streamdehaze.dehaze.atmosphere.smoke import Smoke, look_for_smoke
from streamdehaze.fidelity import psnr
from streamdehaze.frame import FloatArray
from streamdehaze.scene import SceneFrame, StreetScene
from streamdehaze.scene.raycast import SKY_METRES

pytestmark = pytest.mark.quick

SAND, BROWN, DARK, GREY = (0.85, 0.7, 0.51), (0.34, 0.3, 0.24), (0.26, 0.26, 0.26), (0.85, 0.85, 0.85)


@functools.cache
def street(seed: int = 0) -> SceneFrame:
    return StreetScene(256, 144, frames=2, seed=seed).render(0)


def through(color: Color, seed: int = 0, visibility_metres: float = 60) -> FloatArray:
    """A drawn street through air of that colour, RGB (3, rows, columns)."""
    scene = street(seed)
    t = np.exp(-3 * np.minimum(scene.depth_metres, 300) / visibility_metres).astype(np.float32)[..., None]
    hazy = scene.clear * t + np.array(color, np.float32) * (1 - t)
    return np.ascontiguousarray(hazy.transpose(2, 0, 1), np.float32)


def sandstorm() -> FloatArray:
    """A street in sand, with nothing but sand in the sky."""
    picture = through(SAND)
    picture[:, :48] = np.array(SAND, np.float32)[:, None, None]
    return picture


def flat(probability: float) -> Smoke:
    """An answer that takes half of the light off, in sand."""
    airlight = np.array(SAND, np.float32)
    offset = np.repeat(-airlight / 2, 12 * 20).reshape(3, 12, 20)
    return Smoke(airlight, np.full((96, 160), 0.5, np.float32), offset, probability)


class Asked:
    """Counts the looks, and says what is wanted."""

    def __init__(self, probability: float) -> None:
        self.probability, self.count, self.rows = probability, 0, 0

    def __call__(self, hazy: FloatArray) -> Smoke:
        self.count, self.rows = self.count + 1, hazy.shape[1]
        return flat(self.probability)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    found = Asked(0.0)
    monkeypatch.setattr(atmosphere, "look_for_smoke", found)
    return found


def finished(of: Atmosphere, picture: FloatArray, *, starts: bool = False) -> FloatArray:
    """What becomes of a picture that the large network leaves as it is."""
    balanced = of.balance(picture, starts=starts)
    return of.finish(balanced, balanced.picture, "auto", "natural")


def test_without_smoke_it_is_seldom_looked_for_and_nothing_changes(asked: Asked) -> None:
    picture, known = through(DARK), Atmosphere()
    first = finished(known, picture, starts=True)
    for _ in range(49):
        np.testing.assert_array_equal(finished(known, picture), first)
    assert asked.count == 2
    asked.probability = smoke.UNSURE
    np.testing.assert_array_equal(finished(Atmosphere(), picture), first)


def test_where_there_is_smoke_every_picture_is_asked_about(asked: Asked) -> None:
    picture, known, asked.probability = through(DARK), Atmosphere(), 1.0
    np.testing.assert_allclose(finished(known, picture, starts=True), picture / 2, atol=1e-4)
    for _ in range(9):
        finished(known, picture)
    assert asked.count == 10


def test_smoke_comes_and_goes_gradually_within_a_scene_and_at_once_with_a_cut(asked: Asked) -> None:
    picture, known = through(DARK), Atmosphere()
    plain = finished(known, picture, starts=True)
    asked.probability = 1.0
    shares = []
    for _ in range(120):
        shares.append(float((plain - finished(known, picture)).mean() / (plain - picture / 2).mean()))
    assert shares[0] == 0
    assert max(np.diff(shares)) < 0.5
    assert shares[-1] == pytest.approx(1, abs=1e-3)
    asked.probability = 0.0
    np.testing.assert_array_equal(finished(known, picture, starts=True), plain)


def test_a_colour_that_is_given_is_believed(asked: Asked) -> None:
    asked.probability = 1.0
    Atmosphere().balance(through(DARK), color=DARK)
    assert asked.count == 0


def test_work_that_is_resumed_remembers_the_smoke(asked: Asked) -> None:
    picture, known, resumed, asked.probability = through(DARK), Atmosphere(), Atmosphere(), 1.0
    finished(known, picture, starts=True)
    asked.probability = 0.0
    finished(known, picture)
    resumed.load(known.state())
    for _ in range(30):
        np.testing.assert_array_equal(finished(resumed, picture), finished(known, picture))


def test_the_answer_fits_a_picture_of_any_size() -> None:
    for size in ((144, 256), (256, 144), (720, 1280), (30, 40)):
        hazy = np.full((3, *size), 0.6, np.float32)
        np.testing.assert_allclose(flat(1).clear_picture(hazy), 0.3, atol=1e-6)


@pytest.mark.parametrize(("color", "least"), [(SAND, 6), (BROWN, 1), (DARK, 0.5)])
def test_smoke_and_sand_are_recognized_and_cleared(color: Color, least: float) -> None:
    gains = []
    for seed in range(6):
        hazy, scene = through(color, seed), street(seed)
        found = look_for_smoke(hazy)
        assert found.share == 1
        seen = scene.depth_metres < SKY_METRES
        before, after = (picture.transpose(1, 2, 0)[seen] for picture in (hazy, found.clear_picture(hazy)))
        gains.append(psnr(after, scene.clear[seen], 1) - psnr(before, scene.clear[seen], 1))
    assert np.mean(gains) > least


def test_a_lamp_brighter_than_the_smoke_is_not_darkened() -> None:
    picture = through(DARK)
    picture[:, 100:104, 60:64] = 0.8
    clear = flat(1.0).clear_picture(picture)
    np.testing.assert_allclose(clear[:, 20, 20], picture[:, 20, 20] / 2, atol=0.01)
    dark = Smoke(np.array(DARK, np.float32), np.full((96, 160), 0.5, np.float32), np.zeros((3, 12, 20), np.float32), 1)
    assert np.all(dark.clear_picture(picture)[:, 100:104, 60:64] >= 0.8)


@pytest.mark.parametrize(("air", "share"), [(SAND, 1.0), ((0.95, 0.92, 0.85), 0.0), ((0.8, 0.78, 0.74), 1.0)])
def test_white_air_is_fog_however_warm_its_light(air: Color, share: float) -> None:
    assert replace(flat(0.9), airlight=np.array(air, np.float32)).share == pytest.approx(share, abs=0.02)


def test_bars_are_not_looked_at_and_stay(asked: Asked) -> None:
    asked.probability = 1.0
    picture, known, scene = through(DARK), Atmosphere(), np.ones((144, 256), np.bool_)
    scene[:20] = False
    balanced = known.balance(picture, starts=True, scene=scene)
    cleared = known.finish(balanced, balanced.picture, "auto", "natural")
    assert asked.rows == 124
    np.testing.assert_allclose(cleared[:, 20:], picture[:, 20:] / 2, atol=0.02)
    np.testing.assert_allclose(cleared[:, :20], picture[:, :20], atol=0.02)


def test_a_tint_that_is_to_be_kept_is_kept() -> None:
    tints = {}
    for mode in AIRLIGHT_MODES:
        known = Atmosphere()
        balanced = known.balance(through(SAND), starts=True)
        red, _, blue = known.finish(balanced, balanced.picture, mode, "natural").mean(axis=(1, 2))
        tints[mode] = red / blue
    assert tints["keep"] > 1.3 * tints["auto"]
    assert tints["neutral"] == pytest.approx(tints["auto"], rel=0.05)


def test_the_sky_keeps_its_look_and_loses_its_tint(asked: Asked) -> None:
    asked.probability = 1.0
    picture, known = sandstorm(), Atmosphere()
    picture += np.random.default_rng(0).normal(0, 0.003, picture.shape).astype(np.float32)
    cleared = finished(known, picture, starts=True)
    before, sky = picture[:, 8:24], cleared[:, 8:24]
    assert sky.mean() == pytest.approx(before.mean(), abs=0.02)
    noise = [each.std(axis=(1, 2)) / each.mean(axis=(1, 2)) for each in (before, sky)]
    assert max(noise[1] / noise[0]) < 1.5
    assert np.ptp(sky.mean(axis=(1, 2))) < 0.02
    assert np.abs(cleared[:, 72:] - picture[:, 72:] / 2).mean() < 0.01


def test_a_sky_that_is_seen_through_the_smoke_is_cleared(asked: Asked) -> None:
    asked.probability = 1.0
    picture = sandstorm()
    picture[:, :48] *= np.array((0.8, 0.9, 1.0), np.float32)[:, None, None]
    cleared = finished(Atmosphere(), picture, starts=True)
    np.testing.assert_allclose(cleared[:, :40], picture[:, :40] / 2, atol=1e-4)


def test_colours_come_back_as_far_as_the_network_for_smoke_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those for fog are held back where they find colours of which nothing is to be seen."""
    picture = through(BROWN, visibility_metres=20)
    gain, offset = np.full((96, 160), 4, np.float32), np.zeros((3, 12, 20), np.float32)
    colorful = Smoke(np.array(BROWN, np.float32), gain, offset, 1.0)
    monkeypatch.setattr(atmosphere, "look_for_smoke", lambda hazy: colorful)
    monkeypatch.setattr(atmosphere, "find_sky", lambda hazy, *_: np.zeros(hazy.shape[1:], np.float32))
    np.testing.assert_allclose(finished(Atmosphere(), picture, starts=True), colorful.clear_picture(picture), atol=1e-4)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_fog_and_clear_air_are_no_smoke(seed: int) -> None:
    assert look_for_smoke(through(GREY, seed)).share == 0
    assert look_for_smoke(through(GREY, seed, 1e6)).share == 0
    assert look_for_smoke(0.4 * through(GREY, seed, 1e6)).share == 0


def test_opencv_4_reads_the_graph() -> None:
    """It adds one dimension at a time only; looked at in the graph, for this is run with the newest OpenCV."""
    onnx = pytest.importorskip("onnx")
    with resources.as_file(resources.files("streamdehaze.dehaze.atmosphere.smoke") / "smoke.onnx") as path:
        graph = onnx.load(path).graph
    sizes = {each.name: int(np.prod(each.dims)) for each in graph.initializer}
    added = [sizes[node.input[1]] for node in graph.node if node.op_type == "Unsqueeze"]
    assert max(added, default=1) == 1


def test_the_network_says_what_its_graph_says() -> None:
    """OpenCV's versions read graphs by different engines of their own."""
    onnxruntime = pytest.importorskip("onnxruntime")
    hazy = through(SAND)
    small = [cv2.resize(plane, (160, 96), interpolation=cv2.INTER_AREA) for plane in hazy]
    found = look_for_smoke(hazy)
    with resources.as_file(resources.files("streamdehaze.dehaze.atmosphere.smoke") / "smoke.onnx") as path:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    maps, color, logit = session.run(["maps", "airlight", "logit"], {"picture": np.stack(small)[None]})
    np.testing.assert_allclose(found.offset, maps[0, :3], atol=1e-4)
    np.testing.assert_allclose(found.airlight, color[0], atol=1e-4)
    cells = found.gain.reshape(12, 8, 20, 8).transpose(1, 3, 0, 2).reshape(64, 12, 20)
    np.testing.assert_allclose(cells, maps[0, 3:], rtol=1e-3)
    assert found.probability == pytest.approx(1 / (1 + np.exp(-logit.item())), abs=1e-4)
