"""Presets: dehazing options from a file; the command line overrides them, and what does not belong is refused."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from streamdehaze.cli import main
from streamdehaze.cli.commands.run import command
from streamdehaze.control.preset import OPTIONS, preset_names, read_preset
from streamdehaze.errors import ConfigError


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(90, 250, (72, 96, 3), np.uint8))
    return path


def run(photo: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["run", str(photo), "--engine", "torch", "--overwrite", *arguments])


def result(photo: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    picture = cv2.imread(str(photo.with_name("photo.clear.png")))
    assert picture is not None
    return np.asarray(picture, np.uint8)


def test_run_takes_the_presets_that_are_included(photo: Path, tmp_path: Path) -> None:
    assert preset_names() == ["aerial", "natural", "operator"]
    names = {parameter.name for parameter in command.params}
    for name in preset_names():
        assert set(read_preset(name)) <= names
    assert {option.replace("-", "_") for option in OPTIONS} <= names
    report = tmp_path / "run.json"
    assert run(photo, "--preset-file", "natural", "--report", str(report)).exit_code == 0
    assert json.loads(report.read_text())["jobs"][0]["haze"]["by_second"][0]["strength"] == 0.8


def test_the_command_line_overrides_a_preset_file(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "off.toml").write_text("strength = 0\n")
    assert run(photo, "--preset-file", str(tmp_path / "off.toml")).exit_code == 0
    hazy = cv2.imread(str(photo))
    assert np.array_equal(result(photo), hazy)
    assert run(photo, "--strength", "1", "--preset-file", str(tmp_path / "off.toml")).exit_code == 0
    assert not np.array_equal(result(photo), hazy)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("strength = \n", "is not TOML"),
        ("codec = 'libx265'\n", "sets 'codec'; it may set"),
        ("strength = [0, 1]\n", "gives 'strength' a list or table"),
    ],
)
def test_what_does_not_belong_is_reported_in_one_sentence(
    photo: Path, tmp_path: Path, content: str, sentence: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=sentence):
        read_preset(str(path))
    assert run(photo, "--preset-file", str(path)).exit_code == 1
    assert not photo.with_name("photo.clear.png").exists()


def test_an_unknown_name_and_a_wrong_value_are_reported(photo: Path, tmp_path: Path) -> None:
    done = run(photo, "--preset-file", "arial")
    assert done.exit_code == 1
    assert "known are aerial, natural, operator" in done.output
    (tmp_path / "mine.toml").write_text("mode = 'sometimes'\n")
    assert run(photo, "--preset-file", str(tmp_path / "mine.toml")).exit_code == 2
