"""`run --preview`: moments of a video in one picture, with the settings and the strength at each moment."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from slow_film import slow_film
from streamdehaze.cli import main


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return slow_film(tmp_path_factory.mktemp("sheet") / "film.mp4", 40, (160, 120))


def run(film: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["run", str(film), "--engine", "torch", *arguments])


def test_each_moment_is_a_row_with_the_strength_it_has_then(film: Path, tmp_path: Path) -> None:
    done = run(film, "-o", str(tmp_path / "out.mp4"), "--preview", "0.2,1.2", "--strength", "hold 0:0,1:1")
    assert done.exit_code == 0, done.output
    assert [path.name for path in tmp_path.iterdir()] == ["out.preview.jpg"]
    sheet = cv2.imread(str(tmp_path / "out.preview.jpg"))
    assert sheet is not None
    assert sheet.shape == (240, 320, 3)
    below_labels = [sheet[top + 40 : top + 120].astype(int) for top in (0, 120)]
    changes = [float(np.abs(rows[:, :160] - rows[:, 160:]).mean()) for rows in below_labels]
    assert changes[0] < 2 < changes[1]


def test_what_cannot_be_shown_is_reported_in_one_sentence(film: Path, tmp_path: Path) -> None:
    assert run(film, "-o", str(tmp_path / "out.mp4"), "--preview", "soon").exit_code == 2
    done = run(film, "-o", str(tmp_path / "out.mp4"), "--preview", "0,90")
    assert done.exit_code == 1
    assert done.output.endswith("film.mp4' has no frame at 90 seconds or later\n")
    assert done.output.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    done = run(film, "-o", str(tmp_path / "none" / "out.mp4"), "--preview", "0")
    assert (done.exit_code, done.output.endswith("does not exist; create it first\n")) == (1, True)
    (tmp_path / "out.preview.jpg").write_bytes(b"mine")
    done = run(film, "-o", str(tmp_path / "out.mp4"), "--preview", "0")
    assert (done.exit_code, "exists already" in done.output) == (1, True)
    assert (tmp_path / "out.preview.jpg").read_bytes() == b"mine"


def test_what_cannot_be_previewed_does_not_keep_the_others_from_it(film: Path, tmp_path: Path) -> None:
    """Photos in a folder, and clips that end before the moment."""
    photo, short = tmp_path / "a.png", slow_film(tmp_path / "b.mp4", 10, (160, 120))
    cv2.imwrite(str(photo), np.full((120, 160, 3), 90, np.uint8))
    done = run(photo, str(short), str(film), "-o", f"{tmp_path}/out/", "--preview", "1")
    assert done.exit_code == 1
    assert f"'{photo}' is a picture; --preview shows moments of videos" in done.output
    assert f"'{short}' has no frame at 1 seconds or later" in done.output
    assert "film.clear.preview.jpg: 1 moment, hazy and clear" in done.output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["film.clear.preview.jpg"]
