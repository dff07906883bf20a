"""Strength over time: typed or from a file, refused in one sentence if wrong, continued after an interruption."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from doubles import plain_dehazer, quick_dehazer
from streamdehaze import Frame
from streamdehaze.cli import main
from streamdehaze.control.keyframes import Keyframes, parse_strength
from streamdehaze.errors import ConfigError
from streamdehaze.video.resume.manifest import plain


def test_a_number_is_one_strength_for_all_frames() -> None:
    assert parse_strength("0.7") == 0.7
    assert parse_strength("1.5") == 1.5


def test_strength_is_linear_between_keyframes_and_constant_outside() -> None:
    frames = parse_strength("1:1, 3:0.4")
    assert isinstance(frames, Keyframes)
    assert [frames.at(t) for t in (0, 1, 2, 3, 9)] == pytest.approx([1, 1, 0.7, 0.4, 0.4])
    assert frames.at(None) == 1


def test_held_keyframes_last_until_the_next() -> None:
    frames = parse_strength("hold 0:1,0:01:30:0")
    assert isinstance(frames, Keyframes)
    assert [frames.at(t) for t in (0, 89.9, 90)] == [1, 1, 0]


def test_files_hold_the_same_keyframes(tmp_path: Path) -> None:
    table, toml = tmp_path / "strength.csv", tmp_path / "strength.toml"
    table.write_text("seconds,strength\n0,1\n12.5,0.4\n")
    toml.write_text('interpolation = "linear"\n[[keyframe]]\nseconds = 0\nstrength = 1\n'
                    "[[keyframe]]\nseconds = 12.5\nstrength = 0.4\n")  # fmt: skip
    assert parse_strength(str(table)) == parse_strength(str(toml)) == parse_strength("0:1,12.5:0.4")
    for file in (table, toml):  # as Excel and PowerShell write them
        file.write_text(file.read_text(), encoding="utf-8-sig")
    assert parse_strength(str(table)) == parse_strength(str(toml)) == parse_strength("0:1,12.5:0.4")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("2", "must lie between 0 and 1.5"),
        ("much", "has 'much' where a number belongs"),
        ("0:1,12.5:2", "strength 2 at 12.5 seconds"),
        ("5:1,2:0", "times must rise"),
        ("0:1,0:0", "times must rise"),
        ("0:nan", "has 'nan' where a number belongs"),
        ("-1:1", "'-1' is not a time"),
        ("none.csv", "cannot be read"),
    ],
)
def test_what_is_wrong_is_reported_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        parse_strength(text)
    done = CliRunner().invoke(main, ["run", "x.mp4", f"--strength={text}"])
    assert done.exit_code == 2
    assert sentence in " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", "time,strength\n0,1\n", "keyframe 1 must have 'seconds' and 'strength'"),
        ("a.csv", "seconds,strength\n", "has no keyframes"),
        ("a.csv", "seconds,strength\n0\n", "where a number belongs"),
        ("a.csv", "seconds,strength\n0,1\nx,1\n", "a.csv', keyframe 2: 'x' is not a time"),
        ("a.toml", "[[keyframe]\n", "is not TOML"),
        ("a.toml", 'interpolation = "cubic"\n[[keyframe]]\nseconds = 0\nstrength = 1\n', "choose linear or hold"),
        ("a.toml", "strength = 1\n", "has 'strength'; it may have"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, name: str, content: str, sentence: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ConfigError, match=sentence) as caught:
        parse_strength(str(path))
    assert name in str(caught.value)


def grey(index: int, level: int = 200) -> Frame:
    return Frame.from_array(np.full((32, 48, 3), level, np.uint8), pts=index, time_base=Fraction(1, 10))


@pytest.mark.usefixtures("engine_alone")
def test_each_frame_gets_the_strength_of_its_time() -> None:
    """The network halves: 200 becomes 100 at strength 1, stays 200 at 0, and becomes 50 at 1.5."""
    dehazer = plain_dehazer(engine=quick_dehazer().engine, strength=Keyframes(((0, 0), (1, 1), (2, 1.5))))
    levels = [int(dehazer.process([grey(index)])[0].to_array().mean()) for index in (0, 5, 10, 20, 30)]
    assert levels == [200, 150, 100, 50, 50]


def test_settings_with_keyframes_differ_and_can_be_kept() -> None:
    one, other = (plain_dehazer(strength=parse_strength(text)) for text in ("0:1,2:0", "0:1,3:0"))
    assert one.settings != other.settings
    assert plain(one.settings) == plain(plain_dehazer(strength=parse_strength("0:1,2:0")).settings)
    assert plain(one.settings) != plain(other.settings)
    assert one.stream().settings == one.video.settings
