"""One path for a frame: many streams in one batch, of files or cameras, get the same bits as each one alone."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from clips import Clip
from doubles import nervous_engine, plain_dehazer, quick_dehazer
from slow_film import slow_film
from streamdehaze import open_source
from streamdehaze.dehaze import Stream
from streamdehaze.dehaze.exact import component_samples
from streamdehaze.dehaze.settings import SettingsKeywords
from streamdehaze.errors import ConfigError
from streamdehaze.frame import Frame
from streamdehaze.live import CameraConfig, LivePipeline
from streamdehaze.live.dehazing import adapt
from waiting import wait_until

SETTINGS: dict[str, SettingsKeywords] = {
    "each for itself": {},
    "half": {"strength": 0.5},
    "untouched": {"strength": 0},
    "exact": {"exact": True},
    "steady": {"steady": "low"},
    "every 3rd": {"every": 3},
    "small": {"network_size": 64, "steady": "high"},
    "ahead": {"steady": "low", "every": 2, "look_ahead": True},
}


def film(seed: int, frames: int = 12, width: int = 160, height: int = 96) -> list[Frame]:
    """A camera that pans over a soft texture at 25 frames a second."""
    wall = cv2.GaussianBlur(np.random.default_rng(seed).random((height, width + 60, 3), np.float32), (0, 0), 3)
    wall = cv2.normalize(wall, None, 40, 220, cv2.NORM_MINMAX).astype(np.uint8)  # type: ignore[call-overload]
    return [
        Frame.from_array(wall[:, 2 * index : 2 * index + width], pts=index, time_base=Fraction(1, 25))
        for index in range(frames)
    ]


def same(a: list[Frame], b: list[Frame]) -> bool:
    """Whether two videos have the same samples; row padding is not compared."""
    return len(a) == len(b) and all(
        np.array_equal(component_samples(x, index), component_samples(y, index))
        for x, y in zip(a, b, strict=True)
        for index in range(len(x.pixel_format.components))
    )


def alone(frames: list[Frame], settings: SettingsKeywords) -> list[Frame]:
    """Like a file, one frame at a time."""
    dehazer = plain_dehazer(engine=nervous_engine(), **settings)
    return [clear for frame in frames for clear in dehazer.process([frame])] + dehazer.flush()


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_streams_that_share_batches_get_the_bits_each_gets_alone(batch: int) -> None:
    """All kinds of settings at once, two frames of each stream in a row."""
    dehazer = plain_dehazer(engine=nervous_engine())
    streams = {name: dehazer.stream(**settings) for name, settings in SETTINGS.items()}
    films = {name: film(seed) for seed, name in enumerate(SETTINGS)}
    pairs = [(name, films[name][start + i]) for start in range(0, 12, 2) for name in SETTINGS for i in (0, 1)]
    found: dict[str, list[Frame]] = {name: [] for name in SETTINGS}
    for start in range(0, len(pairs), batch):
        some = pairs[start : start + batch]
        for (name, _), clear in zip(some, dehazer.process_many([(streams[n], f) for n, f in some]), strict=True):
            found[name] += clear
    for name, stream in streams.items():
        assert same(found[name] + dehazer.flush(stream), alone(films[name], SETTINGS[name])), name


def test_pictures_of_one_shape_share_a_run_and_whole_frames_go_one_by_one() -> None:
    engine = nervous_engine()
    dehazer = plain_dehazer(engine=engine)
    kinds: list[SettingsKeywords] = [
        {},
        {"network_size": 64},
        {"strength": 0},
        {},
        {"exact": True},
        {"exact": True},
        {},
    ]
    frame = film(0, 1)[0]
    assert all(len(clear) == 1 for clear in dehazer.process_many([(Stream(**kind), frame) for kind in kinds]))
    assert sorted(engine.batches) == [(1, 3, 40, 64), (1, 3, 96, 160), (1, 3, 96, 160), (3, 3, 96, 160)]
    assert dehazer.network_seconds > 0


@pytest.mark.parametrize("settings", [{"steady": "low"}, {"every": 3}, {"steady": "low", "every": 2}])
def test_a_file_and_a_live_camera_get_the_same_bits(
    tmp_path: Path, settings: SettingsKeywords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two cameras play two files through a `LivePipeline`; each frame is what `Dehazer.process` makes of the file."""
    sizes = {"gate": (160, 120), "yard": (96, 64)}
    paths = {name: slow_film(tmp_path / f"{name}.mp4", 20, size) for name, size in sizes.items()}
    expected = {}
    for name, path in paths.items():
        with plain_dehazer(engine=nervous_engine(), **settings) as dehazer:
            source = open_source(path)
            expected[name] = [clear for frame in source for clear in dehazer.process([frame])]
            source.close()
    every = settings.get("every", 1)
    assert every != "auto"
    monkeypatch.setattr(adapt, "levels", lambda network_size: (adapt.QualityStep(every, network_size),))
    found: dict[str, list[Frame]] = {name: [] for name in paths}
    configs = [
        CameraConfig(
            name=name, url=str(path), airlight="keep", brightness="natural", steady=settings.get("steady", "off")
        )
        for name, path in paths.items()
    ]
    with LivePipeline(
        configs,
        dehazer=plain_dehazer(engine=nervous_engine()),
        on_frame=lambda camera, hazy, clear: found[camera.name].append(clear),
    ) as pipeline:
        wait_until(lambda: pipeline.ended and all(len(clear) == 20 for clear in found.values()), "all frames")
    assert pipeline.error is None
    assert all(same(found[name], expected[name]) for name in paths)


