"""What smoothing over time promises: still parts stay still, changes are followed at once, batches change nothing."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from doubles import EngineDouble, engine_of, nervous_engine, plain_dehazer, unveiled
from streamdehaze.cli import main
from streamdehaze.errors import ConfigError
from streamdehaze.evaluation import SteadinessMeter
from streamdehaze.fidelity import psnr
from streamdehaze.frame import FloatArray, Frame
from streamdehaze.scene import Fog, StreetScene

Bytes = npt.NDArray[np.uint8]
WIDTH, HEIGHT = 256, 144
FOG = Fog(visibility_metres=70)


def street(seed: int) -> FloatArray:
    """A foggy street, (H, W, 3) in [0, 1]."""
    view = StreetScene(WIDTH, HEIGHT, frames=2, seed=seed).render(0)
    return FOG.apply(view.clear, view.depth_metres)


@pytest.fixture(scope="module")
def streets() -> tuple[FloatArray, FloatArray]:
    return street(1), street(2)


def film(pictures: list[FloatArray], noise: float = 0.004) -> list[Frame]:
    """Pictures as frames of a slightly noisy camera at 25 frames a second."""
    rng = np.random.default_rng(0)
    frames = []
    for index, picture in enumerate(pictures):
        noisy = np.clip(picture + noise * rng.standard_normal(picture.shape, np.float32), 0, 1)
        frames.append(Frame.from_array((noisy * 255 + 0.5).astype(np.uint8), pts=index, time_base=Fraction(1, 25)))
    return frames


def with_box(picture: FloatArray, left: int) -> FloatArray:
    """The street with a dark lorry passing by."""
    picture = picture.copy()
    picture[60:120, max(left, 0) : max(left + 70, 0)] = (0.25, 0.2, 0.2)
    return picture


def clear(frames: list[Frame], steady: str = "off", nerves: float = 0.03, **options: object) -> list[Bytes]:
    dehazer = plain_dehazer(engine=nervous_engine(nerves), steady=steady, **options)  # type: ignore[arg-type]
    return [dehazer.process([frame])[0].to_array() for frame in frames]


def ideal(frames: list[Frame]) -> list[Bytes]:
    """What a network without flicker makes of each frame."""
    dehazer = plain_dehazer(engine=nervous_engine(0))
    return [frame.to_array() for frame in dehazer.process(frames)]


def error(a: Bytes, b: Bytes) -> float:
    return float(np.abs(a.astype(np.float32) - b).mean())


@pytest.mark.parametrize("steady", ["low", "high"])
def test_what_stands_still_neither_flickers_nor_pumps(streets: tuple[FloatArray, FloatArray], steady: str) -> None:
    frames = film([streets[0]] * 40, noise=0.002)
    nervous, calm = clear(frames), clear(frames, steady)
    flicker = [np.mean([error(v[i], v[i - 1]) for i in range(8, 40)]) for v in (calm, nervous, ideal(frames))]
    assert flicker[0] - flicker[2] < 0.25 * (flicker[1] - flicker[2])
    wobble = [np.mean(np.abs(np.diff([picture.mean() for picture in v[8:]]))) for v in (calm, nervous)]
    assert wobble[0] < 0.3 * wobble[1]
    true = ideal(frames)
    assert np.mean([psnr(a, b) for a, b in zip(calm, true, strict=True)]) > np.mean(
        [psnr(a, b) for a, b in zip(nervous, true, strict=True)]
    )


def test_after_a_second_almost_nothing_is_added_from_frame_to_frame(streets: tuple[FloatArray, FloatArray]) -> None:
    frames = film([streets[0]] * 60, noise=0.001)
    videos = clear(frames, "low"), clear(frames), ideal(frames)
    calm, nervous, least = (np.mean([error(v[i], v[i - 1]) for i in range(25, 60)]) for v in videos)
    assert calm - least < 0.01 * (nervous - least)


def test_the_second_frame_of_a_scene_does_not_jump(streets: tuple[FloatArray, FloatArray]) -> None:
    frames = film([streets[0]] * 2)
    (first, second), (alone, after) = clear(frames, "low"), clear(frames)
    assert 0 < error(first, second) < 0.35 * error(alone, after)


def test_a_cut_is_followed_at_once(streets: tuple[FloatArray, FloatArray]) -> None:
    frames = film([streets[0]] * 10 + [streets[1]] * 3)
    nervous, calm = clear(frames), clear(frames, "high")
    assert np.array_equal(calm[10], nervous[10])
    assert not np.array_equal(calm[9], nervous[9])


def test_a_fade_does_not_lag(streets: tuple[FloatArray, FloatArray]) -> None:
    dark = [streets[0] * level for level in np.linspace(1, 0.1, 12, dtype=np.float32)]
    frames = film([streets[0]] * 8 + dark + dark[::-1])
    calm, true = clear(frames, "high", nerves=0), ideal(frames)
    assert max(error(a, b) for a, b in zip(calm, true, strict=True)) < 1


def test_after_a_flash_the_video_is_as_steady_as_before(streets: tuple[FloatArray, FloatArray]) -> None:
    flash = np.clip(streets[0] * 0.3 + 0.7, 0, 1)
    frames = film([streets[0]] * 20 + [flash] + [streets[0]] * 5, noise=0.002)
    nervous, calm = clear(frames), clear(frames, "low")
    assert np.array_equal(calm[20], nervous[20])
    assert error(calm[21], calm[19]) < 0.5 * error(nervous[21], nervous[19])


def test_a_passing_object_leaves_no_ghost(streets: tuple[FloatArray, FloatArray]) -> None:
    frames = film([streets[0]] * 10 + [with_box(streets[0], left) for left in range(-60, 260, 10)])
    calm, true = clear(frames, "high", nerves=0), ideal(frames)
    for index in range(16, 40):
        left = 10 * (index - 10) - 60
        uncovered = (slice(62, 118), slice(max(left - 30, 0), max(left - 4, 1)))
        covered = (slice(62, 118), slice(max(left + 4, 0), max(left + 66, 1)))
        assert error(calm[index][uncovered], true[index][uncovered]) < 2.5
        assert error(calm[index][covered], true[index][covered]) < 2.5


@pytest.mark.parametrize("every", [1, 4])
def test_what_was_covered_comes_back_as_it_was(streets: tuple[FloatArray, FloatArray], every: int) -> None:
    covered = [with_box(streets[0], 80)] * 3
    frames = film([streets[0]] * 17 + covered + [streets[0]] * 2 + covered + [streets[0]] * 2, noise=0.002)
    nervous, calm = clear(frames), clear(frames, "low", every=every)
    box = (slice(60, 120), slice(80, 150))
    for back in (20, 21, 25, 26):
        assert error(calm[back][box], calm[16][box]) < 0.4 * error(nervous[back][box], nervous[16][box])


def test_batches_give_what_one_by_one_gives(streets: tuple[FloatArray, FloatArray]) -> None:
    pictures = [streets[0]] * 4 + [with_box(streets[0], left) for left in range(0, 60, 12)] + [streets[1]] * 4
    frames = film(pictures)
    one_by_one = clear(frames, "low", every=2)
    for size in (2, 3, len(frames)):
        dehazer = plain_dehazer(engine=nervous_engine(), steady="low", every=2)
        batches = [dehazer.process(frames[start : start + size]) for start in range(0, len(frames), size)]
        together = [frame.to_array() for batch in batches for frame in batch]
        assert all(np.array_equal(a, b) for a, b in zip(one_by_one, together, strict=True))


@pytest.mark.parametrize("every", [1, 3, "auto"])
def test_a_saved_state_continues_bit_for_bit(streets: tuple[FloatArray, FloatArray], every: int) -> None:
    pictures = [with_box(streets[0], left) for left in range(0, 120, 12)]
    frames = film([streets[0]] * 5 + [streets[1]] * 2 + pictures)
    whole = clear(frames, "low", every=every)
    for cut in (1, 6, 9):
        first = plain_dehazer(engine=nervous_engine(), steady="low", every=every)  # type: ignore[arg-type]
        first.process(frames[:cut])
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **first.state_dict())
        file.seek(0)
        second = plain_dehazer(engine=nervous_engine(), steady="low", every=every)  # type: ignore[arg-type]
        with np.load(file, allow_pickle=False) as state:
            second.load_state_dict(dict(state))
        rest = second.process(frames[cut:])
        assert all(np.array_equal(a, frame.to_array()) for a, frame in zip(whole[cut:], rest, strict=True))


def test_what_is_not_a_state_is_refused() -> None:
    with pytest.raises(ConfigError, match="no state of smoothing over time"):
        plain_dehazer(engine=nervous_engine(), steady="low").load_state_dict({"key": np.zeros(3, np.uint8)})


def test_a_seek_starts_over(streets: tuple[FloatArray, FloatArray]) -> None:
    frames = film([streets[0]] * 12)
    dehazer = plain_dehazer(engine=nervous_engine(), steady="low")
    dehazer.process(frames[:8])
    back = dehazer.process([frames[3]])[0].to_array()
    assert np.array_equal(back, clear([frames[3]])[0])
    dehazer.reset()
    again = dehazer.process([frames[9]])[0].to_array()
    assert np.array_equal(again, clear([frames[9]])[0])


@pytest.mark.parametrize("every", [2, 4])
def test_the_network_runs_every_kth_frame_and_is_exact_there(
    streets: tuple[FloatArray, FloatArray], every: int
) -> None:
    frames = film([with_box(streets[0], left) for left in range(0, 108, 12)])
    engine = nervous_engine()
    result = [frame.to_array() for frame in plain_dehazer(engine=engine, every=every).process(frames)]
    assert engine.pictures == -(-len(frames) // every)
    nervous = clear(frames)
    for index in range(0, len(frames), every):
        assert np.array_equal(result[index], nervous[index])
    assert not np.array_equal(result[1], nervous[1])


def test_auto_runs_the_network_when_something_happens(streets: tuple[FloatArray, FloatArray]) -> None:
    engine = nervous_engine()
    dehazer = plain_dehazer(engine=engine, every="auto")
    dehazer.process(film([streets[0]] * 25))
    still = engine.pictures
    dehazer.reset()
    dehazer.process(film([with_box(streets[0], 30 * index % 240 - 40) for index in range(25)]))
    assert still <= 5 < engine.pictures - still
    passed = engine.pictures
    dehazer.reset()
    dehazer.process(film([with_box(streets[0], 12 * index - 70) for index in range(25)]))
    assert engine.pictures - passed > still, "an object that passes slowly, with the camera at rest"


def test_auto_runs_the_network_more_often_the_faster_the_camera_moves() -> None:
    shares = []
    for rate in (25, 8):
        views = StreetScene(WIDTH, HEIGHT, frames=24, seed=1, frame_rate=rate)
        engine = nervous_engine()
        plain_dehazer(engine=engine, every="auto").process(
            film([FOG.apply(view.clear, view.depth_metres) for view in views])
        )
        shares.append(engine.pictures / 24)
    assert 0.25 < shares[0] < 0.7 < 0.9 < shares[1]


def test_the_place_where_held_frames_leave_is_not_visible_with_few_network_runs() -> None:
    views = list(StreetScene(WIDTH, HEIGHT, frames=60, seed=1))
    frames = film([FOG.apply(view.clear, view.depth_metres) for view in views])
    true = [frame.to_array() for frame in plain_dehazer(engine=shortsighted_engine(0)).process(frames)]
    worst = []
    for every in (1, "auto"):
        meter = SteadinessMeter()
        for picture, truth in zip(ahead(frames, shortsighted_engine(), steady="low", every=every), true, strict=True):
            meter.add(picture, truth)
        assert meter.steadiness is not None
        worst.append(meter.steadiness.worst_warped_ratio)
    assert worst[1] < 1.1 * worst[0]


def ahead(
    frames: list[Frame], engine: EngineDouble, batch: int = 1, ends: bool = True, **options: object
) -> list[Bytes]:
    """The frames cleared with look-ahead, in batches; a film that ends has an answer for its last frame."""
    dehazer = plain_dehazer(engine=engine, look_ahead=True, **options)  # type: ignore[arg-type]
    found = [f for start in range(0, len(frames), batch) for f in dehazer.process(frames[start : start + batch])]
    found += dehazer.flush() if ends else dehazer.video.flush()
    assert [frame.pts for frame in found] == [frame.pts for frame in frames]
    return [frame.to_array() for frame in found]


def truthful_engine(truths: list[FloatArray]) -> EngineDouble:
    """A "network" that knows the truth of the frames it will be shown, except for some flicker."""
    coming = iter(truths)

    def clear(picture: FloatArray) -> FloatArray:
        error = unveiled(picture, 0.03) - unveiled(picture, 0)
        answer: FloatArray = np.clip(next(coming).transpose(2, 0, 1) + error, 0, 1)
        return answer

    return engine_of(clear)


def shortsighted_engine(nerves: float = 0.03) -> EngineDouble:
    """A "network" that leaves more of a veil the less it sees, and flickers."""

    def clear(picture: FloatArray) -> FloatArray:
        seen = cv2.blur(picture.std(axis=0) + np.abs(cv2.Laplacian(picture.mean(axis=0), -1)), (31, 31)) * 8
        answer: FloatArray = unveiled(picture, nerves) + 0.3 * np.clip(0.5 - seen, 0, 1)
        return np.clip(answer, 0, 1)

    return engine_of(clear)


def test_on_a_drive_a_live_stream_is_steady_and_does_not_lag() -> None:
    views = list(StreetScene(WIDTH, HEIGHT, frames=60, seed=1))
    frames = film([FOG.apply(view.clear, view.depth_metres) for view in views])
    true = [frame.to_array() for frame in plain_dehazer(engine=shortsighted_engine(0)).process(frames)]
    videos = []
    for steady in ("off", "low"):
        dehazer = plain_dehazer(engine=shortsighted_engine(), steady=steady)  # type: ignore[arg-type]
        videos.append([dehazer.process([frame])[0].to_array() for frame in frames])
    excess, quality = [], []
    for video in videos:
        meter = SteadinessMeter()
        for picture, truth in zip(video, true, strict=True):
            meter.add(picture, truth)
        assert meter.steadiness is not None
        excess.append(meter.steadiness.warped_error / meter.steadiness.warped_error_of_truth - 1)
        quality.append(np.mean([psnr(a, b) for a, b in zip(video, true, strict=True)]))
    assert excess[1] < 0.15 * excess[0]
    assert quality[1] > quality[0] + 1


@pytest.mark.parametrize("every", [1, 4])
def test_looking_ahead_is_steadier_on_a_drive_and_as_near_to_the_truth(every: int) -> None:
    views = list(StreetScene(WIDTH, HEIGHT, frames=40, seed=1))
    frames = film([FOG.apply(view.clear, view.depth_metres) for view in views])
    true = [(view.clear * 255 + 0.5).astype(np.uint8) for view in views]
    shown = [view.clear for view in views][::every]
    dehazer = plain_dehazer(engine=truthful_engine(shown), steady="low", every=every)
    behind = [dehazer.process([frame])[0].to_array() for frame in frames]
    redone = ahead(frames, truthful_engine([*shown, views[-1].clear]), steady="low", every=every)  # the last one, too
    errors = []
    for video in (behind, redone):
        meter = SteadinessMeter()
        for picture, truth in zip(video, true, strict=True):
            meter.add(picture, truth)
        assert meter.steadiness is not None
        errors.append(meter.steadiness.warped_error - meter.steadiness.warped_error_of_truth)
    assert errors[1] < 0.6 * errors[0]
    quality = [np.mean([psnr(a, b) for a, b in zip(v, true, strict=True)]) for v in (behind, redone)]
    assert quality[1] > quality[0]


def test_between_keyframes_maps_are_blended_from_both_sides_and_exact_at_them(
    streets: tuple[FloatArray, FloatArray],
) -> None:
    frames = film([streets[0]] * 13, noise=0)
    levels = iter(np.linspace(0, 0.12, 4))
    brighter = engine_of(lambda picture: np.clip(picture * 0.5 + np.float32(next(levels)), 0, 1))
    found = ahead(frames, brighter, every=4, batch=20)
    means = np.array([picture.mean() for picture in found])
    assert np.abs(means - np.linspace(means[0], means[12], 13)).max() < 0.3
    assert means[12] - means[0] > 25
    moving = film([with_box(streets[0], left) for left in range(0, 117, 9)])
    nervous, blended = clear(moving), ahead(moving, nervous_engine(), every=4)
    for index in range(0, 13, 4):
        assert np.array_equal(blended[index], nervous[index])


def test_where_held_frames_leave_is_not_seen_at_rest(streets: tuple[FloatArray, FloatArray]) -> None:
    frames = film([streets[0]] * 80, noise=0.001)
    calm = ahead(frames, nervous_engine(), steady="low")
    changes = np.array([error(calm[index], calm[index - 1]) for index in range(1, 80)])
    left = changes[[24, 49]]  # 25 frames leave at once
    assert left.max() < 1.5 * np.median(changes)


def test_the_last_frame_of_a_film_has_an_answer_of_its_own(streets: tuple[FloatArray, FloatArray]) -> None:
    frames = film([with_box(streets[0], left) for left in range(0, 108, 9)], noise=0)
    engine = nervous_engine(0)
    found = ahead(frames, engine, every=9)
    assert engine.pictures == 3, "the first, the tenth and the last"
    assert np.array_equal(found[-1], clear(frames, nerves=0)[-1])


@pytest.mark.parametrize(("steady", "every"), [("low", 1), ("off", 3), ("high", 3), ("low", "auto")])
def test_looking_ahead_neither_crosses_a_cut_nor_hangs_on_batches(
    streets: tuple[FloatArray, FloatArray], steady: str, every: int | str
) -> None:
    pictures = [streets[0]] * 38 + [with_box(streets[0], left) for left in range(0, 60, 12)] + [streets[1]] * 2
    frames = film(pictures)
    options: dict[str, Any] = {"steady": steady, "every": every}
    found = ahead(frames, nervous_engine(), **options)
    for batch in (5, len(frames)):
        assert all(map(np.array_equal, found, ahead(frames, nervous_engine(), batch, **options)))
    before = ahead(frames[:43], nervous_engine(), ends=False, **options)
    assert all(map(np.array_equal, found[21:43], before[21:]))
    after = ahead(frames[43:], nervous_engine(0.03), **options)
    assert np.mean([error(a, b) for a, b in zip(found[43:], after, strict=True)]) < 0.5


def test_looking_ahead_leaves_no_ghost_either(streets: tuple[FloatArray, FloatArray]) -> None:
    frames = film([streets[0]] * 10 + [with_box(streets[0], left) for left in range(-60, 260, 10)])
    true = ideal(frames)
    for every, most in ((1, 2.5), (3, 6.0)):
        calm = ahead(frames, nervous_engine(0), steady="high", every=every)
        for index in range(16, 40):
            left = 10 * (index - 10) - 60
            uncovered = (slice(62, 118), slice(max(left - 30, 0), max(left - 4, 1)))
            assert error(calm[index][uncovered], true[index][uncovered]) < most


@pytest.mark.parametrize("look_ahead", [False, True])
def test_a_film_with_everything_in_it_never_strays_from_the_truth(
    streets: tuple[FloatArray, FloatArray], look_ahead: bool
) -> None:
    fade = [streets[0] * level for level in np.linspace(1, 0.2, 10, dtype=np.float32)]
    flash = np.clip(streets[0] * 0.3 + 0.7, 0, 1)
    passing = [with_box(streets[0], left) for left in range(-60, 260, 16)]
    pictures = [streets[0]] * 8 + [flash] + [streets[0]] * 4 + passing + [streets[0]] * 3 + fade + [streets[1]] * 6
    frames = film(pictures)
    true, nervous = ideal(frames), clear(frames)
    calm = ahead(frames, nervous_engine(), steady="low") if look_ahead else clear(frames, "low")
    quality = [[psnr(a, b) for a, b in zip(video, true, strict=True)] for video in (calm, nervous)]
    assert np.mean(quality[0]) > np.mean(quality[1]) + 1
    cut = len(pictures) - 6
    for first in (0, 8, cut):  # of the film, the flash, the scene after the cut
        assert quality[0][first] > quality[1][first] - 0.2
    assert min(quality[0]) >= min(quality[1])  # the flash, which is answered alone in both


def test_held_frames_are_bounded_and_dropped_by_reset(streets: tuple[FloatArray, FloatArray]) -> None:
    frames = film([streets[0]] * 70)
    dehazer = plain_dehazer(engine=nervous_engine(0), steady="low", look_ahead=True)
    given = 0
    for index, frame in enumerate(frames):
        given += len(dehazer.process([frame]))
        assert index + 1 - given <= 48
    dehazer.reset()
    assert dehazer.flush() == []
    assert np.array_equal(dehazer(frames[0].to_array()), clear(frames[:1], nerves=0)[0])


def test_strength_zero_returns_every_bit_however_steady(streets: tuple[FloatArray, FloatArray]) -> None:
    frames = film([streets[0]] * 3)
    result = plain_dehazer(engine=nervous_engine(), strength=0, steady="high").process(frames)
    assert all(np.array_equal(a.to_array(), b.to_array()) for a, b in zip(frames, result, strict=True))


def test_another_size_starts_over(streets: tuple[FloatArray, FloatArray]) -> None:
    large = film([streets[0]] * 3)
    small = Frame.from_array(np.ascontiguousarray(large[0].to_array()[:100, :200]), pts=3, time_base=Fraction(1, 25))
    dehazer = plain_dehazer(engine=nervous_engine(), steady="low")
    result = dehazer.process([*large, small])[-1].to_array()
    assert np.array_equal(result, clear([small])[0])


def test_wrong_options_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="steady must be one of off, low, high, not 'much'"):
        plain_dehazer(engine=nervous_engine(), steady="much")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="every must be 'auto' or at least 1, not 0"):
        plain_dehazer(engine=nervous_engine(), every=0)
    with pytest.raises(ConfigError, match="exact works frame by frame"):
        plain_dehazer(engine=nervous_engine(), exact=True, steady="low")
    with pytest.raises(SystemExit) as exit_code:
        main(["run", "--every", "0", str(tmp_path / "a.mp4")])
    assert exit_code.value.code == 2
    assert "neither a number of frames nor auto" in capsys.readouterr().err
