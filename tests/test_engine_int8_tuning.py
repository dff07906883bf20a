"""Tuning an int8 graph: it is computed as OpenVINO does, comes nearer to its checkpoint, and has a command."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from streamdehaze.cli import main
from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.engine.openvino import backend
from streamdehaze.engine.openvino.backend import OpenVINOEngine
from streamdehaze.engine.openvino.int8 import quantize, quantized_graph
from streamdehaze.engine.openvino.tuning import QuantizedNetwork, tune
from streamdehaze.errors import EngineError
from streamdehaze.fidelity import psnr
from streamdehaze.network import find_checkpoint, load_network

onnx = pytest.importorskip("onnx")
pytest.importorskip("openvino")
pytest.importorskip("nncf", reason="quantising needs NNCF (extra int8)")

HAZY = hazy_pictures(4, 48, 64, seed=31)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """aecrnet-s in int8, its ranges too narrow for most pictures."""
    path = tmp_path_factory.mktemp("int8") / "s.onnx"
    return quantize("aecrnet-s", path, pictures=hazy_pictures(4, 48, 64, seed=32) * np.float32(0.6))


def near(answer: np.ndarray, wanted: np.ndarray) -> float:
    """PSNR in dB, the mean of the pictures."""
    return float(np.mean([psnr(a, w, peak=1) for a, w in zip(answer, wanted, strict=True)]))


def test_a_graph_is_trained_as_openvino_computes_it(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "has_bfloat16", lambda: False)  # what is not in int8 is trained in float32
    with torch.no_grad():
        trained = QuantizedNetwork(onnx.load(graph))(torch.tensor(HAZY)).numpy()
    engine = OpenVINOEngine(graph, precision="int8")
    # A value halfway between two steps may be rounded to either; the float network is 10 dB farther away.
    assert near(engine.infer(HAZY), trained) > 50
    engine.close()


def test_a_tuned_graph_is_nearer_to_its_checkpoint_and_stays_in_int8(graph: Path) -> None:
    network = load_network("aecrnet-s").eval()
    model = onnx.load(graph)
    batches = [torch.tensor(hazy_pictures(2, 48, 64, seed=40 + each)) for each in range(10)]
    with torch.no_grad():
        wanted = network(torch.tensor(HAZY)).clamp(0, 1).numpy()
        before = near(QuantizedNetwork(model)(torch.tensor(HAZY)).numpy(), wanted)
    last = tune(model, network, batches * 6, 60)
    with torch.no_grad():
        after = near(QuantizedNetwork(model)(torch.tensor(HAZY)).numpy(), wanted)
    assert after > before + 0.1
    assert abs(last - after) < 5
    onnx.checker.check_model(model, full_check=True)
    weights = [each for each in model.graph.initializer if each.name.startswith("q_output_")]
    assert weights
    for each in weights:
        values = onnx.numpy_helper.to_array(each)
        assert values.dtype == np.int8
        assert np.abs(values).max() <= 64  # pairs of products must not saturate 16 bits


def test_a_graph_of_another_network_is_refused() -> None:
    node = onnx.helper.make_node("Softmax", ["hazy"], ["clear"])
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3, 8, 8]) for name in ("hazy", "clear")
    ]
    with pytest.raises(EngineError, match="graphs with Softmax cannot be tuned"):
        QuantizedNetwork(onnx.helper.make_model(onnx.helper.make_graph([node], "other", ends[:1], ends[1:])))


def test_the_command_tunes_on_the_data_of_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lightning")
    monkeypatch.chdir(tmp_path)
    for folder in ("hazy", "clear"):
        (tmp_path / folder).mkdir()
        picture = (hazy_pictures(1, 288, 288, seed=51)[0].transpose(1, 2, 0) * 255).astype(np.uint8)
        cv2.imwrite(str(tmp_path / folder / "1.png"), picture)
    (tmp_path / "recipe.toml").write_text(
        'name = "mine"\n[[data]]\nhazy = "hazy"\nclear = "clear"\n[[stages]]\nsize = [48, 64]\nbatch = 2\nsteps = 1\n'
    )
    shutil.copy(find_checkpoint("aecrnet-s"), tmp_path / "mine.safetensors")
    arguments = ["engine", "quantize", "mine.safetensors", "--tune", "recipe.toml", "--steps", "2"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "dB of float32" in result.output
    assert quantized_graph("mine.safetensors") == Path("mine.int8.onnx")
