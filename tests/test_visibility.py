"""Visibility in metres for a fixed camera: right in drawn fog, and unknown where it cannot be determined."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner, Result
from PIL import ExifTags, Image

from streamdehaze.cli import main
from streamdehaze.errors import ConfigError
from streamdehaze.frame import Frame
from streamdehaze.meter.clear_days import ClearDays
from streamdehaze.meter.distances import distances_of_ground, distances_of_marks, learn_from_meter
from streamdehaze.meter.pictures import taken_at
from streamdehaze.meter.reading import HazeClass
from streamdehaze.meter.visibility import ClearView, Contrast, Reference, Visibility
from streamdehaze.scene import StreetScene

CLEAR_METRES = 1e7


@pytest.fixture(scope="module")
def view() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    scene = StreetScene(640, 360, frames=2, seed=5).render(0)
    return scene.clear, scene.depth_metres


View = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


def through(view: View, metres: float, seed: int = 0, exposure: float = 1.0) -> npt.NDArray[np.uint8]:
    """The view in even fog of this visibility at 5 % contrast, as seen by a noisy sensor."""
    clear, depth = view
    t = np.exp(-3.0 / metres * depth)[..., None]
    hazy = (clear * t + np.float32(0.83) * (1 - t)) * exposure
    noise = 0.005 * np.random.default_rng((seed, int(metres))).standard_normal(hazy.shape)
    return (np.clip(hazy + noise, 0, 1) * 255 + 0.5).astype(np.uint8)


def frame(view: View, metres: float, seed: int = 0, exposure: float = 1.0) -> Frame:
    return Frame.from_array(through(view, metres, seed, exposure))


@pytest.fixture(scope="module")
def reference(view: View) -> Reference:
    clear = ClearView.of([Contrast.of(frame(view, CLEAR_METRES, seed)) for seed in range(4)])
    size = clear.contrast.shape[1], clear.contrast.shape[0]
    mean, square = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (view[1], view[1] ** 2))
    even = (np.sqrt(np.maximum(square - mean * mean, 0)) < 0.05 * mean) & (mean < 600)
    return Reference((clear,), np.where(even, mean, np.nan).astype(np.float32))


@pytest.mark.parametrize("metres", [50, 100, 200, 400, 800, 1600])
def test_drawn_fog_is_measured_within_a_quarter(view: View, reference: Reference, metres: float) -> None:
    found = reference.read(frame(view, metres, seed=9))
    assert found.metres == pytest.approx(metres, rel=0.25)
    assert found.least is not None
    assert found.most is not None
    assert found.least < found.metres < found.most
    assert found.haze_class is HazeClass.of_metres(found.metres)


@pytest.mark.parametrize("cover", ["a fisheye's rim", "letterbox bars"])
def test_covered_parts_of_the_frame_do_not_count(view: View, reference: Reference, cover: str) -> None:
    y, x = np.mgrid[:360, :640]
    covered = np.hypot(y - 179.5, x - 319.5) > 176 if cover == "a fisheye's rim" else np.abs(y - 179.5) > 140

    def covered_frame(metres: float, seed: int) -> Frame:
        return Frame.from_array(np.where(covered[..., None], 0, through(view, metres, seed)).astype(np.uint8))

    clear = ClearView.of([Contrast.of(covered_frame(CLEAR_METRES, seed)) for seed in range(4)])
    round_view = Reference((clear,), reference.distance)
    for metres in (50, 200, 800):
        assert round_view.read(covered_frame(metres, 9)).metres == pytest.approx(metres, rel=0.25)


def test_a_change_of_exposure_is_not_taken_for_fog(view: View, reference: Reference) -> None:
    usual, darker = (reference.read(frame(view, 200, 9, exposure)).metres for exposure in (1.0, 0.6))
    assert darker == pytest.approx(usual, rel=0.1)


def test_beyond_its_range_it_says_at_least(view: View, reference: Reference) -> None:
    found = reference.read(frame(view, 100_000, seed=9))
    assert found.metres is None
    assert str(found).startswith("at least ")
    assert found.least is not None
    assert found.least > 2000


def test_where_nothing_is_visible_it_says_below(reference: Reference) -> None:
    white = np.random.default_rng(0).normal(200, 1.2, (360, 640, 3)).astype(np.uint8)
    found = reference.read(Frame.from_array(white))
    assert found.metres is None
    assert str(found).startswith("below ")
    assert found.haze_class is HazeClass.DENSE_FOG


def test_at_night_and_for_another_view_it_says_unknown(view: View, reference: Reference) -> None:
    assert reference.read(frame(view, CLEAR_METRES, 9, exposure=0.15)).unknown == "too dark"
    clear = through(view, CLEAR_METRES, 9)
    assert (
        reference.read(Frame.from_array(np.ascontiguousarray(clear[::-1]))).unknown == "the camera shows another view"
    )


def lawless(clear: Contrast, metres: float, number: int) -> Contrast:
    """Where contrast does not follow the law of haze, but the square root of visibility."""
    ripple = np.random.default_rng(number).uniform(0.8, 1.25, clear.blocks.shape).astype(np.float32)
    left = np.float32(min(1.0, (metres / 10000) ** 0.5)) * ripple
    assert clear.broad is not None
    return Contrast(clear.blocks * left, clear.noise, clear.airlight, clear.broad * left)


def test_a_camera_learns_from_a_meter_what_the_law_of_haze_misses(view: View, tmp_path: Path) -> None:
    metres = [20000.0, 2400, 1900, 1500, 1200, 900, 700, 500, 400, 300, 20000, 2000, 1000] * 2
    usual = Contrast.of(frame(view, CLEAR_METRES))
    contrasts = [lawless(usual, each, number) for number, each in enumerate(metres)]
    times = [datetime(2026, 11, 1 + number % 4, 9, number) for number in range(len(metres))]
    learn_from_meter(contrasts, times, metres).save(tmp_path / "gate.npz")
    again = Reference.load(tmp_path / "gate.npz")
    assert again.calibration is not None
    new = lawless(usual, 800, 99)
    found = again.judge(new)
    assert found.metres == pytest.approx(800, rel=0.15)
    assert found.least is not None
    assert found.most is not None
    assert found.least < 800 < found.most
    law = replace(again, calibration=None).judge(new).metres
    assert law is not None
    assert abs(np.log(law / 800)) > 2 * abs(np.log(found.metres / 800))
    evening = datetime(2026, 11, 2, 20)
    assert again.judge(new, evening).metres == found.metres, "the meter need not have seen clear air at every hour"
    assert replace(again, calibration=None).judge(new, evening).unknown is not None


def test_where_the_law_of_haze_holds_the_meter_only_gives_distances(view: View) -> None:
    metres = [CLEAR_METRES, *(100 * 1.25**number for number in range(13)), CLEAR_METRES] * 2
    contrasts = [Contrast.of(frame(view, each, 40 + number)) for number, each in enumerate(metres)]
    times = [datetime(2026, 11, 1 + number // 15, 9, number) for number in range(len(metres))]
    assert learn_from_meter(contrasts, times, metres).calibration is None


def test_a_few_pictures_are_too_few_to_learn_metres(view: View) -> None:
    usual = Contrast.of(frame(view, CLEAR_METRES))
    metres = [20000.0, 1900, 900, 400, 20000, 700]
    contrasts = [lawless(usual, each, number) for number, each in enumerate(metres)]
    assert learn_from_meter(contrasts, [None] * len(metres), metres).calibration is None


def lit(view: View, *, from_left: bool) -> View:
    """The view with the sun on one side: except for the sky, the other side is half as bright."""
    shade = np.linspace(1, 0.5, view[1].shape[1], dtype=np.float32)
    shade = np.broadcast_to(shade if from_left else shade[::-1], view[1].shape)
    return view[0] * np.where(view[1] < 1999, shade, 1)[..., None], view[1]


@pytest.fixture(scope="module")
def working_week(view: View) -> list[tuple[Contrast, datetime]]:
    """Five days: fog at 6, clear at 8 with the sun from the right, clear at 18 with the sun from the left."""
    morning, evening = (lit(view, from_left=side) for side in (False, True))
    hours = ((6, morning, 150), (8, morning, CLEAR_METRES), (18, evening, CLEAR_METRES))
    return [
        (Contrast.of(frame(shown, metres, day + hour)), datetime(2026, 11, 1 + day, hour, 20))
        for day in range(5)
        for hour, shown, metres in hours
    ]


def test_each_time_of_day_is_compared_with_its_own_clear_view(
    view: View, reference: Reference, working_week: list[tuple[Contrast, datetime]]
) -> None:
    days = ClearDays(reference.distance)
    assert days.reference() is None
    for contrast, when in working_week:
        days.add(contrast, when)
        assert not days.add(contrast, when + timedelta(minutes=5))
    learned = days.reference()
    assert learned is not None
    assert [each.hour for each in learned.views] == [None, 9, 19]
    evening = frame(lit(view, from_left=True), 400, 99)
    at = datetime(2026, 11, 6, 18, 40)
    found = learned.read(evening, at)
    assert found.metres == pytest.approx(400, rel=0.25)
    assert learned.read(evening, at.replace(hour=13)).unknown == "no clear picture of this time of day is known"
    aged = learned.read(evening, datetime(2026, 12, 17, 18, 40), max_age_days=30)
    assert aged.unknown == "the reference is 42 days old"


def test_what_was_learned_is_kept_and_old_days_are_forgotten(
    reference: Reference, working_week: list[tuple[Contrast, datetime]], tmp_path: Path
) -> None:
    days = ClearDays(reference.distance, days=2.5)
    for contrast, when in working_week:
        days.add(contrast, when)
    days.save(tmp_path / "days.npz")
    learned, again = days.reference(), ClearDays.load(tmp_path / "days.npz").reference()
    assert learned is not None
    assert again is not None
    assert [each.hour for each in learned.views] == [None]  # three days are not enough for more
    learned.save(tmp_path / "camera.npz")
    for kept in (again, Reference.load(tmp_path / "camera.npz")):
        assert kept.views[0].day == date(2026, 11, 5)
        assert np.array_equal(kept.views[0].contrast, learned.views[0].contrast)
        assert np.array_equal(kept.distance, learned.distance, equal_nan=True)
    with pytest.raises(ConfigError, match="does not hold what a camera showed"):
        ClearDays.load(tmp_path / "camera.npz")


@pytest.mark.parametrize("of", [Reference, ClearDays])
def test_a_damaged_file_of_a_camera_is_reported_in_one_sentence(
    of: type[Reference] | type[ClearDays], reference: Reference, tmp_path: Path
) -> None:
    path = tmp_path / "gate.npz"
    (reference if of is Reference else ClearDays(reference.distance)).save(path)
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"PK\x03\x04", whole[whole.index(b"\x93NUMPY") :]):
        path.write_bytes(damaged)
        with pytest.raises(ConfigError, match=r"gate\.npz'"):
            of.load(path)


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("2020-02-01-08-12.jpg", datetime(2020, 2, 1, 8, 12)),
        ("gate_20261128_081530.mp4", datetime(2026, 11, 28, 8, 15, 30)),
        ("gate 2026-11-28 08h15.png", datetime(2026, 11, 28, 8, 15)),
        ("frame-20261399-0000.png", None),
        ("DSC01234567890123.mp4", None),
    ],
)
def test_file_names_say_when_a_picture_was_taken(name: str, when: datetime | None) -> None:
    assert taken_at(name) == when


def test_a_photo_says_when_it_was_taken(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.DateTime] = "2026:11:28 08:15:30"
    Image.new("RGB", (16, 16)).save(tmp_path / "photo.jpg", exif=exif)
    assert taken_at(str(tmp_path / "photo.jpg")) == datetime(2026, 11, 28, 8, 15, 30)
    Image.new("RGB", (16, 16)).save(tmp_path / "bare.jpg")
    assert taken_at(str(tmp_path / "bare.jpg")) is None


def test_a_picture_of_another_shape_is_refused(reference: Reference) -> None:
    with pytest.raises(ConfigError, match="another shape than the camera's reference"):
        reference.read(Frame.from_array(np.zeros((480, 640, 3), np.uint8)))


def test_ground_is_as_far_as_the_line_of_sight_is_flat() -> None:
    """A camera at a height of 8 m that looks at the horizon: 45 degrees below it, the ground is 8·√2 m away."""
    distance = distances_of_ground((200, 300), height_metres=8, horizon=0.5, view_degrees=90)
    assert np.isnan(distance[:100]).all()
    assert distance[-1, 0] == pytest.approx(8 * np.sqrt(2), rel=0.01)
    assert (np.diff(distance[102:, 0]) < 0).all()


def test_marks_have_their_own_distances() -> None:
    distance = distances_of_marks((18, 32), [(0.25, 0.5, 80), (0.75, 0.5, 400)])
    assert distance[9, 8] == 80
    assert distance[9, 24] == 400
    assert np.isnan(distance[0]).all()
    with pytest.raises(ConfigError, match="two marks at different distances"):
        distances_of_marks((18, 32), [(0.25, 0.5, 80)])
    with pytest.raises(ConfigError, match=r"the mark 1\.2,0\.5,80 must be X,Y,METRES"):
        distances_of_marks((18, 32), [(1.2, 0.5, 80), (0.5, 0.5, 90)])


def test_values_in_words_name_the_unit() -> None:
    assert str(Visibility(823, 700, 1200)) == "823 m (700 m to 1.2 km)"
    assert str(Visibility(2300, 1100, None)) == "2.3 km (1.1 km or more)"


def visibility(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["visibility", *map(str, arguments)])


@pytest.fixture(scope="module")
def week(view: View, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in different fog, and what a meter said."""
    folder = tmp_path_factory.mktemp("week")
    metres = [CLEAR_METRES, 20000, 5000, 1500, 700, 300, 150, 100]
    for number, value in enumerate(metres):
        cv2.imwrite(str(folder / f"{number}.png"), through(view, value, number)[..., ::-1])
    lines = [f"{number}.png,{min(value, 20000)}" for number, value in enumerate(metres)]
    (folder / "meter.csv").write_text("\n".join(["frame,metres", *lines]) + "\n")
    return folder


