"""Strength by place: a mask and limits by transmission; what is left alone is left alone to the bit."""

from __future__ import annotations

import copy
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from clips import Clip
from doubles import engine_of, plain_dehazer
from streamdehaze import Frame, dehaze_video
from streamdehaze.cli import main
from streamdehaze.control.mask import Mask
from streamdehaze.control.place import Place
from streamdehaze.dehaze.affine import AffineMaps
from streamdehaze.errors import ConfigError
from streamdehaze.frame import FloatArray


def unveil(picture: FloatArray) -> FloatArray:
    return np.clip((picture - 0.3) / 0.7, 0, 1)


def film(frames: int = 4) -> list[Frame]:
    wall = np.random.default_rng(0).integers(90, 250, (144, 256, 3)).astype(np.uint8)
    return [Frame.from_array(wall, pts=index, time_base=Fraction(1, 25)) for index in range(frames)]


@pytest.fixture
def left_half(tmp_path: Path) -> Path:
    """White on the left; at a sixth of the film's size."""
    picture = np.zeros((24, 43), np.uint8)
    picture[:, :21] = 255
    cv2.imwrite(str(tmp_path / "left.png"), picture)
    return tmp_path / "left.png"


@pytest.mark.parametrize("settings", [{}, {"steady": "low", "look_ahead": True}])
def test_black_is_left_alone_to_the_bit_and_white_is_dehazed_as_usual(
    left_half: Path, settings: dict[str, object]
) -> None:
    found = {}
    for name, mask in (("whole", None), ("half", Mask.read(left_half))):
        dehazer = plain_dehazer(engine=engine_of(unveil), mask=mask, **settings)
        found[name] = dehazer.process(film()) + dehazer.flush()
    for hazy, whole, half in zip(film(), found["whole"], found["half"], strict=True):
        before, clear, limited = (frame.to_array() for frame in (hazy, whole, half))
        assert np.array_equal(limited[:, 145:], before[:, 145:])
        assert np.array_equal(limited[:, :105], clear[:, :105])
        assert not np.array_equal(clear[:, 145:], before[:, 145:])


def test_a_grey_mask_halves_the_strength(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((144, 256), 32768, np.uint16))
    half = plain_dehazer(engine=engine_of(unveil), strength=0.5).process(film(1))[0].to_array()
    masked = plain_dehazer(engine=engine_of(unveil), mask=Mask.read(tmp_path / "grey.png")).process(film(1))[0]
    assert np.abs(masked.to_array().astype(int) - half).max() <= 1


def test_near_and_far_are_limits_of_the_light_that_arrives() -> None:
    gain = np.repeat(np.array([1.0, 1.3, 2.0, 8.0], np.float32), 16)[None, None].repeat(32, axis=1)
    maps = AffineMaps(gain, np.full_like(gain, -0.1))
    middle = np.array([8, 24, 40, 56])

    def gains(**limits: float) -> list[float]:
        return [round(float(g), 2) for g in Place(**limits).limit(maps, "gray").gain[0, 16, middle]]  # type: ignore[arg-type]

    assert gains() == [1, 1.3, 2, 8]
    assert gains(near=0.7) == [1, 1, 2, 8]
    assert gains(far=0.2) == [1, 1.3, 2, 1]
    assert gains(near=0.7, far=0.2) == [1, 1, 2, 1]


