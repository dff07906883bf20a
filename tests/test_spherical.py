"""360-degree and stereo films remain so in MP4 and MOV; for other containers the loss is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from clips import copy_through, video_times
from public_tools import H264, PICTURES, SOUND, ffmpeg, streams
from streamdehaze.video.syntax.mp4 import add_video_boxes
from streamdehaze.video.writing.spherical import carried_boxes


def box(kind: bytes, payload: bytes) -> bytes:
    return (len(payload) + 8).to_bytes(4, "big") + kind + payload


TOP_BOTTOM = box(b"st3d", bytes(4) + b"\1")
SIDE_BY_SIDE = box(b"st3d", bytes(4) + b"\2")
SPHERE = box(
    b"sv3d",
    box(b"svhd", bytes(4) + b"x\0") + box(b"proj", box(b"prhd", bytes(16)) + box(b"equi", bytes(20))),
)


@pytest.mark.parametrize("boxes", [TOP_BOTTOM + SPHERE, SIDE_BY_SIDE, SPHERE], ids=["both", "stereo", "sphere"])
@pytest.mark.parametrize("ending", ["mp4", "mov"])
def test_spherical_and_stereo_films_stay_spherical_and_stereo(tmp_path: Path, boxes: bytes, ending: str) -> None:
    source = ffmpeg(*PICTURES, *SOUND, *H264, "-c:a", "aac", tmp_path / f"in.{ending}")
    assert add_video_boxes(source, boxes)
    kinds = {each["side_data_type"] for each in streams(source)[0]["side_data_list"]}
    assert copy_through(source, tmp_path / f"out.{ending}").losses == []
    assert carried_boxes(tmp_path / f"out.{ending}", hevc=False) == boxes
    (video, _) = streams(tmp_path / f"out.{ending}")
    assert {each["side_data_type"] for each in video["side_data_list"]} == kinds
    assert len(video_times(tmp_path / f"out.{ending}")) == 25


@pytest.mark.parametrize("ending", ["ts", "avi", "flv"])
def test_a_container_that_cannot_say_so_is_named(tmp_path: Path, ending: str) -> None:
    source = ffmpeg(*PICTURES, *H264, tmp_path / "in.mp4")
    add_video_boxes(source, TOP_BOTTOM + SPHERE)
    assert copy_through(source, tmp_path / f"out.{ending}").losses == ["360-degree projection", "stereo 3D"]


def test_plain_films_and_other_files_have_none(tmp_path: Path) -> None:
    source = ffmpeg(*PICTURES, *H264, tmp_path / "in.mp4")
    assert carried_boxes(source, hevc=False) == b""
    for content in (b"", b"moov", bytes(100), b"\0\0\0\x08moov", b"\0\0\0\x10moov\0\0\0\xfftrak"):
        (tmp_path / "odd").write_bytes(content)
        assert carried_boxes(tmp_path / "odd", hevc=False) == b""