def test_a_camera_is_learned_from_a_meter_and_read(view: View, week: Path, tmp_path: Path) -> None:
    camera = tmp_path / "gate.npz"
    learned = visibility("learn", week, "-o", camera, "--meter", week / "meter.csv")
    assert learned.exit_code == 0, learned.output
    assert "8 pictures" in learned.output
    cv2.imwrite(str(tmp_path / "now.png"), through(view, 400, 77)[..., ::-1])
    (row,) = csv.DictReader(visibility("read", camera, tmp_path / "now.png", "--csv", "-").stdout.splitlines())
    assert float(row["metres"]) == pytest.approx(400, rel=0.35)
    assert row["class"] == "fog"
    (same,) = json.loads(visibility("read", camera, tmp_path / "now.png", "--json", "-").stdout)
    assert same["metres"] == int(row["metres"])
    assert " m (" in visibility("read", camera, tmp_path / "now.png").stdout


def test_pictures_that_cannot_be_read_are_named_and_the_others_read(view: View, week: Path, tmp_path: Path) -> None:
    """A camera that died while it wrote leaves half a picture."""
    folder = tmp_path / "week"
    shutil.copytree(week, folder)
    half = folder / "4.png"
    half.write_bytes(half.read_bytes()[:9000])
    camera, table = tmp_path / "gate.npz", tmp_path / "metres.csv"
    learned = visibility("learn", folder, "-o", camera, "--mark", "0.2,0.6,80", "--mark", "0.7,0.45,400")
    assert (learned.exit_code, "7 pictures" in learned.output) == (1, True)
    assert learned.output.count(f"'{half}'") == 1
    (tall := np.zeros((640, 360, 3), np.uint8))[:320] = 200
    cv2.imwrite(str(folder / "5.png"), tall)
    done = visibility("read", camera, folder, "--csv", table)
    assert done.exit_code == 1
    assert done.output.count("\n") == 2
    assert f"{folder / '5.png'}: the picture has another shape than the camera's reference" in done.output
    assert [Path(row["input"]).stem for row in csv.DictReader(table.read_text().splitlines())] == [
        "0",
        "1",
        "2",
        "3",
        "6",
        "7",
    ]
    done = visibility("learn", folder, "-o", tmp_path / "no.npz", "--mark", "0.2,0.6,80", "--mark", "0.7,0.45,400")
    assert f"'{folder / '5.png'}' has another shape than '{folder / '0.png'}'" in done.output
    done = visibility("learn", folder / "0.png", "-o", tmp_path / "none" / "x.npz", "--meter", folder / "meter.csv")
    assert (done.exit_code, "does not exist; create it first" in done.output) == (1, True)


