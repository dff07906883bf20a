"""ONNX Runtime as an engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.engine.build.request import DEFAULT_SHAPE
from streamdehaze.engine.recipe import OnnxRuntimeOptions, Recipe
from streamdehaze.engine.torch import TorchEngine
from streamdehaze.errors import EngineError
from streamdehaze.fidelity import psnr
from streamdehaze.network import Checkpoint, load_network

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from streamdehaze.engine.onnxruntime.backend import ONNXRuntimeBackend, ONNXRuntimeEngine


def quiet(what: str, share: float | None) -> None:
    """Ignore the progress of the build."""


# Sums in another order differ by about 1e-6 of full scale; float16 has 11 bits.
@pytest.mark.parametrize(("precision", "floor_db"), [("auto", 99), ("float16", 45)])
def test_every_batch_and_size_equals_pytorch(tmp_path: Path, precision: str, floor_db: float) -> None:
    if precision == "float16":
        pytest.importorskip("onnxscript")
    network = load_network("aecrnet-s")
    backend = ONNXRuntimeBackend(Recipe(engine="onnxruntime", precision=precision))  # type: ignore[arg-type]
    backend.compile(Checkpoint.of(network), DEFAULT_SHAPE, tmp_path / "a.onnx", {}, quiet)
    engine = backend.open(tmp_path / "a.onnx", tmp_path, DEFAULT_SHAPE)
    assert engine.name == f"onnxruntime cpu {'float32' if precision == 'auto' else precision}"
    reference = TorchEngine(network, "cpu")
    for shape in ((1, 96, 68), (3, 144, 256)):
        hazy = hazy_pictures(*shape)
        assert psnr(engine.infer(hazy), reference.infer(hazy), peak=1.0) > floor_db
    engine.close()


def test_a_provider_is_chosen_by_its_short_name_and_a_missing_one_is_named() -> None:
    recipe = Recipe(engine="onnxruntime", onnxruntime=OnnxRuntimeOptions(provider="CPU"))
    assert ONNXRuntimeBackend(recipe).identity(DEFAULT_SHAPE)["device"] == "CPUExecutionProvider"
    with pytest.raises(EngineError, match=r"no execution provider 'dml', only .*cpu"):
        ONNXRuntimeBackend(Recipe(engine="onnxruntime", onnxruntime=OnnxRuntimeOptions(provider="dml")))


def test_a_file_that_is_not_a_graph_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(EngineError, match=r"cannot open .*broken\.onnx"):
        ONNXRuntimeEngine(tmp_path / "broken.onnx")
