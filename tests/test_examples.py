"""The programs in examples/ run as they are and do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamdehaze import Dehazer
from streamdehaze.engine.onnx.files import export_checkpoint
from streamdehaze.fidelity import psnr
from streamdehaze.scene import Fog, StreetScene, write_clip

EXAMPLES = Path(__file__).parents[1] / "examples"
FOG = Fog(visibility_metres=70)


@pytest.fixture(scope="module")
def foggy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "foggy.mp4"
    write_clip(path, StreetScene(160, 90, frames=12), FOG)
    return path


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx")
    path = tmp_path_factory.mktemp("graph") / "s.onnx"
    export_checkpoint("aecrnet-s", path)
    return path


def _run(name: str, *arguments: str | Path, code: int = 0) -> str:
    """Run an example; what it prints, on standard error if it is meant to fail."""
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {
        "dehaze_a_file.py", "numpy_frames.py", "own_source_to_own_sink.py", "photos_in_a_folder.py",
        "onnx_in_onnxruntime.py", "onnx_in_openvino.py", "onnx_in_tensorrt.py", "own_network.py",
        "own_architecture.py",  # in test_training_smoke.py
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("dehaze_a_file.py", "streamdehaze"),
        ("numpy_frames.py", "cv2"),
        ("photos_in_a_folder.py", "streamdehaze"),
        ("onnx_in_onnxruntime.py", "onnxruntime"),
        ("onnx_in_openvino.py", "openvino"),
        ("onnx_in_tensorrt.py", "tensorrt_rtx"),
        ("own_network.py", "onnxruntime"),
    ],
)
def test_an_example_without_arguments_says_how_it_is_called(name: str, needs: str) -> None:
    pytest.importorskip(needs)
    assert f"usage: {name} [-h]" in _run(name, code=2)


@pytest.mark.parametrize("name", ["dehaze_a_file.py", "numpy_frames.py", "photos_in_a_folder.py"])
def test_an_example_names_a_file_that_is_not_there_in_one_line(name: str, tmp_path: Path) -> None:
    printed = _run(name, tmp_path / "gone", code=1)
    assert "Traceback" not in printed
    assert f"'{tmp_path / 'gone'}'" in printed.splitlines()[-1]


def test_dehaze_a_file(foggy: Path) -> None:
    foggy.with_name("foggy.clear.mp4").unlink(missing_ok=True)
    printed = _run("dehaze_a_file.py", foggy)
    assert "12 frames" in printed
    capture = cv2.VideoCapture(str(foggy.with_name("foggy.clear.mp4")))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 12


def test_numpy_frames(foggy: Path) -> None:
    printed = _run("numpy_frames.py", foggy)
    assert "12 frames of shape (90, 160, 3)" in printed
    before, after = (float(value) for value in printed.split("contrast ")[1].splitlines()[0].split(" → "))
    assert after > 1.1 * before


def test_photos_in_a_folder(tmp_path: Path) -> None:
    frame = StreetScene(160, 90, frames=1).render(0)
    hazy = FOG.apply(frame.clear, frame.depth_metres)
    for name in ("a.jpg", "b.png"):
        cv2.imwrite(str(tmp_path / name), hazy[..., ::-1] * 255)
    for _ in range(2):  # the second time it finds its own results there and skips them
        assert len(_run("photos_in_a_folder.py", tmp_path).splitlines()) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.clear.jpg", "a.jpg", "b.clear.png", "b.png"]


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_an_exported_file_in_a_runtime_without_streamdehaze(runtime: str, graph: Path, tmp_path: Path) -> None:
    pytest.importorskip(runtime)
    photo, clear = tmp_path / "hazy.png", tmp_path / "clear.png"
    frame = StreetScene(162, 90, frames=1).render(0)
    hazy = np.rint(FOG.apply(frame.clear, frame.depth_metres) * 255).astype(np.uint8)
    cv2.imwrite(str(photo), hazy[..., ::-1])
    _run(f"onnx_in_{runtime}.py", graph, photo, clear)
    with Dehazer("aecrnet-s", engine="torch", exact=True, airlight="keep", brightness="natural") as dehazer:
        wanted = dehazer.engine.infer(hazy[:88, :160].transpose(2, 0, 1)[None].astype(np.float32) / 255)[0]
    assert psnr(cv2.imread(str(clear))[..., ::-1], wanted.transpose(1, 2, 0) * 255) > 38


def test_an_exported_file_becomes_an_engine_of_tensorrt(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    pytest.importorskip("onnx")
    graph, engine = tmp_path / "s.onnx", tmp_path / "s.engine"
    export_checkpoint("aecrnet-s", graph, size=(64, 48), batch=2)
    assert "shape (2, 3, 48, 64)" in _run("onnx_in_tensorrt.py", graph, engine, "SM89")
    assert engine.stat().st_size > 100_000


def test_own_network(foggy: Path, graph: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    clear = tmp_path / "clear.mp4"
    assert _run("own_network.py", graph, foggy, clear) == "12 frames by my network\n"
    assert cv2.VideoCapture(str(clear)).get(cv2.CAP_PROP_FRAME_COUNT) == 12


def test_own_source_to_own_sink() -> None:
    printed = _run("own_source_to_own_sink.py", "10")
    assert "10 clear frames" in printed
    assert "the slowest stage is" in printed


def test_the_programs_of_the_api_page_run(foggy: Path) -> None:
    page = (EXAMPLES.parent / "docs" / "api.md").read_text(encoding="utf-8")
    programs = re.findall(r"^```python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    assert len(programs) == 4
    photo = "import numpy as np\nhazy = np.full((90, 160, 3), 128, np.uint8)\n"
    foggy.with_name("foggy.clear.mp4").unlink(missing_ok=True)
    program = (photo + "\n".join(programs)).replace("start=60, end=90", "start=0.1, end=0.3")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, cwd=foggy.parent
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 5  # the frames from 0.12 s to 0.28 s
    assert {"foggy.clear.mp4", "clear.mkv", "clear.mp4"} <= {path.name for path in foggy.parent.iterdir()}
