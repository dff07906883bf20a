"""The network that recognizes haze by the scene, and what `--mode auto` makes of it."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from streamdehaze import Dehazer, Frame
from streamdehaze.datasets.rendered.scenes import render_room
from streamdehaze.frame import FloatArray
from streamdehaze.meter.auto import START
from streamdehaze.meter.measure import measure
from streamdehaze.meter.recognition import recognized_density
from streamdehaze.scene import Fog, SceneFrame, StreetScene

Bytes = npt.NDArray[np.uint8]

pytestmark = pytest.mark.quick


@functools.cache
def clear_street(seed: int) -> SceneFrame:
    return StreetScene(256, 144, frames=2, seed=seed).render(0)


def street(visibility_metres: float, seed: int = 0) -> FloatArray:
    """A drawn street through even fog, RGB (3, rows, columns)."""
    scene = clear_street(seed)
    foggy = Fog(visibility_metres=visibility_metres).apply(scene.clear, scene.depth_metres)
    return np.ascontiguousarray(foggy.transpose(2, 0, 1), np.float32)


def room(seed: int) -> tuple[Bytes, FloatArray]:
    """A drawn room, and how far away everything in it is, 1 at the far end."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (8, 128, 128, 3), dtype=np.uint8)
    blurred = [cv2.GaussianBlur(each, (0, 0), 1 + index) for index, each in enumerate(noise)]
    stretched = [(each - each.min()) * (255.0 / np.ptp(each)) for each in blurred]
    return render_room(seed, np.stack(stretched).astype(np.uint8))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_fog_is_recognized_and_grows_with_its_thickness(seed: int) -> None:
    found = [recognized_density(street(metres, seed)) for metres in (20_000, 400, 150, 60)]
    assert found == sorted(found)
    assert found[0] < 0.1
    assert found[-1] > 0.4


def test_the_network_says_what_its_graph_says() -> None:
    """OpenCV's versions read graphs by different engines of their own."""
    onnxruntime = pytest.importorskip("onnxruntime")
    picture = street(150)
    small = [cv2.resize(plane, (96, 64), interpolation=cv2.INTER_AREA) for plane in picture]
    with resources.as_file(resources.files("streamdehaze.meter.recognition") / "haze.onnx") as path:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logit,) = session.run(None, {"picture": np.stack(small)[None]})
    assert recognized_density(picture) == pytest.approx(1 / (1 + np.exp(-logit.item())), abs=1e-4)


def test_cameras_in_threads_of_their_own_get_their_own_answers() -> None:
    pictures = [street(metres) for metres in (20_000, 400, 150, 60)] * 8
    alone = [recognized_density(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(recognized_density, pictures)) == alone


@pytest.mark.parametrize("seed", [18, 37])
def test_what_only_looks_like_haze_is_left_alone(seed: int) -> None:
    """By contrast and colour alone, these rooms are hazy."""
    clear, depth = room(seed)
    t = np.exp(-1.2 * depth)[..., None]
    hazy = (clear * t + 215 * (1 - t)).astype(np.uint8)
    with Dehazer("aecrnet-s", engine="torch", mode="auto") as auto:
        (measured,) = measure([Frame.from_array(clear)], auto)
        assert measured.reading.agreed > START
        assert np.array_equal(auto(clear), clear)
        assert not np.array_equal(auto(hazy), hazy)
