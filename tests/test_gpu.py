"""Frames shrunk and changed by PyTorch's operations, as on a GPU: within one level of the CPU's kernels."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from doubles import EngineDouble
from streamdehaze import Dehazer
from streamdehaze.dehaze import affine
from streamdehaze.dehaze.affine import AffineMaps
from streamdehaze.dehaze.exact import component_samples
from streamdehaze.dehaze.format import FrameFormat
from streamdehaze.dehaze.gpu import Gpu, Surface
from streamdehaze.dehaze.settings import SettingsKeywords
from streamdehaze.dehaze.stream import Solution
from streamdehaze.frame import Frame, PixelFormat
from streamdehaze.pipeline.lanes import Lanes

FORMATS = (
    "yuv420p", "yuvj444p", "yuv410p", "nv12", "nv21", "yuv422p10le", "yuv444p16be", "p010le", "yuva420p", "gray",
    "ya16le", "rgb24", "bgr0", "rgba64le", "gbrp12le",
)  # fmt: skip
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def frame_of(name: str, width: int, height: int, pts: int = 0) -> Frame:
    """Noise in every sample, including padding such as a decoder leaves."""
    layout = PixelFormat.parse(name)
    rng = np.random.default_rng(width + pts)
    planes = []
    for index in range(layout.plane_count):
        row, rows = layout.plane_size(index, width, height)
        noise = rng.integers(0, layout.max_value + 1, (rows + 1, row + 5)) << layout.shift
        planes.append(noise.astype(layout.dtype))
    return Frame(tuple(planes), width, height, layout, pts=pts)


def samples(frame: Frame) -> list[npt.NDArray[np.int64]]:
    """Samples of all colour components."""
    return [component_samples(frame, i).astype(np.int64) for i in range(len(frame.pixel_format.components))]


def assert_within_a_level(found: Frame, wanted: Frame) -> None:
    for a, b in zip(samples(found), samples(wanted), strict=True):
        assert np.abs(a - b).max() <= 1
        assert (a != b).mean() < 0.1, "more than what lies on the edge between two levels"


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("width", "height"), [(151, 83), (40, 203)])
def test_every_format_is_shrunk_and_changed_as_on_the_cpu(name: str, width: int, height: int, device: str) -> None:
    frame = frame_of(name, width, height)
    frame_format = FrameFormat.of(frame, 64)
    small, surface = Gpu(device).shrink(frame, frame_format)
    np.testing.assert_allclose(small, affine.shrink_components(frame, frame_format), atol=2e-6)
    assert surface is not None
    rng = np.random.default_rng(3)
    maps = AffineMaps(*rng.uniform((0.5, -0.5), (2, 0.5), (*small.shape, 2)).astype(np.float32).transpose(3, 0, 1, 2))
    for strength in (0.4, 1.0, 1.5):
        clear = surface.apply(maps, strength)
        assert_within_a_level(clear, affine.apply(frame, frame_format, maps, strength))
        for index, plane in enumerate(clear.planes):
            assert (plane.shape, plane.dtype) == (frame.planes[index].shape, frame.planes[index].dtype)
    if name in ("yuva420p", "ya16le", "rgba64le"):
        step = frame.pixel_format.components[0].step
        alpha = [each.planes[-1][:, step - 1 :: step] for each in (clear, frame)]
        np.testing.assert_array_equal(*alpha)


class OnDevice(EngineDouble):
    """An engine that runs on one of PyTorch's devices."""

    device = "cpu"


SETTINGS: dict[str, SettingsKeywords] = {
    "plain": {},
    "untouched": {"strength": 0},
    "stronger, far parts": {"strength": 1.3, "far": 0.5},
    "a film": {"steady": "low", "every": 3, "look_ahead": True},
    "exact": {"exact": True},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=list(SETTINGS))
def test_a_letterboxed_film_is_the_same_as_on_the_cpu(
    settings: SettingsKeywords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bars are kept bit for bit, with nothing but an engine on a GPU."""
    frames = [frame_of("yuv420p", 151, 99, pts) for pts in range(6)]
    for frame in frames:
        frame.planes[0][:18] = frame.planes[0][-18:] = 16
        frame.planes[1][:9] = frame.planes[1][-9:] = frame.planes[2][:9] = frame.planes[2][-9:] = 128

    def film(engine: EngineDouble) -> list[Frame]:
        dehazer = Dehazer(engine=engine, network_size=64, **settings)
        return dehazer.process(frames) + dehazer.flush()

    on_the_cpu = film(EngineDouble())
    with monkeypatch.context() as patch:  # the CPU's kernels are not used
        patch.delattr(affine, "shrink_components")
        patch.delattr(affine, "apply")
        on_the_device = film(OnDevice())
    for hazy, found, wanted in zip(frames, on_the_device, on_the_cpu, strict=True):
        assert_within_a_level(found, wanted)
        if settings.get("strength") == 0 or settings.get("exact"):
            assert all(np.array_equal(a, b) for a, b in zip(samples(found), samples(wanted), strict=True))
        np.testing.assert_array_equal(samples(found)[0][:12], samples(hazy)[0][:12])


def test_a_run_leaves_frames_to_the_device_of_its_engine() -> None:
    with Lanes(Dehazer(engine=OnDevice(), network_size=64, steady="low", look_ahead=True), batch_size=2) as lanes:
        passed = [one for pts in range(5) for one in lanes.take(frame_of("yuv420p", 96, 64, pts))] + lanes.take(None)
    assert [isinstance(one, Solution) and one.look.surface is not None for one in passed] == [True] * 5


class Refusing(Gpu):
    """A GPU that is out of memory."""

    def upload(self, plane: Any) -> Any:
        raise torch.OutOfMemoryError("out of memory\nwith a stack trace")


def test_where_the_gpu_fails_the_cpu_continues_and_the_reason_is_given_once(caplog: pytest.LogCaptureFixture) -> None:
    frame = frame_of("nv12", 151, 83)
    frame_format = FrameFormat.of(frame, 64)
    gpu = Refusing("cpu")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            small, surface = gpu.shrink(frame, frame_format)
            assert surface is None
            np.testing.assert_array_equal(small, affine.shrink_components(frame, frame_format))
    (record,) = caplog.records
    assert record.getMessage().endswith("for cpu cannot: out of memory")


def test_a_frame_that_was_taken_before_the_gpu_failed_is_still_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = frame_of("yuv420p", 151, 83)
    frame_format = FrameFormat.of(frame, 64)
    small, surface = Gpu("cpu").shrink(frame, frame_format)
    assert surface is not None

    def fail(*arguments: Any) -> Any:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(Surface, "_changed", fail)
    maps = AffineMaps(np.full_like(small, 0.5), np.zeros_like(small))
    wanted = affine.apply(frame, frame_format, maps, 1.0)
    assert all(np.array_equal(a, b) for a, b in zip(samples(surface.apply(maps, 1.0)), samples(wanted), strict=True))
