"""`streamdehaze meter`: rows, summaries, plots and maps; bad input in one sentence and nothing half-written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from clips import video_ticks
from slow_film import slow_film
from streamdehaze.cli import main
from streamdehaze.control.keyframes import read_keyframes


def meter(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["meter", *map(str, arguments), "--engine", "torch"])


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return slow_film(tmp_path_factory.mktemp("meter") / "film.mp4", 9, (160, 120))


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("meter") / "photo.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(60, 200, (96, 128, 3), np.uint8))
    return path


def test_every_frame_is_a_row_with_its_own_time(film: Path, tmp_path: Path) -> None:
    done = meter(film, "--csv", tmp_path / "haze.csv", "--json", tmp_path / "haze.json")
    assert done.exit_code == 0, done.output
    tick, times = video_ticks(film)
    rows = list(csv.DictReader((tmp_path / "haze.csv").read_text().splitlines()))
    assert [float(row["seconds"]) for row in rows] == pytest.approx([float(time * tick) for time in times], abs=1e-4)
    assert [int(row["frame"]) for row in rows] == list(range(9))
    assert all(0 <= float(row["density"]) <= 1 for row in rows)
    assert {row["dark"] for row in rows} <= {"true", "false"}
    written = json.loads((tmp_path / "haze.json").read_text())
    assert written["inputs"][0]["frames"] == 9
    assert [row["density"] for row in written["frames"]] == [float(row["density"]) for row in rows]
    assert f"{film}: " in done.output
    assert "density" in done.output


def test_each_scene_gets_a_keyframe_to_edit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scenes = [cv2.resize(rng.integers(0, 256, (9, 12, 3), np.uint8), (96, 72)) for _ in range(2)]
    with av.open(str(tmp_path / "film.mkv"), "w") as output:
        stream = output.add_stream("ffv1", rate=8)
        stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
        for number in range(16):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(scenes[number // 8], "rgb24")))
        output.mux(stream.encode(None))
    written = tmp_path / "film.toml"
    done = meter(tmp_path / "film.mkv", "--scenes", written)
    assert done.exit_code == 0, done.output
    keyframes = read_keyframes(written)
    assert keyframes.interpolation == "hold"
    assert keyframes.points == ((0.0, 1.0), (1.0, 1.0))
    assert "density" in written.read_text()


def test_measuring_only_every_third_frame(film: Path) -> None:
    done = meter(film, "--csv", "-", "--every", 3, "-q")
    assert [row["frame"] for row in csv.DictReader(done.stdout.splitlines())] == ["0", "3", "6"]


def test_the_map_is_16_bit_gray_video_with_the_times_of_the_source(film: Path, tmp_path: Path) -> None:
    path = tmp_path / "transmission.mkv"
    assert meter(film, "--map", path).exit_code == 0
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert frames[0].format.name == "gray16le"
    assert (frames[0].width, frames[0].height) == (160, 120)
    tick, times = video_ticks(film)
    found = [float(frame.pts * frame.time_base) for frame in frames]
    assert found == pytest.approx([float(time * tick) for time in times], abs=1e-3)
    samples = frames[0].to_ndarray()
    assert samples.min() >= 0.02 * 65535 - 1
    assert samples.max() > 10000


def test_a_plot_shows_it_over_time(film: Path, photo: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert meter(film, photo, "--plot", tmp_path / "haze.png").exit_code == 0
    assert cv2.imread(str(tmp_path / "haze.png")) is not None


def test_a_photo_is_one_row_without_a_time(photo: Path) -> None:
    done = meter(photo, "--json", "-", "-q")
    (row,) = json.loads(done.stdout)["frames"]
    assert row["seconds"] is None


def test_what_cannot_be_measured_is_reported_in_one_sentence_and_the_rest_is_measured(
    photo: Path, tmp_path: Path
) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("not a video")
    done = meter(text, photo, "--csv", tmp_path / "haze.csv")
    assert done.exit_code == 1
    assert "notes.mp4" in done.output
    assert len((tmp_path / "haze.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--csv", "{photo}"), "exists already; choose another name or add --overwrite"),
        (("--csv", "{folder}/none/haze.csv"), "does not exist; create it first"),
        (("--plot", "{folder}/haze.foo"), "name it .png, .svg, .pdf"),
        (("--map", "{folder}/map.mp4"), "'map.mp4' cannot hold; name it .mkv"),
        (("--map", "{folder}/map.mkv", "{photo}"), "--map writes the transmission of one input, but there are 2"),
    ],
)
def test_bad_outputs_are_refused_before_any_work(
    film: Path, photo: Path, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    done = meter(film, *(each.format(photo=photo, folder=tmp_path) for each in arguments))
    assert done.exit_code == 1
    assert sentence in done.output
    assert list(tmp_path.iterdir()) == []


def test_a_live_stream_is_refused() -> None:
    done = meter("rtsp://192.0.2.7/stream")
    assert done.exit_code == 1
    assert "'streamdehaze live' measures it" in done.output
