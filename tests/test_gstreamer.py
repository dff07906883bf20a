"""The GStreamer element, in the Python that has GStreamer's bindings."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from clips import Clip
from streamdehaze import ColorSpec, Dehazer, Frame, PixelFormat

SYSTEM_PYTHON = "/usr/bin/python3"
ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT, FRAMES = 96, 64, 3


def environment() -> dict[str, str]:
    """The system's Python sees this environment's packages."""
    packages = [entry for entry in sys.path if entry.endswith("site-packages")] or site.getsitepackages()
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *packages, os.environ.get("PYTHONPATH", "")])}


def system_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SYSTEM_PYTHON, *arguments], capture_output=True, text=True, env=environment(), check=False)


def needs_gstreamer() -> None:
    if not Path(SYSTEM_PYTHON).exists():
        pytest.skip(f"no {SYSTEM_PYTHON}")
    found = system_python(
        "-c",
        "import sys, gi; gi.require_version('GstVideo', '1.0'); from gi.repository import Gst, GstVideo; "
        "from gi.overrides import _gi_gst; print(sys.version_info[:2])",
    )
    if found.returncode:
        pytest.skip("GStreamer's Python bindings (python3-gst-1.0) are not installed")
    if found.stdout.strip() != str(sys.version_info[:2]):
        pytest.skip("GStreamer's bindings belong to another Python than this one")


def test_a_pipeline_gets_the_frames_that_the_library_gives(tmp_path: Path) -> None:
    needs_gstreamer()
    rng = np.random.default_rng(0)
    frames = [
        [rng.integers(90, 220, size, np.uint8) for size in ((HEIGHT, WIDTH), *[(HEIGHT // 2, WIDTH // 2)] * 2)]
        for _ in range(FRAMES)
    ]
    (tmp_path / "hazy.yuv").write_bytes(b"".join(plane.tobytes() for planes in frames for plane in planes))
    found = system_python(
        "-m", "streamdehaze.integrations.gstreamer",
        "filesrc", f"location={tmp_path / 'hazy.yuv'}",
        "!", "rawvideoparse", f"width={WIDTH}", f"height={HEIGHT}", "format=i420", "framerate=25/1",
        "!", "streamdehaze", "steady=low", "strength=0.9", "engine=torch",
        "!", "filesink", f"location={tmp_path / 'clear.yuv'}",
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    color = ColorSpec(primaries=6, transfer=6, matrix=6, full_range=False)  # what GStreamer assumes for small video
    with Dehazer(engine="torch", steady="low", strength=0.9) as dehazer:
        wanted = b"".join(
            plane.tobytes()
            for number, planes in enumerate(frames)
            for clear in dehazer.process(
                [Frame(tuple(planes), WIDTH, HEIGHT, PixelFormat.parse("yuv420p"), color, number, Fraction(1, 25))]
            )
            for plane in clear.planes
        )
    assert (tmp_path / "clear.yuv").read_bytes() == wanted


def test_the_documented_pipeline_writes_a_film(tmp_path: Path) -> None:
    needs_gstreamer()
    pytest.importorskip("openvino", reason="the engine on a CPU is OpenVINO's")  # which GStreamer's libunwind disturbs
    hazy = Clip(size=(WIDTH, HEIGHT), pts=range(0, 5120, 512)).write(tmp_path / "foggy.mkv")
    found = system_python(
        "-m", "streamdehaze.integrations.gstreamer",
        "filesrc", f"location={hazy}", "!", "decodebin", "!", "videoconvert",
        "!", "streamdehaze", "steady=low", "strength=0.8", "engine=openvino",
        "!", "videoconvert", "!", "x264enc", "!", "matroskamux", "!", "filesink", f"location={tmp_path / 'clear.mkv'}",
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    with av.open(str(tmp_path / "clear.mkv")) as clear:
        assert [(frame.width, frame.height) for frame in clear.decode(video=0)] == 10 * [(WIDTH, HEIGHT)]


@pytest.mark.parametrize("pipeline", [[], ["nonsense"], ["videotestsrc", "!"]])
def test_what_is_no_pipeline_is_refused_in_one_sentence(pipeline: list[str]) -> None:
    needs_gstreamer()
    found = system_python("-m", "streamdehaze.integrations.gstreamer", *pipeline)
    assert found.returncode == 1
    assert found.stderr.strip().splitlines()[-1].startswith("streamdehaze: no pipeline can be made of this: ")
    assert "Traceback" not in found.stderr


def test_a_wrong_setting_ends_the_pipeline_in_one_sentence() -> None:
    needs_gstreamer()
    found = system_python(
        "-m", "streamdehaze.integrations.gstreamer",
        "videotestsrc", "num-buffers=1", "!", "video/x-raw,format=I420,width=96,height=64",
        "!", "streamdehaze", "checkpoint=nosuch", "!", "fakesink",
    )  # fmt: skip
    assert found.returncode == 1
    assert "nosuch" in found.stderr
    assert "Traceback" not in found.stderr