def test_wrong_calibrations_are_reported_in_one_sentence_each(week: Path, tmp_path: Path) -> None:
    camera = tmp_path / "gate.npz"
    done = visibility("learn", week, "-o", camera)
    assert (done.exit_code, "give distances in one way" in done.output) == (2, True)
    done = visibility("learn", week, "-o", camera, "--mark", "0.5,0.5,80")
    assert (done.exit_code, "two marks at different distances" in done.output) == (1, True)
    other = tmp_path / "other.csv"
    other.write_text("picture,visibility\n0.png,12\n")
    done = visibility("learn", week, "-o", camera, "--meter", other)
    assert (done.exit_code, "must have the columns 'frame' and 'metres'" in done.output) == (1, True)
    done = visibility("learn", "rtsp://user:secret@192.0.2.7/gate", "-o", camera, "--meter", week / "meter.csv")
    assert (done.exit_code, "is a live stream, which has no end" in done.output) == (1, True)
    assert "secret" not in done.output
    assert not camera.exists()
    done = visibility("read", other, week)
    assert (done.exit_code, "is not a camera's reference" in done.output) == (1, True)


def test_a_live_camera_reports_the_median_of_the_last_minute_and_learns_its_clear_days(
    view: View, reference: Reference, tmp_path: Path
) -> None:
    from streamdehaze.live.haze.visibility import VisibilityWatch
    from streamdehaze.live.view import LatestPair

    now = [datetime(2026, 5, 1, 12)]
    frames, path = LatestPair(), tmp_path / "gate.npz"
    reference.save(path)
    watch = VisibilityWatch(path, frames, "gate", now=lambda: now[0])

    def show(shown: Frame, times: int = 6) -> Visibility:
        for _ in range(times):
            frames.show(shown, None)
            watch.read()
        return watch.visibility

    assert watch.visibility.unknown == "the camera shows no picture"
    foggy, clear = frame(view, 200, 9), frame(view, 100_000, 9)
    assert show(foggy).metres == pytest.approx(200, rel=0.25)
    assert show(clear, times=2).metres == pytest.approx(200, rel=0.25), "one moment does not make the weather"
    assert show(clear).least is not None
    assert show(Frame.from_array(np.zeros((360, 640, 3), np.uint8))).unknown == "too dark"
    assert "another shape" in str(show(Frame.from_array(np.zeros((360, 360, 3), np.uint8))).unknown)
    now[0] += timedelta(days=200)
    assert show(foggy).unknown is None, "the reference has no date"
    for number in range(8 * 4):
        now[0] = datetime(2026, 12, 1 + number // 4, 10 + number % 4)
        show(clear, times=1)
    assert path.with_suffix(".learned.npz").exists()
    assert show(foggy).metres == pytest.approx(200, rel=0.25)
    again = VisibilityWatch(path, frames, "gate", now=lambda: now[0])
    assert again._days.span > timedelta(days=7), "nothing is lost in a restart"
    now[0] += timedelta(days=200)
    assert "days old" in str(show(foggy).unknown), "what it has learned has"


def test_a_live_cameras_reference_is_checked_when_the_configuration_is_read(tmp_path: Path) -> None:
    from streamdehaze.live import read_config

    (tmp_path / "cameras.toml").write_text('[[camera]]\nname = "gate"\nurl = "rtsp://h/s"\nvisibility = "gate.npz"\n')
    with pytest.raises(ConfigError, match=r"camera 'gate', visibility: there is no file '.*gate\.npz'"):
        read_config(tmp_path / "cameras.toml")
    (tmp_path / "gate.npz").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match=r"camera 'gate', visibility: '.*gate\.npz' is not a camera's reference"):
        read_config(tmp_path / "cameras.toml")
