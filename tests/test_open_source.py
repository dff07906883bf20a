"""`open_source`: what a path or address stands for, options that fit it, and `with` for every kind."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from clips import Clip
from doubles import CountingSource
from streamdehaze import dehaze_video, open_source
from streamdehaze.errors import ConfigError, SourceError
from streamdehaze.live import CameraConfig
from streamdehaze.video import Kind, Reader, ReadOptions, what_is


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("foggy.mp4", Kind.FILE),
        ("no/such/file", Kind.FILE),
        ("C:/films/foggy.mp4", Kind.FILE),
        ("50%.mp4", Kind.FILE),
        ("frames/%05d.dpx", Kind.SEQUENCE),
        ("/dev/fog", Kind.FILE),
        ("-", Kind.PIPE),
        ("rtsp://camera/1", Kind.STREAM),
        ("HTTP://example.org/photo.png", Kind.STREAM),
        ("/dev/video0", Kind.DEVICE),
        ("/dev/v4l/by-id/usb-camera-index0", Kind.DEVICE),
        ("photo.JPG", Kind.PICTURE),
        ("frames/%05d.png", Kind.SEQUENCE),
    ],
)
def test_what_a_path_or_address_is(text: str, kind: Kind) -> None:
    assert what_is(text) is kind
    assert kind.is_live is (kind in (Kind.STREAM, Kind.DEVICE))


def test_what_can_be_read_only_once_is_a_pipe(tmp_path: Path) -> None:
    assert what_is(io.BytesIO()) is Kind.PIPE
    os.mkfifo(tmp_path / "photo.png")
    assert what_is(tmp_path / "photo.png") is Kind.PIPE


def test_an_address_in_a_variable_is_live(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = CameraConfig(name="gate", url="${GATE}")
    assert camera.is_live  # the variable may yet be set
    monkeypatch.setenv("GATE", "rtsp://192.0.2.7/1")
    assert camera.is_live
    monkeypatch.setenv("GATE", "foggy.mp4")
    assert not camera.is_live


def made(folder: Path, name: str) -> Path:
    if name.endswith(".mp4"):
        return Clip().write(folder / name)
    picture = np.random.default_rng(1).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / name.replace("%d", "1")), picture)
    return folder / name


@pytest.mark.parametrize("name", ["foggy.mp4", "photo.png", "%d.png"])
def test_with_opens_and_closes_every_kind(tmp_path: Path, name: str) -> None:
    with open_source(made(tmp_path, name)) as source:
        assert isinstance(source, Reader)
        assert len(list(source)) == source.info.frame_count
    assert source.damaged == 0
    source.close()


def test_with_closes_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), open_source(made(tmp_path, "foggy.mp4")) as source:
        raise KeyError
    with pytest.raises(Exception, match="not open"):
        list(source)


def test_options_win_over_those_of_read(tmp_path: Path) -> None:
    read = ReadOptions(start=0.04, end=0.12)
    with open_source(made(tmp_path, "foggy.mp4"), read, end=0.2) as source:
        assert len(list(source)) == 4


@pytest.mark.parametrize("name", ["foggy.mp4", "photo.png", "%d.png"])
def test_an_unknown_option_is_a_type_error(tmp_path: Path, name: str) -> None:
    unknown: dict[str, Any] = {"strat": 5}
    with pytest.raises(TypeError, match="strat"):
        open_source(made(tmp_path, name), **unknown)


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("x.png", ReadOptions(start=5), "'x.png' is a picture, to which start cannot be applied"),
        ("x.png", ReadOptions(end=5, deinterlace=True), "to which end and deinterlace cannot be applied"),
        ("%d.png", ReadOptions(hwaccel="cuda"), "'%d.png' is a sequence, to which hwaccel cannot be applied"),
        ("x.mp4", ReadOptions(transport="udp"), "'x.mp4' is a file, to which transport cannot be applied"),
        ("rtsp://a:b@h/1", ReadOptions(start=5), "'rtsp://h/1' is a stream, to which start cannot be applied"),
    ],
)
def test_an_option_that_does_not_fit_is_named(text: str, options: ReadOptions, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_source(text, options)
    assert sentence in str(caught.value)


def test_hwaccel_auto_is_accepted_for_pictures(tmp_path: Path) -> None:
    with open_source(made(tmp_path, "photo.png"), hwaccel="auto") as source:
        assert source.info.codec == "png"


def test_a_source_without_a_file_asks_for_a_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="CountingSource has no file name to make the output's from; give a target"):
        dehaze_video(CountingSource(3))
    assert list(tmp_path.iterdir()) == []


def test_a_file_on_a_web_server_is_not_taken_for_a_camera() -> None:
    with pytest.raises(SourceError, match="is an address, not a file; download it first"):
        open_source("http://192.0.2.7/foggy.mp4?token=secret")