def test_a_live_camera_runs_the_network_on_whole_frames(tmp_path: Path) -> None:
    path = Clip(size=(320, 200), pts=tuple(512 * n for n in range(5))).write(tmp_path / "gate.mp4")
    with plain_dehazer(engine=nervous_engine(), exact=True) as dehazer:
        source = open_source(path)
        expected = dehazer.process(list(source))
        source.close()
    found: list[Frame] = []
    config = CameraConfig(name="gate", url=str(path), airlight="keep", brightness="natural", exact=True)
    assert config.steady == "off"
    with LivePipeline(
        [config],
        dehazer=plain_dehazer(engine=nervous_engine()),
        on_frame=lambda camera, hazy, clear: found.append(clear),
    ) as pipeline:
        wait_until(lambda: pipeline.ended and len(found) == 5, "all frames")
        assert pipeline.cameras["gate"].status().adapt_text == "network on every whole frame"
    assert same(found, expected)


def test_settings_change_from_the_next_frame_and_held_frames_keep_theirs() -> None:
    frames = film(3)
    dehazer = plain_dehazer(engine=nervous_engine())
    stream = dehazer.stream(steady="low", look_ahead=True)
    assert [list(dehazer.process_many([(stream, frame)])) for frame in frames[:6]] == [[[]]] * 6
    stream.strength = 0
    (clear,) = dehazer.process_many([(stream, frames[6])])
    assert [frame.pts for frame in clear] == list(range(7)), "frames held back come first"
    assert clear[6] is frames[6]
    assert same(clear[:6], alone(frames[:6], {"steady": "low", "look_ahead": True}))
    stream.strength = 1
    assert list(dehazer.process_many([(stream, frames[7])])) == [[]]
    assert same(stream.flush(), alone([frames[7]], {})), "a new scene begins after what passed through"


def test_a_smaller_network_and_fewer_runs_take_effect_at_once() -> None:
    frames, engine = film(4), nervous_engine()
    dehazer = plain_dehazer(engine=engine)
    stream = dehazer.stream(steady="low")
    for index, frame in enumerate(frames):
        if index == 6:
            stream.network_size, stream.every = 64, 3
        assert len(next(dehazer.process_many([(stream, frame)]))) == 1
    assert engine.batches == [(1, 3, 96, 160)] * 6 + [(1, 3, 40, 64)] * 2


@pytest.mark.parametrize(
    ("settings", "measured"), [({"steady": "low"}, 3), ({"steady": "low", "mode": "auto"}, 12), ({}, 12)]
)
def test_a_video_is_measured_five_times_a_second_unless_its_strength_depends_on_it(
    settings: SettingsKeywords, measured: int
) -> None:
    dehazer = plain_dehazer(engine=nervous_engine())
    stream, readings = dehazer.stream(**settings), []
    for frame in film(6):
        list(dehazer.process_many([(stream, frame)]))
        readings.append(stream.reading)
    assert None not in readings
    assert len({id(reading) for reading in readings}) == measured


def test_a_wrong_setting_is_reported_by_the_next_look() -> None:
    stream, frame = Stream(), film(5, 1)[0]
    stream.every = 0
    with pytest.raises(ConfigError, match="every must be 'auto' or at least 1, not 0"):
        stream.look(frame)
    stream.every, stream.exact = 2, True
    with pytest.raises(ConfigError, match="exact works frame by frame"):
        stream.look(frame)
    dehazer = plain_dehazer(engine=nervous_engine())
    with pytest.raises(ConfigError, match=r"strength must lie between 0 and 1\.5, not 2"):
        dehazer.strength = 2
    assert dehazer.strength == 1


def test_a_barred_film_continues_with_the_mask_it_had() -> None:
    """The edge of a bar is found in the frame in which it appears; dark parts next to it in later ones are scene."""
    frames = []
    for index in range(6):
        picture = np.full((120, 160, 3), 150 - index, np.uint8)
        picture[:, ::7] += 20
        picture[:21] = picture[99:] = 2
        if index >= 3:
            picture[21:23, 40:90] = 4  # something dark moves along the bar
        frames.append(Frame.from_array(picture, pts=index, time_base=Fraction(1, 25)))

    def cleared(stream: Stream, part: list[Frame]) -> list[bytes]:
        with quick_dehazer() as dehazer:
            answers = [clear for one in dehazer.process_many([(stream, frame) for frame in part]) for clear in one]
        return [clear.planes[0].tobytes() for clear in answers + stream.flush()]

    settings: SettingsKeywords = {"steady": "low", "network_size": 64}
    whole = Stream(**settings)
    expected = cleared(whole, frames)
    first, second = Stream(**settings), Stream(**settings)
    begun = cleared(first, frames[:3])
    state = first.state_dict()
    assert state["keep"].any()
    second.load_state_dict(state)
    assert begun + cleared(second, frames[3:]) == expected
    forgetful = Stream(**settings)
    forgetful.load_state_dict({**state, "keep": np.zeros((0, 0), np.uint8)})
    assert begun + cleared(forgetful, frames[3:]) != expected
