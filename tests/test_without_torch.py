"""Where PyTorch is not installed, a compiled engine dehazes files, photos and cameras from the first picture."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clips import Clip, frames_of
from streamdehaze.network import write_checkpoint
from streamdehaze.network.aecrnet import AECRNet

pytest.importorskip("openvino")
pytest.importorskip("onnx")

ROOT = Path(__file__).parents[1]
HIDDEN = ("torch", "torchvision", "torchaudio", "functorch", "torchgen", "lightning", "torchmetrics")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs the program in an environment that has every package of this one but PyTorch and what needs it."""
    if os.name == "nt":
        pytest.skip("links in place of an installation")
    folder = tmp_path_factory.mktemp("light")
    venv.create(folder / "venv", symlinks=True)
    site = next((folder / "venv" / "lib").glob("python*")) / "site-packages"
    for place in [Path(entry) for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]:
        for item in place.iterdir():
            name = item.name.partition("-")[0].partition(".")[0]
            if name not in HIDDEN and not item.name.startswith("_") and item.suffix != ".pth":
                (site / item.name).symlink_to(item)
    (site / "checkout.pth").write_text(f"{ROOT}\n")
    environment = {**os.environ, "STREAMDEHAZE_ENGINES": str(folder / "engines"), "COLUMNS": "200"}
    environment.pop("PYTHONPATH", None)

    def run(*arguments: str, cwd: Path = folder) -> subprocess.CompletedProcess[str]:
        command = [str(folder / "venv" / "bin" / "python"), "-m", "streamdehaze", *arguments]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, encoding="utf-8", timeout=300)

    there = subprocess.run([str(folder / "venv" / "bin" / "python"), "-c", "import torch"], capture_output=True)
    assert b"No module named 'torch'" in there.stderr
    return run


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Clip(pts=range(0, 12 * 512, 512)).write(tmp_path_factory.mktemp("clip") / "foggy.mp4")


@pytest.mark.parametrize("engine", ["auto", "onnxruntime"])
def test_a_file_is_dehazed_by_a_compiled_engine(light: Run, clip: Path, tmp_path: Path, engine: str) -> None:
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
    report = tmp_path / "run.json"
    done = light("run", str(clip), "-o", str(tmp_path / "clear.mp4"), "--engine", engine, "--report", str(report))
    assert done.returncode == 0, done.stderr
    engine = "openvino" if engine == "auto" else engine
    assert json.loads(report.read_text())["jobs"][0]["engine"].startswith(f"{engine} cpu")
    hazy, clear = (
        [np.concatenate([plane.ravel() for plane in frame.planes]) for frame in frames_of(path)]
        for path in (clip, tmp_path / "clear.mp4")
    )
    assert len(hazy) == len(clear) == 12
    assert any(not np.array_equal(one, other) for one, other in zip(hazy, clear, strict=True))


def test_photos_and_cameras_too(light: Run, clip: Path, tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "photo.png"), np.full((48, 64, 3), 180, np.uint8))
    assert light("run", "photo.png", "-o", "clear.png", cwd=tmp_path).returncode == 0
    assert (tmp_path / "clear.png").is_file()
    done = light("live", str(clip), "--to", "live.mkv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("live*.mkv"))


def test_the_commands_of_the_first_minutes_work(light: Run, tmp_path: Path) -> None:
    done = light("doctor")
    assert done.returncode == 0, done.stdout
    assert "a small picture was made clear with openvino" in done.stdout
    done = light("engine", "verify")
    assert done.returncode == 0, done.stderr
    assert "dB of the kept answer of PyTorch float32" in done.stdout


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            ["run", "CLIP", "-o", "x.mp4", "--engine", "torch"],
            "the engine 'torch' needs PyTorch, which is not",
        ),
        (["run", "CLIP", "-o", "x.mp4", "--checkpoint", "MINE"], "is compared with PyTorch before it serves"),
        (["run", "CLIP", "-o", "x.mp4", "--checkpoint", "authors.pk"], "authors.pk needs PyTorch"),
        (["checkpoint", "widen", "aecrnet-s", "wide.safetensors", "--width", "32"], "needs PyTorch"),
    ],
)
def test_what_only_pytorch_can_do_is_reported_in_one_sentence_with_the_command(
    light: Run, clip: Path, tmp_path: Path, command: list[str], said: str
) -> None:
    write_checkpoint(tmp_path / "mine.safetensors", AECRNet(4), {})
    (tmp_path / "authors.pk").write_bytes(b"\x80\x02}q\x00.")
    named = {"CLIP": str(clip), "MINE": str(tmp_path / "mine.safetensors")}
    done = light(*(named.get(word, word) for word in command), cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert said in done.stderr.replace("\n", " ")
    assert " install torch" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
