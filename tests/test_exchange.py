"""Frames from and to PyAV's pictures and PyTorch's tensors, and the callback that sees each frame of a run."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from clips import noise_picture
from doubles import CountingSource, ListSink, quick_dehazer
from streamdehaze import Dehazer, Frame, RunOptions, dehaze_video, from_av, from_tensor, to_av, to_tensor
from streamdehaze.errors import StreamDehazeError


@pytest.mark.parametrize("pixel_format", ["yuv420p", "nv12", "yuv422p10le", "rgb24", "gbrp"])
def test_a_pyav_picture_comes_back_with_pixels_time_and_colour(pixel_format: str) -> None:
    picture = noise_picture((50, 34), pixel_format, 1)
    picture.pts, picture.time_base, picture.duration = 7, Fraction(1, 90000), 3
    picture.colorspace, picture.color_range = 1, 2
    frame = from_av(picture)
    assert (frame.pts, frame.time_base, frame.duration) == (7, Fraction(1, 90000), 3)
    assert (frame.color.matrix, frame.color.full_range) == (1, True)
    back = to_av(frame)
    assert (back.format.name, back.pts, back.time_base) == (pixel_format, 7, Fraction(1, 90000))
    np.testing.assert_array_equal(back.to_ndarray(), picture.to_ndarray())
    assert from_av(back).color == frame.color


def test_a_pyav_picture_without_a_time_becomes_a_frame_without_one() -> None:
    assert from_av(noise_picture((16, 16), "rgb24", 1)).pts is None


def test_a_tensor_goes_through_a_dehazer() -> None:
    hazy = torch.randint(0, 256, (3, 34, 50), dtype=torch.uint8)
    with Dehazer(engine=quick_dehazer().engine, strength=0) as dehazer:
        (frame,) = dehazer.process([from_tensor(hazy, pts=3, time_base=Fraction(1, 25))])
    assert (frame.pts, frame.time_base) == (3, Fraction(1, 25))
    assert torch.equal(to_tensor(frame), hazy)


def test_a_tensor_of_floats_keeps_sixteen_bits() -> None:
    hazy = torch.rand(3, 8, 10)
    frame = from_tensor(hazy)
    assert frame.pixel_format.depth == 16
    np.testing.assert_allclose(frame.to_array().transpose(2, 0, 1) / 65535, hazy, atol=1e-5)
    assert from_tensor(torch.rand(1, 8, 10)).pixel_format.family == "gray"


def test_the_tensor_of_a_yuv_frame_is_rgb_by_its_own_matrix() -> None:
    picture = noise_picture((48, 32), "rgb24", 2)
    expected = torch.from_numpy(picture.to_ndarray()).permute(2, 0, 1)
    yuv = picture.reformat(format="yuv444p16le", dst_colorspace=1, dst_color_range=2)
    yuv.colorspace, yuv.color_range = 1, 2
    assert (to_tensor(from_av(yuv)).int() - expected.int()).abs().max() <= 1


@pytest.mark.parametrize(
    "tensor", [torch.zeros(8, 10), torch.zeros(8, 10, 3), torch.zeros(3, 8, 10, dtype=torch.int64)]
)
def test_a_tensor_that_is_not_a_picture_is_refused(tensor: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="must be"):
        from_tensor(tensor)


def test_the_callback_sees_every_pair_in_order_and_may_replace_the_clear_frame() -> None:
    seen: list[tuple[int | None, int | None]] = []

    def marked(hazy: Frame, clear: Frame) -> Frame | None:
        seen.append((hazy.pts, clear.pts))
        assert hazy.planes[0][0, 0] == 2 * hazy.pts / 7 >= clear.planes[0][0, 0]
        return clear.with_planes((clear.planes[0] * 0 + 9,)) if clear.pts == 7 else None

    sink = ListSink()
    with quick_dehazer() as dehazer:
        dehaze_video(CountingSource(6), sink, dehazer=dehazer, run=RunOptions(batch_size=4), on_frame=marked)
    assert seen == [(7 * index, 7 * index) for index in range(6)]
    assert [bool((frame.planes[0] == 9).all()) for frame in sink.frames] == [False, True, False, False, False, False]


def test_a_callback_that_fails_ends_the_run_with_its_error() -> None:
    def fails(hazy: Frame, clear: Frame) -> None:
        raise KeyError("plate")

    with quick_dehazer() as dehazer, pytest.raises(StreamDehazeError, match="KeyError: 'plate'"):
        dehaze_video(CountingSource(3), ListSink(), dehazer=dehazer, on_frame=fails)


def test_a_keyword_wins_over_the_options_and_an_unknown_one_is_a_type_error() -> None:
    with quick_dehazer() as dehazer:
        dehaze_video(CountingSource(4), ListSink(), dehazer=dehazer, run=RunOptions(batch_size=4), batch_size=2)
        assert [shape[0] for shape in dehazer.engine.batches] == [2, 2]  # type: ignore[attr-defined]
        with pytest.raises(TypeError, match="overwite"):
            dehaze_video(CountingSource(4), ListSink(), dehazer=dehazer, overwite=True)  # type: ignore[call-arg]


@pytest.mark.parametrize("picture", [np.zeros((8, 8, 3), np.uint8), torch.zeros(3, 8, 8)], ids=["array", "tensor"])
def test_pictures_that_are_no_frames_are_refused_with_what_makes_one(picture: Any) -> None:
    with quick_dehazer() as dehazer, pytest.raises(TypeError, match=r"make one by Frame\.from_array or from_tensor"):
        dehazer.process([picture])


def test_a_network_is_no_engine() -> None:
    network: Any = torch.nn.Identity()
    with pytest.raises(TypeError, match=r"not Identity; examples/own_network\.py wraps a network"):
        Dehazer(engine=network)