def moving_mask(path: Path, frames: int, *, rate: int = 25, size: tuple[int, int] = (64, 36)) -> Path:
    """Grey video, white from the left up to a quarter of the width, then half, three quarters, all, and again."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("ffv1", rate=rate)
        video.width, video.height, video.pix_fmt = *size, "gray"
        for index in range(frames):
            picture = np.zeros((size[1], size[0]), np.uint8)
            picture[:, : size[0] * (index % 4 + 1) // 4] = 255
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        output.mux(video.encode())
    return path


def test_a_mask_that_is_video_applies_frame_by_frame(tmp_path: Path) -> None:
    """Even if frames are read again from the start or from the middle."""
    mask = Mask.read(moving_mask(tmp_path / "mask.mkv", 8))
    dehazer = plain_dehazer(engine=engine_of(unveil), mask=mask)
    whole = plain_dehazer(engine=engine_of(unveil)).process(film(8))

    def white_until(frames: list[Frame]) -> list[float]:
        clear = [frame.to_array() for frame in dehazer.process(frames)]
        same = [np.array_equal(part[:, : edge - 9], whole[0].to_array()[:, : edge - 9])
                for part, edge in zip(clear, (64, 128, 192, 264, 64, 128, 192, 264), strict=False)]  # fmt: skip
        assert all(same[: len(frames)])
        hazy = film(1)[0].to_array()
        return [float((np.abs(part.astype(int) - hazy).sum(axis=(0, 2)) > 0).mean()) for part in clear]

    shares = white_until(film(8))
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1, 0.25, 0.5, 0.75, 1], abs=0.06)
    dehazer.reset()
    assert white_until(film(4)) == shares[:4]
    assert dehazer.video.mask is not None
    again = Mask.read(tmp_path / "mask.mkv")
    assert np.array_equal(again.at(6 / 25).weight, mask.at(6 / 25).weight)
    assert again == mask
    for each in (again, mask):
        each.close()


def test_masks_travel_to_other_processes(tmp_path: Path, left_half: Path) -> None:
    for path in (left_half, moving_mask(tmp_path / "mask.mkv", 8)):
        mask = Mask.read(path)
        again = copy.deepcopy(mask)  # also by what pickle uses
        assert again == mask
        assert np.array_equal(again.at(3 / 25).weight, mask.at(3 / 25).weight)
        for each in (again, mask):
            each.close()


def test_a_mask_video_that_does_not_fit_is_refused_with_a_message(tmp_path: Path) -> None:
    clip = Clip(size=(64, 36)).write(tmp_path / "in.mp4")
    for mask, sentence in (
        (moving_mask(tmp_path / "slow.mkv", 24, rate=12), "has 12 frames a second, and the video 25; give it the same"),
        (moving_mask(tmp_path / "tall.mkv", 24, size=(48, 64)), "is 48x64 pixels, another shape than 64x36"),
        (moving_mask(tmp_path / "short.mkv", 10), "'short.mkv' ends at 0.40 seconds, before the video does"),
    ):
        dehazer = plain_dehazer(engine=engine_of(unveil), mask=Mask.read(mask))
        with pytest.raises(ConfigError, match=sentence):
            dehaze_video(clip, tmp_path / "out.mkv", dehazer=dehazer)
        dehazer.close()
        assert not (tmp_path / "out.mkv").exists()


def test_wrong_limits_and_masks_are_reported_in_one_sentence(tmp_path: Path, left_half: Path) -> None:
    with pytest.raises(ConfigError, match=r"near \(0\.2\) must be above far \(0\.5\)"):
        plain_dehazer(near=0.2, far=0.5)
    with pytest.raises(ConfigError, match="leave exact off"):
        plain_dehazer(near=0.9, exact=True)
    dehazer = plain_dehazer(engine=engine_of(unveil), mask=Mask.read(left_half))
    with pytest.raises(ConfigError, match=r"the mask 'left.png' is 43x24 pixels, another shape than 100x100"):
        dehazer.process([Frame.from_array(np.zeros((100, 100, 3), np.uint8))])
    text = tmp_path / "mask.txt"
    text.write_text("white")
    for path, sentence in ((text, "is not a picture or video"), (tmp_path / "none.png", "cannot be read")):
        photo = tmp_path / "photo.png"
        cv2.imwrite(str(photo), film(1)[0].to_array())
        done = CliRunner().invoke(main, ["run", str(photo), "--mask", str(path), "--engine", "torch"])
        assert done.exit_code == 1
        assert sentence in done.output
        assert not (tmp_path / "photo.clear.png").exists()


def test_settings_with_another_mask_differ(left_half: Path) -> None:
    one = plain_dehazer(mask=Mask.read(left_half))
    cv2.imwrite(str(left_half), np.full((24, 43), 255, np.uint8))
    other = plain_dehazer(mask=Mask.read(left_half))
    assert one.settings != other.settings
    assert one.stream().mask is one.video.mask
