"""What fit and apply cost by themselves: with the truth as the network, the full-size picture must be nearly exact."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from shared import shared
from streamdehaze.dehaze import affine
from streamdehaze.dehaze.format import FrameFormat
from streamdehaze.fidelity import psnr
from streamdehaze.frame import Frame, PixelFormat

Picture = npt.NDArray[np.uint8]


def scenes() -> Iterator[tuple[Picture, Picture]]:
    folder = shared("data/sots-indoor-dev")
    for path in sorted((folder / "hazy").glob("*.png"))[::5]:
        clear = folder / "clear" / f"{path.stem.split('_')[0]}.png"
        yield read(path), read(clear)


def read(path: Path) -> Picture:
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.ascontiguousarray(picture[..., ::-1])


def to_yuv420p(rgb: Picture) -> Frame:
    picture = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format="yuv420p", interpolation="AREA")
    planes = tuple(np.frombuffer(p, np.uint8).reshape(p.height, p.line_size).copy() for p in picture.planes)
    return Frame(planes, picture.width, picture.height, PixelFormat.parse("yuv420p"))


def from_yuv420p(frame: Frame) -> Picture:
    picture = av.VideoFrame(frame.width, frame.height, "yuv420p")
    for target, plane in zip(picture.planes, frame.planes, strict=True):
        view = np.frombuffer(target, np.uint8).reshape(target.height, target.line_size)
        width = min(target.line_size, plane.shape[1])
        view[:, :width] = plane[:, :width]
    return picture.reformat(format="rgb24", interpolation="BILINEAR").to_ndarray()


def dehaze_with_truth(hazy: Frame, clear: Frame) -> Frame:
    frame_format = FrameFormat.of(clear, 256)
    small_hazy, small_clear = (affine.shrink_components(frame, frame_format) for frame in (hazy, clear))
    maps = affine.fit(small_hazy, small_clear, frame_format.pixel_format.family)
    return affine.apply(hazy, frame_format, maps)


def test_a_perfect_network_reaches_39_db_on_yuv420p_at_256_pixels() -> None:
    scores = [
        psnr(from_yuv420p(dehaze_with_truth(to_yuv420p(hazy), to_yuv420p(clear))), clear) for hazy, clear in scenes()
    ]
    assert np.mean(scores) >= 39  # the round trip through yuv420p alone costs 41.8


def test_a_perfect_network_reaches_43_db_on_rgb_at_256_pixels() -> None:
    scores = [
        psnr(dehaze_with_truth(Frame.from_array(hazy), Frame.from_array(clear)).to_array(), clear)
        for hazy, clear in scenes()
    ]
    assert np.mean(scores) >= 43


def test_dense_fog_is_cleared_although_it_is_nearly_flat() -> None:
    rng = np.random.default_rng(2)
    clear = cv2.GaussianBlur(rng.uniform(0, 1, (144, 256)).astype(np.float32), (0, 0), 3)[None]
    clear = (0.5 + 3 * (clear - clear.mean())).astype(np.float32)
    t = 0.1
    hazy = (clear * t + 0.8 * (1 - t)).astype(np.float32)
    assert hazy.std() < 0.015
    gain = affine.fit(hazy, clear, "gray").gain
    assert np.median(gain) > 0.6 / t


def test_a_network_that_steepens_the_shading_of_fog_does_not_raise_a_codecs_noise() -> None:
    shading = np.broadcast_to(np.linspace(0.6, 0.75, 144, dtype=np.float32)[:, None], (1, 144, 256))
    gain = affine.fit(np.ascontiguousarray(shading), 3 * shading - 1.4, "gray").gain
    assert np.median(gain) < 1.3
