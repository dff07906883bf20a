"""From start to end: a short training, its checkpoint in `run`, and a hazy clip that gains from it."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("lightning")

import av
import cv2

from streamdehaze import Dehazer
from streamdehaze.cli import main
from streamdehaze.engine.build.answer import SHAPE, kept_answer
from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.engine.torch import TorchEngine
from streamdehaze.errors import CheckpointError, ConfigError
from streamdehaze.fidelity import psnr
from streamdehaze.network import load_network, read_checkpoint, write_checkpoint
from streamdehaze.network.aecrnet import AECRNet
from streamdehaze.network.checkpoint import Weights
from streamdehaze.training.config import NetworkConfig
from streamdehaze.training.run import train
from streamdehaze.training.task import start_network
from training_data import configuration, make_pairs, make_scenes, make_vgg19, picture

FRAMES = 6


def write_clip(path: Path, frames: list[np.ndarray]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "4", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())


def read_clip(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_the_smoke_recipe_teaches_a_checkpoint_that_clears_a_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # set by the command, restored here
    scenes = make_scenes(tmp_path / "scenes", 24)
    changes = [f"data=[{{folder = '{scenes}'}}]", f"output={tmp_path}", "machine.threads=1"]
    main(["train", "smoke", *changes], standalone_mode=False)
    with (tmp_path / "smoke" / "log" / "version_0" / "metrics.csv").open() as file:
        losses = [float(row["loss/l1"]) for row in csv.DictReader(file) if row["loss/l1"]]
    assert np.mean(losses[-2:]) < 0.85 * losses[0]

    scene = np.asarray(cv2.resize(picture(500), (128, 96), interpolation=cv2.INTER_CUBIC))
    clear = [np.roll(scene, 2 * i, axis=1) for i in range(FRAMES)]
    ramp = np.linspace(200, 40, 96)[:, None, None] / 212.5
    t = np.exp(-1.5 * ramp)
    hazy = [(frame * t + 0.85 * 255 * (1 - t)).astype(np.uint8) for frame in clear]
    write_clip(tmp_path / "hazy.mp4", hazy)
    source, target = str(tmp_path / "hazy.mp4"), str(tmp_path / "clear.mp4")
    checkpoint = str(tmp_path / "smoke" / "last.safetensors")
    options = ["--engine=torch", "--network-size=64", "--brightness=natural"]
    main(["run", source, "-o", target, "--checkpoint", checkpoint, *options], standalone_mode=False)
    results = read_clip(tmp_path / "clear.mp4")
    assert len(results) == FRAMES
    before = np.mean([psnr(frame, truth) for frame, truth in zip(hazy, clear, strict=True)])
    after = np.mean([psnr(frame, truth) for frame, truth in zip(results, clear, strict=True)])
    assert after > before + 2


def test_the_smoke_recipe_needs_no_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    short = ["data.0.rooms=2", "stages.0.steps=2", "stages.0.batch=2", "optimizer.warm_up_steps=1"]
    main(["train", "smoke", *short, "machine.threads=1"], standalone_mode=False)
    assert read_checkpoint(Path("runs/smoke/last.safetensors")).metadata["training_data"] == "rendered rooms"
    assert len(list(Path("runs/smoke/rooms").glob("*.depth.png"))) == 2


@pytest.mark.parametrize(("exact", "mode"), [(False, "fast, network size 64"), (True, "network alone")])
def test_validation_keeps_the_best_and_shows_samples(tmp_path: Path, exact: bool, mode: str) -> None:
    pairs = make_pairs(tmp_path / "pairs")
    config = configuration(
        tmp_path,
        make_scenes(tmp_path / "scenes"),
        validation={
            "sets": {"small": {"folder": pairs}},
            "every_steps": 4,
            "limit": 2,
            "network_size": 64,
            "exact": exact,
        },
    )
    trained = train(config)
    assert trained.best is not None
    metadata = read_checkpoint(trained.best).metadata
    assert metadata["mode"] == mode
    assert '"small/psnr"' in metadata["scores"]
    assert metadata["training_data"] == "scenes"
    assert str(tmp_path) not in str(metadata)
    assert len(list((config.folder / "samples").glob("small-*-step0000008.jpg"))) == 2


@pytest.mark.parametrize("frozen", [False, True])
def test_a_run_from_a_checkpoint_learns_the_statistics_of_its_own_pictures(tmp_path: Path, frozen: bool) -> None:
    start = tmp_path / "start.safetensors"
    write_checkpoint(start, AECRNet(4), {})
    network = {"width": 4, "start": str(start), "freeze_deconv": frozen}
    trained = train(configuration(tmp_path, make_scenes(tmp_path / "scenes"), network=network))
    mean = read_checkpoint(trained.last).state["deconv.running_mean"]
    assert mean.any() != frozen


@pytest.fixture
def vgg(tmp_path: Path) -> Path:
    return make_vgg19(tmp_path)


def test_pairs_and_contrast_train_together(tmp_path: Path, vgg: Path) -> None:
    config = configuration(
        tmp_path,
        make_pairs(tmp_path / "pairs"),
        stages=[{"size": [32, 32], "batch": 2, "steps": 2}],
        loss={"contrast": 0.1, "features": vgg},
        machine={"accelerator": "cpu", "threads": 1, "precision": "bf16-mixed"},
    )
    assert train(config).steps == 2


def test_float32_replaces_bfloat16_where_the_processor_would_emulate_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from streamdehaze.training import run

    scenes = make_scenes(tmp_path / "scenes")

    def trained(name: str, precision: str, *, has_bfloat16: bool) -> Weights:
        monkeypatch.setattr(run, "has_bfloat16", lambda: has_bfloat16)
        stages = [{"size": [32, 32], "batch": 2, "steps": 2}]
        machine = {"accelerator": "cpu", "threads": 1, "precision": precision}
        return dict(
            read_checkpoint(
                train(configuration(tmp_path, scenes, name=name, stages=stages, machine=machine)).last
            ).state
        )

    def same(one: Weights, other: Weights) -> bool:
        return all(np.array_equal(one[key], other[key]) for key in one)

    exact = trained("float32", "32-true", has_bfloat16=False)
    assert not same(trained("bfloat16", "bf16-mixed", has_bfloat16=True), exact)
    assert "precision 32-true" not in caplog.text
    assert same(trained("without", "bf16-mixed", has_bfloat16=False), exact)
    assert caplog.text.count("precision 32-true: this processor has no bfloat16") == 1


def test_a_stage_has_its_own_weight_of_contrastive_loss(tmp_path: Path, vgg: Path) -> None:
    scenes = make_scenes(tmp_path / "scenes")

    def trained(name: str, *contrasts: float | None, whole_run: float = 0.0) -> Weights:
        stages = [{"size": [32, 32], "batch": 2, "steps": 2, "contrast": contrast} for contrast in contrasts]
        loss = {"contrast": whole_run, "features": vgg}
        return dict(
            read_checkpoint(train(configuration(tmp_path, scenes, name=name, stages=stages, loss=loss)).last).state
        )

    def same(one: Weights, other: Weights) -> bool:
        return all(np.array_equal(one[key], other[key]) for key in one)

    without = trained("without", None, None)
    assert same(trained("none in any stage", 0.0, 0.0, whole_run=0.1), without)
    second = trained("in the second", None, 0.1)
    assert not same(second, without)
    assert same(trained("in the second alone", 0.0, None, whole_run=0.1), second)
    assert not same(trained("in both", None, None, whole_run=0.1), second)
    facts = read_checkpoint(tmp_path / "runs" / "in the second" / "last.safetensors").metadata
    assert facts["loss"] == "L1 + 0.1 CR"


def test_the_number_of_threads_is_in_the_environment_when_torch_is_imported(tmp_path: Path) -> None:
    program = (
        "import importlib.abc, os, sys\n"
        "class Watch(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'torch':\n"
        "            print('torch with', os.environ.get('OMP_NUM_THREADS'))\n"
        "sys.meta_path.insert(0, Watch())\n"
        "from streamdehaze.cli import main\n"
        "main()\n"
    )
    command = ["train", "smoke", "machine.threads=3", "network.start=none.safetensors", f"output={tmp_path}"]
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", program, *command], capture_output=True, text=True, check=False, env=environment
    )
    assert done.stdout.splitlines()[0] == "torch with 3"
    assert done.returncode == 1, done.stderr  # there is no such checkpoint


def test_another_network_is_not_trained_where_it_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    module = f"{Path(__file__).parents[1]}/examples/own_architecture.py:Small"
    with pytest.raises(
        ConfigError, match=r"once it is trained: writing ONNX needs the package onnxscript: .*pip install"
    ):
        train(configuration(tmp_path, make_scenes(tmp_path / "scenes"), network={"module": module}))
    monkeypatch.undo()
    pytest.importorskip("onnxscript")
    (tmp_path / "moody.py").write_text(
        "from torch import nn\n"
        "class Moody(nn.Conv2d):\n"
        "    def __init__(self): super().__init__(3, 3, 3, padding=1)\n"
        "    def forward(self, hazy): return super().forward(hazy) if hazy.mean() > 0.5 else hazy\n"
    )
    module = f"{tmp_path}/moody.py:Moody"
    with pytest.raises(ConfigError, match=r"exporter failed: .*data-dependent"):
        train(configuration(tmp_path, make_scenes(tmp_path / "scenes"), network={"module": module}))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("hazy[:, :, ::2]", r"must answer \(1, 3, 64, 96\) with the same, not \(1, 3, 32, 96\)"),
        ("(hazy, hazy)", r"must answer \(1, 3, 64, 96\) with the same, not tuple"),
        ("self.scale * hazy", r"failed on \(1, 3, 64, 96\): AttributeError: .*'scale'"),
    ],
)
def test_another_network_answers_with_pictures_of_the_same_size(tmp_path: Path, answer: str, message: str) -> None:
    code = f"from torch import nn\nclass Mine(nn.Module):\n    def forward(self, hazy): return {answer}\n"
    (tmp_path / "mine.py").write_text(code)
    with pytest.raises(ConfigError, match=message):
        train(configuration(tmp_path, tmp_path, network={"module": f"{tmp_path}/mine.py:Mine"}))


def test_another_network_is_trained_from_one_file_and_served_as_onnx(tmp_path: Path) -> None:
    for package in ("onnxscript", "openvino"):
        pytest.importorskip(package)
    root = Path(__file__).parents[1]
    module, scenes = f"{root}/examples/own_architecture.py:Small", make_scenes(tmp_path / "scenes")
    stages = [{"size": [32, 32], "batch": 2, "steps": 2}]
    weights = train(configuration(tmp_path, scenes, network={"module": module}, stages=stages)).last
    graph = weights.with_suffix(".onnx")
    hazy = np.asarray(cv2.imread(str(root / "docs" / "rendered.jpg"))[:96, :128])
    with Dehazer(str(graph), engine="openvino", engine_wait=True, network_size=128) as dehazer:
        assert dehazer.engine.name.startswith("openvino")
        assert dehazer(hazy).shape == hazy.shape
    begun = start_network(NetworkConfig(module=module, start=str(weights)))
    answer = TorchEngine(begun, "cpu", precision="float32").infer(hazy_pictures(*SHAPE))
    kept = kept_answer(graph)
    assert kept is not None
    assert psnr(answer, kept, peak=1.0) > 50

    with pytest.raises(CheckpointError, match=r"last\.safetensors has the weights of Small; give the \.onnx file"):
        load_network(weights)
    with pytest.raises(CheckpointError, match=r"last\.onnx is a graph, which only the engines openvino and onnx"):
        Dehazer(str(graph), engine="torch")
    with pytest.raises(CheckpointError, match=r"aecrnet-s.* does not fit network\.module"):
        start_network(NetworkConfig(module=module, start="aecrnet-s"))
    with pytest.raises(ConfigError, match=r"network\.module = .*:Big' failed: AttributeError"):
        start_network(NetworkConfig(module=module.replace("Small", "Big")))
    with pytest.raises(ConfigError, match=r"there is no file 'none\.py'; write FILE\.py:NAME"):
        start_network(NetworkConfig(module="none.py:Small"))
